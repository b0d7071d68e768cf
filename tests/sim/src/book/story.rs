//! One instance, as the journal tells it: what each event means, and what it allows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use stepwell_core::flow::{Compensation, Delivery, Flow, Kind, NodeIx, Undo};
use stepwell_core::machine::{
    self, At, Call, Command, Event, Instance, Op, Outcome, ScopeId, Snapshot, State, TokenId,
};
use stepwell_runtime::journal::{Append, Inbound, InboxItem};

use super::{Place, Wrong, mix};
use crate::store::Store;

/// One instance, as the journal tells it.
pub struct Story {
    pub flow: Arc<Flow>,
    pub it: Instance,
    pub(super) epoch: u64,
    /// What a committed state allows to be called, and under which key.
    pub(super) licences: BTreeMap<(TokenId, u32, u8), (String, Arc<str>)>,
    pub(super) keys: BTreeMap<Place, String>,
    /// Of every key that could be called.
    pub(super) scope_of: BTreeMap<String, ScopeId>,
    /// What each scope is within.
    pub(super) outer: BTreeMap<ScopeId, ScopeId>,
    /// Tasks that were put out: token, visit, key.
    pub(super) tasks: Vec<(TokenId, u32, String)>,
    answered: BTreeSet<(TokenId, u32)>,
    /// A person put a token elsewhere.
    pub(super) moved: bool,
    pub(super) migrated: bool,
    /// Forward keys of steps that can be undone and whose call was made.
    pub undoable: BTreeSet<String>,
    called: BTreeMap<String, u32>,
    retries: u32,
    /// By forward key: tries after the first, since the last wait or request to try again.
    tries: BTreeMap<String, u32>,
    /// The scope of a step whose scope is undone in reverse order, and when it was known to be done.
    done_seq: BTreeMap<String, (ScopeId, u64)>,
    undo_begun: BTreeSet<String>,
    undone: BTreeSet<String>,
    skipped: BTreeSet<String>,
    pub must_be_undone: BTreeSet<String>,
    reply: Option<Arc<Value>>,
    pub(super) digest: u64,
}

/// A node's name in the other version.
pub(super) fn rename(name: &mut Arc<str>, names: &BTreeMap<String, String>) {
    if let Some(new) = names.get(&**name) {
        *name = new.as_str().into();
    }
}

impl Story {
    pub(super) fn new(flow: Arc<Flow>, id: Arc<str>, version: u32) -> Self {
        Self {
            flow,
            it: Instance::new(id, version),
            epoch: 1,
            licences: BTreeMap::new(),
            scope_of: BTreeMap::new(),
            outer: BTreeMap::new(),
            tasks: Vec::new(),
            answered: BTreeSet::new(),
            moved: false,
            migrated: false,
            keys: BTreeMap::new(),
            undoable: BTreeSet::new(),
            called: BTreeMap::new(),
            retries: 0,
            tries: BTreeMap::new(),
            done_seq: BTreeMap::new(),
            undo_begun: BTreeSet::new(),
            undone: BTreeSet::new(),
            skipped: BTreeSet::new(),
            must_be_undone: BTreeSet::new(),
            reply: None,
            digest: 0,
        }
    }

    /// One event of the journal.
    pub(super) fn take(&mut self, at_ms: u64, seq: u64, event: &Event) -> Result<(), Wrong> {
        if at_ms < self.it.now_ms {
            return Err(("time", format!("entry {seq} at {at_ms}, after {}", self.it.now_ms)));
        }
        self.before(seq, event)?;
        let earlier = self.it.clone();
        let it = std::mem::replace(&mut self.it, Instance::new(Arc::from(""), 0));
        let (it, result) = machine::step(&self.flow, it, at_ms, event);
        self.it = it;
        if let Err(refused) = result {
            return Err(("replay", format!("entry {seq} is in the journal, but the core refuses it: {refused}")));
        }
        if (self.it.seq, self.it.now_ms) != (seq, at_ms) {
            return Err(("replay", format!("entry {seq} at {at_ms} gives {} at {}", self.it.seq, self.it.now_ms)));
        }
        let text = format!("{at_ms}{event:?}");
        self.digest = text.bytes().fold(self.digest, |sum, byte| mix(sum, u64::from(byte)));
        self.stands_still(&earlier)?;
        self.after(&earlier);
        self.undo_begins()
    }

