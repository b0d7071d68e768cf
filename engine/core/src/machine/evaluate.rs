//! How a machine goes from state to state: which action is run next, and what follows from what it gave.
//!
//! A token stands on the deciding node. It is evaluated ([`At::Evaluating`], until the event says which revision of the
//! actions counts), goes to the chosen action and comes back with what that gave; where nothing is left to be run it
//! rests ([`At::Resting`]), with what it waits for beside it as guards, until a message, a time or a command comes.
//!
//! While an action is under way that waits itself (a call, a person's task), the machine attends: a token rests beside
//! it, and what is asked for then is run beside. If that leads to another state, the action under way is stopped, and
//! what it did is undone.
//!
//! Invariants:
//! - An action runs at most once in a state by itself; what makes it run again is a message, a command, or the state
//!   being left and entered again.
//! - Between two rests at most [`ROUNDS_MAX`] evaluations take place; then it is an incident.
//!
//! Not here: which revision is the newest (`runtime` asks the journal).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Effect;
use super::context::{in_scope, machine_of};
use super::instance::{Instance, ROOT, ScopeId, TokenId};
use super::token::{At, Token, Wait};
use super::walk::{Here, Walk};
use crate::expr::{Root, ValueError};
use crate::flow::evaluate::{Action, By, Machine};
use crate::flow::{EdgeIx, Flow, Kind, TIMEOUT};
use crate::value::Held;

/// Evaluations between two rests, then an incident: the machine goes round in a circle.
pub const ROUNDS_MAX: u32 = 1_000;
/// The code of that incident.
pub const MACHINE_LOOP: &str = "MACHINE_LOOP";

/// How a machine stands, in the scope that runs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub state: Arc<str>,
    /// When the state was entered.
    pub since_ms: u64,
    /// The revision of the actions that the last evaluation took.
    pub revision: u32,
    /// It was evaluated at least once: from then on a frozen one keeps its revision.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub evaluated: bool,
    /// Actions that were run since the state was entered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ran: Vec<Arc<str>>,
    /// Evaluations since it last rested.
    #[serde(default)]
    pub rounds: u32,
    /// The action that is to be run, or is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<Wish>,
    /// An action that is back, and the edge it came by, until what follows is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<(Arc<str>, Arc<str>)>,
    /// The action that is under way and waits, while the machine attends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Arc<str>>,
    /// What is run beside that, and the state it was begun in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<(Arc<str>, Arc<str>)>,
    /// What the message or command brought that woke it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Held>,
}

/// An action that something from outside asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    pub action: Arc<str>,
    /// It and no other.
    pub only: bool,
}

/// What an evaluation thought of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It is run.
    Chosen,
    /// Its guard would hold, but another comes first.
    Later,
    /// It is not of this state.
    OtherState,
    /// It was run since the state was entered.
    Ran,
    /// It is being run.
    UnderWay,
    GuardFalse,
    /// Another one was asked for, and only that.
    NotAsked,
    /// It waits for a message, a time or somebody's word.
    Waits,
    /// It is not plugged in at this revision, or not any more.
    NotPlugged,
}

/// What an evaluation looks at, in the order it does.
///
/// # Errors
///
/// A guard has no value.
pub fn weigh(flow: &Flow, it: &Instance, scope: ScopeId, revision: u32) -> Result<Vec<(Arc<str>, Why)>, ValueError> {
    let Some((machine, standing)) = machine_of(flow, it, scope) else { return Ok(Vec::new()) };
    let mut chosen = false;
    let mut all = Vec::with_capacity(machine.actions.len());
    // What was asked for comes before all others.
    let under_way = |name: &Arc<str>| {
        standing.running.as_ref() == Some(name) || standing.beside.iter().any(|(beside, _)| beside == name)
    };
    let asked = |action: &&Action| standing.wish.as_ref().is_some_and(|wish| wish.action == action.name);
    let only = standing.running.is_some() || standing.wish.as_ref().is_some_and(|wish| wish.only);
    let first = machine.actions.iter().filter(asked);
    for action in first.chain(machine.actions.iter().filter(|action| !asked(action))) {
        let by_itself = matches!(action.by, By::Itself);
        let why = if !action.counts(revision) {
            Why::NotPlugged
        } else if !action.states.contains(&standing.state) {
            Why::OtherState
        } else if under_way(&action.name) {
            Why::UnderWay
        } else if asked(&action) {
            Why::Chosen
        } else if only {
            Why::NotAsked
        } else if !by_itself {
            Why::Waits
        } else if standing.ran.contains(&action.name) {
            Why::Ran
        } else {
            Why::Chosen
        };
        let holds = why != Why::Chosen
            || action.guard.as_ref().map_or(Ok(true), |guard| in_scope(flow, it, scope, |scope| guard.holds(scope)))?;
        let why = match why {
            Why::Chosen if !holds => Why::GuardFalse,
            Why::Chosen if chosen => Why::Later,
            other => other,
        };
        chosen |= why == Why::Chosen;
        all.push((action.name.clone(), why));
    }
    Ok(all)
}

