//! How an instance must look after each commit, whatever happened: its scopes, locks, time limits and incidents.

use std::collections::BTreeMap;

use stepwell_core::flow::{Kind, Rest};
use stepwell_core::machine::{self, At, Done, Instance, ScopeId, State, Token, TokenId, Wait};

use super::{Story, Wrong};

/// What an incident of a run can be: of a call that failed, and of a join that something keeps from firing.
const CAUSES: [&str; 14] = [
    "TRANSIENT",
    "PERMANENT",
    "UNKNOWN",
    "TIMEOUT",
    "TRAP",
    "OUT_OF_MEMORY",
    "BAD_OUTPUT",
    "BREAKER_OPEN",
    "PLUGIN_MISSING",
    "CRASH",
    "NO",
    "UNDONE",
    "TOO_OLD",
    "JOIN_STUCK",
];

impl Story {
    pub(super) fn is_whole(&self) -> Result<(), Wrong> {
        if self.it.end.is_some() {
            return Ok(());
        }
        self.scopes()?;
        self.locks()?;
        self.deadlines()?;
        self.incidents()
    }

    /// Between two events: nothing is begun while it is suspended.
    pub(super) fn stands_still(&self, earlier: &Instance) -> Result<(), Wrong> {
        if !(earlier.suspended && self.it.suspended) {
            return Ok(());
        }
        let call = |token: &Token| match &token.at {
            At::Calling(visit) => Some((visit.attempt, visit.op)),
            _ => None,
        };
        for (id, token) in self.it.tokens.iter().filter(|(_, token)| call(token).is_some()) {
            if earlier.tokens.get(id).and_then(call) != call(token) {
                return Err(("suspended", format!("{id} begins {token:?}")));
            }
        }
        let count = |it: &Instance| it.tokens.values().filter(|token| matches!(token.at, At::Timer { .. })).count();
        if count(&self.it) > count(earlier) {
            return Err(("suspended", "a node is entered".to_owned()));
        }
        Ok(())
    }

    fn scopes(&self) -> Result<(), Wrong> {
        let it = &self.it;
        let wrong = |what: String| Err(("whole scopes", what));
        for (id, token) in &it.tokens {
            let Some(scope) = it.scopes.get(&token.scope) else {
                return wrong(format!("{id} is in a scope that is gone: {token:?}"));
            };
            let undoes = token.at.visit().is_some_and(|visit| visit.undoing.is_some());
            if scope.closed && !undoes && !matches!(token.at, At::Abandoned(_)) {
                return wrong(format!("{id} goes on in a scope that is over: {token:?}"));
            }
            let owns = |scope: &&machine::Scope| {
                !scope.closed && scope.within.as_ref().is_some_and(|within| within.host == *id && within.item.is_none())
            };
            if matches!(token.at, At::Inside) && it.scopes.values().filter(owns).count() != 1 {
                return wrong(format!("{id} stands on what does not run: {token:?}"));
            }
        }
        let mut kept: BTreeMap<ScopeId, u32> = BTreeMap::new();
        for scope in it.scopes.values() {
            let inner = scope.done.iter().filter_map(|done| match done {
                Done::Scope(inner) => Some(*inner),
                Done::Step(_) => None,
            });
            // One that was being undone before its outer scope was is on that one's list until it is its turn.
            for inner in inner.filter(|inner| scope.unwinding.is_none() || it.scopes.contains_key(inner)) {
                *kept.entry(inner).or_default() += 1;
            }
        }
        for (&id, scope) in it.scopes.iter().filter(|(_, scope)| scope.within.is_some()) {
            let times = kept.get(&id).copied().unwrap_or_default();
            let undone = scope.unwinding.is_some();
            if (scope.closed && times + u32::from(undone) == 0) || times > 1 || (!scope.closed && times > 0) {
                return wrong(format!("{id} is kept {times} times, closed {}, undone {undone}", scope.closed));
            }
            if !scope.closed && !undone {
                self.goes_on(id, scope)?;
            }
        }
        match kept.keys().find(|id| !it.scopes.contains_key(id)) {
            Some(id) => wrong(format!("what was done in {id} is forgotten")),
            None => Ok(()),
        }
    }

    /// An open scope has a host, and something in it that moves.
    fn goes_on(&self, id: ScopeId, scope: &machine::Scope) -> Result<(), Wrong> {
        let it = &self.it;
        let host = scope.within.as_ref().and_then(|within| it.tokens.get(&within.host));
        if !host.is_some_and(|host| matches!(host.at, At::Inside)) {
            return Err(("whole scopes", format!("{id} runs, but its container is left: {host:?}")));
        }
        let open = it.scopes.values().filter(|one| {
            !one.closed && one.within.as_ref().is_some_and(|within| within.scope == id && within.item.is_some())
        });
        let open = open.count();
        if let Some(progress) = &scope.progress
            && (progress.open != open || (open == 0 && !it.suspended))
        {
            return Err(("whole scopes", format!("{id}: {open} items are under way of {progress:?}")));
        }
        let inside = it.tokens.values().any(|token| it.is_within(token.scope, id));
        let halted = it.halted.iter().any(|arrival| it.is_within(arrival.scope, id));
        if !inside && !halted && scope.progress.is_none() && !it.suspended {
            return Err(("whole scopes", format!("{id} is open, and nothing is in it")));
        }
        Ok(())
    }

