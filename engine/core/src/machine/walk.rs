//! Moves tokens along edges and through the nodes that need nobody else.
//!
//! Invariants:
//! - One event moves tokens through at most [`STEPS_PER_EVENT_MAX`] nodes; a loop that never waits
//!   ends as an incident.
//! - A visit's key is made here, once, from instance, node and visit.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::instance::{At, Done, End, Error, Instance, State, Token, TokenId, Visit, Wait};
use super::{Call, Effect, FailureClass, MESSAGE_KEY_BYTES_MAX, Op, STEPS_PER_EVENT_MAX, VISITS_MAX, fits_message};
use crate::expr::{Expr, Root, Scope, Template, ValueError};
use crate::flow::{DONE, Decision, EdgeIx, Flow, Kind, NodeIx, Task, Throw, TimerKind, Undo};
use crate::planted;
use crate::value::Held;

/// One event's work on one instance.
pub(super) struct Walk<'f> {
    pub(super) flow: &'f Flow,
    pub(super) it: Instance,
    effects: Vec<Effect>,
    /// Nodes about to be entered, and the edge each is entered by.
    arrivals: VecDeque<(NodeIx, Option<EdgeIx>)>,
    /// The event gateway whose waits are being entered.
    race: Option<TokenId>,
    steps: u32,
}

impl<'f> Walk<'f> {
    pub(super) fn new(flow: &'f Flow, mut it: Instance, at_ms: u64) -> Self {
        it.seq += 1;
        it.now_ms = if planted::on("clock-goes-back") { at_ms } else { it.now_ms.max(at_ms) };
        Self { flow, it, effects: Vec::new(), arrivals: VecDeque::new(), race: None, steps: 0 }
    }

    pub(super) fn finish(self) -> (Instance, Vec<Effect>) {
        (self.it, self.effects)
    }

    /// Takes back a call that this event asked for. `false`: it was asked for earlier.
    pub(super) fn unmade(&mut self, id: TokenId) -> bool {
        let before = self.effects.len();
        self.effects.retain(|effect| !matches!(effect, Effect::Call(call) if call.token == id));
        self.effects.len() < before
    }

    pub(super) fn arrive(&mut self, node: NodeIx, by: Option<EdgeIx>) {
        self.arrivals.push_back((node, by));
    }

    /// Sends a token along the edges that leave `node` by `port`. No edge: the token ends there.
    pub(super) fn leave(&mut self, node: NodeIx, port: &str) {
        let flow = self.flow;
        for &edge in &flow.nodes[node].out {
            if &*flow.edges[edge].port == port {
                self.arrivals.push_back((flow.edges[edge].to, Some(edge)));
            }
        }
    }

    /// Tokens that were on their way are stopped with all others.
    pub(super) fn drop_arrivals(&mut self) {
        self.arrivals.clear();
    }

    /// Enters nodes until every token waits for something outside.
    pub(super) fn run(&mut self) {
        while let Some((node, by)) = self.arrivals.pop_front() {
            if self.it.end.is_some() {
                return;
            }
            self.visit(node, by);
        }
    }

    fn visit(&mut self, node: NodeIx, by: Option<EdgeIx>) {
        self.steps += 1;
        let visits = self.it.visits.entry(self.flow.nodes[node].id.clone()).or_insert(0);
        let visit = if planted::on("visit-not-counted") { 1 } else { *visits + 1 };
        if self.steps > STEPS_PER_EVENT_MAX || visit > VISITS_MAX {
            let text = format!("{} visits; the loop does not come to an end", *visits);
            return self.incident(node, visit, "LOOP_LIMIT", text);
        }
        *visits = visit;
        self.enter(node, visit, by);
    }

