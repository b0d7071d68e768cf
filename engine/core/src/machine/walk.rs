//! Moves tokens along edges and through the nodes that need nobody else.
//!
//! Invariants:
//! - One event moves tokens through at most [`STEPS_PER_EVENT_MAX`] nodes; a loop that never waits
//!   ends as an incident.
//! - A visit's key is made here, once, from instance, scope, node and visit.
//! - While the instance is suspended nothing is entered and nothing is called.
//!
//! Not here: containers and called flows (`scope`), joins (`join`, `inclusive`), what expressions see (`context`).

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::instance::{Arrival, Done, End, Error, Instance, ROOT, ScopeId, Step, TokenId};
use super::token::{At, Token, Visit, Wait};
use super::{Effect, FailureClass, Hook, Next, Op, STEPS_PER_EVENT_MAX, VISITS_MAX};
use crate::expr::{Template, ValueError};
use crate::flow::{DONE, EdgeIx, Flow, Kind, NodeIx, Task, Throw, TimerKind, Undo};
use crate::planted;
use crate::value::Held;

/// The code of a join that can never fire.
pub(super) const JOIN_STUCK: &str = "JOIN_STUCK";

/// One event's work on one instance.
pub(super) struct Walk<'f> {
    pub(super) flow: &'f Flow,
    pub(super) it: Instance,
    effects: Vec<Effect>,
    /// Tokens about to enter a node.
    arrivals: VecDeque<Arrival>,
    /// The event gateway whose waits are being entered.
    pub(super) race: Option<TokenId>,
    steps: u32,
}

/// A visit of a node in a scope.
#[derive(Clone, Copy)]
pub(super) struct Here {
    pub(super) scope: ScopeId,
    pub(super) node: NodeIx,
    pub(super) visit: u32,
}

impl Token {
    /// When time moves it.
    pub fn due_ms(&self) -> Option<u64> {
        self.at.due_ms().or(self.until_ms)
    }

    pub(super) fn here(&self) -> Here {
        Here { scope: self.scope, node: self.node, visit: self.visit }
    }
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

