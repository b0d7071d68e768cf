//! The book of what may be: it follows every commit and every call with the core's own step, and says what is wrong.
//!
//! [`INVARIANTS`] is the list. The first that is violated ends the run.
//!
//! Not here: what is looked at once everything is quiet (`last`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use stepwell_core::catalog::EffectClass;
use stepwell_core::flow::{Delivery, Flow, Kind, NodeIx, Undo};
use stepwell_core::machine::{
    self, At, Call, Command, Event, Instance, Op, Outcome, ScopeId, Snapshot, State, TokenId,
};
use stepwell_runtime::journal::{Append, Inbound, InboxItem};

use crate::store::Store;

/// What must hold, and when it is looked at.
pub const INVARIANTS: [(&str, &str); 21] = [
    ("licence", "an external call is made only after a commit in which its token stands in that very call"),
    ("lease", "an engine that was not heard of for its lease begins no external call"),
    ("one key per visit", "a visit has one key for ever, and a key one visit"),
    ("one effect per visit", "no visit has an effect under two keys, nor two effects"),
    ("at most once", "a task that may not be repeated is called once, and once more for each retry that was asked for"),
    ("attempts", "a visit is tried as often as its task says, and not again before a person asks for it"),
    ("time", "an instance's time never goes back"),
    ("acknowledged starts", "a start that was acknowledged is in the store, one instance for each Idempotency-Key"),
    ("acknowledged answers", "whatever a caller is told is in the store at that moment"),
    ("used up means used", "an inbox item that a commit uses up is in its entries, or fits nothing"),
    ("one taker", "a message is taken by at most one instance, once"),
    ("no wake-up lost", "once all is well, whatever is ready, due or has something in its inbox is driven"),
    (
        "an end is reached",
        "once all is well, an instance has ended, is an incident, or waits for something that exists",
    ),
    ("undo of what may be", "only a step whose forward call a commit had allowed is undone"),
    ("undo once", "a step is undone under one key, and not again once it is known to be undone"),
    ("reverse order", "of the steps known to be done, the last one is undone first"),
    ("nothing left done", "after a compensation the shop has no effect left of any step that can be undone"),
    ("fencing", "no write under an old epoch stands"),
    ("replay", "the journal gives the stored snapshot, and the snapshot with its rows gives the instance"),
    ("header", "state, due time, subscriptions and error of the row are those of the instance"),
    ("reply stays", "the first reply is kept as it was promised"),
];

#[derive(Debug, Clone)]
pub struct Violation {
    pub invariant: &'static str,
    pub why: String,
}

/// One instance, as the journal tells it.
pub struct Story {
    pub flow: Arc<Flow>,
    pub it: Instance,
    epoch: u64,
    /// What a committed state allows to be called, and under which key.
    licences: BTreeMap<(TokenId, u32, u8), (String, NodeIx)>,
    /// By scope, node, visit, and whether it is the undo.
    keys: BTreeMap<Place, String>,
    /// Forward keys of steps that can be undone and whose call was made.
    pub undoable: BTreeSet<String>,
    called: BTreeMap<String, u32>,
    retries: u32,
    /// By forward key: tries after the first, since the last wait or request to try again.
    tries: BTreeMap<String, u32>,
    /// The scope of a step, and when it was known to be done.
    done_seq: BTreeMap<String, (ScopeId, u64)>,
    undo_begun: BTreeSet<String>,
    undone: BTreeSet<String>,
    skipped: BTreeSet<String>,
    pub must_be_undone: BTreeSet<String>,
    reply: Option<Arc<Value>>,
    digest: u64,
}

type Place = (ScopeId, NodeIx, u32, bool);
/// Whose a key is: instance, token, and place.
type Owner = (Arc<str>, TokenId, Place);

#[derive(Default)]
pub struct Book {
    pub flows: BTreeMap<(Arc<str>, u32), Arc<Flow>>,
    pub stories: BTreeMap<Arc<str>, Story>,
    taken: BTreeMap<String, Arc<str>>,
    by_key: BTreeMap<String, Owner>,
    pub violation: Option<Violation>,
}

impl Book {
    pub fn fails(&mut self, invariant: &'static str, why: impl Into<String>) {
        debug_assert!(INVARIANTS.iter().any(|(name, _)| *name == invariant), "{invariant}");
        if self.violation.is_none() {
            self.violation = Some(Violation { invariant, why: why.into() });
        }
    }