    fn enter(&mut self, node: NodeIx, visit: u32, by: Option<EdgeIx>) {
        let flow = self.flow;
        match &flow.nodes[node].kind {
            Kind::Start => self.leave(node, DONE),
            Kind::End { output } => match self.template(output) {
                Ok(output) => self.it.output = Some(Held::computed(output)),
                Err(error) => self.no_value(node, visit, &error),
            },
            Kind::Task(task) => match self.template(&task.with) {
                Ok(input) => self.begin(node, visit, task, input),
                Err(error) => self.no_value(node, visit, &error),
            },
            Kind::Decision(decision) => match self.decide(decision) {
                Ok(output) => {
                    self.keep_output(node, Held::computed(output));
                    self.leave(node, DONE);
                }
                Err(error) => self.no_value(node, visit, &error),
            },
            Kind::Exclusive => match self.choose(node) {
                Ok(Some(edge)) => self.arrive(flow.edges[edge].to, Some(edge)),
                Ok(None) => self.no_way_out(node, visit),
                Err(error) => self.no_value(node, visit, &error),
            },
            Kind::Inclusive if flow.nodes[node].incoming.len() > 1 => {
                if let Some(edge) = by {
                    self.place(node, visit, At::Joining { edge });
                }
            }
            Kind::Inclusive => self.leave_by_all_that_hold(node, visit),
            Kind::EventGateway => self.race(node),
            Kind::Throw(throw) => self.throw(node, visit, throw),
            Kind::Parallel => self.join(node, visit, by),
            Kind::Set { vars } => self.set(node, visit, vars),
            Kind::Timer(timer) => self.wait_until(node, visit, timer),
            Kind::Receive { message, key, timeout_ms } => match self.key_text(key) {
                Ok(key) => {
                    let due_ms = timeout_ms.map(|timeout| self.it.now_ms.saturating_add(timeout));
                    self.place(node, visit, At::Waiting { message: message.clone(), key, due_ms, visit: None });
                }
                Err(error) => self.no_value(node, visit, &error),
            },
            Kind::Reply { output } => match self.template(output) {
                Ok(output) => {
                    if self.it.reply.is_none() || planted::on("reply-changes") {
                        let held = Held::computed(output);
                        self.effects.push(Effect::Reply(held.value.clone()));
                        self.it.reply = Some(held);
                    }
                    self.leave(node, DONE);
                }
                Err(error) => self.no_value(node, visit, &error),
            },
            Kind::Compensate => {
                let id = self.place(node, visit, At::Compensating);
                self.unwind(Some(id), None);
            }
        }
    }

    /// A task's first call, if its node type takes this input.
    fn begin(&mut self, node: NodeIx, visit: u32, task: &Task, input: Value) {
        if let Some(refused) = task.contract.refuses_input(&input) {
            return self.incident(node, visit, "INPUT_INVALID", refused);
        }
        let state = Visit {
            op: Op::Run,
            attempt: 1,
            tries: 1,
            key: self.key(node, visit),
            input: Held::computed(input),
            maybe_done: false,
            memo: None,
            signal: None,
            undoing: None,
            wait_due_ms: None,
            asked: None,
        };
        let id = self.next_token();
        self.call(id, node, visit, self.it.now_ms, Box::new(state));
    }

    fn set(&mut self, node: NodeIx, visit: u32, vars: &[(Arc<str>, Template)]) {
        for (name, template) in vars {
            match self.template(template) {
                Ok(value) => {
                    self.it.vars.insert(name.clone(), Held::computed(value));
                }
                Err(error) => return self.no_value(node, visit, &error),
            }
        }
        self.leave(node, DONE);
    }

    fn choose(&self, node: NodeIx) -> Result<Option<EdgeIx>, ValueError> {
        let mut default = None;
        for &edge in &self.flow.nodes[node].out {
            let one = &self.flow.edges[edge];
            match &one.when {
                _ if one.default => default = Some(edge),
                None => return Ok(Some(edge)),
                Some(when) => {
                    if self.with_scope(|scope| when.holds(scope))? {
                        return Ok(Some(edge));
                    }
                }
            }
        }
        Ok(default)
    }

