//! What an instance looks like to a person: its journal, stepped through again.
//!
//! [`Replay`] is the fold of a journal, with notes of what passed each node. It is pure: the core's
//! `step` decides, this only watches.
//!
//! Invariants:
//! - The state shown is the core's own after the same entries; nothing is guessed beside it.
//! - A journal that does not fit its flow is shown as far as it does.
//!
//! Not here: reading journals (`instances`), telling of changes (`events`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use stepwell_core::flow::{DONE, Flow, Kind, NodeIx, TIMEOUT};
use stepwell_core::machine::{
    self, At, Call, Command, Done, Effect, Entry, Error, Event, Failure, Instance, Op, Outcome, ROOT, ScopeId, TokenId,
    step,
};

use super::instances::error_json;
use super::machine_view::{EVALUATIONS_MAX, Evaluation, MachineItem, evaluation, machine_item};
use super::time::rfc3339;

/// How a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum NodeState {
    Done,
    /// A call is under way, or the next attempt is due.
    Active,
    Waiting,
    Incident,
    Failed,
    Undone,
    /// The instance ended without coming here.
    Skipped,
}

/// What passed at a node.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeRun {
    pub state: NodeState,
    pub visits: u32,
    pub attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub last_input: Option<Arc<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub last_output: Option<Arc<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    #[serde(skip)]
    started_ms: u64,
}

/// Where the instance stands at one place.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenItem {
    pub token: TokenId,
    /// The node's id; of a called flow's node its path, `pay.1/begin`.
    pub node: String,
    /// The container runs around it: `each.1/0/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    pub visit: u32,
    /// calling, retrying, waiting, timer, joining, incident, undoing, inside, open, abandoned, halted, locked, evaluating, resting
    pub state: &'static str,
    pub attempt: u32,
    pub since: String,
    pub due_at: Option<String>,
    #[schema(value_type = Option<WaitsFor>)]
    pub waiting: Option<WaitsFor>,
    #[schema(value_type = Option<Object>)]
    pub error: Option<Value>,
    /// A listener of this moment (enter, leave, error, end) is under way, not the node itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(super) struct WaitsFor {
    pub message: String,
    pub key: String,
}

/// A step that would be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(super) struct Undoable {
    pub node: String,
    pub visit: u32,
}

/// Which visit a journal entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub node: String,
    pub index: NodeIx,
    pub visit: u32,
}

/// Of each scope, the visits of its nodes.
type Visits = BTreeMap<ScopeId, BTreeMap<Arc<str>, u32>>;

/// The versions of its flow that an instance ran.
pub(super) struct History {
    pub first: u32,
    pub versions: BTreeMap<u32, Arc<Flow>>,
}

/// The fold of a journal.
pub(super) struct Replay {
    versions: BTreeMap<u32, Arc<Flow>>,
    flow: Arc<Flow>,
    /// `None` only while it is stepped.
    it: Option<Instance>,
    nodes: BTreeMap<Arc<str>, NodeRun>,
    evaluations: VecDeque<Evaluation>,
}

impl Replay {
    pub(super) fn new(history: History, id: &str) -> Self {
        let History { first, versions } = history;
        let flow = versions[&first].clone();
        Self {
            versions,
            flow,
            it: Some(Instance::new(id.into(), first)),
            nodes: BTreeMap::new(),
            evaluations: VecDeque::new(),
        }
    }

    /// The version it runs now.
    pub(super) fn flow(&self) -> &Flow {
        &self.flow
    }

    /// At a migration, the instance as it stands in the other version.
    fn moved(&mut self, before: Instance, event: &Event) -> Instance {
        let Event::Commanded { command: Command::Migrate { version, nodes, .. }, .. } = event else { return before };
        let Some(to) = self.versions.get(version).cloned() else { return before };
        match machine::migrate(&self.flow, &to, &before, nodes) {
            Ok(after) => {
                self.flow = to;
                after
            }
            Err(_) => before,
        }
    }

    /// Of a whole journal.
    pub(super) fn of(history: History, id: &str, entries: &[Entry]) -> Self {
        let mut replay = Self::new(history, id);
        for entry in entries {
            replay.take(entry);
        }
        replay
    }

    pub(super) fn instance(&self) -> Option<&Instance> {
        self.it.as_ref()
    }

    pub(super) fn seq(&self) -> u64 {
        self.it.as_ref().map_or(0, |it| it.seq)
    }

