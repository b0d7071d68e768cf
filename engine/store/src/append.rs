//! Commits what happened to instances: guards first, then every row of them. Many at once, because
//! that is how they come, and one statement for all of them is what a server does best.
//!
//! Invariants:
//! - All refusals come before the first write, so a refused append leaves nothing to take back.
//! - The guard on (seq, epoch, owner) is in the SQL, on the read that finds the row and on the
//!   update: of two owners, one finds the row unmoved.
//! - Appends of one batch are judged as if they came one after the other: where two of them want
//!   the same, the counts of changed rows tell, and the batch is run again in parts.
//! - Rows are locked in the order meetings, instances (by id), versions, inbox, everywhere in this crate.
//!
//! Not here: which new instances are admitted (`admission`).

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwell_core::machine::State;
use stepwell_runtime::journal::{
    Admission, Append, AppendError, Appended, HELD, Header, InboxId, InboxItem, TaskMoves, Touched,
};

use crate::Store;
use crate::admission;
use crate::feed::{self, Committed, FeedItem};
use crate::inbox::{self, Awaits, Subscription};
use crate::machines;
use crate::records;
use crate::rows::{id_bytes, integer, state, state_number, text};
use crate::sql::Kind::{Bytes, Int, Text};
use crate::sql::{Each, Error, Result, Value, values};
use crate::tasks;
use crate::tx::Tx;
use crate::writer::{AppendAsk, Item};

/// An append in the form of columns, made on the caller's thread: the writer is the bottleneck.
pub(crate) struct Commit {
    pub(crate) instance: Arc<str>,
    pub(crate) id: [u8; 16],
    pub(crate) expected_seq: u64,
    pub(crate) epoch: u64,
    pub(crate) last_seq: u64,
    pub(crate) at_ms: u64,
    /// `None`: no entries, only the header and ownership change.
    pub(crate) entries: Option<String>,
    pub(crate) state: State,
    pub(crate) version: u32,
    pub(crate) priority: i32,
    pub(crate) updated_ms: u64,
    pub(crate) due_ms: Option<u64>,
    pub(crate) error: Option<String>,
    pub(crate) reply: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) forget_ms: Option<u64>,
    pub(crate) standing: Option<(Arc<str>, u64)>,
    pub(crate) snapshot: Option<String>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) tasks: TaskMoves,
    pub(crate) taken: Vec<InboxId>,
    pub(crate) records: Vec<Touched>,
    pub(crate) admission: Option<Admission>,
    pub(crate) park: bool,
}

/// A commit that is not refused, and what is known of its instance.
pub(crate) struct Good<'c> {
    /// Its place in the batch.
    pub(crate) at: usize,
    pub(crate) commit: &'c Commit,
    pub(crate) n: i64,
    pub(crate) flow: Arc<str>,
    pub(crate) version: u32,
    pub(crate) business_key: Option<Arc<str>>,
    pub(crate) bound_by: Option<Arc<str>>,
    /// `None` of a new one.
    pub(crate) was: Option<State>,
    /// What it waited for before.
    pub(crate) had: Vec<Subscription>,
    /// What waits for it now.
    pub(crate) items: Vec<InboxItem>,
}

impl Good<'_> {
    /// It goes on with another version.
    pub(crate) fn moves(&self) -> bool {
        self.was.is_some() && self.version != self.commit.version
    }
}

pub(crate) type Outcome = std::result::Result<Appended, AppendError>;