    /// One token per incoming edge, then one along every outgoing edge.
    fn join(&mut self, node: NodeIx, visit: u32, by: Option<EdgeIx>) {
        let incoming = &self.flow.nodes[node].incoming;
        if incoming.len() > 1 {
            let Some(edge) = by else { return };
            self.place(node, visit, At::Joining { edge });
            let mut complete = Vec::with_capacity(incoming.len());
            for &wanted in incoming {
                let arrived = self.it.tokens.iter().find(|(_, token)| {
                    token.node == node && matches!(token.at, At::Joining { edge } if edge == wanted)
                });
                match arrived {
                    Some((&id, _)) => complete.push(id),
                    None => return,
                }
            }
            for id in complete {
                self.it.tokens.remove(&id);
            }
        }
        self.leave(node, DONE);
    }

    /// Enters every wait after an event gateway, as one race.
    fn race(&mut self, node: NodeIx) {
        let flow = self.flow;
        self.race = Some(self.next_token());
        for &edge in &flow.nodes[node].out {
            self.visit(flow.edges[edge].to, Some(edge));
        }
        self.race = None;
    }

    /// A wait is over: the others of its race are dropped.
    pub(super) fn won(&mut self, race: Option<TokenId>) {
        if race.is_some() {
            self.it.tokens.retain(|_, token| token.race != race);
        }
    }

    fn throw(&mut self, node: NodeIx, visit: u32, throw: &Throw) {
        let message = self.template(&throw.message);
        let data = throw.data.as_ref().map(|data| self.template(data)).transpose();
        match (message, data) {
            (Ok(message), Ok(data)) => {
                let message = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
                let mut error = self.error(FailureClass::Rejected, &throw.code, message, node);
                error.data = data.map(Arc::new);
                self.unwind(None, Some(error));
            }
            (Err(error), _) | (_, Err(error)) => self.no_value(node, visit, &error),
        }
    }

    fn wait_until(&mut self, node: NodeIx, visit: u32, timer: &TimerKind) {
        let due = match timer {
            TimerKind::AfterMs(after) => Ok(self.it.now_ms.saturating_add(*after)),
            TimerKind::Until(expr) => self.with_scope(|scope| expr.eval(scope)).and_then(|value| time_ms(&value)),
        };
        match due {
            Ok(due_ms) => {
                self.place(node, visit, At::Timer { due_ms });
            }
            Err(error) => self.no_value(node, visit, &error),
        }
    }

    fn decide(&self, decision: &Decision) -> Result<Value, ValueError> {
        match &decision.with {
            None => self.with_scope(|scope| decision.table.evaluate(scope)).map(|answer| answer.output),
            Some(with) => {
                let with = self.template(with)?;
                let roots: Vec<(&str, Root)> = match &with {
                    Value::Object(map) => map.iter().map(|(name, value)| (name.as_str(), Root::Value(value))).collect(),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Vec::new(),
                };
                decision.table.evaluate(&Scope { roots: &roots }).map(|answer| answer.output)
            }
        }
    }

    fn key_text(&self, key: &Expr) -> Result<String, ValueError> {
        match self.with_scope(|scope| key.eval(scope))? {
            Value::String(text) if fits_message(&text, MESSAGE_KEY_BYTES_MAX) => Ok(text),
            Value::String(text) => Err(ValueError {
                message: format!("a message key has 1 to {MESSAGE_KEY_BYTES_MAX} bytes, not {}", text.len()),
            }),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(ValueError { message: format!("a message key must be text or a number, not {other}") }),
        }
    }

    // -- tokens ------------------------------------------------------------------------------------------------

    pub(super) fn next_token(&mut self) -> TokenId {
        let id = self.it.next_token;
        self.it.next_token += 1;
        id
    }

    pub(super) fn place(&mut self, node: NodeIx, visit: u32, at: At) -> TokenId {
        let id = self.next_token();
        let race = self.race.filter(|_| matches!(at, At::Waiting { .. } | At::Timer { .. } | At::Incident { .. }));
        self.it.tokens.insert(id, Token { node, visit, since_ms: self.it.now_ms, at, race });
        id
    }

    /// Stands the token in a call and asks for it.
    pub(super) fn call(&mut self, id: TokenId, node: NodeIx, visit: u32, since_ms: u64, state: Box<Visit>) {
        let token = Token { node, visit, since_ms, at: At::Calling(state), race: None };
        if let At::Calling(state) = &token.at {
            let call = call(self.flow, &self.it, id, &token, state);
            self.effects.extend(call.map(|call| Effect::Call(Box::new(call))));
        }
        self.it.tokens.insert(id, token);
    }