    /// Takes one entry. Returns the visit it was about, if it was about one.
    pub(super) fn take(&mut self, entry: &Entry) -> Option<Subject> {
        self.take_calls(entry, &mut Vec::new())
    }

    /// As [`Self::take`]; adds the calls that it led to.
    pub(super) fn take_calls(&mut self, entry: &Entry, calls: &mut Vec<Call>) -> Option<Subject> {
        let before = self.it.take()?;
        let before = self.moved(before, &entry.event);
        let subject = self.subject(&before, &entry.event);
        if let Some(evaluation) = evaluation(&self.flow, &before, entry) {
            if self.evaluations.len() >= EVALUATIONS_MAX {
                self.evaluations.pop_front();
            }
            self.evaluations.push_back(evaluation);
        }
        let visits: Visits = before.scopes.iter().map(|(&id, scope)| (id, scope.visits.clone())).collect();
        let (after, result) = step(&self.flow, before, entry.at_ms, &entry.event);
        if let Ok(effects) = result {
            self.note_arrivals(&visits, &after);
            self.note_event(subject.as_ref(), entry);
            for effect in effects {
                if let Effect::Call(call) = effect {
                    self.note_call(&call, &after);
                    calls.push(*call);
                }
            }
            self.note_places(&after);
        }
        self.it = Some(after);
        subject
    }

    /// Every node's run; the nodes never reached, too, once the instance has ended.
    pub(super) fn nodes(&self) -> BTreeMap<Arc<str>, NodeRun> {
        let mut nodes = self.nodes.clone();
        if self.it.as_ref().is_some_and(|it| it.end.is_some()) {
            for node in self.flow.nodes.iter().filter(|node| self.flow.bodies[node.body].version.is_none()) {
                nodes.entry(node.id.clone()).or_insert_with(|| NodeRun::new(NodeState::Skipped, 0));
            }
        }
        nodes
    }

    /// Node states, to tell what has changed.
    pub(super) fn states(&self) -> BTreeMap<Arc<str>, NodeState> {
        self.nodes.iter().map(|(id, run)| (id.clone(), run.state)).collect()
    }

    pub(super) fn tokens(&self) -> Vec<TokenItem> {
        let Some(it) = &self.it else { return Vec::new() };
        let shown = it.tokens.iter().filter(|(_, token)| !matches!(token.at, At::Guard { .. }));
        shown.map(|(&id, token)| token_item(&self.flow, it, id, token)).collect()
    }

    /// How the machine stands that it is, and the machines that it runs.
    pub(super) fn machine(&self) -> Option<MachineItem> {
        machine_item(&self.flow, self.it.as_ref()?, self.evaluations.iter().cloned().collect())
    }

    /// What a compensation would undo, in its order.
    pub(super) fn undo_plan(&self) -> Vec<Undoable> {
        let Some(it) = self.it.as_ref().filter(|it| it.end.is_none()) else { return Vec::new() };
        let mut plan = Vec::new();
        let mut open: Vec<(ScopeId, &Done)> = it.root().done.iter().map(|done| (ROOT, done)).collect();
        // What a scope still runs is undone before what came before it.
        let running = it.scopes.iter().filter(|(id, scope)| **id != ROOT && !scope.closed);
        open.extend(running.flat_map(|(&id, scope)| scope.done.iter().map(move |done| (id, done))));
        while let Some((scope, done)) = open.pop() {
            match done {
                Done::Step(step) => {
                    plan.push(Undoable {
                        node: shown(&self.flow, it, scope, step.node).to_string(),
                        visit: step.visit,
                    });
                }
                Done::Scope(inner) => {
                    let inside = it.scopes.get(inner).into_iter().flat_map(|scope| &scope.done);
                    open.extend(inside.map(|done| (*inner, done)));
                }
            }
        }
        plan
    }

    fn subject(&self, before: &Instance, event: &Event) -> Option<Subject> {
        let token = match event {
            Event::NodeReturned { token, .. }
            | Event::TimerFired { token, .. }
            | Event::MessageArrived { token, .. }
            | Event::Evaluated { token, .. }
            | Event::Commanded { command: Command::Complete { token, .. } | Command::Fail { token, .. }, .. } => token,
            Event::Started { .. } | Event::Commanded { .. } | Event::LimitReached { .. } => return None,
        };
        let token = before.tokens.get(token)?;
        let node = shown(&self.flow, before, token.scope, token.node).to_string();
        Some(Subject { node, index: token.node, visit: token.visit })
    }

