//! What comes of a call: the failure table of the design, in its fixed order.
//!
//! | | query, if offered | retry, attempts left | boundary handler | then |
//! |---|---|---|---|---|
//! | rejected | – | – | by code | compensation |
//! | transient | – | yes | by code | incident |
//! | permanent | – | – | by code | incident |
//! | trap, memory (not external) | – | yes | by code | incident |
//! | timed out | external only | yes | timeout, by code | compensation |
//! | unknown | yes | yes | by code | compensation |
//! | at-most-once and not known | yes | – | – | incident |
//!
//! A call that was not made because such calls are paused is none of these: the try does not count, and it
//! waits until it is let go, or for [`HELD_MS`] at a time.
//!
//! Invariant: a step whose outcome is not known is remembered before the flow goes on without it,
//! so that its undo is called.

use std::borrow::Cow;
use std::sync::Arc;

use super::instance::{Error, TokenId};
use super::token::{At, Visit};
use super::walk::{Here, Walk};
use super::{Cut, CutReason, Failure, FailureClass, Hook, Next, Op, Outcome, UNDO_ATTEMPTS};
use crate::catalog::EffectClass;
use crate::flow::{Catch, Delivery, Flow, Kind, NodeIx, Retry, TIMEOUT};
use crate::planted;

/// A failure, classed.
pub(super) struct Fault {
    pub(super) error: Error,
    /// The call may have had its effect all the same.
    unknown: bool,
    /// The node itself said so; it was not the engine that kept the call from being made.
    answered: bool,
    pub(super) retry_after_ms: u64,
}

/// A call that came back, and where its token stood.
pub(super) struct Back {
    pub(super) id: TokenId,
    pub(super) here: Here,
    pub(super) since_ms: u64,
    pub(super) state: Box<Visit>,
}