    pub(super) fn incident(&mut self, node: NodeIx, visit: u32, code: &str, message: String) {
        let error = self.error(FailureClass::Flow, code, message, node);
        self.place(node, visit, At::Incident { error, visit: None, stopped: None });
    }

    pub(super) fn no_way_out(&mut self, node: NodeIx, visit: u32) {
        self.incident(node, visit, "NO_WAY_OUT", "no condition holds and there is no default".to_owned());
    }

    pub(super) fn no_value(&mut self, node: NodeIx, visit: u32, error: &ValueError) {
        self.incident(node, visit, "EXPRESSION_FAILED", error.message.clone());
    }

    pub(super) fn error(&self, class: FailureClass, code: &str, message: String, node: NodeIx) -> Error {
        Error { class, code: code.to_owned(), message, node: Some(self.flow.nodes[node].id.clone()), data: None }
    }

    pub(super) fn end(&mut self, end: End) {
        self.it.tokens.clear();
        self.it.unwinding = None;
        self.arrivals.clear();
        self.effects.retain(|effect| !matches!(effect, Effect::Call(_)));
        self.effects.push(Effect::Ended(end.state));
        self.it.end = Some(end);
    }

    /// After all moves: has the instance ended, or can it never go on?
    pub(super) fn settle(&mut self) {
        while self.fire_inclusive() {
            self.run();
        }
        if self.it.end.is_some() || self.it.unwinding.is_some() {
            return;
        }
        if self.it.tokens.is_empty() {
            self.end(End { state: State::Completed, error: None });
            return;
        }
        if self.it.tokens.values().all(|token| matches!(token.at, At::Joining { .. })) {
            for token in self.it.tokens.values_mut() {
                let error = Error {
                    class: FailureClass::Flow,
                    code: "JOIN_STUCK".to_owned(),
                    message: "no other token is left that could arrive at this join".to_owned(),
                    node: Some(self.flow.nodes[token.node].id.clone()),
                    data: None,
                };
                token.at = At::Incident { error, visit: None, stopped: None };
            }
        }
    }

    /// The instance has grown over a limit: everything that would make it grow further stops.
    pub(super) fn stop_at_the_limit(&mut self, code: &str, message: &str) {
        self.effects.retain(|effect| !matches!(effect, Effect::Call(_)));
        for token in self.it.tokens.values_mut() {
            let (visit, stopped) = match &token.at {
                // Its answer will come too late to be taken.
                At::Calling(visit) => (Some(Box::new(Visit { maybe_done: true, ..(**visit).clone() })), None),
                At::Retrying { visit, .. } => (Some(visit.clone()), None),
                At::Waiting { message, key, due_ms, visit } => {
                    let wait = Wait::Message { message: message.clone(), key: key.clone(), due_ms: *due_ms };
                    (visit.clone(), Some(wait))
                }
                At::Timer { due_ms } => (None, Some(Wait::Timer { due_ms: *due_ms })),
                At::Joining { .. } | At::Incident { .. } | At::Compensating => continue,
            };
            let error = Error {
                class: FailureClass::Flow,
                code: code.to_owned(),
                message: message.to_owned(),
                node: Some(self.flow.nodes[token.node].id.clone()),
                data: None,
            };
            token.at = At::Incident { error, visit, stopped };
        }
    }

    // -- values ------------------------------------------------------------------------------------------------

    /// A value that this event carries: it stands in this event's row.
    #[allow(clippy::wrong_self_convention, reason = "`from` is where the value stands")]
    pub(super) fn from_event(&self, value: &Arc<Value>) -> Held {
        Held::from_row(value.clone(), self.it.seq)
    }

    pub(super) fn keep_output(&mut self, node: NodeIx, output: Held) {
        let node = &self.flow.nodes[node];
        if node.read {
            self.it.outputs.insert(node.id.clone(), output);
        }
    }

