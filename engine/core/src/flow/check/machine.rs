//! From a machine's document to the flow that runs it: which states and actions there are and what is wrong with
//! them, and the graph of a start, the node that decides, a node per action and an end.
//!
//! What an action does is a node like any other, so its problems are found where those of flows are; [`Parts::place`]
//! says afterwards where in the machine's document they stand.
//!
//! Invariant: what was plugged in stands after the document's own, and what was taken out stays: whoever stands on it
//! goes on.
//!
//! Not here: what the machine does (`crate::machine`), how a revision came to be (`store`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Checker, Line, Sees};
use crate::catalog::Catalog;
use crate::expr::Template;
use crate::flow::document::{
    ActionDocument, ActionsPolicyDocument, EachDocument, MachineKind, NextCaseDocument, NextDocument, StateDocument,
};
use crate::flow::duration::DURATION_MS_MAX;
use crate::flow::evaluate::{Action, By, Machine, MachineState, Next, Plugged};
use crate::flow::pointer::{child, nearest};
use crate::flow::read::Reader;
use crate::flow::{DONE, Kind, NodeIx};
use crate::machine::{MESSAGE_NAME_BYTES_MAX, fits_message};
use crate::problem::Problem;

/// The node that decides.
pub(super) const EVALUATE: &str = "evaluate";
const START: &str = "start";
const END: &str = "end";
/// Most states, and most actions, of one machine.
const POOL_MAX: usize = 500;
const CODE_BYTES_MAX: usize = 64;
/// Items at the same time, where the document does not say.
const EACH_MAX: u32 = 1_000;
/// The end of the names of nodes that are called once for each item.
const EACH: &str = "_each";

/// The document's own fields.
const FIELDS: [&str; 20] = [
    "stepwell",
    "kind",
    "key",
    "title",
    "summary",
    "input",
    "businessKey",
    "businessKeyUnique",
    "priority",
    "retention",
    "timezone",
    "compensation",
    "triggers",
    "listeners",
    "initial",
    "actionsPolicy",
    "states",
    "actions",
    "output",
    "layout",
];
/// Those that a flow has as well: they are checked there.
const SHARED: [&str; 16] = [
    "stepwell",
    "key",
    "title",
    "summary",
    "input",
    "businessKey",
    "businessKeyUnique",
    "priority",
    "retention",
    "timezone",
    "compensation",
    "triggers",
    "listeners",
    "layout",
    "notes",
    "edges",
];
/// What an action can be. The others lead somewhere, or hold something.
const RUNS: [&str; 11] = [
    "task",
    "call",
    "decision",
    "set",
    "timer",
    "receive",
    "user-task",
    "external-task",
    "reply",
    "throw",
    "compensate",
];

/// What a machine is made of, as far as it could be read.
pub(super) struct Parts {
    states: Vec<StateDocument>,
    actions: Vec<Part>,
    initial: Option<String>,
    frozen: bool,
    revision: u32,
}

/// An action.
struct Part {
    document: ActionDocument,
    run: Option<Value>,
    pointer: String,
    from: u32,
    until: Option<u32>,
}

/// The graph that a machine's document stands for, its parts, and what is wrong with them.
pub(super) fn graph(fields: &Map<String, Value>, plugged: &[Plugged]) -> (Map<String, Value>, Parts, Vec<Problem>) {
    let mut reader = Reader::new(fields);
    let known: Vec<&str> = FIELDS.into_iter().chain(["notes"]).collect();
    reader.unknown_fields(&known);
    reader.field::<MachineKind>("kind");
    for (field, fix) in [
        ("initial", "name the state that an instance begins in"),
        ("states", "add a state to begin in, and a terminal one"),
        ("actions", "add an action that leads from one state to the next"),
    ] {
        reader.required(field, fix);
    }
    let policy = reader.field::<ActionsPolicyDocument>("actionsPolicy");
    let initial = reader.field::<String>("initial");
    let states = reader.list::<StateDocument>("states");
    let actions = read_actions(&mut reader, fields, plugged);
    let whole = reader.problems.is_empty();
    let mut problems = std::mem::take(&mut reader.problems);
    let revision = plugged.iter().map(|one| one.revision).max().unwrap_or(0);
    let frozen = policy == Some(ActionsPolicyDocument::Frozen);
    check_states(&states, &mut problems);
    let states = states.into_iter().map(|(_, state)| state).collect();
    let parts = Parts { states, actions, initial, frozen, revision };
    parts.check_actions(&mut problems);
    if whole {
        parts.check_ways(&mut problems);
    }
    (parts.nodes(fields), parts, problems)
}

