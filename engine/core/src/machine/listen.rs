//! Listeners: what is called or written beside the way of a flow, and what comes of one that fails.
//!
//! The listeners of one moment are heard in document order, those of an end last. While one of them is called, a token stands on its
//! node ([`Op::Listen`]); then what they were called before goes on. Listeners of the flow stand on its start.
//!
//! | failed | tries left | `ignore` | `incident` (unless said) | `fail` |
//! |---|---|---|---|---|
//! | rejected, permanent, an expression | – | goes on | stands until retried or skipped | the node fails with it |
//! | transient, timed out, trap, unknown | tried again | goes on | stands until retried or skipped | the node fails with it |
//!
//! Invariants:
//! - What a listener did is not undone, and a call of one that is stopped is not waited for.
//! - Each listener of a visit is heard at most once under one key of its own.
//! - What is taken away from outside (cancelled, terminated, undone with its scope) is not listened to.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fail::{Back, Fault, backoff_ms, worth_a_try};
use super::instance::{Error, ScopeId, TokenId};
use super::token::{At, Visit};
use super::walk::{Here, Walk};
use super::{Cut, CutReason, FailureClass, Op, Outcome};
use crate::expr::{Root, Template, ValueError};
use crate::flow::{EdgeIx, Flow, Heard, Listener, ListenerFailure, NodeIx};
use crate::value::Held;

/// A moment that is listened to, how far that has come, and what is known of the moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    pub then: Next,
    /// Among all listeners of the node, or of the flow.
    pub index: usize,
    /// What the node gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Held>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// What goes on once all have been heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// The node is entered.
    Enter { by: Option<EdgeIx> },
    /// It is left by this port.
    Leave { port: Arc<str> },
    /// A handler takes the failure, or the scope fails.
    Fail,
    /// The flow's first nodes are entered.
    Begin,
    /// The flow ends.
    Finish,
    /// What the flow did is undone.
    Undo,
    /// It has been undone.
    Undone,
}

impl Next {
    fn hears(&self, on: Heard) -> bool {
        match self {
            Self::Enter { .. } | Self::Begin => on == Heard::Enter,
            Self::Leave { .. } | Self::Finish => matches!(on, Heard::Leave | Heard::End),
            Self::Fail => matches!(on, Heard::Error | Heard::End),
            Self::Undo => on == Heard::Error,
            Self::Undone => on == Heard::End,
        }
    }

    pub(super) fn is_of_the_flow(&self) -> bool {
        matches!(self, Self::Begin | Self::Finish | Self::Undo | Self::Undone)
    }

    /// As in the document: which moment it is.
    pub fn moment(&self) -> &'static str {
        match self {
            Self::Enter { .. } | Self::Begin => "enter",
            Self::Leave { .. } | Self::Finish => "leave",
            Self::Fail | Self::Undo => "error",
            Self::Undone => "end",
        }
    }

    /// In keys: which moment of what.
    fn name(&self) -> &'static str {
        match self {
            Self::Enter { .. } => "enter",
            Self::Leave { .. } => "leave",
            Self::Fail => "error",
            Self::Begin => "flow-enter",
            Self::Finish => "flow-leave",
            Self::Undo => "flow-error",
            Self::Undone => "flow-end",
        }
    }
}

/// The listeners of a node, or of the flow it stands for.
fn all<'f>(flow: &'f Flow, node: NodeIx, then: &Next) -> &'f [Listener] {
    if then.is_of_the_flow() { &flow.bodies[flow.nodes[node].body].listeners } else { &flow.nodes[node].listeners }
}

/// The listener a call is made for.
pub(super) fn heard<'f>(flow: &'f Flow, node: NodeIx, visit: &Visit) -> Option<&'f Listener> {
    let hook = visit.hook.as_ref()?;
    all(flow, node, &hook.then).get(hook.index)
}

