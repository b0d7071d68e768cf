//! The one door of the machine: an event in, effects out.

use std::sync::Arc;

use serde_json::Value;

use super::instance::{Instance, ROOT, State, TokenId};
use super::token::{At, Token, Visit, Wait};
use super::walk::Walk;
use super::{
    Call, CutReason, EVENTS_MAX, Event, FailureClass, Limit, Next, Op, Outcome, Refused, SNAPSHOT_BYTES_MAX, Signal,
};
use crate::catalog::EffectClass;
use crate::flow::{Delivery, Flow, Kind, TIMEOUT};
use crate::planted;

/// What the core asks to be done, in order, once the event is committed. (A pure call may be made
/// before the commit: it does not leave the process.)
#[derive(Debug, Clone)]
pub enum Effect {
    Call(Box<Call>),
    /// Asks which revision of a machine's actions is the newest that is committed; [`Event::Evaluated`] answers.
    Evaluate {
        token: TokenId,
        /// This one counts, whichever is the newest.
        keep: Option<u32>,
    },
    /// Answers callers that wait. At most one in an instance's life.
    Reply(Arc<Value>),
    /// The instance has ended; calls under way no longer matter.
    Ended(State),
}

/// Takes one event. `at_ms` is the event's time, milliseconds since the Unix epoch; a time before
/// the last event's counts as the last event's.
///
/// A refused event changes nothing and is not to be journaled.
pub fn step(flow: &Flow, instance: Instance, at_ms: u64, event: &Event) -> (Instance, Result<Vec<Effect>, Refused>) {
    if let Err(refused) = fits(flow, &instance, event) {
        return (instance, Err(refused));
    }
    let mut walk = Walk::new(flow, instance, at_ms);
    match event {
        Event::Started { input, business_key, priority } => walk.start(input, business_key.as_ref(), *priority),
        Event::NodeReturned { token, outcome, .. } => walk.returned(*token, outcome),
        Event::TimerFired { token, .. } => walk.timer_fired(*token),
        Event::MessageArrived { token, payload, .. } => walk.message_arrived(*token, payload),
        Event::Commanded { command, .. } => walk.commanded(command),
        Event::Evaluated { token, revision } => walk.evaluated(*token, *revision),
        Event::LimitReached { limit: Limit::SnapshotBytes, value } => {
            let text = format!("{value} bytes of values, {SNAPSHOT_BYTES_MAX} are kept; make them smaller, or cancel");
            walk.stop_at_the_limit("SNAPSHOT_LIMIT", &text);
        }
    }
    walk.settle();
    if walk.it.seq >= u64::from(EVENTS_MAX) && can_stop(&walk.it) {
        let text = format!("{} events; restart as new", walk.it.seq);
        walk.stop_at_the_limit("EVENTS_LIMIT", &text);
    }
    let (instance, effects) = walk.finish();
    (instance, Ok(effects))
}

/// What to do for an instance that was taken over: the calls that were under way, to be made again, and the evaluations.
pub fn resume(flow: &Flow, instance: &Instance) -> Vec<Effect> {
    let mut effects = super::evaluate::asked_again(flow, instance);
    for (&id, token) in &instance.tokens {
        if let At::Calling(visit) = &token.at
            && !may_not_repeat(flow, token.node, visit)
        {
            let call = super::context::call(flow, instance, id, token);
            effects.extend(call.map(|call| Effect::Call(Box::new(call))));
        }
    }
    effects
}

/// The events an instance that was taken over must be given first: calls that are not made again
/// and were under way when the engine stopped.
pub fn interrupted(flow: &Flow, instance: &Instance) -> Vec<Event> {
    let mut events = Vec::new();
    for (&token, one) in &instance.tokens {
        let visit = match &one.at {
            At::Calling(visit) if may_not_repeat(flow, one.node, visit) => visit,
            At::Abandoned(visit) => visit,
            _ => continue,
        };
        let message = "the engine stopped during the call".to_owned();
        events.push(Event::NodeReturned {
            token,
            attempt: visit.attempt,
            op: visit.op,
            outcome: Outcome::Cut(super::Cut { reason: CutReason::Crash, message }),
        });
    }
    events
}

/// A forward call of an at-most-once task. (One that cannot have an effect is made again all the same.)
fn may_not_repeat(flow: &Flow, node: usize, visit: &Visit) -> bool {
    let once = !planted::on("repeated-at-most-once")
        && matches!(&flow.nodes[node].kind, Kind::Task(task)
        if task.delivery == Delivery::AtMostOnce && task.call.effect > EffectClass::Recorded);
    once && visit.undoing.is_none() && matches!(visit.op, Op::Run | Op::Resume)
}