fn read_actions(reader: &mut Reader<'_>, fields: &Map<String, Value>, plugged: &[Plugged]) -> Vec<Part> {
    let own = match fields.get("actions") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(_) => {
            reader.problems.push(Problem::error("WRONG_TYPE", "/actions", "`actions` is a list"));
            Vec::new()
        }
        None => Vec::new(),
    };
    let own = own.into_iter().map(|value| (value, 0));
    let later = plugged.iter().filter_map(|one| Some((&**one.document.as_ref()?, one.revision)));
    let mut parts = Vec::new();
    for (index, (value, from)) in own.chain(later).enumerate() {
        let pointer = format!("/actions/{index}");
        let mut value = value.clone();
        let run = value.as_object_mut().and_then(|fields| fields.remove("run"));
        let Some(document) = reader.piece::<ActionDocument>(&value, &pointer) else { continue };
        let gone =
            plugged.iter().find(|one| one.document.is_none() && one.action == document.name && one.revision > from);
        parts.push(Part { run, pointer, from, until: gone.map(|one| one.revision), document });
    }
    parts
}

fn check_states(states: &[(usize, StateDocument)], problems: &mut Vec<Problem>) {
    if states.len() > POOL_MAX {
        let message = format!("{} states; a machine has at most {POOL_MAX}", states.len());
        problems.push(Problem::error("FLOW_TOO_LARGE", "/states", message).fix("split the machine"));
    }
    let mut codes = BTreeSet::new();
    for (index, state) in states {
        let at = format!("/states/{index}/code");
        let letters = |letter: u8| letter.is_ascii_alphanumeric() || b"_-".contains(&letter);
        if !(1..=CODE_BYTES_MAX).contains(&state.code.len()) || !state.code.bytes().all(letters) {
            let problem = Problem::error("STATE_CODE", &at, format!("`{}` is no code of a state", state.code));
            problems.push(problem.fix("use letters, digits, `_` and `-`, at most 64"));
        }
        if !codes.insert(&state.code) {
            let problem = Problem::error("STATE_TWICE", &at, format!("there is another state `{}`", state.code));
            problems.push(problem.fix("give one of them another code"));
        }
    }
    if !states.is_empty() && !states.iter().any(|(_, state)| state.terminal) {
        let message = "no state is terminal: an instance could never complete";
        problems.push(Problem::error("NO_TERMINAL_STATE", "/states", message).fix("add \"terminal\": true to one"));
    }
}

impl Parts {
    fn state(&self, code: &str) -> Option<&StateDocument> {
        self.states.iter().find(|state| state.code == code)
    }

    fn must_be_a_state(&self, code: &str, pointer: String, problems: &mut Vec<Problem>) {
        if self.state(code).is_none() {
            let problem = Problem::error("STATE_UNKNOWN", pointer, format!("there is no state `{code}`"));
            let near = nearest(code, self.states.iter().map(|state| state.code.as_str()));
            problems.push(
                problem.fix(near.map_or("add it to the states".to_owned(), |near| format!("did you mean `{near}`?"))),
            );
        }
    }