    /// Nodes that were entered by this event. Most are left again at once.
    fn note_arrivals(&mut self, before: &Visits, after: &Instance) {
        for (&scope, one) in &after.scopes {
            for (id, &visits) in &one.visits {
                let were = before.get(&scope).and_then(|visits| visits.get(id)).copied().unwrap_or(0);
                let body = one.within.as_ref().and_then(|within| self.flow.nodes[within.node].kind.body()).unwrap_or(0);
                let found = self.flow.nodes.iter().position(|node| node.body == body && node.id == *id);
                if let Some(node) = found.filter(|_| were != visits) {
                    self.note_arrival(scope, node, visits - were, after);
                }
            }
        }
    }

    fn note_arrival(&mut self, scope: ScopeId, node: NodeIx, more: u32, after: &Instance) {
        let name = shown(&self.flow, after, scope, node);
        let run = self.nodes.entry(name).or_insert_with(|| NodeRun::new(NodeState::Done, after.now_ms));
        let (visits, attempts) = (run.visits + more, run.attempts);
        *run = NodeRun { visits, attempts, ..NodeRun::new(NodeState::Done, after.now_ms) };
        run.end(after.now_ms);
        let one = &after.scopes[&scope];
        let held = match &self.flow.nodes[node].kind {
            Kind::End { .. } => one.output.as_ref(),
            Kind::Reply { .. } => after.reply.as_ref(),
            _ => one.outputs.get(&self.flow.nodes[node].id),
        };
        run.last_output = held.map(|held| held.value.clone());
    }

    fn note_event(&mut self, subject: Option<&Subject>, entry: &Entry) {
        let Some(run) = subject.and_then(|subject| self.nodes.get_mut(subject.node.as_str())) else { return };
        match &entry.event {
            Event::NodeReturned { op: Op::Undo, outcome, .. } => run.returned(Op::Undo, outcome),
            // What a listener gave is not what its node did.
            Event::NodeReturned { op: Op::Listen, .. } => return,
            Event::NodeReturned { op, outcome, .. } => {
                if let Some(subject) = subject {
                    run.returned(*op, &machine::as_taken(&self.flow, subject.index, outcome));
                }
            }
            Event::MessageArrived { payload, .. } => {
                run.last_output = Some(payload.clone());
                run.port = Some(DONE.to_owned());
            }
            Event::Commanded { command: Command::Complete { output, .. }, .. } => {
                run.last_output = Some(output.clone());
                run.port = Some(DONE.to_owned());
            }
            Event::Commanded { command: Command::Fail { failure, .. }, .. } => {
                run.returned(Op::Run, &Outcome::Failed(failure.clone()));
            }
            Event::TimerFired { .. } => run.port = run.port.take().or_else(|| Some(TIMEOUT.to_owned())),
            Event::Started { .. } | Event::Commanded { .. } | Event::Evaluated { .. } | Event::LimitReached { .. } => {}
        }
        if run.state != NodeState::Undone {
            run.end(entry.at_ms);
        }
    }

    fn note_call(&mut self, call: &Call, after: &Instance) {
        let Some(token) = after.tokens.get(&call.token).filter(|_| call.op != Op::Listen) else { return };
        let name = shown(&self.flow, after, token.scope, token.node);
        let run = self.nodes.entry(name).or_insert_with(|| NodeRun::new(NodeState::Active, after.now_ms));
        run.attempts += 1;
        if call.op != Op::Undo {
            run.last_input = Some(call.input.clone());
        }
    }

    /// A node where a token stands is what the token does; one that was left is what was noted.
    fn note_places(&mut self, after: &Instance) {
        let mut standing = BTreeSet::new();
        for token in after.tokens.values().filter(|token| !matches!(token.at, At::Guard { .. })) {
            let id = shown(&self.flow, after, token.scope, token.node);
            standing.insert(id.clone());
            let run = self.nodes.entry(id.clone()).or_insert_with(|| NodeRun::new(NodeState::Active, token.since_ms));
            run.ended_at = None;
            run.duration_ms = None;
            run.state = match &token.at {
                At::Calling(_)
                | At::Retrying { .. }
                | At::Compensating
                | At::Inside
                | At::Evaluating
                | At::Abandoned(_) => NodeState::Active,
                At::Waiting { .. }
                | At::Timer { .. }
                | At::Joining { .. }
                | At::Open { .. }
                | At::Halted(_)
                | At::Locked
                | At::Resting
                | At::Guard { .. } => NodeState::Waiting,
                At::Incident { error, .. } => {
                    run.error = Some(error_json(error));
                    NodeState::Incident
                }
            };
        }
        for (id, run) in &mut self.nodes {
            let stood = matches!(run.state, NodeState::Active | NodeState::Waiting | NodeState::Incident);
            if stood && !standing.contains(id) {
                run.state = if run.error.is_some() { NodeState::Failed } else { NodeState::Done };
                if run.ended_at.is_none() {
                    run.end(after.now_ms);
                }
            }
        }
    }
}