    /// The run of a flow that a scope belongs to: locks are its own.
    fn run_of(&self, scope: ScopeId) -> ScopeId {
        let own = self.it.around(scope).find(|(_, one)| one.input.is_some() || one.within.is_none());
        own.map_or(scope, |(id, _)| id)
    }

    fn locks(&self) -> Result<(), Wrong> {
        let mut held: BTreeMap<(ScopeId, &str), TokenId> = BTreeMap::new();
        for (&id, token) in &self.it.tokens {
            let undoes = token.at.visit().is_some_and(|visit| visit.undoing.is_some());
            let Some(lock) = self.flow.nodes[token.node].lock.as_deref() else { continue };
            if undoes || matches!(token.at, At::Locked | At::Guard { .. }) {
                continue;
            }
            if let Some(other) = held.insert((self.run_of(token.scope), lock), id) {
                return Err(("locks", format!("{other} and {id} have `{lock}`: {:?}", self.it.tokens)));
            }
        }
        for scope in self.it.scopes.values().filter(|scope| scope.unwinding.is_some()) {
            let Some(within) = &scope.within else { continue };
            let Some(lock) = self.flow.nodes[within.node].lock.as_deref() else { continue };
            let holder = held.get(&(self.run_of(within.scope), lock));
            if holder.is_some_and(|holder| *holder != within.host) {
                return Err(("locks", format!("{holder:?} has `{lock}` while another is undone under it")));
            }
        }
        Ok(())
    }

    fn deadlines(&self) -> Result<(), Wrong> {
        let it = &self.it;
        for (&id, token) in &it.tokens {
            let kind = &self.flow.nodes[token.node].kind;
            let has = match (&token.at, kind) {
                (At::Inside, _) if kind.timeout_ms().is_some() => {
                    let own = it.scopes.values().find(|scope| {
                        !scope.closed && scope.within.as_ref().is_some_and(|w| w.host == id && w.item.is_none())
                    });
                    let stopped = own.is_none_or(|scope| scope.unwinding.is_some());
                    let left = matches!(kind, Kind::ForEach(each) if each.rest == Rest::Await)
                        && own.and_then(|scope| scope.progress.as_ref()).is_some_and(|progress| progress.enough);
                    stopped || left || it.tokens.values().any(|guard| guards(guard, id))
                }
                (At::Open { due_ms, .. }, _) => due_ms.is_some() || kind.timeout_ms().is_none(),
                (At::Waiting { due_ms, visit: None, .. }, Kind::Receive { timeout_ms, .. }) => {
                    due_ms.is_some() || timeout_ms.is_none()
                }
                (At::Joining { .. }, Kind::Parallel(join)) if join.timeout_ms.is_some() => self.join_has_end(token),
                _ => true,
            };
            // Who comes from a version without a limit has none.
            if !has && it.version == 1 && !self.migrated {
                return Err(("deadlines", format!("{id} has none: {token:?}")));
            }
        }
        Ok(())
    }

    /// Of the tokens that wait at a join, one has its end; but for those that wait for a round that has not begun.
    fn join_has_end(&self, token: &Token) -> bool {
        let ends = |one: &Token| matches!(one.at, At::Joining { due_ms: Some(_), .. });
        let mut beside = self.it.tokens.values().filter(|one| (one.scope, one.node) == (token.scope, token.node));
        let later = self.it.scopes.get(&token.scope).is_some_and(|scope| scope.joins.contains_key(&token.node));
        later || beside.any(ends)
    }

    fn incidents(&self) -> Result<(), Wrong> {
        if self.it.state() != State::Incident {
            return Ok(());
        }
        for token in self.it.tokens.values() {
            let At::Incident { error, .. } = &token.at else { continue };
            // What a token was moved past may never have been set.
            let not_set = self.moved && ["EXPRESSION_FAILED", "INPUT_INVALID"].contains(&error.code.as_str());
            if !CAUSES.contains(&error.code.as_str()) && !not_set {
                return Err(("incidents explained", format!("{error:?} at {token:?}")));
            }
        }
        Ok(())
    }
}

/// Whether this is the time limit of a container.
fn guards(guard: &Token, host: TokenId) -> bool {
    matches!(&guard.at, At::Guard { host: of, port: None, wait: Wait::Timer { .. } } if *of == host)
}