    /// What is known of tasks and scopes, and what must be undone by now.
    fn after(&mut self, earlier: &Instance) {
        for (&id, scope) in &self.it.scopes {
            if let Some(within) = &scope.within {
                self.outer.insert(id, within.scope);
            }
        }
        for (&token, one) in &self.it.tokens {
            if let At::Open { visit, .. } = &one.at
                && !self.tasks.iter().any(|(known, ..)| *known == token)
            {
                self.tasks.push((token, one.visit, visit.key.clone()));
            }
        }
        let unwound = |(id, scope): &(&ScopeId, &machine::Scope)| match self.it.scopes.get(id) {
            // A scope that is gone had nothing left that could be undone.
            None => true,
            Some(now) => scope.unwinding.is_some() && now.unwinding.is_none(),
        };
        let state = self.it.state();
        // An instance that fails at once is not seen to unwind.
        let whole = matches!(state, State::Compensated | State::Failed);
        let over: Vec<ScopeId> = if state == State::Cancelled || (state == State::Completed) {
            Vec::new()
        } else {
            earlier.scopes.iter().filter(unwound).map(|(&id, _)| id).collect()
        };
        let within = |mut scope: ScopeId| loop {
            if over.contains(&scope) {
                return true;
            }
            match self.outer.get(&scope) {
                Some(&outer) => scope = outer,
                None => return false,
            }
        };
        let must = self.undoable.iter().filter(|key| {
            !self.skipped.contains(*key) && (whole || self.scope_of.get(*key).is_some_and(|&scope| within(scope)))
        });
        self.must_be_undone.extend(must.cloned().collect::<Vec<_>>());
    }

    /// A task's node and key.
    pub(super) fn task(&self, token: TokenId) -> Option<(NodeIx, String)> {
        let one = self.it.tokens.get(&token)?;
        Some((one.node, one.at.visit()?.key.clone()))
    }

    pub(super) fn migrate(&mut self, other: Arc<Flow>, names: &BTreeMap<String, String>) -> Result<(), Wrong> {
        self.it = machine::migrate(&self.flow, &other, &self.it, names)
            .map_err(|unfit| ("replay", format!("migrated, but it does not fit: {unfit:?}")))?;
        self.flow = other;
        self.migrated = true;
        self.keys = std::mem::take(&mut self.keys)
            .into_iter()
            .map(|(mut place, key)| {
                rename(&mut place.1, names);
                (place, key)
            })
            .collect();
        self.licences.values_mut().for_each(|(_, name)| rename(name, names));
        Ok(())
    }

    /// What an event means for steps that are done or undone.
    fn before(&mut self, seq: u64, event: &Event) -> Result<(), Wrong> {
        match event {
            Event::NodeReturned { token, outcome, .. } => {
                let one = self.it.tokens.get(token);
                let Some((scope, visit)) = one.and_then(|one| Some((one.scope, one.at.visit()?))) else {
                    return Ok(());
                };
                let done = matches!(outcome, Outcome::Done { .. });
                match &visit.undoing {
                    None if done && self.in_reverse(*token) => {
                        self.done_seq.insert(visit.key.clone(), (scope, seq));
                    }
                    Some(of) if (done || *outcome == Outcome::NeverRan) && !self.undone.insert(of.key.clone()) => {
                        return Err(("undo once", format!("{} is undone again", of.key)));
                    }
                    _ => {}
                }
            }
            Event::Commanded { command: Command::Complete { token, attempt, .. }, .. }
            | Event::Commanded { command: Command::Fail { token, attempt, .. }, .. } => {
                let task = self.it.tokens.get(token).map(|token| &token.at);
                let names_it = matches!(task, Some(At::Open { visit, .. }) if visit.attempt == *attempt);
                if !names_it || !self.answered.insert((*token, *attempt)) {
                    return Err(("answered once", format!("an answer to {token}.{attempt} is taken by {task:?}")));
                }
                if let (Event::Commanded { command: Command::Complete { .. }, .. }, Some((_, key))) =
                    (event, self.task(*token))
                    && self.in_reverse(*token)
                {
                    let scope = self.it.tokens[token].scope;
                    self.done_seq.insert(key, (scope, seq));
                }
            }
            Event::Commanded { command: Command::Move { .. }, .. } => {
                self.moved = true;
                self.tries.clear();
            }
            Event::Commanded { command: Command::SkipUndo { token }, .. } => {
                let visit = self.it.tokens.get(token).and_then(|token| token.at.visit());
                self.skipped.extend(visit.and_then(|visit| visit.undoing.as_ref()).map(|of| of.key.clone()));
            }
            Event::Commanded { command: Command::Retry { .. }, .. } => {
                self.retries += 1;
                self.tries.clear();
            }
            Event::MessageArrived { .. } => self.tries.clear(),
            Event::TimerFired { token, .. } => return self.tried_again(*token),
            _ => {}
        }
        Ok(())
    }