    /// Before a commit: what it is about to use up.
    pub fn opens(&self, store: &Store, append: &Append) -> Vec<InboxItem> {
        if append.taken.is_empty() {
            return Vec::new();
        }
        let mut items = store.waiting(&append.instance, 0);
        items.retain(|item| append.taken.contains(&item.id));
        items
    }

    /// After a commit that stands.
    pub fn committed(&mut self, store: &Store, append: &Append, used: &[InboxItem]) {
        let id = &append.instance;
        let mut it = match (self.stories.remove(id), &append.admission) {
            (Some(known), None) => known,
            (_, Some(admission)) => {
                let Some(flow) = self.flows.get(&(admission.flow.clone(), admission.version)) else { return };
                Story::new(flow.clone(), id.clone(), admission.version)
            }
            (None, None) => return self.fails("fencing", format!("{id}: a commit to what was never started")),
        };
        let wrong = self.follow(&mut it, store, append, used).err();
        self.stories.insert(id.clone(), it);
        if let Some((invariant, why)) = wrong {
            self.fails(invariant, format!("{id}: {why}"));
        }
    }

    fn follow(&mut self, story: &mut Story, kept: &Store, append: &Append, used: &[InboxItem]) -> Result<(), Wrong> {
        if append.epoch < story.epoch {
            return Err(("fencing", format!("epoch {} after {}", append.epoch, story.epoch)));
        }
        story.epoch = append.epoch;
        let mut states = if used.is_empty() { Vec::new() } else { vec![story.it.clone()] };
        for entry in &append.entries {
            if let Event::MessageArrived { id, .. } = &entry.event
                && let Some(earlier) = self.taken.insert(id.clone(), append.instance.clone())
            {
                return Err(("one taker", format!("message {id} was taken by {earlier}")));
            }
            story.take(entry.at_ms, entry.seq, &entry.event)?;
            if !used.is_empty() {
                states.push(story.it.clone());
            }
        }
        for item in used {
            story.used(item, append, &states)?;
        }
        story.compare(kept, append)?;
        self.license(story, &append.instance)
    }

    /// What a committed state allows to be called.
    fn license(&mut self, story: &mut Story, id: &Arc<str>) -> Result<(), Wrong> {
        for (&token, one) in &story.it.tokens {
            let Some(visit) = one.at.visit() else { continue };
            let undoes = visit.undoing.as_ref();
            let node = undoes.map_or(one.node, |done| done.node);
            let place = (one.scope, node, undoes.map_or(one.visit, |done| done.visit), undoes.is_some());
            let key = story.keys.entry(place).or_insert_with(|| visit.key.clone());
            if *key != visit.key {
                return Err(("one key per visit", format!("{place:?} had {key}, has {}", visit.key)));
            }
            let whole = (id.clone(), token, place);
            let owner = self.by_key.entry(visit.key.clone()).or_insert_with(|| whole.clone());
            if *owner != whole {
                return Err(("one key per visit", format!("{} is of {owner:?} and of {whole:?}", visit.key)));
            }
            if matches!(one.at, At::Calling(_) | At::Abandoned(_)) {
                story.licences.insert((token, visit.attempt, visit.op as u8), (visit.key.clone(), node));
            }
        }
        Ok(())
    }

    /// A call is about to be made.
    pub fn called(&mut self, instance: &Arc<str>, call: &Call, stale: bool, now_ms: u64) {
        if call.callee.effect != EffectClass::External {
            return;
        }
        let wrong = match self.stories.get_mut(instance) {
            None => Some(("licence", "called before anything was committed".to_owned())),
            Some(story) => story.called(call, stale).err(),
        };
        if let Some((invariant, why)) = wrong {
            let (node, visit) = (&call.node, call.visit);
            self.fails(invariant, format!("{instance} at {now_ms} ms, {node} visit {visit}, {:?}: {why}", call.op));
        }
    }

    /// Of everything that was committed: two runs of one seed have the same.
    pub fn digest(&self) -> u64 {
        self.stories.values().fold(0, |sum, story| mix(sum, story.digest))
    }
}