    fn check_actions(&self, problems: &mut Vec<Problem>) {
        if self.actions.len() > POOL_MAX {
            let message = format!("{} actions; a machine has at most {POOL_MAX}", self.actions.len());
            problems.push(Problem::error("FLOW_TOO_LARGE", "/actions", message).fix("split the machine"));
        }
        if let Some(initial) = self.initial.as_deref().filter(|initial| !initial.starts_with('=')) {
            self.must_be_a_state(initial, "/initial".to_owned(), problems);
        }
        let mut names = BTreeSet::new();
        for part in &self.actions {
            let before = problems.len();
            self.check_action(part, problems);
            let name = part.document.name.as_str();
            if !names.insert(name) {
                let message = format!("there is another action `{name}`");
                let problem = Problem::error("ACTION_TWICE", child(&part.pointer, "name"), message);
                problems.push(problem.fix("give one of them another name"));
            }
            for problem in &mut problems[before..] {
                problem.node.get_or_insert_with(|| name.to_owned());
            }
        }
    }

    fn check_action(&self, part: &Part, problems: &mut Vec<Problem>) {
        let (one, at) = (&part.document, |field: &str| child(&part.pointer, field));
        let taken = [EVALUATE, START, END].contains(&one.name.as_str()) || one.name.ends_with(EACH);
        if taken {
            let message = format!("`{}` has a meaning of its own in a machine", one.name);
            problems.push(Problem::error("ACTION_NAME", at("name"), message).fix("choose another name"));
        }
        if one.states.is_empty() {
            let problem = Problem::error("ACTION_WITHOUT_STATE", at("states"), "it is in no state");
            problems.push(problem.fix("name the states it can be run in"));
        }
        for (index, code) in one.states.iter().enumerate() {
            let pointer = child(&at("states"), &index.to_string());
            self.must_be_a_state(code, pointer.clone(), problems);
            if self.state(code).is_some_and(|state| state.terminal) {
                let message = format!("`{code}` is terminal: nothing is run there");
                problems.push(Problem::warning("ACTION_IN_TERMINAL", pointer, message).fix("remove the state here"));
            }
        }
        for (pointer, code) in targets(one, &at("next")) {
            self.must_be_a_state(code, pointer, problems);
        }
        let triggers = usize::from(one.manual) + usize::from(one.after.is_some()) + usize::from(one.on.is_some());
        if triggers > 1 {
            let message = "`manual`, `after` and `on` exclude each other";
            problems.push(Problem::error("ACTION_TRIGGER", &part.pointer, message).fix("keep one of them"));
        }
        let kind = part.run.as_ref().and_then(|run| run.get("type")?.as_str());
        if let Some(kind) = kind.filter(|kind| !RUNS.contains(kind)) {
            let message = format!("`{kind}` is nothing an action can do");
            let problem = Problem::error("ACTION_RUN", child(&at("run"), "type"), message);
            problems.push(problem.fix(format!("use one of {}", RUNS.join(", "))));
        }
        if one.each.is_some() && kind != Some("call") {
            let message = "only a call is run once for each item";
            problems.push(Problem::error("ACTION_EACH", at("each"), message).fix("put a flow to call into `run`"));
        }
    }

    /// Which states lead where: some nobody comes to, some nobody leaves.
    fn check_ways(&self, problems: &mut Vec<Problem>) {
        self.check_ties(problems);
        let mut ways: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for part in self.actions.iter().filter(|part| part.until.is_none()) {
            for state in &part.document.states {
                let to = targets(&part.document, "").into_iter().map(|(_, to)| to);
                ways.entry(state).or_default().extend(to);
            }
        }
        let mut reached: BTreeSet<&str> = match self.initial.as_deref() {
            Some(initial) if !initial.starts_with('=') => BTreeSet::from([initial]),
            _ => self.states.iter().map(|state| state.code.as_str()).collect(),
        };
        let mut open: Vec<&str> = reached.iter().copied().collect();
        while let Some(state) = open.pop() {
            open.extend(ways.get(state).into_iter().flatten().copied().filter(|to| reached.insert(to)));
        }
        for (index, state) in self.states.iter().enumerate() {
            let (at, code) = (format!("/states/{index}"), state.code.as_str());
            if !reached.contains(code) {
                let message = format!("no action leads to `{code}`");
                problems.push(Problem::warning("STATE_UNREACHABLE", at, message).fix("name it in some `next`"));
            } else if !state.terminal && ways.get(code).is_none_or(|to| to.iter().all(|to| *to == code)) {
                let message = format!("no action leads out of `{code}`");
                let fix = "add an action, or make it terminal";
                problems.push(Problem::warning("STATE_WITHOUT_WAY_OUT", at, message).fix(fix));
            }
        }
    }

