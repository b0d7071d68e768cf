//! The names expressions use: roots, nodes, variables, and fields that schemas know of.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::{Checker, Reading, Sees};
use crate::flow::pointer::nearest;
use crate::flow::{Kind, NodeIx};
use crate::problem::Problem;

/// What a listener is told.
const EVENT_FIELDS: [&str; 6] = ["on", "node", "visit", "port", "output", "error"];
/// How a machine stands.
const MACHINE_FIELDS: [&str; 6] = ["state", "order", "since", "action", "context", "revision"];
const FLOW_FIELDS: [&str; 6] = ["key", "version", "instance", "businessKey", "priority", "now"];

impl Checker<'_> {
    pub(super) fn check_names(&mut self) {
        if self.reader.raw("nodes").is_none() {
            return;
        }
        self.check_writes();
        let written: BTreeSet<Arc<str>> = self.writes.iter().map(|write| write.name.clone()).collect();
        let before = self.before();
        let mut problems = Vec::new();
        for reading in &self.readings {
            for path in reading.expr.reads() {
                let problem = match self.roots(reading) {
                    Some(roots) if !roots.contains(&&*path[0]) => Some(unknown_root(path, &roots, &reading.sees)),
                    _ => self.reference(path, reading.node, &reading.sees, &written, &before),
                };
                if let Some((mut problem, code_fix)) = problem {
                    problem.pointer.clone_from(&reading.pointer);
                    problem.node = reading.node.map(|node| self.nodes[node].id.to_owned());
                    problems.push(problem.fix(code_fix));
                }
            }
        }
        self.reader.problems.extend(problems);
    }

    fn reference(
        &self,
        path: &[Arc<str>],
        at: Option<NodeIx>,
        sees: &Sees,
        written: &BTreeSet<Arc<str>>,
        before: &[super::graph::Set],
    ) -> Option<(Problem, String)> {
        if matches!(sees, Sees::Fields(_)) {
            return None;
        }
        let (root, name, field) = (&*path[0], path.get(1)?, path.get(2));
        match root {
            "flow" => (!FLOW_FIELDS.contains(&&**name)).then(|| {
                let message = format!("`flow` has no `{name}`");
                (Problem::error("UNKNOWN_REFERENCE", "", message), or_all(name, FLOW_FIELDS))
            }),
            "machine" => (!MACHINE_FIELDS.contains(&&**name)).then(|| {
                let message = format!("`machine` has no `{name}`");
                (Problem::error("UNKNOWN_REFERENCE", "", message), or_all(name, MACHINE_FIELDS))
            }),
            "step" => (!["input", "output"].contains(&&**name)).then(|| {
                let message = format!("`step` has no `{name}`");
                (Problem::error("UNKNOWN_REFERENCE", "", message), "use step.input or step.output".to_owned())
            }),
            "event" => (!EVENT_FIELDS.contains(&&**name)).then(|| {
                let message = format!("`event` has no `{name}`");
                (Problem::error("UNKNOWN_REFERENCE", "", message), or_all(name, EVENT_FIELDS))
            }),
            "vars" => (!written.contains(name)).then(|| {
                let message = format!("no set node writes `vars.{name}`");
                let near = nearest(name, written.iter().map(|one| &**one));
                let fix = near
                    .map_or("add a set node that writes it".to_owned(), |near| format!("did you mean `vars.{near}`?"));
                (Problem::error("UNKNOWN_REFERENCE", "", message), fix)
            }),
            "input" => {
                let known = known_fields(self.input_schema?)?;
                (!known.contains(&&**name)).then(|| {
                    let message = format!("the input's schema has no `{name}`");
                    let fix = nearest(name, known.iter().copied())
                        .map_or("add it to the schema".to_owned(), |near| format!("did you mean `input.{near}`?"));
                    (Problem::warning("UNKNOWN_FIELD_READ", "", message), fix)
                })
            }
            "nodes" => self.node_reference(name, field, at, sees, before),
            _ => None,
        }
    }

    fn node_reference(
        &self,
        id: &Arc<str>,
        field: Option<&Arc<str>>,
        at: Option<NodeIx>,
        sees: &Sees,
        before: &[super::graph::Set],
    ) -> Option<(Problem, String)> {
        let Some(&node) = self.by_id.get(&**id) else {
            let message = format!("there is no node `{id}`");
            let fix = self
                .near_id(id)
                .map_or("name a node of this flow".to_owned(), |near| format!("did you mean `nodes.{near}`?"));
            return Some((Problem::error("UNKNOWN_REFERENCE", "", message), fix));
        };
        let entry = &self.nodes[node];
        let gives = match &entry.kind {
            Some(
                Kind::Task(_) | Kind::Decision(_) | Kind::Receive { .. } | Kind::UserTask(_) | Kind::ExternalTask(_),
            )
            | None => true,
            Some(kind) => kind.body().is_some(),
        };
        if !gives {
            let message = format!("`{id}` has no output");
            return Some((
                Problem::error("NODE_WITHOUT_OUTPUT", "", message),
                "read a task, decision or receive".to_owned(),
            ));
        }
        if let Some(at) = at
            && !self.visible(node, at, sees)
        {
            let container = entry.inside.map_or("", |container| self.nodes[container].id);
            let message = format!("`{id}` is inside of `{container}` and cannot be read from outside");
            return Some((Problem::error("NOT_VISIBLE", "", message), format!("read `nodes.{container}`")));
        }
        if let Some(at) = at
            && !matches!(sees, Sees::Within(_) | Sees::Event | Sees::Heard)
            && !before[at].has(node)
        {
            let message = format!("`{id}` cannot have run when this is computed");
            return Some((
                Problem::warning("READ_BEFORE_RUN", "", message),
                format!("lead the flow through `{id}` first"),
            ));
        }
        let (field, node_type) = (field?, entry.node_type?);
        // A failure that a handler caught is read as `error`.
        if &**field == "error" && !entry.on.is_empty() {
            return None;
        }
        let mut known = Vec::new();
        for port in &node_type.ports {
            known.extend(known_fields(&port.output)?);
        }
        (!known.contains(&&**field)).then(|| {
            let message = format!("`{}` gives no `{field}`", node_type.uses);
            (Problem::warning("UNKNOWN_FIELD_READ", "", message), or_all(field, known))
        })
    }
}