impl NodeRun {
    fn new(state: NodeState, started_ms: u64) -> Self {
        Self {
            state,
            visits: 0,
            attempts: 0,
            last_input: None,
            last_output: None,
            port: None,
            error: None,
            started_at: (state != NodeState::Skipped).then(|| rfc3339(started_ms)),
            ended_at: None,
            duration_ms: None,
            started_ms,
        }
    }

    fn end(&mut self, at_ms: u64) {
        self.ended_at = Some(rfc3339(at_ms));
        self.duration_ms = Some(at_ms.saturating_sub(self.started_ms));
    }

    fn returned(&mut self, op: Op, outcome: &Outcome) {
        match outcome {
            Outcome::Done { .. } if op == Op::Undo => {
                self.state = NodeState::Undone;
                self.error = None;
            }
            Outcome::Done { port, output } => {
                self.state = NodeState::Done;
                self.last_output = Some(output.clone());
                self.port = Some(port.to_string());
                self.error = None;
            }
            Outcome::Waiting { .. } | Outcome::NeverRan => self.error = None,
            Outcome::Failed(failure) => {
                self.state = NodeState::Failed;
                self.error = Some(failure_json(failure));
            }
            Outcome::Cut(cut) => {
                self.state = NodeState::Failed;
                self.error = serde_json::to_value(cut).ok();
            }
        }
    }
}

fn failure_json(failure: &Failure) -> Value {
    serde_json::to_value(failure).unwrap_or_default()
}

/// What a node is called to people: its id, or where it is in a flow that is called (`pay.1/begin`).
fn shown(flow: &Flow, it: &Instance, scope: ScopeId, node: NodeIx) -> Arc<str> {
    let id = &flow.nodes[node].id;
    let own = it.around(scope).find(|(_, one)| one.input.is_some()).is_none_or(|(of, _)| of == ROOT);
    let path = it.scopes.get(&scope).map_or("", |scope| &*scope.path);
    if own { id.clone() } else { format!("{path}{id}").into() }
}

fn token_item(flow: &Flow, it: &Instance, id: TokenId, token: &stepwell_core::machine::Token) -> TokenItem {
    let visit = token.at.visit();
    let undoing = visit.is_some_and(|visit| visit.undoing.is_some());
    let error: Option<&Error> = match &token.at {
        At::Retrying { error, .. } | At::Incident { error, .. } => Some(error),
        _ => None,
    };
    let waiting = match &token.at {
        At::Waiting { message, key, .. } => Some(WaitsFor { message: message.to_string(), key: key.clone() }),
        _ => None,
    };
    let state = match &token.at {
        At::Calling(_) if undoing => "undoing",
        At::Calling(_) => "calling",
        At::Inside => "inside",
        At::Open { .. } => "open",
        At::Abandoned(_) => "abandoned",
        At::Halted(_) => "halted",
        At::Retrying { .. } => "retrying",
        At::Waiting { .. } => "waiting",
        At::Timer { .. } => "timer",
        At::Joining { .. } => "joining",
        At::Incident { .. } => "incident",
        At::Compensating => "undoing",
        At::Locked => "locked",
        At::Evaluating => "evaluating",
        At::Resting => "resting",
        At::Guard { .. } => "guard",
    };
    TokenItem {
        token: id,
        node: shown(flow, it, token.scope, token.node).to_string(),
        scope: it.scopes.get(&token.scope).map(|scope| scope.path.to_string()).filter(|path| !path.is_empty()),
        visit: token.visit,
        state,
        attempt: visit.map_or(0, |visit| visit.attempt),
        since: rfc3339(token.since_ms),
        due_at: token.due_ms().map(rfc3339),
        waiting,
        error: error.map(error_json),
        listener: visit.and_then(|visit| visit.hook.as_ref()).map(|hook| hook.then.moment()),
    }
}