    /// Which of two comes first is said by their places, and perhaps nobody thought of it.
    fn check_ties(&self, problems: &mut Vec<Problem>) {
        let itself = |part: &&Part| {
            let one = &part.document;
            part.until.is_none() && !one.manual && one.after.is_none() && one.on.is_none()
        };
        let all: Vec<&Part> = self.actions.iter().filter(itself).collect();
        for (index, part) in all.iter().enumerate() {
            let priority = part.document.priority.unwrap_or(0);
            let tie = all[..index].iter().find_map(|other| {
                let same = other.document.priority.unwrap_or(0) == priority;
                let state = part.document.states.iter().find(|state| other.document.states.contains(state));
                state.filter(|_| same).map(|state| (other, state))
            });
            let Some((other, state)) = tie else { continue };
            let first = &other.document.name;
            let message = format!("`{first}` has priority {priority} in `{state}` as well; `{first}` is run first");
            let problem = Problem::warning("SAME_PRIORITY", &part.pointer, message).on(&part.document.name);
            problems.push(problem.fix("give one of them another priority"));
        }
    }

    /// The fields of the flow's document.
    fn nodes(&self, fields: &Map<String, Value>) -> Map<String, Value> {
        let mut nodes = Map::new();
        nodes.insert(START.to_owned(), json!({ "type": "start" }));
        nodes.insert(EVALUATE.to_owned(), json!({ "type": EVALUATE }));
        let output = fields.get("output").cloned().unwrap_or_else(|| json!({ "state": "=machine.state" }));
        nodes.insert(END.to_owned(), json!({ "type": "end", "output": output, "terminate": true }));
        for part in &self.actions {
            let name = &part.document.name;
            let run = part.run.clone().unwrap_or_else(|| json!({ "type": "set" }));
            let Some(each) = &part.document.each else {
                nodes.entry(name.clone()).or_insert(run);
                continue;
            };
            let mut run = run;
            if let Some(run) = run.as_object_mut() {
                run.insert("in".to_owned(), Value::from(name.as_str()));
            }
            let output = format!("=nodes.{name}{EACH}");
            let (items, limit, on_failure) = match each {
                EachDocument::Items(items) => (Value::from(items.as_str()), None, None),
                EachDocument::With(with) => (with.items.clone(), with.limit, with.on_failure),
            };
            let limit = limit.unwrap_or(EACH_MAX);
            let mut each = json!({ "type": "for-each", "items": items, "limit": limit, "output": output });
            if let Some(on_failure) = on_failure {
                each["onFailure"] = serde_json::to_value(on_failure).unwrap_or_default();
            }
            nodes.insert(name.clone(), each);
            nodes.insert(format!("{name}{EACH}"), run);
        }
        let shared = SHARED.into_iter().filter_map(|field| Some((field.to_owned(), fields.get(field)?.clone())));
        let mut flow: Map<String, Value> = shared.collect();
        flow.insert("kind".to_owned(), Value::from("graph"));
        flow.insert("nodes".to_owned(), Value::Object(nodes));
        flow.insert("edges".to_owned(), json!([]));
        flow
    }

