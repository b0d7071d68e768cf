//! Boundary handlers that wait beside their node: a time, a message. And the node's own time limit, and what
//! brings a `for-each` more items.
//!
//! A handler that waits is a token ([`At::Guard`]) that names the token of its node; it goes when that goes.
//!
//! Not here: handlers of failures (`fail`).

use std::sync::Arc;

use serde_json::{Value, json};

use super::FailureClass;
use super::instance::{ScopeId, Then, TokenId};
use super::token::{At, Token, Wait};
use super::walk::{Here, Walk};
use crate::expr::ValueError;
use crate::flow::{Catch, Kind};
use crate::planted;
use crate::value::Held;

/// A handler's port (none for the node's own limit, or for more items), and what it waits for.
type Guard = (Option<Arc<str>>, Wait);

impl Walk<'_> {
    /// Puts the waiting handlers of a node beside its token.
    pub(super) fn guard(&mut self, host: TokenId, here: Here) -> Result<(), ValueError> {
        let guards = match self.guards(here) {
            Ok(guards) => guards,
            Err(error) => {
                self.stop_branch(host);
                return Err(error);
            }
        };
        for (port, wait) in guards {
            self.place(here, At::Guard { host, port, wait });
        }
        Ok(())
    }

    fn guards(&self, here: Here) -> Result<Vec<Guard>, ValueError> {
        let node = &self.flow.nodes[here.node];
        let after = |ms: u64| Wait::Timer { due_ms: self.it.now_ms.saturating_add(ms) };
        let mut guards: Vec<Guard> = Vec::new();
        if let (Some(_), Some(timeout_ms)) = (node.kind.body(), node.kind.timeout_ms())
            && !planted::on("step-deadline-lost")
        {
            guards.push((None, after(timeout_ms)));
        }
        if let Kind::ForEach(each) = &node.kind
            && let Some(more) = &each.more
        {
            let key = self.key_text(here.scope, &more.key)?;
            guards.push((None, Wait::Message { message: more.message.clone(), key, due_ms: None }));
        }
        for handler in &node.on {
            let wait = match &handler.catches {
                Catch::Error { .. } | Catch::Timeout => continue,
                Catch::After { ms } => after(*ms),
                Catch::Message { message, key } => {
                    let key = self.key_text(here.scope, key)?;
                    Wait::Message { message: message.clone(), key, due_ms: None }
                }
            };
            guards.push((Some(handler.port.clone()), wait));
        }
        Ok(guards)
    }

    /// Guards whose node has been left.
    pub(super) fn drop_guards(&mut self) {
        if planted::on("handler-outlives-its-node") {
            return;
        }
        let gone = |token: &Token| match &token.at {
            At::Guard { host, .. } => {
                let decides = matches!(self.flow.nodes[token.node].kind, Kind::Evaluate(_));
                let stands = self.it.tokens.get(host).is_some_and(|host| match host.at {
                    At::Abandoned(_) => false,
                    At::Resting => true,
                    // A machine that does not rest waits for nothing.
                    _ => !decides,
                });
                !stands
            }
            _ => false,
        };
        let gone: Vec<TokenId> = self.it.tokens.iter().filter(|(_, token)| gone(token)).map(|(&id, _)| id).collect();
        for id in gone {
            self.it.tokens.remove(&id);
        }
    }

    /// What a handler waited for has come. `payload` is a message's.
    pub(super) fn guard_fired(&mut self, id: TokenId, payload: Option<&Arc<Value>>) {
        let Some(token) = self.it.tokens.remove(&id) else { return };
        let At::Guard { host, port, .. } = &token.at else { return };
        let (here, host) = (token.here(), *host);
        if let (Kind::Evaluate(_), Some(action)) = (&self.flow.nodes[here.node].kind, port) {
            return self.woken(host, here, &action.clone(), payload);
        }
        if let (None, Some(payload)) = (port, payload) {
            // The next message finds it again.
            self.stand(id, here, token.since_ms, token.at);
            return self.one_more(host, here, payload);
        }
        let Some(port) = port.clone() else { return self.host_timed_out(host, here) };
        let handler = self.flow.nodes[here.node].on.iter().find(|handler| handler.port == port);
        let interrupting = handler.is_none_or(|handler| handler.interrupting);
        if let Some(payload) = payload {
            let held =
                if interrupting { self.from_event(payload) } else { Held::computed(json!({ "message": payload })) };
            self.keep_output(here, held);
        }
        if !interrupting {
            if payload.is_some() {
                // The next message finds it again; a time comes once.
                self.stand(id, here, token.since_ms, token.at);
            }
            return self.leave(here, &port);
        }
        if let Some(scope) = self.scope_of(host) {
            return self.unwind(scope, Then::Leave(port), None);
        }
        let race = self.it.tokens.get(&host).and_then(|host| host.race);
        self.stop_token(host);
        self.won(race);
        self.leave(here, &port);
    }

    /// A container that is a step has used up what every step has.
    pub(super) fn step_timed_out(&mut self, host: TokenId) {
        let Some(token) = self.it.tokens.get_mut(&host) else { return };
        token.until_ms = None;
        let here = token.here();
        self.host_timed_out(host, here);
    }

    fn host_timed_out(&mut self, host: TokenId, here: Here) {
        let text = format!("`{}` took longer than it may", self.flow.nodes[here.node].id);
        let error = self.error(FailureClass::TimedOut, "TIMEOUT", text, here.node);
        self.host_failed(host, here, error);
    }

    /// A container as a whole has failed.
    fn host_failed(&mut self, host: TokenId, here: Here, error: super::Error) {
        match (self.scope_of(host), self.handler(here.node, &error)) {
            (Some(scope), _) if self.hears_failure(scope) => self.unwind(scope, Then::Fail, Some(error)),
            (Some(scope), Some(port)) => self.unwind(scope, Then::Leave(port), Some(error)),
            _ => self.fail(here.scope, error),
        }
    }

    /// The scope that this token's container runs.
    pub(super) fn scope_of(&self, host: TokenId) -> Option<ScopeId> {
        let own = |scope: &super::Scope| scope.within.as_ref().is_some_and(|w| w.host == host && w.item.is_none());
        self.it.scopes.iter().find(|(_, scope)| !scope.closed && own(scope)).map(|(&id, _)| id)
    }

    /// Takes a branch away: the token, and all that runs inside of it.
    pub(super) fn stop_branch(&mut self, id: TokenId) {
        let inside = self.scope_of(id);
        if let Some(container) = inside.filter(|&scope| self.has_left(scope)) {
            // What has completed in it was given on; the rest is not wanted any more.
            return self.stop_rest(container);
        }
        self.stop_token(id);
        if let Some(scope) = inside {
            self.unwind(scope, Then::Gone, None);
        }
    }
}