impl Walk<'_> {
    pub(super) fn returned(&mut self, id: TokenId, outcome: &Outcome) {
        let Some(token) = self.it.tokens.remove(&id) else { return };
        let (here, since_ms) = (token.here(), token.since_ms);
        if planted::on("task-completed-twice") && matches!(token.at, At::Open { .. }) {
            self.it.tokens.insert(id, token.clone());
        }
        match token.at {
            At::Calling(state) | At::Open { visit: state, .. } if state.undoing.is_some() => {
                self.undo_returned(Back { id, here, since_ms, state }, outcome);
            }
            At::Calling(state) if state.op == Op::Listen => {
                self.listener_returned(Back { id, here, since_ms, state }, outcome);
            }
            At::Abandoned(state) if planted::on("late-answer-taken") => {
                self.forward_returned(Back { id, here, since_ms, state }, outcome);
            }
            At::Calling(state) | At::Open { visit: state, .. } => {
                let outcome = &*as_taken(self.flow, here.node, outcome);
                self.forward_returned(Back { id, here, since_ms, state }, outcome);
            }
            At::Abandoned(state) => {
                let outcome = &*as_taken(self.flow, here.node, outcome);
                self.drained(here, &state, outcome);
            }
            // `fits` lets only tokens with a call under way through.
            _ => {}
        }
        self.run();
    }

    fn forward_returned(&mut self, mut back: Back, outcome: &Outcome) {
        let here = back.here;
        match outcome {
            Outcome::Done { port, output } => {
                let held = self.from_event(output);
                self.remember(here, &back.state, Some(held.clone()));
                self.keep_output(here, held.clone());
                self.go_on(here, port, Some(&held));
            }
            Outcome::Waiting { message, key, timeout_ms, memo } => {
                let mut state = back.state;
                state.memo = Some(self.from_event(memo));
                state.signal = None;
                state.asked = None;
                // The node began something: whatever ends the wait early must undo it.
                state.maybe_done = true;
                let due_ms = self.wait_end(*timeout_ms, &mut state);
                let at = At::Waiting { message: message.clone(), key: key.clone(), due_ms, visit: Some(state) };
                self.stand(back.id, here, back.since_ms, at);
            }
            Outcome::NeverRan => {
                // The answer to a query: nothing happened, so the failure that made us ask is an ordinary one.
                let error = back.state.asked.take().unwrap_or_else(|| {
                    self.error(FailureClass::Permanent, "NO_OUTCOME", "the node gave no outcome".into(), here.node)
                });
                // A query asks about the last call; what an earlier one began and waited for stands.
                back.state.maybe_done = back.state.memo.is_some();
                let fault = Fault { error, unknown: false, answered: false, retry_after_ms: 0 };
                self.failed(back, fault);
            }
            Outcome::Cut(Cut { reason: reason @ (CutReason::Paused | CutReason::PausedAnew), message }) => {
                back.state.maybe_done |= *reason == CutReason::PausedAnew;
                self.hold(back, message);
            }
            Outcome::Cut(Cut { reason: CutReason::Revoked, message }) => {
                self.revoked(back, message);
            }
            Outcome::Failed(_) | Outcome::Cut(_) => {
                let mut fault = self.class(here.node, outcome);
                if let Some(asked) = back.state.asked.take() {
                    // The query itself failed: what we asked about is still not known.
                    fault = Fault { error: asked, unknown: true, ..fault };
                    back.state.maybe_done = true;
                } else if self.went_wrong_only(here.node, &fault) {
                    back.state.maybe_done = true;
                } else if fault.unknown {
                    back.state.maybe_done = true;
                    if let Kind::Task(task) = &self.flow.nodes[here.node].kind
                        && task.call.query
                    {
                        back.state.asked = Some(fault.error);
                        back.state.op = Op::Query;
                        back.state.attempt += 1;
                        self.call(back.id, here, back.since_ms, back.state);
                        return;
                    }
                }
                self.failed(back, fault);
            }
        }
    }

    /// Waits as it stands, whatever the call was for, until calls held by `by` are let go.
    pub(super) fn hold(&mut self, back: Back, by: &str) {
        let Back { id, here, since_ms, mut state } = back;
        state.tries = state.tries.saturating_sub(1);
        let mut error = self.error(FailureClass::Transient, PAUSED, format!("calls are paused: {by}"), here.node);
        error.data = Some(Arc::new(by.into()));
        let due_ms = self.it.now_ms.saturating_add(HELD_MS);
        self.stand(id, here, since_ms, At::Retrying { visit: state, due_ms, error });
    }

    /// Stops for a person, whatever the call was for: an operator took the build back, so neither another try nor a
    /// handler of the flow's is asked.
    fn revoked(&mut self, back: Back, message: &str) {
        let Back { id, here, since_ms, state } = back;
        let error = self.error(FailureClass::Permanent, REVOKED, message.to_owned(), here.node);
        self.stand(id, here, since_ms, At::Incident { error, visit: Some(state), stopped: None });
    }

    /// An answer like 502 says that it went wrong, not that nothing was done.
    fn went_wrong_only(&self, node: NodeIx, fault: &Fault) -> bool {
        fault.error.class == FailureClass::Transient && fault.answered && self.may_have_effect(node)
    }

    /// When a wait ends: at its own time, or at that of the wait it goes on with; with the step's at the latest.
    fn wait_end(&self, timeout_ms: Option<u64>, state: &mut Visit) -> Option<u64> {
        let before = state.wait_due_ms.take();
        let own = timeout_ms.map(|timeout| self.it.now_ms.saturating_add(timeout)).or(before);
        own.into_iter().chain(state.until_ms).min()
    }

    /// Somebody outside did not do the work in time.
    pub(super) fn open_timed_out(&mut self, id: TokenId) {
        let Some(token) = self.it.tokens.remove(&id) else { return };
        let (here, since_ms) = (token.here(), token.since_ms);
        let At::Open { visit: mut state, .. } = token.at else { return };
        if self.flow.edge(here.node, TIMEOUT).is_some() {
            if self.may_have_effect(here.node) {
                self.remember(here, &state, None);
            }
            return self.go_on(here, TIMEOUT, None);
        }
        let unknown = self.may_have_effect(here.node);
        state.maybe_done |= unknown;
        let error = self.error(FailureClass::TimedOut, "TIMEOUT", "nobody did it in time".to_owned(), here.node);
        let fault = Fault { error, unknown, answered: false, retry_after_ms: 0 };
        self.failed(Back { id, here, since_ms, state }, fault);
    }

    /// The table, from `retry` on.
    fn failed(&mut self, back: Back, fault: Fault) {
        let flow = self.flow;
        let Back { id, here, since_ms, mut state } = back;
        let (retry, once) = match &flow.nodes[here.node].kind {
            Kind::Task(task) => (task.retry.clone(), task.delivery == Delivery::AtMostOnce),
            Kind::ExternalTask(task) => (task.retry.clone(), false),
            _ => (Retry::default(), false),
        };
        if state.op == Op::Query {
            state.op = if state.memo.is_some() { Op::Resume } else { Op::Run };
        }
        let class = fault.error.class;
        if once && fault.unknown {
            let at = At::Incident { error: fault.error, visit: Some(state), stopped: None };
            return self.stand(id, here, since_ms, at);
        }
        let wait_ms = backoff_ms(&retry, state.tries).max(fault.retry_after_ms);
        let due_ms = self.it.now_ms.saturating_add(wait_ms);
        let in_time = state.until_ms.is_none_or(|until_ms| due_ms < until_ms);
        if worth_a_try(class) && state.tries < retry.attempts && in_time {
            return self.stand(id, here, since_ms, At::Retrying { visit: state, due_ms, error: fault.error });
        }
        if self.is_caught(here, &fault.error) || compensates(class) {
            let keep = !planted::on("unknown-forgotten");
            if keep && state.maybe_done && (class != FailureClass::Rejected || state.memo.is_some()) {
                self.remember(here, &state, None);
            }
            return self.give_up(here, fault.error);
        }
        self.stand(id, here, since_ms, At::Incident { error: fault.error, visit: Some(state), stopped: None });
    }

    /// Whether a handler of the node or of a container around it takes this failure.
    fn is_caught(&self, here: Here, error: &Error) -> bool {
        let mut around = self.it.around(here.scope).filter_map(|(_, scope)| scope.within.as_ref());
        self.handler(here.node, error).is_some()
            || around.any(|within| match &within.item {
                Some(item) => self.has_left(within.scope) || self.goes_on_without(within.node, item.index),
                None => self.handler(within.node, error).is_some(),
            })
    }

    /// No attempts are left: once all have heard of it, the boundary handler, else by class.
    pub(super) fn give_up(&mut self, here: Here, error: Error) {
        if self.is_heard(here.node, &Next::Fail) {
            return self.listen(here, Hook { then: Next::Fail, index: 0, output: None, error: Some(error) });
        }
        self.catch(here, error);
    }

    pub(super) fn catch(&mut self, here: Here, error: Error) {
        if let Some(port) = self.handler(here.node, &error) {
            self.keep_output(here, error.seen());
            self.leave(here, &port);
        } else {
            self.fail(here.scope, error);
        }
    }

    pub(super) fn handler(&self, node: NodeIx, error: &Error) -> Option<Arc<str>> {
        let handlers = &self.flow.nodes[node].on;
        let timed_out = error.class == FailureClass::TimedOut;
        let exact = handlers.iter().find(|handler| match &handler.catches {
            Catch::Timeout => timed_out,
            Catch::Error { code } => code.as_deref() == Some(error.code.as_str()),
            Catch::After { .. } | Catch::Message { .. } => false,
        });
        let any = || handlers.iter().find(|handler| matches!(handler.catches, Catch::Error { code: None }));
        exact.or_else(any).map(|handler| handler.port.clone())
    }

    pub(super) fn class(&self, node: NodeIx, outcome: &Outcome) -> Fault {
        let external = match &self.flow.nodes[node].kind {
            Kind::Task(task) => task.call.effect == EffectClass::External,
            Kind::ExternalTask(_) => true,
            _ => false,
        };
        let fault = |class, code: &str, message: &str, unknown| Fault {
            unknown,
            answered: matches!(outcome, Outcome::Failed(_)),
            ..self.fault(class, code, message, node)
        };
        match outcome {
            Outcome::Failed(Failure::Rejected(rejection)) => {
                let mut fault = fault(FailureClass::Rejected, &rejection.code, &rejection.message, false);
                fault.error.data.clone_from(&rejection.data);
                fault
            }
            Outcome::Failed(Failure::Transient { message, retry_after_ms }) => Fault {
                retry_after_ms: retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MAX_MS),
                ..fault(FailureClass::Transient, "TRANSIENT", message, false)
            },
            Outcome::Failed(Failure::Permanent { message, code }) => {
                fault(FailureClass::Permanent, code.as_deref().unwrap_or("PERMANENT"), message, false)
            }
            Outcome::Failed(Failure::Unknown { message }) => fault(FailureClass::Unknown, "UNKNOWN", message, true),
            Outcome::Cut(cut) => match cut.reason {
                CutReason::Deadline => fault(FailureClass::TimedOut, "TIMEOUT", &cut.message, external),
                CutReason::Paused => fault(FailureClass::Transient, PAUSED, &cut.message, false),
                CutReason::PausedAnew => fault(FailureClass::Transient, PAUSED, &cut.message, true),
                CutReason::Breaker => fault(FailureClass::Transient, "BREAKER_OPEN", &cut.message, false),
                CutReason::Missing => fault(FailureClass::Transient, "PLUGIN_MISSING", &cut.message, false),
                CutReason::Revoked => fault(FailureClass::Permanent, REVOKED, &cut.message, false),
                CutReason::Crash => fault(FailureClass::Unknown, "CRASH", &cut.message, true),
                CutReason::Trap | CutReason::Memory | CutReason::Output => {
                    let code = match cut.reason {
                        CutReason::Memory => "OUT_OF_MEMORY",
                        CutReason::Output => "BAD_OUTPUT",
                        _ => "TRAP",
                    };
                    let class = if external { FailureClass::Unknown } else { FailureClass::Trap };
                    fault(class, code, &cut.message, external)
                }
            },
            Outcome::Done { .. } | Outcome::Waiting { .. } | Outcome::NeverRan => {
                fault(FailureClass::Permanent, "NO_OUTCOME", "the node gave no outcome", false)
            }
        }
    }

    pub(super) fn fault(&self, class: FailureClass, code: &str, message: &str, node: NodeIx) -> Fault {
        let error = self.error(class, code, message.to_owned(), node);
        Fault { error, unknown: false, answered: false, retry_after_ms: 0 }
    }

    /// A call that had been given up came back. Was there an effect?
    fn drained(&mut self, here: Here, state: &Visit, outcome: &Outcome) {
        match outcome {
            Outcome::Done { output, .. } => {
                let held = self.from_event(output);
                self.remember(here, state, Some(held));
            }
            Outcome::Waiting { .. } => self.remember(here, state, None),
            Outcome::NeverRan => {}
            Outcome::Failed(_) | Outcome::Cut(_) => {
                let fault = self.class(here.node, outcome);
                if state.maybe_done || fault.unknown || self.went_wrong_only(here.node, &fault) {
                    self.remember(here, state, None);
                }
            }
        }
        self.go_on_undoing(here.scope);
    }

    fn undo_returned(&mut self, back: Back, outcome: &Outcome) {
        let Back { id, here, since_ms, mut state } = back;
        let at = match outcome {
            Outcome::Done { .. } | Outcome::NeverRan => {
                if planted::on("undo-twice") && self.it.seq.is_multiple_of(2) {
                    self.scope_mut(here.scope).done.extend(state.undoing.map(super::instance::Done::Step));
                }
                self.undone(here.scope);
                return;
            }
            Outcome::Waiting { message, key, timeout_ms, memo } => {
                state.memo = Some(self.from_event(memo));
                state.signal = None;
                let due_ms = self.wait_end(*timeout_ms, &mut state);
                At::Waiting { message: message.clone(), key: key.clone(), due_ms, visit: Some(state) }
            }
            Outcome::Cut(Cut { reason: CutReason::Paused | CutReason::PausedAnew, message }) => {
                self.hold(Back { id, here, since_ms, state }, message);
                return;
            }
            Outcome::Cut(Cut { reason: CutReason::Revoked, message }) => {
                self.revoked(Back { id, here, since_ms, state }, message);
                return;
            }
            Outcome::Failed(_) | Outcome::Cut(_) => {
                let fault = self.class(here.node, outcome);
                let retry = match &self.flow.nodes[here.node].kind {
                    Kind::Task(task) => task.retry.clone(),
                    _ => Retry::default(),
                };
                if state.tries < UNDO_ATTEMPTS {
                    let wait_ms = backoff_ms(&retry, state.tries).max(fault.retry_after_ms);
                    let due_ms = self.it.now_ms.saturating_add(wait_ms);
                    At::Retrying { visit: state, due_ms, error: fault.error }
                } else {
                    At::Incident { error: fault.error, visit: Some(state), stopped: None }
                }
            }
        };
        self.stand(id, here, since_ms, at);
    }
}