/// Whether what an action does waits for somebody outside, or may.
fn waits(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Call(_)
            | Kind::ForEach(_)
            | Kind::UserTask(_)
            | Kind::ExternalTask(_)
            | Kind::Receive { .. }
            | Kind::Timer(_)
    )
}

/// Why somebody's word would not make this action run just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CannotAct {
    /// It is no machine, or has no action of this name.
    Unknown,
    /// Something is under way: ask again when it rests.
    Busy,
    /// It is of other states than the one it is in.
    OtherState(Arc<str>),
    GuardFalse,
    /// The guard has no value.
    Guard(String),
}

/// Whether a command for this action would be taken by an instance that stands like this, with what the caller
/// brings. `revision` is the newest one.
///
/// # Errors
///
/// What stands in the way.
pub fn can_act(flow: &Flow, it: &Instance, action: &str, context: &Value, revision: u32) -> Result<(), CannotAct> {
    let machine = flow.machine().ok_or(CannotAct::Unknown)?;
    let found = machine.action(action).filter(|one| one.counts(revision)).ok_or(CannotAct::Unknown)?;
    let rests = resting(it, None).ok_or(CannotAct::Busy)?;
    let mut it = it.clone();
    let Some(standing) = it.scopes.get_mut(&rests.1).and_then(|scope| scope.machine.as_mut()) else {
        return Err(CannotAct::Busy);
    };
    if !found.states.contains(&standing.state) {
        return Err(CannotAct::OtherState(standing.state.clone()));
    }
    standing.wish = Some(Wish { action: found.name.clone(), only: true });
    standing.context = Some(Held::computed(context.clone()));
    let under_way = standing.running.as_ref() == Some(&found.name);
    if under_way || standing.beside.iter().any(|(name, _)| *name == found.name) {
        return Err(CannotAct::Busy);
    }
    match weigh(flow, &it, rests.1, revision) {
        Ok(all) if all.iter().any(|(_, why)| *why == Why::Chosen) => Ok(()),
        Ok(_) => Err(CannotAct::GuardFalse),
        Err(error) => Err(CannotAct::Guard(error.message)),
    }
}

/// The token that rests: this one, or that of the machine the instance itself is; and its scope.
pub(super) fn resting(it: &Instance, token: Option<TokenId>) -> Option<(TokenId, ScopeId)> {
    let rests = |token: &Token| matches!(token.at, At::Resting);
    if let Some(id) = token {
        return it.tokens.get(&id).filter(|token| rests(token)).map(|token| (id, token.scope));
    }
    let own = |(_, token): &(&TokenId, &Token)| rests(token) && token.scope == ROOT;
    it.tokens.iter().find(own).map(|(&id, token)| (id, token.scope))
}

/// The effects that ask for the revision of machines which are about to be evaluated.
pub(super) fn asked_again(flow: &Flow, it: &Instance) -> Vec<Effect> {
    let waiting = it.tokens.iter().filter(|(_, token)| matches!(token.at, At::Evaluating));
    waiting.map(|(&token, one)| Effect::Evaluate { token, keep: kept(flow, it, one.scope) }).collect()
}

/// The revision that an evaluation must take; `None`: the newest.
fn kept(flow: &Flow, it: &Instance, scope: ScopeId) -> Option<u32> {
    let (machine, standing) = machine_of(flow, it, scope)?;
    if scope != ROOT {
        return Some(machine.revision);
    }
    (machine.frozen && standing.evaluated).then_some(standing.revision)
}

/// What expressions see as `machine`.
pub(super) fn facts(machine: &Machine, standing: &Standing) -> Value {
    let order = machine.state(&standing.state).and_then(|state| state.order);
    json!({
        "state": &*standing.state, "order": order, "since": standing.since_ms, "revision": standing.revision,
        "action": standing.wish.as_ref().map(|wish| &*wish.action),
        "context": standing.context.as_ref().map(|held| &*held.value),
    })
}