impl Walk<'_> {
    /// Whether somebody listens to this moment of a node.
    pub(super) fn is_heard(&self, node: NodeIx, then: &Next) -> bool {
        all(self.flow, node, then).iter().any(|one| then.hears(one.on))
    }

    /// A node is done: it is left once all have heard of it.
    pub(super) fn go_on(&mut self, here: Here, port: &str, output: Option<&Held>) {
        if self.flow.nodes[here.node].listeners.is_empty() {
            return self.leave(here, port);
        }
        let then = Next::Leave { port: port.into() };
        self.listen(here, Hook { then, index: 0, output: output.cloned(), error: None });
    }

    /// A moment of the flow of this scope. `false`: nobody listens.
    pub(super) fn flow_listens(
        &mut self,
        scope: ScopeId,
        then: Next,
        output: Option<Held>,
        error: Option<Error>,
    ) -> bool {
        let Some(node) = self.start_of(scope).filter(|&node| self.is_heard(node, &then)) else { return false };
        self.listen(Here { scope, node, visit: 1 }, Hook { then, index: 0, output, error });
        true
    }

    /// Where a flow starts that is run as this scope.
    fn start_of(&self, scope: ScopeId) -> Option<NodeIx> {
        let body = match self.it.scopes.get(&scope)?.within.as_ref() {
            None => 0,
            Some(within) if within.item.is_none() => self.flow.nodes[within.node].kind.body()?,
            Some(_) => return None,
        };
        let body = &self.flow.bodies[body];
        body.entries.first().copied().filter(|_| body.container.is_none())
    }

    /// Whether the flow of this scope listens to its end.
    pub(super) fn hears_end(&self, scope: ScopeId) -> bool {
        self.start_of(scope).is_some_and(|node| self.is_heard(node, &Next::Finish))
    }

    /// Whether the flow of this scope listens to its failure, or the container it runs does.
    pub(super) fn hears_failure(&self, scope: ScopeId) -> bool {
        let within = self.it.scopes.get(&scope).and_then(|one| one.within.as_ref());
        let hears = |node| self.is_heard(node, &Next::Undo) || self.is_heard(node, &Next::Undone);
        self.start_of(scope).is_some_and(hears)
            || within.is_some_and(|within| within.item.is_none() && self.is_heard(within.node, &Next::Fail))
    }

    /// Lets all hear that have not yet, as far as that goes without a call.
    pub(super) fn listen(&mut self, here: Here, mut hook: Hook) {
        let flow = self.flow;
        if self.it.suspended {
            let (id, visit) = (self.next_token(), self.hook_visit(here, &hook));
            return self.stand_in_race(id, here, self.it.now_ms, At::Halted(visit), self.race);
        }
        let listeners = all(flow, here.node, &hook.then);
        loop {
            let Some(index) = (hook.index..listeners.len()).find(|&index| hook.then.hears(listeners[index].on)) else {
                return self.all_heard(here, hook);
            };
            hook.index = index;
            let listener = &listeners[index];
            let failed = match &listener.call {
                None => match self.told(here, listener, &hook, None) {
                    Ok(()) => None,
                    Err(error) => Some(self.error(FailureClass::Flow, "EXPRESSION_FAILED", error.message, here.node)),
                },
                Some(call) => match self.seen(here, &hook, None, |scope| call.with.eval(scope)) {
                    Ok(input) => match call.contract.refuses_input(&input) {
                        None => {
                            let id = self.next_token();
                            let visit = Visit { input: Held::computed(input), ..*self.hook_visit(here, &hook) };
                            return self.call(id, here, self.it.now_ms, Box::new(visit));
                        }
                        Some(refused) => Some(self.error(FailureClass::Flow, "INPUT_INVALID", refused, here.node)),
                    },
                    Err(error) => Some(self.error(FailureClass::Flow, "EXPRESSION_FAILED", error.message, here.node)),
                },
            };
            if let Some(error) = failed
                && listener.on_failure != ListenerFailure::Ignore
            {
                let (id, visit) = (self.next_token(), self.hook_visit(here, &hook));
                return self.listener_failed(id, here, self.it.now_ms, visit, error);
            }
            hook.index += 1;
        }
    }

    /// As [`listen`](Self::listen), of a token that is in a race: what is entered then stays in it.
    pub(super) fn listen_in_race(&mut self, here: Here, hook: Hook, race: Option<TokenId>) {
        self.race = race;
        self.listen(here, hook);
        self.race = None;
    }

    fn hook_visit(&self, here: Here, hook: &Hook) -> Box<Visit> {
        let mut visit = self.new_visit(here, Held::computed(Value::Null));
        visit.op = Op::Listen;
        visit.key = format!("{}.{}.{}", visit.key, hook.then.name(), hook.index + 1);
        visit.hook = Some(Box::new(hook.clone()));
        visit
    }

    /// A listener's call has come back.
    pub(super) fn listener_returned(&mut self, mut back: Back, outcome: &Outcome) {
        let flow = self.flow;
        let Back { id, here, since_ms, .. } = back;
        let (Some(hook), Some(listener)) = (back.state.hook.clone(), heard(flow, here.node, &back.state)) else {
            return;
        };
        let refused = |port: &str, output: &Value| {
            listener.call.as_ref().and_then(|call| call.contract.refuses_output(port, output))
        };
        let fault = match outcome {
            Outcome::Done { port, output } => match refused(port, output) {
                Some(message) => self.fault(FailureClass::Trap, "BAD_OUTPUT", &message, here.node),
                None => match self.told(here, listener, &hook, Some(output)) {
                    Ok(()) => return self.next_listener(here, *hook),
                    Err(error) => self.fault(FailureClass::Flow, "EXPRESSION_FAILED", &error.message, here.node),
                },
            },
            Outcome::Waiting { .. } | Outcome::NeverRan => {
                self.fault(FailureClass::Permanent, "LISTENER_WAITS", "nobody waits for a listener", here.node)
            }
            Outcome::Cut(Cut { reason: CutReason::Paused | CutReason::PausedAnew, message }) => {
                return self.hold(back, message);
            }
            Outcome::Failed(_) | Outcome::Cut(_) => self.class(here.node, outcome),
        };
        let retry = listener.call.as_ref().map(|call| call.retry.clone()).unwrap_or_default();
        let Fault { error, retry_after_ms, .. } = fault;
        if worth_a_try(error.class) && back.state.tries < retry.attempts {
            let wait_ms = backoff_ms(&retry, back.state.tries).max(retry_after_ms);
            let due_ms = self.it.now_ms.saturating_add(wait_ms);
            return self.stand(id, here, since_ms, At::Retrying { visit: back.state, due_ms, error });
        }
        back.state.signal = None;
        self.listener_failed(id, here, since_ms, back.state, error);
    }

    fn listener_failed(&mut self, id: TokenId, here: Here, since_ms: u64, visit: Box<Visit>, error: Error) {
        let policy = heard(self.flow, here.node, &visit).map(|listener| listener.on_failure);
        let Some(hook) = visit.hook.clone() else { return };
        match policy {
            Some(ListenerFailure::Ignore) | None => self.next_listener(here, *hook),
            Some(ListenerFailure::Incident) => {
                let at = At::Incident { error, visit: Some(visit), stopped: None };
                self.stand_in_race(id, here, since_ms, at, self.race);
            }
            Some(ListenerFailure::Fail) if hook.then.is_of_the_flow() => self.fail(here.scope, error),
            Some(ListenerFailure::Fail) => self.give_up(here, error),
        }
    }

    fn next_listener(&mut self, here: Here, hook: Hook) {
        let index = hook.index + 1;
        self.listen(here, Hook { index, ..hook });
    }

    /// Gives up a listener that stands in an incident.
    pub(super) fn skip_listener(&mut self, id: TokenId) {
        let Some(token) = self.it.tokens.remove(&id) else { return };
        let here = token.here();
        if let Some(hook) = token.at.visit().and_then(|visit| visit.hook.clone()) {
            let index = hook.index + 1;
            self.listen_in_race(here, Hook { index, ..*hook }, token.race);
        }
    }

    fn all_heard(&mut self, here: Here, hook: Hook) {
        let Hook { then, error, .. } = hook;
        match (then, error) {
            (Next::Enter { by }, _) => self.enter_or_stop(here, by),
            (Next::Leave { port }, _) => self.leave(here, &port),
            (Next::Fail, Some(error)) => self.catch(here, error),
            (Next::Begin, _) => self.enter_flow(here.scope),
            (Next::Finish, _) => self.scope_mut(here.scope).heard = true,
            (Next::Undo | Next::Undone, _) => self.go_on_undoing(here.scope),
            (Next::Fail, None) => {}
        }
    }

    /// Enters the first nodes of a flow that is run as this scope.
    pub(super) fn enter_flow(&mut self, scope: ScopeId) {
        let flow = self.flow;
        let body = self.start_of(scope).map_or(0, |start| flow.nodes[start].body);
        for &entry in &flow.bodies[body].entries {
            self.arrive(scope, entry, None);
        }
    }

    fn told(
        &mut self,
        here: Here,
        listener: &Listener,
        hook: &Hook,
        result: Option<&Arc<Value>>,
    ) -> Result<(), ValueError> {
        let value = |walk: &Self, template: &Template| walk.seen(here, hook, result, |scope| template.held(scope));
        self.write(here.scope, &listener.writes, value)
    }

    /// Evaluates what a listener sees.
    fn seen<R>(
        &self,
        here: Here,
        hook: &Hook,
        result: Option<&Arc<Value>>,
        read: impl FnOnce(&crate::expr::Scope<'_>) -> R,
    ) -> R {
        let on = hook.then.moment();
        let port = match &hook.then {
            Next::Leave { port } => Some(port),
            _ => None,
        };
        let event = json!({
            "on": on, "node": self.flow.nodes[here.node].id, "visit": here.visit, "port": port,
            "output": hook.output.as_ref().map(|held| &*held.value),
            "error": hook.error.as_ref().map(Error::fields),
        });
        let null = Value::Null;
        let result = result.map_or(&null, |result| &**result);
        self.with_names(here.scope, &[("event", Root::Value(&event)), ("result", Root::Value(result))], read)
    }
}