    /// A problem of the graph, as one of the machine's document; `None`: it is none there.
    pub(super) fn place(&self, mut problem: Problem) -> Option<Problem> {
        if let Some(rest) = problem.pointer.strip_prefix("/nodes/") {
            let (id, rest) = rest.split_once('/').map_or((rest, ""), |(id, _)| (id, &rest[id.len()..]));
            let part = self.actions.iter().find(|part| {
                id.strip_prefix(part.document.name.as_str()).is_some_and(|end| end.is_empty() || end == EACH)
            });
            problem.pointer = match part {
                Some(part) if part.run.is_none() && problem.code == "SET_NOTHING" => return None,
                Some(part) if part.document.each.is_some() && !id.ends_with(EACH) => {
                    let plain = matches!(part.document.each, Some(EachDocument::Items(_)));
                    let rest = if plain && rest == "/items" { "" } else { rest };
                    format!("{}/each{rest}", part.pointer)
                }
                Some(part) if problem.code == "NODE_ID" => child(&part.pointer, "name"),
                Some(part) => format!("{}/run{rest}", part.pointer),
                None => rest.to_owned(),
            };
        }
        if let Some(node) = &problem.node {
            let known = |name: &str| self.actions.iter().any(|part| part.document.name == name);
            let name = node.strip_suffix(EACH).filter(|name| known(name)).unwrap_or(node).to_owned();
            problem.node = Some(name).filter(|name| known(name));
        }
        Some(problem)
    }
}

/// The states an action leads to, and where each is named.
fn targets<'a>(action: &'a ActionDocument, at: &str) -> Vec<(String, &'a str)> {
    match &action.next {
        None => Vec::new(),
        Some(NextDocument::State(state)) => vec![(at.to_owned(), state.as_str())],
        Some(NextDocument::Cases(cases)) => {
            let named = cases.iter().enumerate();
            named.filter_map(|(index, case)| Some((format!("{at}/{index}/to"), case.to.as_deref()?))).collect()
        }
    }
}

