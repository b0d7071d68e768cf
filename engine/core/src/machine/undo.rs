//! Compensation: completed steps are undone in reverse order, one at a time.
//!
//! Invariants:
//! - No undo is called while a forward call of the scope is under way: its outcome is awaited, or
//!   its deadline, and then it is undone as well.
//! - An undo that cannot be done holds the earlier ones until a person retries or skips it.

use super::Op;
use super::instance::{At, Done, End, Error, State, TokenId, Unwinding, Visit};
use super::walk::Walk;
use crate::catalog::EffectClass;
use crate::flow::{DONE, Kind, NodeIx};
use crate::planted;

impl Walk<'_> {
    /// Stops every token but `by` and begins to undo. With `by`, that `compensate` token goes on
    /// afterwards; without, the instance ends.
    pub(super) fn unwind(&mut self, by: Option<TokenId>, cause: Option<Error>) {
        self.drop_arrivals();
        self.it.unwinding = Some(Unwinding { undone: 0, by, cause });
        let ids: Vec<TokenId> = self.it.tokens.keys().copied().filter(|&id| Some(id) != by).collect();
        for id in ids {
            // A call that was only asked for by this very event is not made at all.
            let unmade = self.unmade(id);
            let Some(token) = self.it.tokens.get(&id) else { continue };
            let (node, count) = (token.node, token.visit);
            let state = match &token.at {
                // Under way: awaited, see `drained`. A call that cannot have an effect is just forgotten.
                At::Calling(_) if !unmade && self.may_have_effect(node) && !planted::on("undo-before-the-answer") => {
                    continue;
                }
                At::Calling(visit) | At::Retrying { visit, .. } => Some(visit.clone()),
                At::Waiting { visit, .. } | At::Incident { visit, .. } => visit.clone(),
                At::Timer { .. } | At::Joining { .. } | At::Compensating => None,
            };
            self.it.tokens.remove(&id);
            if let Some(state) = state.filter(|state| state.maybe_done) {
                self.remember(node, count, &state, None);
            }
        }
        self.go_on_undoing();
    }

    pub(super) fn may_have_effect(&self, node: NodeIx) -> bool {
        matches!(&self.flow.nodes[node].kind, Kind::Task(task) if task.call.effect > EffectClass::Recorded)
    }

    /// One more step was undone.
    pub(super) fn undone(&mut self) {
        if let Some(unwinding) = &mut self.it.unwinding {
            unwinding.undone += 1;
        }
        self.go_on_undoing();
    }

    pub(super) fn skip_undo(&mut self, id: TokenId) {
        self.it.tokens.remove(&id);
        self.undone();
    }

    /// Calls the next undo, if nothing else is under way, or ends the compensation.
    pub(super) fn go_on_undoing(&mut self) {
        let Some(unwinding) = &self.it.unwinding else { return };
        if self.it.tokens.keys().any(|id| Some(*id) != unwinding.by) {
            return;
        }
        if planted::on("undo-in-wrong-order") {
            self.it.done.reverse();
        }
        if let Some(done) = self.it.done.pop() {
            let id = self.next_token();
            let Done { node, visit, .. } = done;
            let state = Visit {
                op: Op::Undo,
                attempt: 1,
                tries: 1,
                key: format!("{}.undo", done.key),
                input: done.input.clone(),
                maybe_done: false,
                memo: None,
                signal: None,
                undoing: Some(Box::new(done)),
                wait_due_ms: None,
                asked: None,
            };
            self.call(id, node, visit, self.it.now_ms, Box::new(state));
            return;
        }
        let Some(Unwinding { undone, by, cause }) = self.it.unwinding.take() else { return };
        if let Some(id) = by {
            if let Some(token) = self.it.tokens.remove(&id) {
                self.leave(token.node, DONE);
            }
        } else {
            // Nothing had to be undone: then nothing was compensated, the flow just failed.
            let state = if undone > 0 { State::Compensated } else { State::Failed };
            self.end(End { state, error: cause });
        }
    }
}
