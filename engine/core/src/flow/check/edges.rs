//! Edges: their ends, ports and conditions.
//!
//! Not here: where they lead all together (`graph`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Checker, Line, Sees};
use crate::expr::Expr;
use crate::flow::document::EdgeDocument;
use crate::flow::pointer::{child, nearest};
use crate::flow::{DONE, Kind, NodeIx, TIMEOUT};
use crate::problem::Problem;

impl Checker<'_> {
    pub(super) fn compile_edges(&mut self) {
        if self.reader.raw("edges").is_none() {
            return;
        }
        for (index, edge) in self.reader.list::<EdgeDocument>("edges") {
            let pointer = format!("/edges/{index}");
            let from = self.end(&edge.from, &child(&pointer, "from"));
            let to = self.end(&edge.to, &child(&pointer, "to"));
            let (Some(from), Some(to)) = (from, to) else { continue };
            self.compile_edge(&edge, from, to, pointer);
        }
        self.check_ports();
        for node in 0..self.nodes.len() {
            self.check_out(node);
        }
    }

    fn end(&mut self, id: &str, pointer: &str) -> Option<NodeIx> {
        let found = self.by_id.get(id).copied();
        if found.is_none() {
            let problem = Problem::error("DANGLING_EDGE", pointer, format!("there is no node `{id}`"));
            let fix = self
                .near_id(id)
                .map_or("draw the edge to a node, or remove it".to_owned(), |near| format!("did you mean `{near}`?"));
            self.problem(problem.fix(fix));
        }
        found
    }

    fn compile_edge(&mut self, edge: &EdgeDocument, from: NodeIx, to: NodeIx, pointer: String) {
        let ends = matches!(self.nodes[from].kind, Some(Kind::End { .. } | Kind::Throw(_)));
        if ends {
            let message = "nothing leaves an end";
            self.on(from, Problem::error("EDGE_FROM_END", &pointer, message).fix("remove the edge"));
        }
        if matches!(self.nodes[to].kind, Some(Kind::Start)) {
            let message = "nothing leads to a start";
            self.on(to, Problem::error("EDGE_TO_START", &pointer, message).fix("lead the edge to the node after it"));
        }
        if self.nodes[from].inside != self.nodes[to].inside {
            let message = "an edge does not lead into a container or out of it";
            let problem = Problem::error("EDGE_CROSSES", &pointer, message);
            self.on(from, problem.fix("lead it to the container, or put both nodes into one"));
        }
        let ports = self.nodes[from].ports.as_deref();
        let first = ports.and_then(|ports| ports.first()).map_or(DONE, |first| first);
        let port: Arc<str> = edge.port.as_deref().unwrap_or(first).into();
        if let Some(ports) = ports
            && !ends
            && !ports.contains(&port)
        {
            let near = nearest(&port, ports.iter().map(|port| &**port));
            let fix = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if &*port == "timeout" => "give the node a `timeout`, or a handler of that name".to_owned(),
                None => format!("use one of {}", ports.join(", ")),
            };
            let message = format!("`{}` has no port `{port}`", edge.from);
            self.on(from, Problem::error("UNKNOWN_PORT", child(&pointer, "port"), message).fix(fix));
        }
        let exclusive = matches!(self.nodes[from].kind, Some(Kind::Exclusive));
        // An inclusive node that only joins leaves by its one edge.
        let inclusive = matches!(self.nodes[from].kind, Some(Kind::Inclusive));
        let conditional = edge.when.is_some() || edge.default;
        if conditional && !exclusive && !inclusive && self.nodes[from].kind.is_some() {
            let message = "only edges that leave an exclusive or inclusive node have a condition";
            self.on(
                from,
                Problem::error("CONDITION_MISPLACED", &pointer, message).fix("put an exclusive node before it"),
            );
        }
        if edge.default && edge.when.is_some() {
            let message = "the default is taken when nothing else is: it has no condition";
            self.on(
                from,
                Problem::error("DEFAULT_WITH_CONDITION", child(&pointer, "when"), message).fix("remove `when`"),
            );
        }
        if exclusive && !conditional {
            let message = format!("the edge to `{}` has no condition", edge.to);
            let problem = Problem::error("EDGE_WITHOUT_CONDITION", &pointer, message);
            self.on(from, problem.fix("add `when`, or make it the default"));
        }
        let when = edge.when.as_deref().and_then(|when| self.condition(when, &child(&pointer, "when"), from));
        self.edges.push(Line { pointer, from, to, port, when, default: edge.default });
    }

    pub(super) fn condition(&mut self, when: &str, pointer: &str, node: NodeIx) -> Option<Expr> {
        self.condition_seeing(when, pointer, node, Sees::Flow)
    }

    pub(super) fn condition_seeing(&mut self, when: &str, pointer: &str, node: NodeIx, sees: Sees) -> Option<Expr> {
        if when.starts_with('=') && !when.starts_with("==") {
            let problem = Problem::error("CONDITION_FORM", pointer, "a condition is always an expression");
            self.on(node, problem.fix("remove the `=`"));
            return None;
        }
        let expr = self.compiled(when, pointer, Some(node), sees)?;
        match expr.constant() {
            None => {}
            Some(Value::Bool(always)) => {
                let message = format!("this is always {always}");
                self.on(node, Problem::warning("CONDITION_CONSTANT", pointer, message).fix("use the default edge"));
            }
            Some(other) => {
                let message = format!("a condition is true or false, not {other}");
                self.on(node, Problem::error("CONDITION_TYPE", pointer, message).fix("compare it with something"));
            }
        }
        Some(expr)
    }

    /// At most one edge leaves a port, but for those that branch.
    fn check_ports(&mut self) {
        let mut taken: BTreeMap<(NodeIx, Arc<str>), usize> = BTreeMap::new();
        let mut twice = Vec::new();
        for line in &self.edges {
            let branches = matches!(
                self.nodes[line.from].kind,
                Some(Kind::Exclusive | Kind::Inclusive | Kind::Parallel(_) | Kind::EventGateway) | None
            );
            let seen = taken.entry((line.from, line.port.clone())).or_insert(0);
            *seen += 1;
            if *seen > 1 && !branches {
                let message = format!("two edges leave `{}` by `{}`", self.nodes[line.from].id, line.port);
                let problem = Problem::error("PORT_TAKEN", &line.pointer, message);
                twice.push((line.from, problem.fix("put a parallel node between, or an exclusive one")));
            }
        }
        for (node, problem) in twice {
            self.on(node, problem);
        }
    }

    /// What must leave a node does.
    fn check_out(&mut self, node: NodeIx) {
        let entry = &self.nodes[node];
        let (Some(kind), Some(ports)) = (&entry.kind, &entry.ports) else { return };
        let out: Vec<&Line> = self.edges.iter().filter(|line| line.from == node).collect();
        let pointer = entry.pointer.clone();
        if matches!(kind, Kind::End { .. } | Kind::Throw(_)) {
            return;
        }
        if out.is_empty() && self.nodes[node].inside.is_some() && self.nodes[node].on.is_empty() {
            return; // In a container a branch may just stop.
        }
        if out.is_empty() {
            let problem = Problem::error("DEAD_END", pointer, format!("nothing comes after `{}`", entry.id));
            return self.on(node, problem.fix("draw an edge to the next node, or to an end"));
        }
        if matches!(kind, Kind::EventGateway) {
            return self.check_race(node);
        }
        let branches = out.iter().any(|line| line.when.is_some() || line.default) || out.len() > 1;
        if matches!(kind, Kind::Exclusive) || (matches!(kind, Kind::Inclusive) && branches) {
            let defaults = out.iter().filter(|line| line.default).count();
            if defaults > 1 {
                let problem =
                    Problem::error("DEFAULT_TWICE", pointer, format!("{defaults} default edges; one is taken"));
                return self.on(node, problem.fix("give the others a condition"));
            }
            if defaults == 0 && !exhaustive(&out) {
                let problem = Problem::error("NO_DEFAULT", pointer, "no edge is taken when no condition holds");
                return self.on(node, problem.fix("make one edge the default"));
            }
            return;
        }
        let task = matches!(kind, Kind::Task(_));
        let handlers: Vec<Arc<str>> = entry.on.iter().map(|handler| handler.port.clone()).collect();
        let missing: Vec<Arc<str>> =
            ports.iter().filter(|port| !out.iter().any(|line| line.port == **port)).cloned().collect();
        for port in missing {
            let problem = if handlers.contains(&port) {
                let at = child(&child(&pointer, "on"), &port);
                Problem::error("HANDLER_WITHOUT_EDGE", at, format!("no edge leaves by the handler `{port}`"))
                    .fix("draw an edge from it, or remove the handler")
            } else if &*port == TIMEOUT && !task {
                let message = "when the time is up, the flow is compensated: no edge leaves by `timeout`";
                Problem::warning("PORT_WITHOUT_EDGE", &pointer, message).fix("draw an edge from `timeout`")
            } else {
                Problem::warning("PORT_WITHOUT_EDGE", &pointer, format!("what leaves by `{port}` ends there"))
                    .fix(format!("draw an edge from `{port}`"))
            };
            self.on(node, problem);
        }
    }
}