impl Checker<'_> {
    pub(super) fn is_evaluate(&self, id: &str) -> bool {
        self.machine.is_some() && id == EVALUATE
    }

    /// The edges of a machine's graph, and its deciding node.
    pub(super) fn compile_machine(&mut self) {
        let Some(parts) = self.machine else { return };
        let at = |checker: &Self, id: &str| checker.by_id.get(id).copied();
        let (Some(start), Some(evaluate), Some(end)) = (at(self, START), at(self, EVALUATE), at(self, END)) else {
            return;
        };
        self.lead(start, DONE.into(), evaluate);
        let over = self.lead(evaluate, "over".into(), end);
        let mut actions = Vec::new();
        for part in &parts.actions {
            let Some(node) = at(self, &part.document.name) else { continue };
            let edge = self.lead(evaluate, part.document.name.as_str().into(), node);
            let ways_out = self.nodes[node].ports.clone();
            for port in ways_out.iter().flatten() {
                self.lead(node, port.clone(), evaluate);
            }
            if let Some(by) = self.by(part, node) {
                let one = &part.document;
                let guard = one.guard.as_deref();
                let guard = guard
                    .and_then(|text| self.condition_seeing(text, &child(&part.pointer, "guard"), node, Sees::Flow));
                actions.push(Action {
                    name: one.name.as_str().into(),
                    node,
                    edge,
                    states: one.states.iter().map(|state| state.as_str().into()).collect(),
                    priority: one.priority.unwrap_or(0),
                    guard,
                    by,
                    next: self.next(part, node),
                    exit: one.exit,
                    from: part.from,
                    until: part.until,
                });
            }
        }
        // Equal ones stay in the order of the document.
        actions.sort_by_key(|action| action.priority);
        let state = |state: &StateDocument| MachineState {
            code: state.code.as_str().into(),
            terminal: state.terminal,
            order: state.order,
            priority: state.priority,
        };
        let initial = parts.initial.as_deref().unwrap_or_default();
        let initial = self.expression(initial, "/initial", None, Sees::Input);
        let initial = initial.map_or(Template::Literal(Value::Null), Template::Expr);
        let states = parts.states.iter().map(state).collect();
        let (frozen, revision) = (parts.frozen, parts.revision);
        self.nodes[evaluate].kind =
            Some(Kind::Evaluate(Box::new(Machine { initial, states, actions, frozen, revision, over })));
        self.nodes[evaluate].ports = Some(Vec::new());
    }

    fn lead(&mut self, from: NodeIx, port: Arc<str>, to: NodeIx) -> usize {
        self.edges.push(Line { pointer: "/actions".to_owned(), from, to, port, when: None, default: false });
        self.edges.len() - 1
    }

    fn by(&mut self, part: &Part, node: NodeIx) -> Option<By> {
        let one = &part.document;
        if one.manual {
            return Some(By::Asked);
        }
        if one.after.is_some() {
            let pointer = child(&part.pointer, "after");
            let ms = self.duration(one.after.as_deref(), &pointer, 1..=DURATION_MS_MAX, Some(node))?;
            return Some(By::After { ms });
        }
        let Some(on) = &one.on else { return Some(By::Itself) };
        let pointer = child(&part.pointer, "on");
        if !fits_message(&on.message, MESSAGE_NAME_BYTES_MAX) {
            let message = format!("a message's name has 1 to {MESSAGE_NAME_BYTES_MAX} bytes");
            self.on(node, Problem::error("MESSAGE_NAME", child(&pointer, "message"), message));
        }
        let key = self.expression(&on.key, &child(&pointer, "key"), Some(node), Sees::Flow)?;
        Some(By::Message { message: on.message.as_str().into(), key })
    }

    fn next(&mut self, part: &Part, node: NodeIx) -> Vec<Next> {
        let cases = match &part.document.next {
            None => Vec::new(),
            Some(NextDocument::State(state)) => {
                vec![NextCaseDocument { to: Some(state.clone()), ..NextCaseDocument::default() }]
            }
            Some(NextDocument::Cases(cases)) => cases.clone(),
        };
        let mut all = Vec::new();
        for (index, case) in cases.into_iter().enumerate() {
            let pointer = format!("{}/next/{index}", part.pointer);
            let ports = self.nodes[node].ports.clone();
            if let (Some(port), Some(ports)) = (&case.port, ports)
                && !ports.iter().any(|one| **one == **port)
            {
                let message = format!("`{}` has no port `{port}`", part.document.name);
                let fix = match nearest(port, ports.iter().map(|one| &**one)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("use one of {}", ports.join(", ")),
                };
                self.on(node, Problem::error("UNKNOWN_PORT", child(&pointer, "port"), message).fix(fix));
            }
            let when = case.when.as_deref();
            let when = when.and_then(|text| self.condition_seeing(text, &child(&pointer, "when"), node, Sees::Outcome));
            let name = |text: Option<String>| text.map(Arc::from);
            all.push(Next { port: name(case.port), when, to: name(case.to), exit: case.exit });
        }
        all
    }

    /// Actions whose results decide what follows.
    pub(super) fn results_read(&self, read: &mut [bool]) {
        for entry in &self.nodes {
            if let Some(Kind::Evaluate(machine)) = &entry.kind {
                for action in &machine.actions {
                    read[action.node] |= action.next.iter().any(|next| next.when.is_some());
                }
            }
        }
    }
}

/// The version's node types, called flows and tables, and those that later actions brought.
pub fn with_plugged(catalog: &Catalog, plugged: &[Plugged]) -> Catalog {
    let mut all = catalog.clone();
    for one in plugged {
        let Ok(more) = serde_json::from_value::<Catalog>((*one.catalog).clone()) else { continue };
        for (uses, node_type) in more.node_types {
            all.node_types.entry(uses).or_insert(node_type);
        }
        for (name, flow) in more.flows {
            all.flows.entry(name).or_insert(flow);
        }
        for (name, table) in more.tables {
            all.tables.entry(name).or_insert(table);
        }
    }
    all
}
