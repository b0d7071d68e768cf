//! Containers and called flows: what is in what, where a run of it begins, and which flow is meant.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Called, Checker, Sees, check};
use crate::catalog::Catalog;
use crate::flow::document::{
    CallDocument, CompensationDocument, ForEachDocument, MergeDocument, MoreDocument, OnFailureDocument, RestDocument,
    StageDocument, UntilDocument,
};
use crate::flow::pointer::{child, nearest};
use crate::flow::{
    BodyIx, CallFlow, Compensation, ForEach, Kind, Merge, More, NodeIx, OnFailure, Rest, Stage, StageStep, Until,
};
use crate::machine::SCOPE_DEPTH_MAX;
use crate::problem::Problem;

/// Flows that call each other in a row.
const CALLS_DEEP_MAX: usize = 8;
/// Most items of one for-each at the same time.
const LIMIT_MAX: u32 = 1_000;

impl Checker<'_> {
    /// Puts a node into the container it names.
    pub(super) fn contain(&mut self, node: NodeIx, inside: Option<&str>) {
        let Some(id) = inside else { return };
        let pointer = child(&self.nodes[node].pointer, "in");
        match self.by_id.get(id).copied() {
            Some(container) if self.nodes[container].holds.is_some() => {
                self.nodes[node].inside = Some(container);
                let around = std::iter::successors(Some(container), |&at| self.nodes[at].inside);
                if around.take(self.nodes.len() + 1).any(|at| at == node) {
                    self.nodes[node].inside = None;
                    let problem = Problem::error("NOT_A_CONTAINER", pointer, format!("`{id}` is inside of this node"));
                    self.on(node, problem.fix("remove `in` here or there"));
                }
            }
            Some(_) => {
                let problem = Problem::error("NOT_A_CONTAINER", pointer, format!("nothing can be in `{id}`"));
                self.on(node, problem.fix("name a stage or a for-each, or remove `in`"));
            }
            None => {
                let problem = Problem::error("UNKNOWN_REFERENCE", pointer, format!("there is no node `{id}`"));
                let near = self.near_id(id).map(|near| format!("did you mean `{near}`?"));
                self.on(
                    node,
                    problem.fix(near.unwrap_or_else(|| "name a stage or a for-each of this flow".to_owned())),
                );
            }
        }
    }

    pub(super) fn body_of(&self, node: NodeIx) -> BodyIx {
        self.nodes[node].inside.and_then(|container| self.nodes[container].holds).unwrap_or(0)
    }

    /// The containers around a node, from within.
    pub(super) fn around(&self, node: NodeIx) -> impl Iterator<Item = NodeIx> + '_ {
        std::iter::successors(self.nodes[node].inside, |&at| self.nodes[at].inside)
    }

    pub(super) fn check_containers(&mut self) {
        let containers: Vec<NodeIx> = (0..self.nodes.len()).filter(|&node| self.nodes[node].holds.is_some()).collect();
        for container in containers {
            let inner: Vec<NodeIx> =
                (0..self.nodes.len()).filter(|&node| self.nodes[node].inside == Some(container)).collect();
            let pointer = self.nodes[container].pointer.clone();
            if self.nodes[container].kind.is_none() {
                continue;
            }
            if inner.is_empty() && self.is_passed(container) {
                continue;
            }
            if inner.is_empty() {
                let problem =
                    Problem::error("CONTAINER_EMPTY", pointer, format!("nothing is in `{}`", self.nodes[container].id));
                self.on(container, problem.fix("put nodes into it"));
                continue;
            }
            if inner.iter().all(|&node| self.edges.iter().any(|line| line.to == node)) {
                let message = "an edge leads to every node in it, so none is the first";
                self.on(container, Problem::error("CONTAINER_WITHOUT_ENTRY", &pointer, message).fix("remove an edge"));
            }
            if self.around(container).count() + 2 >= SCOPE_DEPTH_MAX / 2 {
                let problem = Problem::error("CONTAINER_DEPTH", &pointer, "containers are in each other too deep");
                self.on(container, problem.fix("call a flow of its own instead"));
            }
            self.check_steps(container, &inner, &pointer);
        }
        for node in 0..self.nodes.len() {
            if self.nodes[node].inside.is_some() && matches!(self.nodes[node].kind, Some(Kind::Start)) {
                let problem = Problem::error("START_INSIDE", &self.nodes[node].pointer, "a container has no start");
                self.on(node, problem.fix("remove it: a container begins with the nodes that no edge leads to"));
            }
        }
    }

    /// Whether a stage says that it has no steps: it is passed at once.
    fn is_passed(&self, container: NodeIx) -> bool {
        let node = self.reader.raw("nodes").and_then(|nodes| nodes.get(self.nodes[container].id));
        node.and_then(|node| node.get("steps")?.as_array()).is_some_and(Vec::is_empty)
    }

    /// Every node that no edge leads to is a step, and only such a node.
    fn check_steps(&mut self, container: NodeIx, inner: &[NodeIx], pointer: &str) {
        let Some(Kind::Stage(stage)) = &self.nodes[container].kind else { return };
        if stage.steps.is_empty() {
            return;
        }
        let steps: Vec<NodeIx> = stage.steps.iter().map(|step| step.node).collect();
        let mut problems = Vec::new();
        for &node in inner {
            let led_to = self.edges.iter().any(|line| line.to == node);
            let id = self.nodes[node].id;
            if !led_to && !steps.contains(&node) {
                let problem =
                    Problem::error("UNREACHABLE", &self.nodes[node].pointer, format!("`{id}` is no step of its stage"));
                problems.push((node, problem.fix("add it to the stage's `steps`")));
            } else if led_to && steps.contains(&node) {
                let problem =
                    Problem::error("STEP_FORM", child(pointer, "steps"), format!("an edge leads to the step `{id}`"));
                problems.push((container, problem.fix("remove the edge, or the step")));
            }
        }
        for (node, problem) in problems {
            self.on(node, problem);
        }
    }

    pub(super) fn call_flow(&mut self, node: NodeIx, call: CallDocument, pointer: &str) -> Option<Kind> {
        let source = call.with.unwrap_or_else(|| Value::Object(Map::new()));
        let with_pointer = child(pointer, "with");
        let with = self.template(node, &source, &with_pointer, &Sees::Flow);
        let (timeout_ms, whole_ms) = self.own_or_step(node, call.timeout.as_deref(), pointer);
        self.nodes[node].on = self.boundaries(node, &call.on, pointer);
        let place = self.called.len();
        if self.reader.raw("key").and_then(Value::as_str) == Some(&*call.flow) {
            if let Some(schema) = self.input_schema {
                self.fit(node, &with, schema, &with_pointer);
            }
            self.called.push(Called::Own);
            return Some(Kind::Call(Box::new(CallFlow { body: place, with, timeout_ms, whole_ms })));
        }
        let catalog = self.catalog;
        let Some(found) = catalog.flows.get(&call.flow) else {
            let problem =
                Problem::error("FLOW_MISSING", child(pointer, "flow"), format!("no flow `{}` is published", call.flow));
            let near = nearest(&call.flow, catalog.flows.keys().map(String::as_str));
            let fix = near.map_or("publish it first".to_owned(), |near| format!("did you mean `{near}`?"));
            self.on(node, problem.fix(fix));
            return None;
        };
        if found.document.get("kind").and_then(Value::as_str) == Some("template") {
            let message = format!("`{}` is a template: nothing is run on it", found.key);
            let problem = Problem::error("TEMPLATE_CALLED", child(pointer, "flow"), message);
            self.on(node, problem.fix("call a flow that extends it"));
            return None;
        }
        if depth(&found.catalog) >= CALLS_DEEP_MAX {
            let message = format!("flows call flows more than {CALLS_DEEP_MAX} deep");
            self.on(
                node,
                Problem::error("CALL_DEPTH", child(pointer, "flow"), message).fix("call fewer flows in a row"),
            );
            return None;
        }
        let checked = check(&found.document, &found.catalog);
        if checked.flow.is_none() {
            let message = format!("version {} of `{}` cannot be run by this engine", found.version, found.key);
            self.on(node, Problem::error("FLOW_BROKEN", child(pointer, "flow"), message).fix("publish it again"));
            return None;
        }
        if let Some(schema) = found.document.get("input") {
            self.fit(node, &with, schema, &with_pointer);
        }
        let key = Arc::from(found.key.as_str());
        self.called.push(Called::Other { key, version: found.version, flow: checked.flow.map(Box::new) });
        Some(Kind::Call(Box::new(CallFlow { body: place, with, timeout_ms, whole_ms })))
    }

    pub(super) fn for_each(&mut self, node: NodeIx, each: ForEachDocument, pointer: &str) -> Option<Kind> {
        let items = self.template(node, &each.items, &child(pointer, "items"), &Sees::Flow);
        if let crate::expr::Template::Literal(literal) = &items
            && !literal.is_array()
        {
            let problem = Problem::error("ITEMS_FORM", child(pointer, "items"), "`items` is a list");
            self.on(node, problem.fix("write a list, or an expression that gives one: \"=input.lines\""));
        }
        let output =
            each.output.map(|output| self.template(node, &output, &child(pointer, "output"), &Sees::Within(node)));
        let limit = each.limit.unwrap_or(1);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let message = format!("{limit} items at the same time; 1 to {LIMIT_MAX} are possible");
            self.on(node, Problem::error("LIMIT_OUT_OF_BOUNDS", child(pointer, "limit"), message));
        }
        let until = each.until.and_then(|until| self.until(node, until, &child(pointer, "until")));
        let more = each.more.and_then(|more| self.more(node, &more, &child(pointer, "more")));
        if each.rest.is_some() && until.is_none() {
            let problem = Problem::error("UNTIL_FORM", child(pointer, "rest"), "without `until` there is no rest");
            self.on(node, problem.fix("remove `rest`"));
        }
        let (timeout_ms, whole_ms) = self.own_or_step(node, each.timeout.as_deref(), pointer);
        self.nodes[node].on = self.boundaries(node, &each.on, pointer);
        let body = self.nodes[node].holds?;
        self.compensations.push((node, compensation(each.compensation)));
        Some(Kind::ForEach(Box::new(ForEach {
            body,
            items,
            limit: limit as usize,
            output,
            on_failure: on_failure(each.on_failure),
            until,
            rest: match each.rest {
                None | Some(RestDocument::Cancel) => Rest::Cancel,
                Some(RestDocument::Await) => Rest::Await,
            },
            more,
            timeout_ms,
            whole_ms,
        })))
    }

    fn until(&mut self, node: NodeIx, until: UntilDocument, pointer: &str) -> Option<Until> {
        match until {
            UntilDocument::Count(0) => {
                let problem = Problem::error("LIMIT_OUT_OF_BOUNDS", pointer, "it ends with at least one item");
                self.on(node, problem);
                None
            }
            UntilDocument::Count(count) => Some(Until::Count(count as usize)),
            UntilDocument::When(when) if when.starts_with('=') => {
                self.expression(&when, pointer, Some(node), Sees::Results).map(Until::When)
            }
            UntilDocument::When(_) => {
                let problem = Problem::error("UNTIL_FORM", pointer, "`until` is a number or an expression");
                self.on(node, problem.fix("write \"=len(results) >= 2\""));
                None
            }
        }
    }

    fn more(&mut self, node: NodeIx, more: &MoreDocument, pointer: &str) -> Option<More> {
        self.message_name(node, &more.message, &child(pointer, "message"));
        let when = more.when.as_deref().map(|when| self.condition(when, &child(pointer, "when"), node));
        let key = self.expression(&more.key, &child(pointer, "key"), Some(node), Sees::Flow)?;
        Some(More { message: more.message.as_str().into(), key, when: when.flatten() })
    }

    pub(super) fn stage(&mut self, node: NodeIx, stage: &StageDocument, pointer: &str) -> Option<Kind> {
        let mut steps: Vec<(i32, StageStep)> = Vec::new();
        for (index, step) in stage.steps.iter().enumerate() {
            let at = format!("{pointer}/steps/{index}/run");
            let Some(&run) = self.by_id.get(&*step.run) else {
                let problem = Problem::error("UNKNOWN_REFERENCE", at, format!("there is no node `{}`", step.run));
                let near = self.near_id(&step.run).map(|near| format!("did you mean `{near}`?"));
                self.on(node, problem.fix(near.unwrap_or_else(|| "name a node in this stage".to_owned())));
                continue;
            };
            if steps.iter().any(|(_, other)| other.node == run) {
                let problem = Problem::error("STEP_FORM", &at, format!("`{}` is a step already", step.run));
                self.on(node, problem.fix("remove one of them"));
            }
            let inside = self.reader.raw("nodes").and_then(|nodes| nodes.get(&step.run)?.get("in")?.as_str());
            if inside != Some(self.nodes[node].id) {
                let problem = Problem::error("STEP_FORM", &at, format!("`{}` is not in this stage", step.run));
                self.on(node, problem.fix(format!("add \"in\": \"{}\" to it", self.nodes[node].id)));
            }
            let group = step.group.as_deref().map(Arc::from);
            let (sync, optional) = (step.sync, step.optional);
            let at = format!("{pointer}/steps/{index}/output");
            let sees = Sees::Within(node);
            let output = step.output.as_ref().map(|output| self.template(node, output, &at, &sees));
            steps.push((step.order.unwrap_or(0), StageStep { node: run, sync, group, optional, output }));
        }
        // Ties stay in the order of the list.
        steps.sort_by_key(|(order, _)| *order);
        for group in stage.merge.keys() {
            if !steps.iter().any(|(_, step)| step.group.as_deref() == Some(group)) {
                let problem = Problem::error(
                    "STEP_FORM",
                    child(&child(pointer, "merge"), group),
                    format!("no step is in the group `{group}`"),
                );
                self.on(node, problem.fix("name the group of a step"));
            }
        }
        let (timeout_ms, whole_ms) = self.own_or_step(node, stage.timeout.as_deref(), pointer);
        self.nodes[node].on = self.boundaries(node, &stage.on, pointer);
        let body = self.nodes[node].holds?;
        self.compensations.push((node, compensation(stage.compensation)));
        Some(Kind::Stage(Box::new(Stage {
            body,
            steps: steps.into_iter().map(|(_, step)| step).collect(),
            on_failure: on_failure(stage.on_failure),
            merge: stage.merge.iter().map(|(group, rule)| (group.as_str().into(), merge(*rule))).collect(),
            timeout_ms,
            whole_ms,
        })))
    }
}

/// How many flows call each other in a row.
fn depth(catalog: &Catalog) -> usize {
    catalog.flows.values().map(|flow| 1 + depth(&flow.catalog)).max().unwrap_or(0)
}

pub(super) fn compensation(document: Option<CompensationDocument>) -> Compensation {
    match document {
        None | Some(CompensationDocument::Reverse) => Compensation::Reverse,
        Some(CompensationDocument::Parallel) => Compensation::Parallel,
    }
}

fn on_failure(document: Option<OnFailureDocument>) -> OnFailure {
    match document {
        None | Some(OnFailureDocument::Stop) => OnFailure::Stop,
        Some(OnFailureDocument::Collect) => OnFailure::Collect,
    }
}

fn merge(document: MergeDocument) -> Merge {
    match document {
        MergeDocument::Named => Merge::Named,
        MergeDocument::List => Merge::List,
        MergeDocument::Fields => Merge::Fields,
        MergeDocument::First => Merge::First,
    }
}
