//! What people and services may ask of an instance, and what comes of it.
//!
//! Not here: who may ask (`server`); what an answer to an open task comes to (`open`, `fail`).

use super::instance::{End, Error, Instance, ROOT, Scope, State, Then, TokenId};
use super::open;
use super::token::{At, Token, Wait};
use super::walk::{JOIN_STUCK, Walk};
use super::{Command, FailureClass, Refused};
use crate::flow::{Flow, Kind, NodeIx};

pub(super) fn can(flow: &Flow, it: &Instance, command: &Command) -> Result<(), Refused> {
    let incident = |token: &TokenId| matches!(it.tokens.get(token).map(|t| &t.at), Some(At::Incident { .. }));
    let can = match command {
        Command::Cancel { .. } | Command::Migrate { .. } => true,
        Command::Retry { token: Some(token), new_key } => incident(token) && can_retry(it, *token, *new_key),
        Command::Retry { token: None, new_key } => {
            it.tokens.keys().any(|token| incident(token) && can_retry(it, *token, *new_key))
        }
        Command::Compensate { .. } => it.root().unwinding.is_none(),
        Command::SkipUndo { token } => it.tokens.get(token).is_some_and(
            |token| matches!(&token.at, At::Incident { visit: Some(visit), .. } if visit.undoing.is_some() || visit.hook.is_some()),
        ),
        Command::Suspend { .. } => !it.suspended,
        Command::Resume => it.suspended,
        Command::Move { token, to } => move_to(flow, it, *token, to).is_some(),
        Command::Act { token, .. } | Command::Evaluate { token } => {
            !it.suspended && super::evaluate::resting(it, *token).is_some()
        }
        Command::Complete { token, attempt, output } => open::takes(flow, it, *token, *attempt, Some(output)),
        Command::Fail { token, attempt, .. } => open::takes(flow, it, *token, *attempt, None),
    };
    if can { Ok(()) } else { Err(Refused::NothingToDo) }
}

/// A join that can never fire has nothing to try again; an undo and a listener keep their keys.
fn can_retry(it: &Instance, token: TokenId, new_key: bool) -> bool {
    it.tokens.get(&token).is_some_and(|token| {
        let undoing = token.at.visit().is_some_and(|visit| visit.undoing.is_some() || visit.hook.is_some());
        let stuck = matches!(&token.at, At::Incident { error, .. } if error.code == JOIN_STUCK);
        // A race is entered at once.
        let raced = it.suspended && token.race.is_some();
        !(stuck || raced || undoing && new_key)
    })
}

/// Where a token may be put: any node of its graph but the start.
fn move_to(flow: &Flow, it: &Instance, token: TokenId, to: &str) -> Option<NodeIx> {
    let left = |scope: &Scope| {
        scope.within.as_ref().is_some_and(|within| within.host == token) && super::scope::has_left(flow, scope)
    };
    if it.scopes.values().any(left) {
        return None;
    }
    let token = it.tokens.get(&token)?;
    let body = flow.nodes[token.node].body;
    let to = (0..flow.nodes.len()).find(|&node| flow.nodes[node].body == body && &*flow.nodes[node].id == to)?;
    let unwinding = it.around(token.scope).any(|(_, scope)| scope.unwinding.is_some());
    let of_the_flow =
        token.at.visit().and_then(|visit| visit.hook.as_ref()).is_some_and(|hook| hook.then.is_of_the_flow());
    let stays = of_the_flow || matches!(token.at, At::Guard { .. } | At::Abandoned(_));
    (!unwinding && !stays && !matches!(flow.nodes[to].kind, Kind::Start)).then_some(to)
}