type Wrong = (&'static str, String);

fn mix(sum: u64, more: u64) -> u64 {
    (sum ^ more).wrapping_mul(0x0100_0000_01B3).rotate_left(17)
}

impl Story {
    fn new(flow: Arc<Flow>, id: Arc<str>, version: u32) -> Self {
        Self {
            flow,
            it: Instance::new(id, version),
            epoch: 1,
            licences: BTreeMap::new(),
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
    fn take(&mut self, at_ms: u64, seq: u64, event: &Event) -> Result<(), Wrong> {
        if at_ms < self.it.now_ms {
            return Err(("time", format!("entry {seq} at {at_ms}, after {}", self.it.now_ms)));
        }
        self.before(seq, event)?;
        let unwound = self.it.root().unwinding.is_some();
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
        // An instance that fails at once is not seen to unwind.
        let failed = matches!(self.it.state(), State::Compensated | State::Failed);
        if (unwound && self.it.root().unwinding.is_none() && self.it.state() != State::Cancelled) || failed {
            self.must_be_undone.extend(self.undoable.difference(&self.skipped).cloned());
        }
        self.undo_begins()
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
                    None if done => {
                        self.done_seq.insert(visit.key.clone(), (scope, seq));
                    }
                    Some(of) if (done || *outcome == Outcome::NeverRan) && !self.undone.insert(of.key.clone()) => {
                        return Err(("undo once", format!("{} is undone again", of.key)));
                    }
                    _ => {}
                }
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

    fn tried_again(&mut self, token: TokenId) -> Result<(), Wrong> {
        let Some(one) = self.it.tokens.get(&token) else { return Ok(()) };
        let At::Retrying { visit, .. } = &one.at else {
            self.tries.clear();
            return Ok(());
        };
        let Kind::Task(task) = &self.flow.nodes[one.node].kind else { return Ok(()) };
        let most = if visit.undoing.is_some() { machine::UNDO_ATTEMPTS } else { task.retry.attempts };
        let tries = self.tries.entry(visit.key.clone()).or_insert(1);
        *tries += 1;
        if *tries > most {
            return Err(("attempts", format!("{} is tried for the {tries}th time of {most}", visit.key)));
        }
        Ok(())
    }

    fn undo_begins(&mut self) -> Result<(), Wrong> {
        let undoing = self.it.tokens.values().filter_map(|token| token.at.visit()?.undoing.as_ref());
        let new: Vec<String> =
            undoing.filter(|of| !self.undo_begun.contains(&of.key)).map(|of| of.key.clone()).collect();
        for key in new {
            if !self.licences.values().any(|(licensed, _)| *licensed == key) {
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

    fn used(&self, item: &InboxItem, append: &Append, states: &[Instance]) -> Result<(), Wrong> {
        let there = append.entries.iter().any(|entry| match (&item.what, &entry.event) {
            (Inbound::Command { command, .. }, Event::Commanded { command: taken, .. }) => command == taken,
            (Inbound::Message { id, .. }, Event::MessageArrived { id: taken, .. }) => id == taken,
            _ => false,
        });
        let fits_nothing = || match &item.what {
            Inbound::Message { .. } => false,
            Inbound::Command { command, by } => states.iter().any(|it| {
                let event = Event::Commanded { command: command.clone(), by: by.clone() };
                machine::step(&self.flow, it.clone(), it.now_ms, &event).1.is_err()
            }),
        };
        if there || fits_nothing() {
            return Ok(());
        }
        Err(("used up means used", format!("{:?} is gone, and not in the journal", item.what)))
    }

    /// The stored rows against the instance as the journal gives it.
    fn compare(&mut self, store: &Store, append: &Append) -> Result<(), Wrong> {
        let (it, header) = (&self.it, &append.header);
        let wanted: Vec<_> = it.subscriptions().into_iter().map(|one| (one.message, one.key)).collect();
        let state_fits =
            header.state == it.state() && header.due_ms == it.due_ms() && header.error.as_ref() == it.error();
        if !state_fits || (wanted != append.subscriptions && !append.header.state.ended()) {
            return Err(("header", format!("{header:?} {:?} of {:?} {wanted:?}", append.subscriptions, it.state())));
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

    fn called(&mut self, call: &Call, stale: bool) -> Result<(), Wrong> {
        let licence = (call.token, call.attempt, call.op as u8);
        let node = match self.licences.get(&licence) {
            Some((key, node)) if *key == call.key => *node,
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
        let calls = self.called.entry(call.key.clone()).or_default();
        if call.op == Op::Run {
            *calls += 1;
        }
        if let Kind::Task(task) = &self.flow.nodes[node].kind {
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