    pub(super) fn ask(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Takes back a call that this event asked for. `false`: it was asked for earlier.
    pub(super) fn unmade(&mut self, id: TokenId) -> bool {
        let before = self.effects.len();
        self.effects.retain(|effect| !matches!(effect, Effect::Call(call) if call.token == id));
        self.effects.len() < before
    }

    pub(super) fn arrive(&mut self, scope: ScopeId, node: NodeIx, by: Option<EdgeIx>) {
        self.arrivals.push_back(Arrival { scope, node, by });
    }

    /// Sends a token along the edges that leave `here` by `port`. No edge: the token ends there.
    pub(super) fn leave(&mut self, here: Here, port: &str) {
        let flow = self.flow;
        for &edge in &flow.nodes[here.node].out {
            if &*flow.edges[edge].port == port {
                self.arrive(here.scope, flow.edges[edge].to, Some(edge));
            }
        }
    }

    /// Tokens on their way within a scope are stopped with all others there.
    pub(super) fn drop_arrivals(&mut self, scope: ScopeId) {
        let it = &self.it;
        self.arrivals.retain(|arrival| !it.is_within(arrival.scope, scope));
        let halted = std::mem::take(&mut self.it.halted);
        let stays = |arrival: &Arrival| !self.it.is_within(arrival.scope, scope);
        self.it.halted = halted.into_iter().filter(stays).collect();
    }

    /// Tokens on their way to one of these nodes are stopped.
    pub(super) fn drop_arrivals_at(&mut self, scope: ScopeId, nodes: &[NodeIx]) {
        self.arrivals.retain(|arrival| arrival.scope != scope || !nodes.contains(&arrival.node));
    }

    pub(super) fn is_arriving(&self, scope: ScopeId) -> bool {
        self.arrivals.iter().chain(&self.it.halted).any(|arrival| arrival.scope == scope)
    }

    /// Enters nodes until every token waits for something outside.
    pub(super) fn run(&mut self) {
        while let Some(arrival) = self.arrivals.pop_front() {
            if self.it.end.is_some() {
                return;
            }
            if self.it.suspended {
                self.it.halted.push(arrival);
            } else {
                self.visit(arrival);
            }
        }
    }

    fn visit(&mut self, arrival: Arrival) {
        self.steps += 1;
        let Arrival { scope, node, by } = arrival;
        let Some(one) = self.it.scopes.get_mut(&scope) else { return };
        let visits = one.visits.entry(self.flow.nodes[node].id.clone()).or_insert(0);
        let here = Here { scope, node, visit: if planted::on("visit-not-counted") { 1 } else { *visits + 1 } };
        if self.steps > STEPS_PER_EVENT_MAX || here.visit > VISITS_MAX {
            let text = format!("{} visits; the loop does not come to an end", *visits);
            return self.incident(here, "LOOP_LIMIT", text);
        }
        *visits = here.visit;
        if self.is_locked(here) {
            self.place(here, At::Locked);
        } else {
            self.come(here, by);
        }
    }

    /// The node is entered once all have heard of it.
    pub(super) fn come(&mut self, here: Here, by: Option<EdgeIx>) {
        let then = Next::Enter { by };
        if self.is_heard(here.node, &then) {
            self.listen(here, Hook { then, index: 0, output: None, error: None });
        } else {
            self.enter_or_stop(here, by);
        }
    }

    pub(super) fn enter_or_stop(&mut self, here: Here, by: Option<EdgeIx>) {
        if let Err(error) = self.enter(here, by) {
            self.incident(here, "EXPRESSION_FAILED", error.message);
        }
    }

    /// # Errors
    ///
    /// An expression of the node has no value.
    fn enter(&mut self, here: Here, by: Option<EdgeIx>) -> Result<(), ValueError> {
        let flow = self.flow;
        match &flow.nodes[here.node].kind {
            Kind::Start => self.leave(here, DONE),
            Kind::End { output, terminate } => {
                let output = self.held(here.scope, output)?;
                self.scope_mut(here.scope).output = Some(output);
                if *terminate {
                    self.terminate(here.scope);
                }
            }
            Kind::Task(task) => self.begin(here, task)?,
            Kind::Decision(decision) => {
                let output = Held::computed(self.decide(here.scope, decision)?);
                self.keep_output(here, output);
                self.leave(here, DONE);
            }
            Kind::Exclusive => match self.choose(here)? {
                Some(edge) => self.arrive(here.scope, flow.edges[edge].to, Some(edge)),
                None => self.no_way_out(here),
            },
            Kind::Inclusive => match by.filter(|_| flow.nodes[here.node].incoming.len() > 1) {
                Some(edge) => {
                    self.place(here, At::Joining { edge, due_ms: None });
                }
                None => self.leave_by_all_that_hold(here)?,
            },
            Kind::EventGateway => self.race(here),
            Kind::Throw(throw) => self.throw(here, throw)?,
            Kind::Parallel(join) => self.join(here, join, by),
            Kind::Set(writes) => {
                self.write(here.scope, writes, |walk, template| walk.held(here.scope, template))?;
                self.leave(here, DONE);
            }
            Kind::Timer(timer) => {
                let due_ms = self.time(here.scope, timer)?;
                self.place(here, At::Timer { due_ms });
            }
            Kind::Receive { message, key, timeout_ms } => {
                let key = self.key_text(here.scope, key)?;
                let due_ms = timeout_ms.map(|timeout| self.it.now_ms.saturating_add(timeout));
                let id = self.place(here, At::Waiting { message: message.clone(), key, due_ms, visit: None });
                self.guard(id, here)?;
            }
            Kind::Reply { output } => {
                let output = self.held(here.scope, output)?;
                self.reply(here.scope, output);
                self.leave(here, DONE);
            }
            Kind::Compensate => {
                let id = self.place(here, At::Compensating);
                self.unwind(here.scope, super::instance::Then::Token(id), None);
            }
            Kind::Cancel { nodes } => {
                self.cancel_at(here.scope, nodes);
                self.leave(here, DONE);
            }
            Kind::UserTask(task) => self.offer(here, task)?,
            Kind::ExternalTask(task) => self.put_out(here, task)?,
            Kind::Call(call) => self.enter_call(here, call)?,
            Kind::ForEach(each) => self.enter_each(here, each)?,
            Kind::Stage(stage) => self.enter_stage(here, stage)?,
            Kind::Evaluate(machine) => self.enter_evaluate(here, machine, by)?,
        }
        Ok(())
    }

    /// A task's first call, if its node type takes this input.
    fn begin(&mut self, here: Here, task: &Task) -> Result<(), ValueError> {
        let input = self.held(here.scope, &task.with)?;
        if let Some(refused) = task.contract.refuses_input(&input.value) {
            self.incident(here, "INPUT_INVALID", refused);
            return Ok(());
        }
        let id = self.next_token();
        let visit = self.new_visit(here, input);
        self.call(id, here, self.it.now_ms, visit);
        self.guard(id, here)
    }

    /// Answers who waits for the instance. A called flow has no caller of that kind.
    fn reply(&mut self, scope: ScopeId, output: Held) {
        let first = self.it.reply.is_none() || planted::on("reply-changes");
        if first && self.it.around(scope).all(|(id, one)| id == ROOT || one.input.is_none()) {
            self.effects.push(Effect::Reply(output.value.clone()));
            self.it.reply = Some(output);
        }
    }

    fn choose(&self, here: Here) -> Result<Option<EdgeIx>, ValueError> {
        let mut default = None;
        for &edge in &self.flow.nodes[here.node].out {
            let one = &self.flow.edges[edge];
            match &one.when {
                _ if one.default => default = Some(edge),
                None => return Ok(Some(edge)),
                Some(when) => {
                    if self.with_scope(here.scope, |scope| when.holds(scope))? {
                        return Ok(Some(edge));
                    }
                }
            }
        }
        Ok(default)
    }

    /// Enters every wait after an event gateway, as one race.
    fn race(&mut self, here: Here) {
        let flow = self.flow;
        self.race = Some(self.next_token());
        for &edge in &flow.nodes[here.node].out {
            self.visit(Arrival { scope: here.scope, node: flow.edges[edge].to, by: Some(edge) });
        }
        self.race = None;
    }

    /// Enters a wait anew that was one of a race.
    pub(super) fn arrive_in_race(&mut self, scope: ScopeId, node: NodeIx, race: Option<TokenId>) {
        if race.is_none() {
            return self.arrive(scope, node, None);
        }
        self.race = race;
        self.visit(Arrival { scope, node, by: None });
        self.race = None;
    }

    /// A wait is over: the others of its race are dropped.
    pub(super) fn won(&mut self, race: Option<TokenId>) {
        if race.is_some() {
            self.it.tokens.retain(|_, token| token.race != race);
        }
    }

    fn throw(&mut self, here: Here, throw: &Throw) -> Result<(), ValueError> {
        let message = self.template(here.scope, &throw.message)?;
        let data = throw.data.as_ref().map(|data| self.template(here.scope, data)).transpose()?;
        let message = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
        let mut error = self.error(FailureClass::Rejected, &throw.code, message, here.node);
        error.data = data.map(Arc::new);
        self.fail(here.scope, error);
        Ok(())
    }

    pub(super) fn time(&self, scope: ScopeId, timer: &TimerKind) -> Result<u64, ValueError> {
        match timer {
            TimerKind::AfterMs(after) => Ok(self.it.now_ms.saturating_add(*after)),
            TimerKind::Until(expr) => {
                self.with_scope(scope, |scope| expr.eval(scope)).and_then(|value| super::context::time_ms(&value))
            }
        }
    }

    // -- tokens ------------------------------------------------------------------------------------------------

    pub(super) fn next_token(&mut self) -> TokenId {
        let id = self.it.next_token;
        self.it.next_token += 1;
        id
    }

    pub(super) fn place(&mut self, here: Here, at: At) -> TokenId {
        let id = self.next_token();
        let race = self.race.filter(|_| matches!(at, At::Waiting { .. } | At::Timer { .. } | At::Incident { .. }));
        self.stand_in_race(id, here, self.it.now_ms, at, race);
        id
    }

    /// Stands a token that was taken out back in.
    pub(super) fn stand(&mut self, id: TokenId, here: Here, since_ms: u64, at: At) {
        self.stand_in_race(id, here, since_ms, at, None);
    }

    pub(super) fn stand_in_race(&mut self, id: TokenId, here: Here, since_ms: u64, at: At, race: Option<TokenId>) {
        let Here { scope, node, visit } = here;
        self.it.tokens.insert(id, Token { scope, node, visit, since_ms, at, until_ms: None, race });
    }

    pub(super) fn new_visit(&self, here: Here, input: Held) -> Box<Visit> {
        let path = self.it.scopes.get(&here.scope).map_or("", |scope| &*scope.path);
        Box::new(Visit {
            op: Op::Run,
            attempt: 1,
            tries: 1,
            key: format!("{}.{path}{}.{}", self.it.id, self.flow.nodes[here.node].id, here.visit),
            input,
            maybe_done: false,
            memo: None,
            signal: None,
            undoing: None,
            wait_due_ms: None,
            until_ms: None,
            asked: None,
            hook: None,
        })
    }

    /// Stands the token in a call and asks for it.
    pub(super) fn call(&mut self, id: TokenId, here: Here, since_ms: u64, mut state: Box<Visit>) {
        if self.it.suspended && !planted::on("suspended-sends") {
            return self.stand(id, here, since_ms, At::Halted(state));
        }
        if state.undoing.is_none() && matches!(state.op, Op::Run | Op::Resume) {
            let whole_ms = self.flow.nodes[here.node].kind.whole_ms();
            // What was kept from beginning in its time, by a pause or a person, has it anew.
            let runs = state.until_ms.filter(|until_ms| *until_ms > self.it.now_ms);
            state.until_ms = runs.or_else(|| whole_ms.map(|whole_ms| self.it.now_ms.saturating_add(whole_ms)));
        }
        // What a worker or a person does is not called: it is put out again.
        if let (Op::Run, None, Kind::ExternalTask(task)) = (state.op, &state.undoing, &self.flow.nodes[here.node].kind)
        {
            let due_ms = task.timeout_ms.map(|timeout| self.it.now_ms.saturating_add(timeout));
            let due_ms = due_ms.into_iter().chain(state.until_ms).min();
            return self.stand(id, here, since_ms, At::Open { visit: state, due_ms });
        }
        self.stand(id, here, since_ms, At::Calling(state));
        if let Some(token) = self.it.tokens.get(&id) {
            let call = super::context::call(self.flow, &self.it, id, token);
            self.effects.extend(call.map(|call| Effect::Call(Box::new(call))));
        }
    }

    pub(super) fn incident(&mut self, here: Here, code: &str, message: String) {
        let error = self.error(FailureClass::Flow, code, message, here.node);
        self.place(here, At::Incident { error, visit: None, stopped: None });
    }

    pub(super) fn no_way_out(&mut self, here: Here) {
        self.incident(here, "NO_WAY_OUT", "no condition holds and there is no default".to_owned());
    }

    pub(super) fn error(&self, class: FailureClass, code: &str, message: String, node: NodeIx) -> Error {
        Error { class, code: code.to_owned(), message, node: Some(self.flow.nodes[node].id.clone()), data: None }
    }

    pub(super) fn end(&mut self, end: End) {
        self.it.tokens.clear();
        self.it.scopes.retain(|&id, _| id == ROOT);
        self.scope_mut(ROOT).unwinding = None;
        self.it.suspended = false;
        self.it.halted.clear();
        self.arrivals.clear();
        self.effects.retain(|effect| !matches!(effect, Effect::Call(_) | Effect::Evaluate { .. }));
        self.effects.push(Effect::Ended(end.state));
        self.it.end = Some(end);
    }

    /// After all moves: which scopes have come to their end, and can the others go on?
    pub(super) fn settle(&mut self) {
        loop {
            self.drop_guards();
            self.run();
            if self.it.end.is_some() {
                return;
            }
            if !(self.grant_lock() || self.fire_inclusive() || self.complete_scopes()) {
                break;
            }
        }
        self.time_joins();
        if self.it.end.is_none() && !self.it.suspended {
            self.name_stuck_joins();
        }
    }

    /// No other token is left that could come to these joins.
    fn name_stuck_joins(&mut self) {
        let stuck = |token: &Token| matches!(token.at, At::Joining { due_ms: None, .. });
        let waiting: Vec<ScopeId> =
            self.it.tokens.values().filter(|token| stuck(token)).map(|token| token.scope).collect();
        for scope in waiting {
            let unwinding = self.it.around(scope).any(|(_, one)| one.unwinding.is_some());
            let mut all = self.it.tokens.values().filter(|token| token.scope == scope);
            if unwinding
                || self.is_arriving(scope)
                || !all.all(|token| stuck(token) || matches!(token.at, At::Guard { .. }))
            {
                continue;
            }
            for token in self.it.tokens.values_mut().filter(|token| token.scope == scope && stuck(token)) {
                let error = Error {
                    class: FailureClass::Flow,
                    code: JOIN_STUCK.to_owned(),
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
        self.effects.retain(|effect| !matches!(effect, Effect::Call(_) | Effect::Evaluate { .. }));
        for token in self.it.tokens.values_mut() {
            let (visit, stopped) = match &token.at {
                // Its answer will come too late to be taken.
                At::Calling(visit) => {
                    let maybe_done = visit.maybe_done || visit.op != Op::Listen;
                    (Some(Box::new(Visit { maybe_done, ..(**visit).clone() })), None)
                }
                At::Retrying { visit, .. } | At::Halted(visit) => (Some(visit.clone()), None),
                At::Waiting { message, key, due_ms, visit } => {
                    let wait = Wait::Message { message: message.clone(), key: key.clone(), due_ms: *due_ms };
                    (visit.clone(), Some(wait))
                }
                At::Timer { due_ms } => (None, Some(Wait::Timer { due_ms: *due_ms })),
                At::Evaluating | At::Resting => (None, None),
                At::Open { visit, due_ms } => (Some(visit.clone()), Some(Wait::Open { due_ms: *due_ms })),
                At::Joining { .. }
                | At::Incident { .. }
                | At::Compensating
                | At::Inside
                | At::Abandoned(_)
                | At::Locked
                | At::Guard { .. } => continue,
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

    // -- what is kept --------------------------------------------------------------------------------------------

    /// A value that this event carries: it stands in this event's row.
    #[allow(clippy::wrong_self_convention, reason = "`from` is where the value stands")]
    pub(super) fn from_event(&self, value: &Arc<Value>) -> Held {
        Held::from_row(value.clone(), self.it.seq)
    }

    pub(super) fn keep_output(&mut self, here: Here, output: Held) {
        let node = &self.flow.nodes[here.node];
        if node.read {
            let id = node.id.clone();
            self.scope_mut(here.scope).outputs.insert(id, output);
        }
    }

    /// A step that can be undone is remembered, with what its undo must be told.
    pub(super) fn remember(&mut self, here: Here, state: &Visit, output: Option<Held>) {
        if !matches!(self.flow.nodes[here.node].kind.undo(), Undo::No) {
            let (key, input) = (state.key.clone(), state.input.clone());
            let step = Step { node: here.node, visit: here.visit, key, input, output };
            self.scope_mut(here.scope).done.push(Done::Step(Box::new(step)));
        }
    }

    /// As [`template`](Self::template), with the value's provenance.
    pub(super) fn held(&self, scope: ScopeId, template: &Template) -> Result<Held, ValueError> {
        match template {
            Template::Literal(value) => Ok(Held::computed(value.clone())),
            Template::Expr(_) | Template::Object(_) | Template::Array(_) => {
                self.with_scope(scope, |scope| template.held(scope))
            }
        }
    }

    pub(super) fn template(&self, scope: ScopeId, template: &Template) -> Result<Value, ValueError> {
        match template {
            Template::Literal(value) => Ok(value.clone()),
            Template::Expr(_) | Template::Object(_) | Template::Array(_) => {
                self.with_scope(scope, |scope| template.eval(scope))
            }
        }
    }
}