static FIND: Each<4> = Each::new(
    [Bytes, Int, Int, Int],
    "select {at}, i.n, i.flow, i.version, i.business_key, i.state, i.bound_by from {each,} instance as i
     where i.id = ?1 and i.seq = ?2 and i.epoch = ?3 and i.owner = ?4 {lock i}",
);
static UPDATE: Each<15> = Each::new(
    [Int, Int, Int, Int, Int, Int, Int, Int, Int, Text, Text, Text, Int, Int, Int],
    "update instance set state = ?5, seq = ?6, owner = ?7, wake_ms = ?8, updated_ms = ?9,
                         error = ?10, reply = ?11, output = ?12, version = ?13, priority = ?14, forget_ms = ?15
     {from each} where n = ?1 and seq = ?2 and epoch = ?3 and owner = ?4",
);
static KEEP_SNAPSHOT: Each<2> = Each::new(
    [Int, Text],
    "insert into snapshot (instance, body) select ?1, ?2 {from each} where true
     on conflict (instance) do update set body = excluded.body",
);
static DROP_SNAPSHOT: Each<1> = Each::new([Int], "delete from snapshot {using each} where instance = ?1");
static DROP_COMMANDS: Each<1> = Each::new([Int], "delete from inbox {using each} where instance = ?1");
static WRITE: Each<7> = Each::new(
    [Int, Int, Int, Int, Int, Int, Text],
    "insert into journal (n, instance, first_seq, last_seq, at_ms, state, entries)
     select ?1, ?2, ?3, ?4, ?5, ?6, ?7 {from each}",
);

/// Commits what can be; the outcomes are in the order of the commits.
pub(crate) fn run(tx: &mut Tx<'_>, commits: &[&Commit]) -> Result<Vec<Outcome>> {
    let mut outcomes: Vec<Option<Outcome>> = commits.iter().map(|_| None).collect();
    let had = had(tx, commits)?;
    let (claimed, touched) = (admission::claimed(commits), records::held(commits));
    let mut held = changed(commits, &had);
    held.extend(claimed.iter().chain(&touched).map(|name| ("", name.as_str())));
    tx.hold_all(&held)?;
    let found = find(tx, commits, had)?;
    let mut good = admission::judge_moves(tx, found, &mut outcomes)?;
    good.extend(admission::judge(tx, commits, &mut outcomes)?);
    let gone = inbox::gone(tx, good.iter().map(|one| (one.was.map(|_| one.n), &*one.commit.taken)))?;
    good = good
        .into_iter()
        .zip(gone)
        .filter_map(|(one, gone)| {
            if gone {
                outcomes[one.at] = Some(Err(AppendError::Gone(one.commit.instance.clone())));
            }
            (!gone).then_some(one)
        })
        .collect();
    good = records::judge(tx, good, &mut outcomes)?;
    // From here on rows are written, and only the database itself can refuse.
    for one in good.iter_mut().filter(|one| one.was.is_none()) {
        one.n = tx.next_id();
    }
    inbox::take_out(tx, good.iter().flat_map(|one| &one.commit.taken))?;
    let live = good.iter().map(|one| Awaits {
        instance: one.was.map(|_| one.n),
        subscriptions: if one.commit.state.ended() { &[] } else { &one.commit.subscriptions },
        commands: !one.commit.state.ended(),
        now_ms: one.commit.updated_ms,
    });
    let items = inbox::waiting(tx.db, &live.collect::<Vec<_>>())?;
    for (one, items) in good.iter_mut().zip(items) {
        one.items = items;
    }
    if !admission::admit(tx, &good)? {
        // One alone: its id is somebody's already.
        return Ok(commits.iter().map(|one| Err(AppendError::Conflict(one.instance.clone()))).collect());
    }
    update(tx, &good)?;
    admission::remember_moves(tx, &good)?;
    let moves = good.iter().map(|one| (one.n, &*one.had, &*one.commit.subscriptions)).collect::<Vec<_>>();
    inbox::subscribe(tx, &moves)?;
    let moves = good.iter().map(|one| (one.n, &one.commit.tasks));
    tasks::write(tx, &moves.filter(|(_, moves)| **moves != TaskMoves::default()).collect::<Vec<_>>())?;
    keep_the_rest(tx, &good)?;
    machines::stand(tx, &good)?;
    records::write(tx, &good)?;
    write(tx, &good)?;
    for one in good {
        outcomes[one.at] = Some(Ok(Appended { inbox: one.items }));
    }
    // What was not found is not the caller's any more.
    let outcomes = outcomes.into_iter().zip(commits);
    Ok(outcomes
        .map(|(outcome, one)| outcome.unwrap_or_else(|| Err(AppendError::Conflict(one.instance.clone()))))
        .collect())
}

