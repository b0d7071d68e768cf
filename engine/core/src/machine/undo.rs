//! Compensation: what was done in a scope is undone in reverse order, or all at once.
//!
//! Invariants:
//! - No undo is called while a forward call of the scope is under way: its outcome is awaited, or
//!   its deadline, and then it is undone as well.
//! - An undo that cannot be done holds the earlier ones until a person retries or skips it.

use super::instance::{Done, End, Error, ScopeId, State, Step, Then, TokenId, Unwinding};
use super::token::At;
use super::walk::{Here, Walk};
use super::{Next, Op};
use crate::catalog::EffectClass;
use crate::flow::{Compensation, DONE, Kind, NodeIx};
use crate::planted;
use crate::value::Held;

impl Walk<'_> {
    /// Stops every token of the scope and begins to undo what was done in it.
    pub(super) fn unwind(&mut self, scope: ScopeId, then: Then, cause: Option<Error>) {
        self.drop_arrivals(scope);
        let by = match then {
            Then::Token(id) => Some(id),
            _ => None,
        };
        if let (Then::Leave(_) | Then::Fail, Some(host)) =
            (&then, self.it.scopes.get(&scope).and_then(|one| one.within.as_ref()).map(|w| w.host))
        {
            // It is left already: its handlers wait for nothing more.
            self.it.tokens.retain(|_, token| !matches!(token.at, At::Guard { host: of, .. } if of == host));
        }
        let undone = self.scope_mut(scope).unwinding.as_ref().map_or(0, |before| before.undone);
        self.scope_mut(scope).unwinding = Some(Unwinding { undone, then, cause: cause.clone() });
        self.stop(scope, by);
        self.close_inner(scope);
        if cause.is_none() || !self.flow_listens(scope, Next::Undo, None, cause) {
            self.go_on_undoing(scope);
        }
    }

    /// Stops the tokens in a scope and all within it. Undos that are under way go on.
    pub(super) fn stop(&mut self, scope: ScopeId, but: Option<TokenId>) {
        let inside = |id: &TokenId| {
            if planted::on("call-outlives-its-caller") && self.it.tokens.get(id).is_some_and(|one| one.scope != scope) {
                return false;
            }
            Some(*id) != but && self.it.tokens.get(id).is_some_and(|token| self.it.is_within(token.scope, scope))
        };
        let ids: Vec<TokenId> = self.it.tokens.keys().copied().filter(inside).collect();
        for id in ids {
            self.stop_token(id);
        }
    }

    /// Takes a token away. What it may have done is remembered; a call under way is awaited for that.
    pub(super) fn stop_token(&mut self, id: TokenId) {
        let undoing = |token: &super::Token| token.at.visit().is_some_and(|visit| visit.undoing.is_some());
        if self.it.tokens.get(&id).is_some_and(undoing) {
            return;
        }
        let unmade = self.unmade(id);
        let Some(token) = self.it.tokens.get(&id) else { return };
        let (here, since_ms) = (token.here(), token.since_ms);
        let state = match &token.at {
            // A call that cannot have an effect is just forgotten, and so is one that this very event asked for.
            At::Calling(visit)
                if !unmade
                    && visit.op != Op::Listen
                    && self.may_have_effect(here.node)
                    && !planted::on("undo-before-the-answer") =>
            {
                let at = At::Abandoned(visit.clone());
                return self.stand(id, here, since_ms, at);
            }
            At::Abandoned(_) => return,
            At::Calling(visit) | At::Retrying { visit, .. } | At::Halted(visit) | At::Open { visit, .. } => {
                Some(visit.clone())
            }
            At::Waiting { visit, .. } | At::Incident { visit, .. } => visit.clone(),
            At::Timer { .. }
            | At::Joining { .. }
            | At::Compensating
            | At::Inside
            | At::Evaluating
            | At::Resting
            | At::Locked
            | At::Guard { .. } => None,
        };
        self.it.tokens.remove(&id);
        if let Some(state) = state.filter(|state| state.maybe_done && state.hook.is_none()) {
            self.remember(here, &state, None);
        }
    }

    /// The scopes within are over, with all that was done in them.
    pub(super) fn close_inner(&mut self, scope: ScopeId) {
        let open = |(id, one): (&ScopeId, &super::Scope)| !one.closed && *id != scope && self.it.is_within(*id, scope);
        let inner: Vec<ScopeId> =
            self.it.scopes.iter().filter(|&(id, one)| open((id, one))).map(|(&id, _)| id).collect();
        for id in inner {
            let one = self.scope_mut(id);
            one.closed = true;
            one.progress = None;
            if let Some(unwinding) = &mut one.unwinding {
                unwinding.then = Then::Outer;
            }
            if let Some(outer) = one.within.as_ref().map(|within| within.scope) {
                self.scope_mut(outer).done.push(Done::Scope(id));
            }
        }
    }

    pub(super) fn may_have_effect(&self, node: NodeIx) -> bool {
        match &self.flow.nodes[node].kind {
            Kind::Task(task) => task.call.effect > EffectClass::Recorded,
            Kind::ExternalTask(_) => true,
            _ => false,
        }
    }

    /// One more step was undone, or is given up.
    pub(super) fn undone(&mut self, scope: ScopeId) {
        if let Some(unwinding) = &mut self.scope_mut(scope).unwinding {
            unwinding.undone += 1;
        }
        self.go_on_undoing(scope);
    }

    pub(super) fn skip_undo(&mut self, id: TokenId) {
        if let Some(token) = self.it.tokens.remove(&id) {
            self.undone(token.scope);
        }
    }

    /// Goes on with the compensations that a token of this scope may have held up, from within.
    pub(super) fn go_on_undoing(&mut self, scope: ScopeId) {
        let around: Vec<ScopeId> = self.it.around(scope).map(|(id, _)| id).collect();
        for id in around {
            self.undo_next(id);
        }
    }

    /// Calls the next undo of a scope, if nothing else is under way in it, or ends the compensation.
    fn undo_next(&mut self, scope: ScopeId) {
        loop {
            let Some(unwinding) = self.it.scopes.get(&scope).and_then(|one| one.unwinding.as_ref()) else { return };
            let by = match unwinding.then {
                Then::Token(id) => Some(id),
                _ => None,
            };
            let busy =
                |(id, token): (&TokenId, &super::Token)| Some(*id) != by && self.it.is_within(token.scope, scope);
            if self.it.tokens.iter().any(|(id, token)| busy((id, token))) {
                return;
            }
            let done = &mut self.scope_mut(scope).done;
            if planted::on("undo-in-wrong-order") {
                done.reverse();
            }
            let next: Vec<Done> = match done.pop() {
                None => return self.unwound(scope),
                Some(last) if self.compensation(scope) == Compensation::Reverse => vec![last],
                Some(last) => self.scope_mut(scope).done.drain(..).chain([last]).rev().collect(),
            };
            for one in next {
                match one {
                    Done::Step(step) => self.call_undo(scope, step),
                    Done::Scope(inner) => {
                        let Some(one) = self.it.scopes.get_mut(&inner) else { continue };
                        one.unwinding.get_or_insert(Unwinding { undone: 0, then: Then::Outer, cause: None });
                        self.undo_next(inner);
                    }
                }
            }
        }
    }

    fn compensation(&self, scope: ScopeId) -> Compensation {
        let within = self.it.scopes.get(&scope).and_then(|one| one.within.as_ref());
        let body = within.and_then(|within| self.flow.nodes[within.node].kind.body());
        self.flow.bodies[body.unwrap_or(0)].compensation
    }

    fn call_undo(&mut self, scope: ScopeId, step: Box<Step>) {
        let here = Here { scope, node: step.node, visit: step.visit };
        let mut state = self.new_visit(here, Held::computed(serde_json::Value::Null));
        state.op = Op::Undo;
        state.key = format!("{}.undo", step.key);
        state.input = step.input.clone();
        state.undoing = Some(step);
        let id = self.next_token();
        self.call(id, here, self.it.now_ms, state);
    }

    /// Who listens to the end of a flow that has failed hears of it before it is over. `false`: nobody, or they have.
    fn tells_of_the_end(&mut self, scope: ScopeId) -> bool {
        let Some(one) = self.it.scopes.get_mut(&scope).filter(|one| !one.heard) else { return false };
        let Some(Unwinding { then: Then::End | Then::Fail, cause, .. }) = &one.unwinding else { return false };
        let cause = cause.clone();
        one.heard = true;
        self.flow_listens(scope, Next::Undone, None, cause)
    }

    /// Everything in the scope is undone.
    fn unwound(&mut self, scope: ScopeId) {
        if self.tells_of_the_end(scope) {
            return;
        }
        let Some(Unwinding { undone, then, cause }) = self.scope_mut(scope).unwinding.take() else { return };
        let within = self.it.scopes.get(&scope).and_then(|one| one.within.clone());
        match (then, within) {
            (Then::Token(id), _) => {
                if let Some(token) = self.it.tokens.remove(&id) {
                    self.leave(token.here(), DONE);
                }
            }
            (Then::Leave(port), Some(_)) => {
                let seen = cause.map(|error| error.seen());
                self.leave_container(scope, &port, seen.as_ref());
            }
            (Then::Fail, Some(_)) => self.fail_container(scope, cause),
            (Then::Outer, Some(within)) => {
                self.it.scopes.remove(&scope);
                if let Some(outer) = &mut self.scope_mut(within.scope).unwinding {
                    outer.undone += undone;
                }
            }
            (Then::Item, Some(within)) => {
                self.it.scopes.remove(&scope);
                let index = within.item.as_ref().map_or(0, |item| item.index);
                self.item_undone(&within, index, cause);
            }
            (Then::Gone, Some(_)) => {
                self.it.scopes.remove(&scope);
            }
            (Then::End | Then::Leave(_) | Then::Fail | Then::Outer | Then::Item | Then::Gone, _) => {
                // Nothing had to be undone: then nothing was compensated, the flow just failed.
                let state = if undone > 0 { State::Compensated } else { State::Failed };
                self.end(End { state, error: cause });
            }
        }
    }
}