    /// A step that can be undone is remembered, with what its undo must be told.
    pub(super) fn remember(&mut self, node: NodeIx, visit: u32, state: &Visit, output: Option<Held>) {
        if let Kind::Task(task) = &self.flow.nodes[node].kind
            && !matches!(task.undo, Undo::No)
        {
            self.it.done.push(Done { node, visit, key: state.key.clone(), input: state.input.clone(), output });
        }
    }

    fn key(&self, node: NodeIx, visit: u32) -> String {
        format!("{}.{}.{visit}", self.it.id, self.flow.nodes[node].id)
    }

    pub(super) fn template(&self, template: &Template) -> Result<Value, ValueError> {
        match template {
            Template::Literal(value) => Ok(value.clone()),
            Template::Expr(_) | Template::Object(_) | Template::Array(_) => {
                self.with_scope(|scope| template.eval(scope))
            }
        }
    }

    pub(super) fn with_scope<R>(&self, read: impl FnOnce(&Scope<'_>) -> R) -> R {
        let facts = facts(self.flow, &self.it);
        read(&Scope {
            roots: &[
                ("input", Root::Value(&self.it.input.value)),
                ("vars", Root::Named(&self.it.vars)),
                ("nodes", Root::Named(&self.it.outputs)),
                ("flow", Root::Value(&facts)),
            ],
        })
    }
}

/// What expressions see as `flow`.
fn facts(flow: &Flow, it: &Instance) -> Value {
    json!({
        "key": flow.key, "version": it.version, "instance": &*it.id, "businessKey": it.business_key,
        "priority": it.priority, "now": it.now_ms,
    })
}

/// The call a token stands in. The same token gives the same call, also after a crash.
pub(super) fn call(flow: &Flow, it: &Instance, id: TokenId, token: &Token, state: &Visit) -> Option<Call> {
    let node = &flow.nodes[token.node];
    // Only tasks are called.
    let Kind::Task(task) = &node.kind else { return None };
    let mut call = Call {
        token: id,
        node: node.id.clone(),
        visit: token.visit,
        attempt: state.attempt,
        op: state.op,
        export: state.op,
        callee: task.call.clone(),
        key: state.key.clone(),
        forward_key: None,
        input: state.input.value.clone(),
        output: None,
        memo: state.memo.as_ref().map(|memo| memo.value.clone()),
        signal: state.signal.clone(),
        visit_started_ms: token.since_ms,
    };
    if let Some(done) = &state.undoing {
        call.forward_key = Some(done.key.clone());
        call.output = done.output.as_ref().map(|output| output.value.clone());
        if let Undo::By { call: by, with } = &task.undo {
            call.callee = by.clone();
            if state.op == Op::Undo {
                call.export = Op::Run;
            }
            call.input = Arc::new(undo_input(with, it, done));
        }
    }
    Some(call)
}

/// The mapped input of an undo by another node type: it sees the step as `step.input` and `step.output`.
fn undo_input(with: &Template, it: &Instance, done: &Done) -> Value {
    let mut step = Map::new();
    step.insert("input".to_owned(), (*done.input.value).clone());
    step.insert("output".to_owned(), done.output.as_ref().map_or(Value::Null, |output| (*output.value).clone()));
    let step = Value::Object(step);
    let roots = [
        ("step", Root::Value(&step)),
        ("input", Root::Value(&it.input.value)),
        ("vars", Root::Named(&it.vars)),
        ("nodes", Root::Named(&it.outputs)),
    ];
    // What has no value is null: an undo must tolerate a forward call that left nothing behind.
    with.eval(&Scope { roots: &roots }).unwrap_or(Value::Null)
}

/// Milliseconds since the Unix epoch, or an RFC 3339 time.
fn time_ms(value: &Value) -> Result<u64, ValueError> {
    let refused = || ValueError { message: format!("{value} is no time: RFC 3339 or milliseconds since 1970") };
    match value {
        Value::Number(number) => number.as_u64().ok_or_else(refused),
        Value::String(text) => chrono::DateTime::parse_from_rfc3339(text)
            .ok()
            .and_then(|time| u64::try_from(time.timestamp_millis()).ok())
            .ok_or_else(refused),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(refused()),
    }
}