/// What the instances wait for as they are stored.
fn had(tx: &mut Tx<'_>, commits: &[&Commit]) -> Result<Vec<Vec<Subscription>>> {
    let known = || commits.iter().enumerate().filter(|(_, one)| one.admission.is_none());
    let places: Vec<usize> = known().map(|(at, _)| at).collect();
    let ids: Vec<_> = known().map(|(_, one)| values![&one.id]).collect();
    let mut had: Vec<Vec<Subscription>> = commits.iter().map(|_| Vec::new()).collect();
    for (at, subscription) in inbox::subscriptions_by_id(tx.db, &ids)? {
        had[places[at]].push(subscription);
    }
    Ok(had)
}

/// Every (message, key) that somebody begins or ceases to wait for.
fn changed<'a>(commits: &'a [&Commit], had: &'a [Vec<Subscription>]) -> BTreeSet<(&'a str, &'a str)> {
    let mut changed = BTreeSet::new();
    for (one, had) in commits.iter().zip(had) {
        let begun = one.subscriptions.iter().filter(|wanted| !had.contains(wanted));
        let ceased = had.iter().filter(|had| !one.subscriptions.contains(had));
        let all = begun.chain(ceased).map(|(message, key)| (&**message, &**key));
        // What is held back by a pause meets nobody.
        changed.extend(all.filter(|(message, _)| *message != HELD));
    }
    changed
}

/// Finds the instances that stand where their commits expect them, and holds them.
fn find<'c>(tx: &mut Tx<'_>, commits: &[&'c Commit], mut had: Vec<Vec<Subscription>>) -> Result<Vec<Good<'c>>> {
    let mut known: Vec<usize> = (0..commits.len()).filter(|&at| commits[at].admission.is_none()).collect();
    known.sort_unstable_by_key(|&at| commits[at].id);
    let engine = tx.engine;
    let rows: Vec<_> = known
        .iter()
        .map(|&at| values![&commits[at].id, integer(commits[at].expected_seq), integer(commits[at].epoch), engine])
        .collect();
    tx.db.query_each(&FIND, &rows, |at, row| {
        let at = known[at];
        Ok(Good {
            at,
            commit: commits[at],
            n: row.get(1)?,
            flow: row.get(2)?,
            version: row.get(3)?,
            business_key: row.get(4)?,
            was: Some(state(row, 5)?),
            bound_by: row.get(6)?,
            had: std::mem::take(&mut had[at]),
            items: Vec::new(),
        })
    })
}

fn update(tx: &mut Tx<'_>, good: &[Good<'_>]) -> Result<()> {
    let engine = tx.engine;
    let rows: Vec<_> = good
        .iter()
        .filter(|one| one.was.is_some())
        .map(|one| {
            let commit = one.commit;
            values![
                one.n,
                integer(commit.expected_seq),
                integer(commit.epoch),
                engine,
                state_number(commit.state),
                integer(commit.last_seq),
                commit.owner(engine),
                commit.wake_ms(&one.items),
                integer(commit.updated_ms),
                &commit.error,
                &commit.reply,
                &commit.output,
                commit.version,
                commit.priority,
                commit.forget_ms.map(integer),
            ]
        })
        .collect();
    // Fewer: two of this batch meant the same instance.
    as_many(tx.db.execute_each(&UPDATE, &rows)?, rows.len())
}

pub(crate) fn as_many(changed: usize, meant: usize) -> Result<()> {
    if changed == meant { Ok(()) } else { Err(Error::Raced) }
}

/// Snapshots; of ended instances, neither they nor commands.
fn keep_the_rest(tx: &mut Tx<'_>, good: &[Good<'_>]) -> Result<()> {
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for one in good {
        if let Some(snapshot) = &one.commit.snapshot {
            kept.push(values![one.n, snapshot]);
        } else if one.commit.state.ended() && one.was.is_some() {
            dropped.push(values![one.n]);
        }
    }
    tx.db.execute_each(&KEEP_SNAPSHOT, &kept)?;
    tx.db.execute_each(&DROP_SNAPSHOT, &dropped)?;
    tx.db.execute_each(&DROP_COMMANDS, &dropped)?;
    Ok(())
}