impl Walk<'_> {
    pub(super) fn commanded(&mut self, command: &Command) {
        match command {
            Command::Cancel { reason } => {
                let error = (!reason.is_empty()).then(|| asked("CANCELLED", reason.clone()));
                self.end(End { state: State::Cancelled, error });
            }
            Command::Retry { token, new_key } => {
                let stuck: Vec<TokenId> = match token {
                    Some(token) => vec![*token],
                    None => self.it.tokens.keys().copied().collect(),
                };
                for id in stuck {
                    if can_retry(&self.it, id, *new_key) {
                        self.retry(id, *new_key);
                    }
                }
            }
            Command::Compensate { reason } => {
                let message = if reason.is_empty() { "compensation was asked for".to_owned() } else { reason.clone() };
                self.it.suspended = false;
                self.unwind(ROOT, Then::End, Some(asked("COMPENSATION_REQUESTED", message)));
                // Undos that were halted go on; all else that was is stopped.
                self.resume();
            }
            Command::SkipUndo { token } => {
                let visit = self.it.tokens.get(token).and_then(|token| token.at.visit());
                if visit.is_some_and(|visit| visit.hook.is_some()) {
                    self.skip_listener(*token);
                } else {
                    self.skip_undo(*token);
                }
            }
            Command::Suspend { .. } => self.it.suspended = true,
            Command::Resume => self.resume(),
            Command::Move { token, to } => {
                if let (Some(to), Some(from)) = (move_to(self.flow, &self.it, *token, to), self.it.tokens.get(token)) {
                    let (scope, race) = (from.scope, from.race);
                    self.won(race);
                    self.stop_branch(*token);
                    self.arrive(scope, to, None);
                }
            }
            Command::Complete { token, .. } | Command::Fail { token, .. } => {
                if let Some(outcome) = open::outcome(command) {
                    self.returned(*token, &outcome);
                }
            }
            Command::Act { action, context, token } => self.act(*token, Some((action, context))),
            Command::Evaluate { token } => self.act(*token, None),
            Command::Migrate { version, .. } => {
                self.it.version = *version;
                self.look_again();
                self.evaluate_all();
            }
        }
        self.run();
    }

    fn resume(&mut self) {
        self.it.suspended = false;
        let halted = |token: &Token| matches!(token.at, At::Halted(_));
        let calls: Vec<TokenId> = self.it.tokens.iter().filter(|(_, token)| halted(token)).map(|(&id, _)| id).collect();
        for id in calls {
            let Some(token) = self.it.tokens.remove(&id) else { continue };
            let here = token.here();
            let At::Halted(visit) = token.at else { continue };
            if let Some(hook) = visit.hook {
                self.listen_in_race(here, *hook, token.race);
            } else {
                self.call(id, here, token.since_ms, visit);
            }
        }
        for arrival in std::mem::take(&mut self.it.halted) {
            self.arrive(arrival.scope, arrival.node, arrival.by);
        }
    }

    /// Operator retry: same visit, same key, one more attempt; or the node anew.
    fn retry(&mut self, id: TokenId, new_key: bool) {
        let Some(token) = self.it.tokens.get(&id) else { return };
        let At::Incident { visit, stopped, .. } = &token.at else { return };
        let (here, since_ms, race) = (token.here(), token.since_ms, token.race);
        let (visit, stopped) = (visit.clone(), stopped.clone());
        if new_key {
            self.stop_token(id);
            return self.arrive_in_race(here.scope, here.node, race);
        }
        self.it.tokens.remove(&id);
        if let Some(hook) = visit.as_ref().and_then(|visit| visit.hook.clone()) {
            return self.listen_in_race(here, *hook, race);
        }
        match (visit, stopped) {
            // Nothing was called: the wait goes on as it stood, with the end it had.
            (visit, Some(Wait::Message { message, key, due_ms })) => {
                self.stand_in_race(id, here, since_ms, At::Waiting { message, key, due_ms, visit }, race);
            }
            (_, Some(Wait::Timer { due_ms })) => self.stand_in_race(id, here, since_ms, At::Timer { due_ms }, race),
            (Some(visit), Some(Wait::Open { due_ms })) => self.stand(id, here, since_ms, At::Open { visit, due_ms }),
            (Some(mut visit), None) => {
                visit.attempt += 1;
                self.call(id, here, since_ms, visit);
            }
            (None, None | Some(Wait::Open { .. })) => self.arrive_in_race(here.scope, here.node, race),
        }
    }
}

fn asked(code: &str, message: String) -> Error {
    Error { class: FailureClass::Flow, code: code.to_owned(), message, node: None, data: None }
}