/// Whether the event can be taken, before anything is changed.
fn fits(flow: &Flow, it: &Instance, event: &Event) -> Result<(), Refused> {
    if it.end.is_some() {
        return Err(Refused::Ended);
    }
    if matches!(event, Event::Started { .. }) != (it.seq == 0) {
        return Err(Refused::NotFirst);
    }
    let at = |token: &TokenId| it.tokens.get(token).map(|token| &token.at);
    let fits = match event {
        Event::Started { .. } => true,
        Event::NodeReturned { token, attempt, op, .. } => it.awaits(*token, *attempt, *op),
        Event::TimerFired { token, due_ms } => {
            !it.suspended && it.tokens.get(token).and_then(Token::due_ms) == Some(*due_ms)
        }
        Event::MessageArrived { token, .. } => {
            let waits = matches!(at(token), Some(At::Waiting { .. } | At::Guard { wait: Wait::Message { .. }, .. }));
            waits && !it.suspended
        }
        Event::Evaluated { token, revision } => {
            let known = flow.machine().is_none_or(|machine| *revision <= machine.revision);
            matches!(at(token), Some(At::Evaluating)) && known
        }
        Event::Commanded { command, .. } => return super::command::can(flow, it, command),
        Event::LimitReached { .. } => can_stop(it) && it.tokens.values().any(|token| token.at.moves()),
    };
    if fits { Ok(()) } else { Err(Refused::Late) }
}

/// Compensation of the whole flow is not stopped by a limit: it makes an instance smaller, and undoing must come to its end.
fn can_stop(it: &Instance) -> bool {
    it.end.is_none() && it.root().unwinding.is_none()
}

impl Walk<'_> {
    fn start(&mut self, input: &Arc<Value>, business_key: Option<&String>, priority: i32) {
        let input = self.from_event(input);
        self.scope_mut(ROOT).input = Some(input);
        self.it.business_key = business_key.cloned();
        self.it.priority = priority;
        self.it.started_ms = self.it.now_ms;
        if !self.flow_listens(ROOT, Next::Begin, None, None) {
            self.enter_flow(ROOT);
        }
        self.run();
    }

    fn timer_fired(&mut self, id: TokenId) {
        match self.it.tokens.get(&id).map(|token| &token.at) {
            Some(At::Guard { .. }) => {
                self.guard_fired(id, None);
                return self.run();
            }
            Some(At::Inside) => {
                self.step_timed_out(id);
                return self.run();
            }
            Some(At::Open { .. }) => {
                self.open_timed_out(id);
                return self.run();
            }
            Some(At::Joining { .. }) => {
                if let Some(here) = self.it.tokens.get(&id).map(Token::here) {
                    self.join_timed_out(here);
                }
                return self.run();
            }
            _ => {}
        }
        let Some(token) = self.it.tokens.remove(&id) else { return };
        self.won(token.race);
        let here = token.here();
        match token.at {
            At::Retrying { mut visit, .. } => {
                visit.attempt += 1;
                if planted::on("key-recomputed") {
                    visit.key = format!("{}.{}", visit.key, visit.attempt);
                }
                visit.tries += u32::from(!planted::on("attempts-not-counted"));
                self.call(id, here, token.since_ms, visit);
            }
            At::Waiting { visit: Some(mut visit), .. } => {
                visit.op = Op::Resume;
                visit.attempt += 1;
                visit.tries = 1;
                visit.signal = Some(Signal::Timeout);
                self.call(id, here, token.since_ms, visit);
            }
            At::Waiting { visit: None, message, key, .. } => {
                if self.flow.edge(here.node, TIMEOUT).is_some() {
                    self.go_on(here, TIMEOUT, None);
                } else {
                    let text = format!("no message {message} for {key} in time");
                    let error = self.error(FailureClass::TimedOut, "TIMEOUT", text, here.node);
                    self.give_up(here, error);
                }
            }
            At::Timer { .. } => self.leave(here, crate::flow::DONE),
            // `fits` lets only tokens with a due time through, and those above are taken already.
            _ => {}
        }
        self.run();
    }

    fn message_arrived(&mut self, id: TokenId, payload: &Arc<Value>) {
        if matches!(self.it.tokens.get(&id).map(|token| &token.at), Some(At::Guard { .. })) {
            self.guard_fired(id, Some(payload));
            return self.run();
        }
        let Some(token) = self.it.tokens.remove(&id) else { return };
        self.won(token.race);
        let here = token.here();
        let At::Waiting { visit, due_ms, .. } = token.at else { return };
        if let Some(mut visit) = visit {
            visit.wait_due_ms = due_ms;
            visit.op = Op::Resume;
            visit.attempt += 1;
            visit.tries = 1;
            visit.signal = Some(Signal::Message { payload: payload.clone() });
            self.call(id, here, token.since_ms, visit);
        } else {
            let held = self.from_event(payload);
            self.keep_output(here, held.clone());
            self.go_on(here, crate::flow::DONE, Some(&held));
        }
        self.run();
    }
}