/// Writes the entries of each commit as one row, and tells feed and tally.
fn write(tx: &mut Tx<'_>, good: &[Good<'_>]) -> Result<()> {
    let mut rows: Vec<[Value<'_>; 7]> = Vec::with_capacity(good.len());
    for one in good {
        let commit = one.commit;
        if one.was != Some(commit.state) || one.version != commit.version {
            if let Some(was) = one.was {
                tx.count(&one.flow, one.version, one.bound_by.as_ref(), was, -1);
            }
            tx.count(&one.flow, commit.version, one.bound_by.as_ref(), commit.state, 1);
        }
        let Some(entries) = &commit.entries else { continue };
        let place = tx.next_place();
        rows.push(values![
            place,
            one.n,
            integer(commit.expected_seq + 1),
            integer(commit.last_seq),
            integer(commit.at_ms),
            state_number(commit.state),
            entries,
        ]);
        let (engine, n) = feed::place(place);
        tx.say(FeedItem::Instance(Committed {
            engine,
            n,
            instance: commit.instance.clone(),
            flow: one.flow.clone(),
            version: commit.version,
            state: commit.state,
            seq: commit.last_seq,
            business_key: one.business_key.clone(),
        }));
    }
    tx.db.execute_each(&WRITE, &rows)?;
    Ok(())
}

impl Commit {
    fn new(append: Append) -> std::result::Result<Self, AppendError> {
        let Append {
            instance,
            expected_seq,
            epoch,
            entries,
            header,
            version,
            snapshot,
            subscriptions,
            tasks,
            taken,
            records,
            admission,
            park,
        } = append;
        let id =
            id_bytes(&instance).ok_or_else(|| AppendError::Malformed(format!("{instance:?} is no instance id")))?;
        let Header { state, updated_ms, due_ms, error, reply, output, priority, forget_ms, standing } = header;
        let (first, last) = (expected_seq + 1, expected_seq + entries.len() as u64);
        if !entries.iter().map(|entry| entry.seq).eq(first..=last) {
            return Err(AppendError::Malformed(format!("{instance}: entries are not numbered from {first}")));
        }
        if snapshot.is_none() && !state.ended() && !entries.is_empty() {
            return Err(AppendError::Malformed(format!("{instance}: a live instance needs a snapshot")));
        }
        if records::contradict(&records) {
            return Err(AppendError::Malformed(format!("{instance}: its records contradict one another")));
        }
        let output = match (&reply, output) {
            (Some(reply), Some(output)) if *reply == output => Some("=".to_owned()),
            (_, output) => output.map(|value| text(&*value)).transpose()?,
        };
        Ok(Self {
            instance,
            id,
            expected_seq,
            epoch,
            last_seq: last,
            at_ms: entries.last().map_or(updated_ms, |entry| entry.at_ms),
            entries: if entries.is_empty() { None } else { Some(text(&entries)?) },
            state,
            version,
            priority,
            updated_ms,
            due_ms,
            error: error.as_ref().map(text).transpose()?,
            reply: reply.map(|value| text(&*value)).transpose()?,
            output,
            forget_ms: forget_ms.filter(|_| state.ended()),
            standing,
            snapshot: snapshot.filter(|_| !state.ended()),
            subscriptions: if state.ended() { Vec::new() } else { inbox::once_each(subscriptions) },
            tasks,
            taken,
            records,
            admission,
            park,
        })
    }

    /// Nobody, once it is parked or has ended.
    pub(crate) fn owner(&self, engine: i64) -> i64 {
        if self.park || self.state.ended() { 0 } else { engine }
    }

    /// When a parked instance needs an owner again.
    pub(crate) fn wake_ms(&self, items: &[InboxItem]) -> Option<i64> {
        if !self.park || self.state.ended() {
            return None;
        }
        if !items.is_empty() {
            return Some(0);
        }
        // Given up in the middle of work: wanted at once. Whatever else parks knows when it is due.
        if self.state == State::Running { Some(0) } else { self.due_ms.map(integer) }
    }
}

impl Store {
    pub(crate) async fn append(&self, append: Append) -> std::result::Result<Appended, AppendError> {
        let commit = Commit::new(append)?;
        self.tell(commit.updated_ms);
        let (ask, answer) = AppendAsk::new(commit);
        self.send(Item::Append(Box::new(ask)), answer).await?
    }
}