impl Checker<'_> {
    /// The names a reading may begin with; `None` where any name may be a field of a decision's own input.
    fn roots<'r>(&self, reading: &'r Reading) -> Option<Vec<&'r str>> {
        let mut roots = match &reading.sees {
            Sees::Flow | Sees::Within(_) => vec!["input", "vars", "nodes", "flow"],
            Sees::Undo => vec!["step", "input", "vars", "nodes", "flow"],
            Sees::Event => vec!["event", "input", "vars", "nodes", "flow"],
            Sees::Heard => vec!["event", "result", "input", "vars", "nodes", "flow"],
            Sees::Outcome => vec!["result", "port", "input", "vars", "nodes", "flow"],
            Sees::Results => vec!["results", "count", "input", "vars", "nodes", "flow"],
            Sees::Input => return Some(vec!["input"]),
            Sees::Fields(fields) => return fields.as_ref().map(|fields| fields.iter().map(String::as_str).collect()),
        };
        if self.machine.is_some() {
            roots.push("machine");
        }
        let each = |node: &NodeIx| matches!(self.nodes[*node].kind, Some(Kind::ForEach(_)) | None);
        let within = match reading.sees {
            Sees::Within(container) => Some(container),
            _ => None,
        };
        if within.into_iter().chain(reading.node.into_iter().flat_map(|node| self.around(node))).any(|node| each(&node))
        {
            roots.extend(["item", "index"]);
        }
        Some(roots)
    }

    /// Whether what a node gives can be read there: only in the container it is in.
    fn visible(&self, node: NodeIx, at: NodeIx, sees: &Sees) -> bool {
        let Some(container) = self.nodes[node].inside else { return true };
        matches!(sees, Sees::Within(one) if *one == container) || self.around(at).any(|around| around == container)
    }
}

fn unknown_root(path: &[Arc<str>], roots: &[&str], sees: &Sees) -> (Problem, String) {
    let root = &path[0];
    let message = match sees {
        Sees::Input => format!("`{root}` is not known here: nothing has run yet"),
        Sees::Fields(_) => format!("`{root}` is none of the names that are known here"),
        Sees::Flow | Sees::Within(_) | Sees::Results | Sees::Undo | Sees::Event | Sees::Heard | Sees::Outcome => {
            format!("`{root}` is not known")
        }
    };
    let problem = Problem::error("UNKNOWN_REFERENCE", "", message);
    match nearest(root, roots.iter().copied()) {
        Some(near) => (problem, format!("did you mean `{near}`?")),
        None if path.len() == 1 && matches!(sees, Sees::Flow) => {
            (problem, format!("quote a text as '{root}', or begin with {}", roots.join(", ")))
        }
        None => (problem, format!("begin with {}", roots.join(", "))),
    }
}

fn or_all<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    let all: Vec<&str> = candidates.into_iter().collect();
    match nearest(word, all.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("use one of {}", all.join(", ")),
    }
}

/// The fields an object schema names; `None` when it names none, or may have others by reference.
fn known_fields(schema: &Value) -> Option<Vec<&str>> {
    let schema = schema.as_object()?;
    let open = ["$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "patternProperties", "if"];
    if open.iter().any(|keyword| schema.contains_key(*keyword))
        || schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false))
    {
        return None;
    }
    let properties = schema.get("properties")?.as_object()?;
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    Some(properties.keys().map(String::as_str).chain(required).collect())
}