    /// Whether the steps beside this one are undone one by one.
    fn in_reverse(&self, token: TokenId) -> bool {
        let node = self.it.tokens.get(&token).map(|token| &self.flow.nodes[token.node]);
        node.is_some_and(|node| self.flow.bodies[node.body].compensation == Compensation::Reverse)
    }

    fn tried_again(&mut self, token: TokenId) -> Result<(), Wrong> {
        let Some(one) = self.it.tokens.get(&token) else { return Ok(()) };
        let At::Retrying { visit, .. } = &one.at else {
            self.tries.clear();
            return Ok(());
        };
        let most = match &self.flow.nodes[one.node].kind {
            _ if visit.undoing.is_some() => machine::UNDO_ATTEMPTS,
            _ if visit.hook.is_some() => 1,
            Kind::Task(task) => task.retry.attempts,
            Kind::ExternalTask(task) => task.retry.attempts,
            _ => return Ok(()),
        };
        let tries = self.tries.entry(visit.key.clone()).or_insert(1);
        *tries += 1;
        if *tries > most {
            return Err(("attempts", format!("{} is tried for the {tries}th time of {most}", visit.key)));
        }
        Ok(())
    }

    fn undo_begins(&mut self) -> Result<(), Wrong> {
        let undoing = self.it.tokens.values().filter_map(|token| token.at.visit()?.undoing.as_ref());
        let new = undoing.filter(|of| !self.undo_begun.contains(&of.key)).map(|of| (of.node, of.key.clone()));
        for (node, key) in new.collect::<Vec<_>>() {
            // A task that was withdrawn before anybody saw it is undone as well: its undo must bear that.
            let open = matches!(self.flow.nodes[node].kind, Kind::ExternalTask(_));
            if !open && !self.licences.values().any(|(licensed, _)| *licensed == key) {
                return Err(("undo of what may be", format!("{key} could never have been called")));
            }
            self.undo_begun.insert(key.clone());
            let Some((scope, mine)) = self.done_seq.get(&key) else { continue };
            let later = self.done_seq.iter().find(|(other, (within, seq))| {
                within == scope && seq > mine && self.undoable.contains(*other) && !self.undo_begun.contains(*other)
            });
            if let Some((later, _)) = later {
                return Err(("reverse order", format!("{key} is undone before {later}")));
            }
        }
        Ok(())
    }

    pub(super) fn used(
        &self,
        item: &InboxItem,
        append: &Append,
        states: &[(Arc<Flow>, Instance)],
        flows: &BTreeMap<(Arc<str>, u32), Arc<Flow>>,
    ) -> Result<(), Wrong> {
        let there = append.entries.iter().any(|entry| match (&item.what, &entry.event) {
            (Inbound::Command { command: Command::Migrate { version, .. }, .. }, Event::Commanded { command, .. }) => {
                matches!(command, Command::Migrate { version: taken, .. } if taken == version)
            }
            (Inbound::Command { command, .. }, Event::Commanded { command: taken, .. }) => command == taken,
            (Inbound::Message { id, .. }, Event::MessageArrived { id: taken, .. }) => id == taken,
            _ => false,
        });
        let fits_nothing = || match &item.what {
            Inbound::Message { .. } => false,
            Inbound::Command { command: Command::Migrate { version, nodes, .. }, .. } => {
                let other = flows.get(&(self.flow.key.as_str().into(), *version));
                let fits = |(flow, it): &(Arc<Flow>, Instance)| {
                    other.is_some_and(|other| it.end.is_none() && machine::migrate(flow, other, it, nodes).is_ok())
                };
                !states.iter().all(fits)
            }
            Inbound::Command { command, by } => states.iter().any(|(flow, it)| {
                let event = Event::Commanded { command: command.clone(), by: by.clone() };
                machine::step(flow, it.clone(), it.now_ms, &event).1.is_err()
            }),
        };
        if there || fits_nothing() {
            return Ok(());
        }
        Err(("used up means used", format!("{:?} is gone, and not in the journal", item.what)))
    }

