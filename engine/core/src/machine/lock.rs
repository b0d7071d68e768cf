//! Locks: nodes that are not under way at the same time.
//!
//! Who holds a lock is read off the tokens: the one that stands on a node with this lock, in this run
//! of the flow, and does not itself wait for it. A container holds it until all in it is over or
//! undone, a call that was given up until it has come back. Undoing takes no locks.
//!
//! Invariant: of the tokens that wait for a lock, the one that came first has it next.

use std::sync::Arc;

use super::instance::{Scope, ScopeId, TokenId};
use super::token::{At, Token};
use super::walk::{Here, Walk};
use crate::planted;

impl Walk<'_> {
    /// Whether a token that comes here must wait.
    pub(super) fn is_locked(&self, here: Here) -> bool {
        let Some(lock) = &self.flow.nodes[here.node].lock else { return false };
        let run = super::context::flow_scope(&self.it, here.scope);
        self.it.tokens.values().any(|token| self.wants(token, run, lock) && holds_or_waits(token))
            || self.undoes_under(run, lock)
    }

    /// Whether a container with this lock was stopped and is not undone yet.
    fn undoes_under(&self, run: ScopeId, lock: &Arc<str>) -> bool {
        let undone = |scope: &&Scope| {
            scope.unwinding.is_some() && !planted::on("lock-let-go-before-the-undo")
                || scope.closed && planted::on("lock-not-released")
        };
        self.it.scopes.values().filter(undone).any(|scope| {
            scope.within.as_ref().is_some_and(|within| {
                self.flow.nodes[within.node].lock.as_ref() == Some(lock)
                    && super::context::flow_scope(&self.it, within.scope) == run
            })
        })
    }

    /// Lets the first token in whose lock is free. `false`: there is none.
    pub(super) fn grant_lock(&mut self) -> bool {
        if self.it.end.is_some() || self.it.suspended {
            return false;
        }
        let waits = |(_, token): &(&TokenId, &Token)| matches!(token.at, At::Locked);
        let free = |(_, token): &(&TokenId, &Token)| {
            let Some(lock) = &self.flow.nodes[token.node].lock else { return true };
            let run = super::context::flow_scope(&self.it, token.scope);
            let holds = |other: &Token| !matches!(other.at, At::Locked) && holds_or_waits(other);
            let held = self.it.tokens.values().any(|other| self.wants(other, run, lock) && holds(other));
            !held && !self.undoes_under(run, lock)
        };
        let Some(id) = self.it.tokens.iter().filter(waits).find(free).map(|(&id, _)| id) else { return false };
        if let Some(token) = self.it.tokens.remove(&id) {
            self.come(token.here(), None);
        }
        true
    }

    fn wants(&self, token: &Token, run: ScopeId, lock: &Arc<str>) -> bool {
        self.flow.nodes[token.node].lock.as_ref() == Some(lock)
            && super::context::flow_scope(&self.it, token.scope) == run
    }
}

fn holds_or_waits(token: &Token) -> bool {
    let undoes = token.at.visit().is_some_and(|visit| visit.undoing.is_some());
    !undoes && !matches!(token.at, At::Guard { .. })
}