impl Checker<'_> {
    /// An event gateway races waits, each of which it alone leads to.
    fn check_race(&mut self, node: NodeIx) {
        let mut problems = Vec::new();
        for line in self.edges.iter().filter(|line| line.from == node) {
            let next = &self.nodes[line.to];
            let waits = matches!(next.kind, Some(Kind::Receive { .. } | Kind::Timer(_)) | None);
            let alone = self.edges.iter().filter(|other| other.to == line.to).count() == 1;
            if !waits {
                let message = format!("`{}` does not wait: an event gateway leads to receives and timers", next.id);
                problems.push(Problem::error("RACE_WITHOUT_WAIT", &line.pointer, message).fix("put a wait between"));
            } else if !alone {
                let message = format!("something else leads to `{}` as well", next.id);
                let problem = Problem::error("RACE_SHARED", &line.pointer, message);
                problems.push(problem.fix("give the gateway a wait of its own"));
            }
        }
        for problem in problems {
            self.on(node, problem);
        }
    }
}

/// Whether some condition always holds: one that is true, or two of which one is the other's negation.
fn exhaustive(out: &[&Line]) -> bool {
    let conditions: Vec<&Expr> = out.iter().filter_map(|line| line.when.as_ref()).collect();
    if conditions.iter().any(|expr| expr.constant() == Some(Value::Bool(true))) {
        return true;
    }
    let plain = |expr: &Expr| expr.source.split_whitespace().collect::<String>();
    let texts: Vec<String> = conditions.iter().map(|expr| plain(expr)).collect();
    texts.iter().any(|text| {
        let negations = [format!("!({text})"), format!("not({text})"), format!("!{text}"), format!("not{text}")];
        // Without `and` and `or`, one comparison turned round is the whole condition turned round.
        let simple = conditions.iter().all(|expr| !expr.source.contains(" and ") && !expr.source.contains(" or "));
        let turned = [("==", "!="), ("<=", ">"), (">=", "<")]
            .into_iter()
            .filter(|(sign, _)| simple && text.matches(sign).count() == 1)
            .map(|(sign, other)| text.replacen(sign, other, 1));
        let simple_name = text.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"._".contains(&letter));
        texts.iter().any(|other| {
            negations[..2].contains(other)
                || (simple_name && negations[2..].contains(other))
                || turned.clone().any(|turned| turned == *other)
        })
    })
}