    /// The stored rows against the instance as the journal gives it.
    pub(super) fn compare(&mut self, store: &Store, append: &Append) -> Result<(), Wrong> {
        let (it, header) = (&self.it, &append.header);
        let wanted: Vec<_> = it.subscriptions().into_iter().map(|one| (one.message, one.key)).collect();
        let state_fits =
            header.state == it.state() && header.due_ms == it.due_ms() && header.error.as_ref() == it.error();
        if !state_fits || (wanted != append.subscriptions && !append.header.state.ended()) {
            return Err(("header", format!("{header:?} {:?} of {:?} {wanted:?}", append.subscriptions, it.state())));
        }
        let open = it.open_tasks(&self.flow);
        let kept: Vec<_> = store.tasks.range((it.id.clone(), 0)..=(it.id.clone(), TokenId::MAX)).collect();
        if !open.iter().eq(kept.iter().map(|(_, kept)| &kept.task)) {
            return Err(("open tasks", format!("kept {kept:?}, open {open:?}")));
        }
        let reply = it.reply.as_ref().map(|reply| reply.value.clone());
        if header.reply != reply || (self.reply.is_some() && self.reply != reply) {
            return Err(("reply stays", format!("promised {:?}, then {:?}", self.reply, header.reply)));
        }
        self.reply = reply;
        let Some(text) = &append.snapshot else {
            return if it.end.is_some() {
                Ok(())
            } else {
                Err(("replay", "a live instance has no snapshot".to_owned()))
            };
        };
        let ours = machine::snapshot(&self.flow, it).map_err(|error| ("replay", error.to_string()))?;
        if ours != *text {
            return Err(("replay", format!("stored {text}\nreplayed {ours}")));
        }
        let mut parsed = Snapshot::parse(text).map_err(|error| ("replay", error.to_string()))?;
        let entries = store.entries(&append.instance, &parsed.rows());
        let read =
            parsed.hydrate(&self.flow, it.id.clone(), &entries).map_err(|error| ("replay", error.to_string()))?;
        if read == *it { Ok(()) } else { Err(("replay", format!("read back {read:?}\nreplayed {it:?}"))) }
    }

    pub(super) fn called(&mut self, call: &Call, stale: bool) -> Result<(), Wrong> {
        let licence = (call.token, call.attempt, call.op as u8);
        let node = match self.licences.get(&licence) {
            Some((key, name)) if *key == call.key => self.flow.named(name),
            Some((key, _)) => {
                return Err(("one key per visit", format!("licensed under {key}, called under {}", call.key)));
            }
            None => return Err(("licence", "no commit allows it".to_owned())),
        };
        if let Some(forward) = &call.forward_key {
            if self.undone.contains(forward) && !stale {
                return Err(("undo once", format!("{forward} is called again to be undone")));
            }
            return Ok(());
        }
        if call.op == Op::Listen {
            return Ok(()); // Beside the way of the flow, and never undone.
        }
        let calls = self.called.entry(call.key.clone()).or_default();
        if call.op == Op::Run {
            *calls += 1;
        }
        if let Some(Kind::Task(task)) = node.map(|node| &self.flow.nodes[node].kind) {
            if !matches!(task.undo, Undo::No) {
                self.undoable.insert(call.key.clone());
            }
            if task.delivery == Delivery::AtMostOnce && task.retry.attempts == 1 && *calls > 1 + self.retries {
                return Err(("at most once", format!("called {calls} times, {} retries asked for", self.retries)));
            }
        }
        Ok(())
    }
}
