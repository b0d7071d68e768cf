//! The book of what may be: it follows every commit and every call with the core's own step, and says what is wrong.
//!
//! [`INVARIANTS`] is the list. The first that is violated ends the run.
//!
//! Not here: what an event means for one instance (`story`), how an instance must look (`whole`), what is looked at
//! once everything is quiet (`last`).

mod story;
mod whole;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use stepwell_core::catalog::EffectClass;
use stepwell_core::flow::{Flow, Undo};
use stepwell_core::machine::{At, Call, Command, Event, ScopeId, TokenId};
use stepwell_runtime::journal::{Append, InboxItem};

use crate::store::{Store, TaskId};
pub use story::Story;

/// What must hold, and when it is looked at.
pub const INVARIANTS: [(&str, &str); 29] = [
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
    ("open tasks", "the store's open tasks are those of the instance, as of each commit"),
    ("one hand", "no worker is given a task while the lock of another holds, by the clock of the engine it asks"),
    ("answered once", "an answer is taken by the task it names, in the attempt it names, once"),
    ("suspended", "a suspended instance takes no timer and no message, and begins no call"),
    ("locks", "of the nodes with one lock, one is under way at a time, until it is over or undone"),
    ("deadlines", "whatever has a time limit has a timer for it"),
    ("whole scopes", "a scope is open with something in it, or completed, or undone; never two of them"),
    ("incidents explained", "an incident has a cause that the run can have"),
];

#[derive(Debug, Clone)]
pub struct Violation {
    pub invariant: &'static str,
    pub why: String,
}

/// Scope, name of the node, visit, and what of it: nothing, its undo, a listener.
type Place = (ScopeId, Arc<str>, u32, String);
/// Whose a key is: instance, token, and place.
type Owner = (Arc<str>, TokenId, Place);

#[derive(Default)]
pub struct Book {
    pub flows: BTreeMap<(Arc<str>, u32), Arc<Flow>>,
    pub stories: BTreeMap<Arc<str>, Story>,
    /// What nodes are called in the version after, where there is one.
    pub renamed: BTreeMap<(Arc<str>, u32), BTreeMap<String, String>>,
    taken: BTreeMap<String, Arc<str>>,
    /// Who has a task, in which attempt, and until when.
    hands: BTreeMap<(TaskId, u32), (String, u64)>,
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
        let mut states = if used.is_empty() { Vec::new() } else { vec![(story.flow.clone(), story.it.clone())] };
        for entry in &append.entries {
            if let Event::MessageArrived { id, .. } = &entry.event
                && let Some(earlier) = self.taken.insert(id.clone(), append.instance.clone())
            {
                return Err(("one taker", format!("message {id} was taken by {earlier}")));
            }
            self.migrates(story, &entry.event)?;
            story.take(entry.at_ms, entry.seq, &entry.event)?;
            if !used.is_empty() {
                states.push((story.flow.clone(), story.it.clone()));
            }
        }
        for item in used {
            story.used(item, append, &states, &self.flows)?;
        }
        story.compare(kept, append)?;
        story.is_whole()?;
        self.license(story, &append.instance)
    }

    /// The instance goes on with another version of its flow: what it did is known by other names.
    fn migrates(&mut self, story: &mut Story, event: &Event) -> Result<(), Wrong> {
        let Event::Commanded { command: Command::Migrate { version, from, nodes }, .. } = event else { return Ok(()) };
        let other = self.flows.get(&(story.flow.key.as_str().into(), *version)).cloned();
        let Some(other) = other.filter(|_| *from == Some(story.it.version)) else {
            return Err(("replay", format!("migrates from {from:?} to {version}, but is {}", story.it.version)));
        };
        let id = story.it.id.clone();
        story.migrate(other, nodes)?;
        for (owner, _, place) in self.by_key.values_mut().filter(|(owner, ..)| *owner == id) {
            debug_assert_eq!(*owner, id);
            story::rename(&mut place.1, nodes);
        }
        Ok(())
    }

    /// What a committed state allows to be called.
    fn license(&mut self, story: &mut Story, id: &Arc<str>) -> Result<(), Wrong> {
        for (&token, one) in &story.it.tokens {
            let Some(visit) = one.at.visit() else { continue };
            let undoes = visit.undoing.as_ref();
            let node = undoes.map_or(one.node, |done| done.node);
            let name = story.flow.name(node);
            let what = match (&visit.hook, undoes) {
                (Some(hook), _) => format!("{} {}", hook.then.moment(), hook.index),
                (None, Some(_)) => "undo".to_owned(),
                (None, None) => String::new(),
            };
            let place = (one.scope, name.clone(), undoes.map_or(one.visit, |done| done.visit), what);
            let key = story.keys.entry(place.clone()).or_insert_with(|| visit.key.clone());
            if *key != visit.key {
                return Err(("one key per visit", format!("{place:?} had {key}, has {}", visit.key)));
            }
            // A listener that is tried again has another token.
            let whole = (id.clone(), if visit.hook.is_some() { 0 } else { token }, place);
            let owner = self.by_key.entry(visit.key.clone()).or_insert_with(|| whole.clone());
            if *owner != whole {
                return Err(("one key per visit", format!("{} is of {owner:?} and of {whole:?}", visit.key)));
            }
            if matches!(one.at, At::Calling(_) | At::Abandoned(_) | At::Open { .. }) {
                story.scope_of.insert(visit.key.clone(), one.scope);
                story.licences.insert((token, visit.attempt, visit.op as u8), (visit.key.clone(), name));
            }
        }
        Ok(())
    }

    /// A worker was given a task, for this time.
    pub fn fetched(&mut self, id: &TaskId, attempt: u32, worker: &str, lasts_ms: Range<u64>) {
        let hand = (worker.to_owned(), lasts_ms.end);
        if let Some((other, until_ms)) = self.hands.insert((id.clone(), attempt), hand)
            && until_ms > lasts_ms.start
        {
            let now_ms = lasts_ms.start;
            self.fails("one hand", format!("{id:?} is given to {worker} at {now_ms}, but {other}'s until {until_ms}"));
        }
        let Some(story) = self.stories.get_mut(&id.0) else { return };
        let Some((node, key)) = story.task(id.1) else { return };
        // From here on it may be done.
        if !matches!(story.flow.nodes[node].kind.undo(), Undo::No) {
            story.undoable.insert(key);
        }
    }

    pub fn extended(&mut self, id: &TaskId, attempt: u32, worker: &str, until_ms: u64) {
        self.hands.insert((id.clone(), attempt), (worker.to_owned(), until_ms));
    }

    /// The key of the visit that a worker works for.
    pub fn key_of_task(&self, id: &TaskId, visit: u32) -> Option<String> {
        let story = self.stories.get(&id.0)?;
        let key = |(token, of, key): &(TokenId, u32, String)| (*token == id.1 && *of == visit).then(|| key.clone());
        story.tasks.iter().find_map(key)
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