/// What a forward call's outcome counts as: an answer that the node type does not promise is as good
/// as an output that could not be read.
pub fn as_taken<'o>(flow: &Flow, node: NodeIx, outcome: &'o Outcome) -> Cow<'o, Outcome> {
    if let (Kind::Task(task), Outcome::Done { port, output }) = (&flow.nodes[node].kind, outcome)
        && let Some(message) = task.contract.refuses_output(port, output)
    {
        return Cow::Owned(Outcome::Cut(Cut { reason: CutReason::Output, message }));
    }
    Cow::Borrowed(outcome)
}

/// A node cannot ask to be left alone for longer than this.
const RETRY_AFTER_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// The code of a wait for calls that are paused; its `data` names by what.
pub(super) const PAUSED: &str = "PAUSED";
/// The code of an incident whose build an operator has revoked.
const REVOKED: &str = "PLUGIN_REVOKED";
/// A held call looks again by itself after this, in case nobody let it go.
const HELD_MS: u64 = 60 * 60 * 1000;

pub(super) fn worth_a_try(class: FailureClass) -> bool {
    !matches!(class, FailureClass::Rejected | FailureClass::Permanent | FailureClass::Flow)
}

fn compensates(class: FailureClass) -> bool {
    matches!(class, FailureClass::Rejected | FailureClass::TimedOut | FailureClass::Unknown)
}

/// `backoff × factor^(tries - 1)`, at most `max`.
pub(super) fn backoff_ms(retry: &Retry, tries: u32) -> u64 {
    let exponent = i32::try_from(tries.saturating_sub(1)).unwrap_or(i32::MAX);
    #[allow(clippy::cast_precision_loss, reason = "a wait of centuries may be off by some milliseconds")]
    let wait = retry.backoff_ms as f64 * retry.factor.powi(exponent);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0..=max before the cast"
    )]
    let wait = wait.clamp(0.0, retry.max_ms as f64) as u64;
    wait
}