impl Walk<'_> {
    /// A token has come to the deciding node: from the start, from an action, or put there by a person.
    pub(super) fn enter_evaluate(
        &mut self,
        here: Here,
        machine: &Machine,
        by: Option<EdgeIx>,
    ) -> Result<(), ValueError> {
        let flow = self.flow;
        if self.standing(here.scope).is_none() {
            let code = self.template(here.scope, &machine.initial)?;
            let Some(state) = code.as_str().and_then(|code| machine.state(code)).map(|state| state.code.clone()) else {
                self.incident(here, "STATE_UNKNOWN", format!("an instance cannot begin in {code}: it is no state"));
                return Ok(());
            };
            self.scope_mut(here.scope).machine = Some(Box::new(Standing {
                state: state.clone(),
                since_ms: self.it.now_ms,
                revision: 0,
                evaluated: false,
                ran: Vec::new(),
                rounds: 0,
                wish: None,
                back: None,
                running: None,
                beside: Vec::new(),
                context: None,
            }));
            self.come_to(here.scope, machine, &state);
        }
        let from = by.map(|edge| &flow.edges[edge]);
        let action = from.and_then(|edge| machine.actions.iter().find(|action| action.node == edge.from));
        let beside = action.is_some_and(|action| self.is_beside(here.scope, &action.name));
        if let (Some(action), Some(edge), true) = (action, from, beside) {
            return self.back_beside(here, machine, action, &edge.port);
        }
        if let (Some(standing), Some(action), Some(edge)) = (self.standing(here.scope), action, from) {
            standing.back = Some((action.name.clone(), edge.port.clone()));
        } else if let Some(standing) = self.standing(here.scope).filter(|_| by.is_none()) {
            // A person has put it here, or tries again.
            standing.rounds = 0;
        }
        let (mut only, mut exit, mut moved) = (false, false, false);
        let back = self.standing(here.scope).and_then(|standing| standing.back.clone());
        if let Some((name, port)) = back
            && let Some(action) = machine.action(&name)
        {
            (moved, exit) = self.follow(here, machine, action, &port)?;
            if let Some(standing) = self.standing(here.scope) {
                standing.back = None;
                let attended = standing.running.take().is_some();
                if !attended {
                    only = standing.wish.take().is_some_and(|wish| wish.only);
                }
            }
            // What was asked for meanwhile and is about to be looked at is looked at as if nothing were under way.
            if self.stop_attending(here) && !self.is_terminal(here.scope, machine) {
                return Ok(());
            }
        }
        if self.is_terminal(here.scope, machine) {
            self.arrive(here.scope, flow.edges[machine.over].to, Some(machine.over));
        } else if exit || (only && !moved) {
            self.rest(here, machine)?;
        } else {
            self.evaluate(here);
        }
        Ok(())
    }

    fn is_terminal(&self, scope: ScopeId, machine: &Machine) -> bool {
        let standing = self.it.scopes.get(&scope).and_then(|scope| scope.machine.as_ref());
        standing.and_then(|one| machine.state(&one.state)).is_some_and(|state| state.terminal)
    }

    fn is_beside(&self, scope: ScopeId, action: &Arc<str>) -> bool {
        let standing = self.it.scopes.get(&scope).and_then(|scope| scope.machine.as_ref());
        standing.is_some_and(|one| one.beside.iter().any(|(beside, _)| beside == action))
    }

    /// Takes away the token that rests beside an action. `true`: another one is about to be evaluated instead.
    fn stop_attending(&mut self, here: Here) -> bool {
        let attends = |token: &Token| token.scope == here.scope && matches!(token.at, At::Resting);
        self.it.tokens.retain(|_, token| !attends(token));
        self.it.tokens.values().any(|token| token.scope == here.scope && matches!(token.at, At::Evaluating))
    }

    /// An action that was run beside another is back.
    fn back_beside(
        &mut self,
        here: Here,
        machine: &Machine,
        action: &Action,
        port: &Arc<str>,
    ) -> Result<(), ValueError> {
        let now = self.standing(here.scope).map(|standing| standing.state.clone());
        let begun_in = self.standing(here.scope).and_then(|standing| {
            let place = standing.beside.iter().position(|(name, _)| *name == action.name)?;
            Some(standing.beside.remove(place).1)
        });
        // The state it was run in was left meanwhile: what it would lead to does not count any more.
        let (moved, exit) = if begun_in == now { self.follow(here, machine, action, port)? } else { (false, false) };
        let running = self.standing(here.scope).and_then(|standing| standing.running.clone());
        let node = running.and_then(|name| machine.action(&name)).map(|action| action.node);
        let stands = |token: &Token| {
            token.scope == here.scope && Some(token.node) == node && !matches!(token.at, At::Guard { .. })
        };
        let main = self.it.tokens.iter().find(|(_, token)| stands(token)).map(|(&id, _)| id);
        if main.is_some() && !moved {
            return Ok(());
        }
        if let Some(main) = main {
            self.stop_branch(main);
        }
        if let Some(standing) = self.standing(here.scope) {
            standing.running = None;
        }
        let evaluating = self.stop_attending(here);
        if self.is_terminal(here.scope, machine) {
            self.arrive(here.scope, self.flow.edges[machine.over].to, Some(machine.over));
        } else if !evaluating && exit {
            self.rest(here, machine)?;
        } else if !evaluating {
            self.evaluate(here);
        }
        Ok(())
    }

    fn standing(&mut self, scope: ScopeId) -> Option<&mut Standing> {
        self.it.scopes.get_mut(&scope)?.machine.as_deref_mut()
    }

    /// A state is entered.
    fn come_to(&mut self, scope: ScopeId, machine: &Machine, code: &Arc<str>) {
        let now_ms = self.it.now_ms;
        let Some(standing) = self.standing(scope) else { return };
        standing.state = code.clone();
        standing.since_ms = now_ms;
        standing.ran.clear();
        if scope == ROOT
            && let Some(priority) = machine.state(code).and_then(|state| state.priority)
        {
            self.it.priority = priority;
        }
    }

    /// What follows an action: whether the state is another now, and whether the machine is to rest.
    fn follow(
        &mut self,
        here: Here,
        machine: &Machine,
        action: &Action,
        port: &Arc<str>,
    ) -> Result<(bool, bool), ValueError> {
        let none = Held::computed(Value::Null);
        let outputs = self.it.scopes.get(&here.scope).map(|scope| &scope.outputs);
        let id = &self.flow.nodes[action.node].id;
        let result = outputs.and_then(|outputs| outputs.get(id)).filter(|_| **port != *TIMEOUT).unwrap_or(&none);
        let said = Value::from(&**port);
        let more = [("result", Root::Held(result)), ("port", Root::Value(&said))];
        let mut taken = None;
        for next in &action.next {
            if next.port.as_ref().is_some_and(|wanted| wanted != port) {
                continue;
            }
            let holds = next.when.as_ref();
            if holds.map_or(Ok(true), |when| self.with_names(here.scope, &more, |scope| when.holds(scope)))? {
                taken = Some(next);
                break;
            }
        }
        let to = taken.and_then(|next| next.to.clone());
        let exit = action.exit || taken.is_some_and(|next| next.exit);
        let now = self.standing(here.scope).map(|standing| standing.state.clone());
        match to {
            Some(to) if now.as_ref() != Some(&to) => {
                self.come_to(here.scope, machine, &to);
                Ok((true, exit))
            }
            _ => Ok((false, exit)),
        }
    }

    /// Asks which revision counts.
    fn evaluate(&mut self, here: Here) {
        let token = self.place(here, At::Evaluating);
        let keep = kept(self.flow, &self.it, here.scope);
        self.ask(Effect::Evaluate { token, keep });
    }

    /// The revision is known: what is run next?
    pub(super) fn evaluated(&mut self, id: TokenId, revision: u32) {
        let Some(token) = self.it.tokens.remove(&id) else { return };
        let here = token.here();
        let flow = self.flow;
        let Kind::Evaluate(machine) = &flow.nodes[here.node].kind else { return };
        let Some(standing) = self.standing(here.scope) else { return };
        standing.revision = revision;
        standing.evaluated = true;
        standing.rounds += 1;
        let rounds = standing.rounds;
        if rounds > ROUNDS_MAX {
            let text = format!("{} evaluations, and the machine has not come to rest", rounds - 1);
            self.incident(here, MACHINE_LOOP, text);
        } else if let Err(error) = self.choose_action(here, machine, revision) {
            self.incident(here, "EXPRESSION_FAILED", error.message);
        }
        self.run();
    }

    fn choose_action(&mut self, here: Here, machine: &Machine, revision: u32) -> Result<(), ValueError> {
        let flow = self.flow;
        let weighed = weigh(flow, &self.it, here.scope, revision)?;
        let chosen = weighed.into_iter().find(|(_, why)| *why == Why::Chosen);
        let attends = self.standing(here.scope).is_some_and(|standing| standing.running.is_some());
        let Some(action) = chosen.and_then(|(name, _)| machine.action(&name)) else {
            return if attends { self.attend(here, machine) } else { self.rest(here, machine) };
        };
        if let Some(standing) = self.standing(here.scope) {
            if !standing.ran.contains(&action.name) {
                standing.ran.push(action.name.clone());
            }
            // It was asked for and its guard did not hold.
            if standing.wish.as_ref().is_some_and(|wish| wish.action != action.name) {
                standing.wish = None;
            }
            if attends {
                standing.wish = None;
                standing.beside.push((action.name.clone(), standing.state.clone()));
            } else if waits(&flow.nodes[action.node].kind) {
                standing.running = Some(action.name.clone());
            }
        }
        self.arrive(here.scope, flow.edges[action.edge].to, Some(action.edge));
        if waits(&flow.nodes[action.node].kind) || attends { self.attend(here, machine) } else { Ok(()) }
    }

    /// Nothing is left to be run: waits for what the actions of the state wait for.
    fn rest(&mut self, here: Here, machine: &Machine) -> Result<(), ValueError> {
        let Some(standing) = self.standing(here.scope) else { return Ok(()) };
        standing.rounds = 0;
        standing.wish = None;
        standing.running = None;
        standing.context = None;
        self.attend(here, machine)
    }

    /// Waits for what the actions of the state wait for.
    fn attend(&mut self, here: Here, machine: &Machine) -> Result<(), ValueError> {
        let Some(standing) = self.standing(here.scope) else { return Ok(()) };
        let (state, since_ms, revision) = (standing.state.clone(), standing.since_ms, standing.revision);
        let ran = standing.ran.clone();
        let mut waits = Vec::new();
        for action in machine.actions.iter().filter(|one| one.counts(revision) && one.states.contains(&state)) {
            let wait = match &action.by {
                By::After { ms } if !ran.contains(&action.name) => Wait::Timer { due_ms: since_ms.saturating_add(*ms) },
                By::Message { message, key } => {
                    let key = self.key_text(here.scope, key)?;
                    Wait::Message { message: message.clone(), key, due_ms: None }
                }
                By::Itself | By::Asked | By::After { .. } => continue,
            };
            waits.push((action.name.clone(), wait));
        }
        let host = self.place(here, At::Resting);
        for (name, wait) in waits {
            self.place(here, At::Guard { host, port: Some(name), wait });
        }
        Ok(())
    }

    /// What one of its actions waited for has come.
    pub(super) fn woken(&mut self, host: TokenId, here: Here, action: &Arc<str>, payload: Option<&Arc<Value>>) {
        if !matches!(self.it.tokens.get(&host).map(|token| &token.at), Some(At::Resting)) {
            return;
        }
        let context = payload.map(|payload| self.from_event(payload));
        if let Some(standing) = self.standing(here.scope) {
            // A time comes once, whatever the guard says then.
            if payload.is_none() && !standing.ran.contains(action) {
                standing.ran.push(action.clone());
            }
            standing.wish = Some(Wish { action: action.clone(), only: false });
            standing.context = context;
        }
        self.it.tokens.remove(&host);
        self.evaluate(here);
    }

    /// Somebody asks for an action, or just for an evaluation.
    pub(super) fn act(&mut self, token: Option<TokenId>, wish: Option<(&str, &Arc<Value>)>) {
        let Some((host, scope)) = resting(&self.it, token) else { return };
        let Some(here) = self.it.tokens.get(&host).map(Token::here) else { return };
        let context = wish.map(|(_, context)| self.from_event(context));
        if let Some(standing) = self.standing(scope) {
            standing.wish = wish.map(|(action, _)| Wish { action: action.into(), only: true });
            standing.context = context;
        }
        self.it.tokens.remove(&host);
        self.evaluate(here);
    }

    /// After a migration: every machine that rests looks again, by the actions of the other version.
    pub(super) fn evaluate_all(&mut self) {
        let resting = |token: &Token| matches!(token.at, At::Resting);
        let all: Vec<TokenId> = self.it.tokens.iter().filter(|(_, one)| resting(one)).map(|(&id, _)| id).collect();
        for id in all {
            self.act(Some(id), None);
        }
    }
}
