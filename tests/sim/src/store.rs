//! What a store keeps, in memory and without faults: the documented contract of the runtime's journal.
//!
//! Invariant: an operation is judged and done at one moment, as in one transaction.
//!
//! Not here: when it is done, and whether anybody hears of it (`journal`).

mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwell_core::machine::{Command, Entry, State};
use stepwell_runtime::journal::{
    Append, AppendError, Appended, CommandKept, Definition, Header, Inbound, InboxId, InboxItem, Message, Posted,
    Taken, Unavailable,
};

pub use tasks::{Grasp, Open, TaskId};

pub type Seat = u64;
type Meeting = (Arc<str>, String);

/// One instance's rows.
#[derive(Debug)]
pub struct Row {
    pub flow: Arc<str>,
    pub version: u32,
    pub business_key: Option<String>,
    pub seq: u64,
    pub epoch: u64,
    /// 0: nobody.
    pub owner: Seat,
    pub wake_ms: Option<u64>,
    pub header: Header,
    pub snapshot: Option<String>,
    pub entries: Vec<Entry>,
    pub subscriptions: Vec<Meeting>,
    pub commands: BTreeMap<InboxId, (Command, String)>,
}

#[derive(Debug)]
pub struct Kept {
    pub message: Message,
    pub expires_ms: u64,
}

#[derive(Default)]
pub struct Store {
    pub rows: BTreeMap<Arc<str>, Row>,
    pub tasks: BTreeMap<TaskId, Open>,
    pub messages: BTreeMap<InboxId, Kept>,
    pub seen: BTreeSet<(Arc<str>, String)>,
    /// By flow and Idempotency-Key: what was asked, and the winner.
    pub idempotency: BTreeMap<(Arc<str>, String), (String, Arc<str>)>,
    pub definitions: BTreeMap<(Arc<str>, u32), Definition>,
    /// Engines that nobody took for dead.
    pub seats: BTreeSet<Seat>,
    /// Several engines may write.
    pub shared: bool,
    /// Revisions of records, by type and id.
    pub records: BTreeMap<(Arc<str>, String), u64>,
    next: InboxId,
    next_seat: Seat,
    told_ms: u64,
}

impl Store {
    pub fn sit_down(&mut self) -> Seat {
        self.next_seat += 1;
        self.seats.insert(self.next_seat);
        self.next_seat
    }

    /// An engine is gone, or taken for dead: whatever it drove is wanted at once.
    pub fn bury(&mut self, seat: Seat) {
        self.seats.remove(&seat);
        for row in self.rows.values_mut().filter(|row| row.owner == seat && !row.header.state.ended()) {
            (row.owner, row.wake_ms) = (0, Some(0));
        }
    }

    fn number(&mut self) -> InboxId {
        self.next += 1;
        self.next
    }

    pub fn append(&mut self, seat: Seat, append: &Append) -> Result<Appended, AppendError> {
        self.told_ms = append.header.updated_ms;
        self.guard(seat, append)?;
        let ended = append.header.state.ended();
        for id in &append.taken {
            self.messages.remove(id);
        }
        for one in append.records.iter().filter(|one| one.write.is_some()) {
            self.records.insert((one.kind.clone(), one.id.clone()), one.seen + 1);
        }
        let wanted: Vec<Meeting> = if ended { Vec::new() } else { append.subscriptions.clone() };
        let (had, commands) = match self.rows.get_mut(&append.instance) {
            Some(row) => (std::mem::take(&mut row.subscriptions), std::mem::take(&mut row.commands)),
            None => (Vec::new(), BTreeMap::new()),
        };
        let commands = commands.into_iter().filter(|(id, _)| !ended && !append.taken.contains(id)).collect();
        self.put(seat, append, wanted.clone(), commands);
        let inbox = self.waiting(&append.instance, append.header.updated_ms);
        if let Some(row) = self.rows.get_mut(&append.instance) {
            row.wake_ms = match (append.park && !ended, inbox.is_empty(), append.header.state) {
                (false, ..) => None,
                (true, false, _) | (true, true, State::Running) => Some(0),
                (true, true, _) => append.header.due_ms,
            };
        }
        // One who was told of a message took another and waits no more: somebody else who waits is wanted.
        for meeting in had.into_iter().filter(|had| !wanted.contains(had)) {
            if self.messages.values().any(|kept| (&kept.message.name, &kept.message.key) == (&meeting.0, &meeting.1)) {
                self.wake_one(&meeting);
            }
        }
        Ok(Appended { inbox })
    }

    fn guard(&self, seat: Seat, append: &Append) -> Result<(), AppendError> {
        let conflict = || AppendError::Conflict(append.instance.clone());
        let row = self.rows.get(&append.instance);
        if let Some(admission) = &append.admission {
            let key = admission.idempotency.as_ref();
            let kept = key.and_then(|key| self.idempotency.get(&(admission.flow.clone(), key.key.clone())));
            if let (Some(key), Some((request, winner))) = (key, kept) {
                let other_request = *request != key.request;
                return Err(AppendError::Duplicate { instance: winner.clone(), other_request });
            }
            if row.is_some() {
                return Err(conflict());
            }
        } else {
            let ours = |row: &&Row| row.seq == append.expected_seq && row.epoch == append.epoch && row.owner == seat;
            let row = row.filter(ours).ok_or_else(conflict)?;
            let gone = |id: &InboxId| !self.messages.contains_key(id) && !row.commands.contains_key(id);
            if append.taken.iter().any(gone) {
                return Err(AppendError::Gone(append.instance.clone()));
            }
        }
        let revision = |kind: &Arc<str>, id: &str| self.records.get(&(kind.clone(), id.to_owned())).copied();
        if append.records.iter().any(|one| revision(&one.kind, &one.id).unwrap_or(0) != one.seen) {
            return Err(AppendError::Moved(append.instance.clone()));
        }
        let numbers = append.expected_seq + 1..=append.expected_seq + append.entries.len() as u64;
        let live = append.snapshot.is_some() || append.header.state.ended() || append.entries.is_empty();
        if !append.entries.iter().map(|entry| entry.seq).eq(numbers) || !live {
            return Err(Unavailable("the append is malformed".to_owned()).into());
        }
        Ok(())
    }

    fn put(
        &mut self,
        seat: Seat,
        append: &Append,
        subscriptions: Vec<Meeting>,
        commands: BTreeMap<InboxId, (Command, String)>,
    ) {
        let ended = append.header.state.ended();
        let owner = if append.park || ended { 0 } else { seat };
        if let Some(admission) = &append.admission {
            if let Some(key) = &admission.idempotency {
                let winner = (key.request.clone(), append.instance.clone());
                self.idempotency.insert((admission.flow.clone(), key.key.clone()), winner);
            }
            let row = Row {
                flow: admission.flow.clone(),
                version: admission.version,
                business_key: admission.business_key.clone(),
                seq: 0,
                epoch: append.epoch,
                owner,
                wake_ms: None,
                header: append.header.clone(),
                snapshot: None,
                entries: Vec::new(),
                subscriptions: Vec::new(),
                commands: BTreeMap::new(),
            };
            self.rows.insert(append.instance.clone(), row);
        }
        let Some(row) = self.rows.get_mut(&append.instance) else { return };
        row.seq = append.expected_seq + append.entries.len() as u64;
        row.owner = owner;
        row.version = append.version;
        row.header = append.header.clone();
        if ended {
            row.snapshot = None;
        } else if let Some(snapshot) = &append.snapshot {
            row.snapshot = Some(snapshot.clone());
        }
        row.entries.extend(append.entries.iter().cloned());
        (row.subscriptions, row.commands) = (subscriptions, commands);
        self.move_tasks(&append.instance, &append.tasks);
    }

    /// What waits for an instance now.
    pub fn waiting(&self, instance: &str, now_ms: u64) -> Vec<InboxItem> {
        let Some(row) = self.rows.get(instance) else { return Vec::new() };
        let mut items: Vec<InboxItem> = row
            .commands
            .iter()
            .map(|(&id, (command, by))| InboxItem {
                id,
                what: Inbound::Command { command: command.clone(), by: by.clone() },
            })
            .collect();
        for (&id, Kept { message, expires_ms }) in &self.messages {
            let meets = row.subscriptions.iter().any(|(name, key)| *name == message.name && *key == message.key);
            if meets && *expires_ms > now_ms {
                let Message { name, key, id: own, payload, .. } = message.clone();
                items.push(InboxItem { id, what: Inbound::Message { name, key, id: own, payload } });
            }
        }
        items.sort_by_key(|item| item.id);
        items
    }

    pub fn inbox(&self, instance: &str) -> Vec<InboxItem> {
        self.waiting(instance, self.told_ms)
    }

    pub fn take(&mut self, seat: Seat, instance: &str) -> Option<Taken> {
        let row = self.rows.get_mut(instance)?;
        if row.header.state.ended() || (row.owner != 0 && row.owner != seat) {
            return None;
        }
        row.epoch += 1;
        (row.owner, row.wake_ms) = (seat, None);
        let (epoch, seq, flow, version) = (row.epoch, row.seq, row.flow.clone(), row.version);
        let (business_key, snapshot) = (row.business_key.clone(), row.snapshot.clone()?);
        let inbox = self.waiting(instance, self.told_ms);
        Some(Taken { epoch, seq, flow, version, business_key, traceparent: None, snapshot, inbox })
    }

    pub fn ready(&mut self, seat: Seat, now_ms: u64, limit: u32) -> Vec<Arc<str>> {
        self.told_ms = now_ms;
        let due = |row: &Row| {
            let mine = row.owner == 0 || row.owner == seat;
            mine && !row.header.state.ended() && row.wake_ms.is_some_and(|wake| wake <= now_ms)
        };
        let mut ready: Vec<_> = self
            .rows
            .iter()
            .filter(|(_, row)| due(row))
            .map(|(id, row)| (row.header.priority, row.wake_ms, id.clone()))
            .collect();
        ready.sort();
        ready.into_iter().take(limit as usize).map(|(.., id)| id).collect()
    }

    pub fn next_due_ms(&self) -> Option<u64> {
        let parked = self.rows.values().filter(|row| row.owner == 0 && !row.header.state.ended());
        parked.filter_map(|row| row.wake_ms).min()
    }

    pub fn entries(&self, instance: &str, seqs: &[u64]) -> Vec<Entry> {
        let Some(row) = self.rows.get(instance) else { return Vec::new() };
        row.entries.iter().filter(|entry| seqs.contains(&entry.seq)).cloned().collect()
    }

    pub fn post(&mut self, message: Message) -> Posted {
        self.told_ms = message.at_ms;
        if !self.seen.insert((message.name.clone(), message.id.clone())) {
            return Posted::Duplicate;
        }
        let meeting = (message.name.clone(), message.key.clone());
        let id = self.number();
        if message.ttl_ms == 0 && !self.rows.values().any(|row| row.subscriptions.contains(&meeting)) {
            return Posted::Dropped;
        }
        let expires_ms = message.at_ms.saturating_add(message.ttl_ms);
        self.messages.insert(id, Kept { message, expires_ms });
        let awaiting = self.wake_one(&meeting);
        if awaiting.is_empty() { Posted::Buffered } else { Posted::Awaited(awaiting) }
    }

    pub fn command(&mut self, instance: &str, command: Command, by: &str) -> CommandKept {
        let id = self.number();
        let Some(row) = self.rows.get_mut(instance) else { return CommandKept::Unknown };
        if row.header.state.ended() {
            return CommandKept::Ended;
        }
        row.commands.insert(id, (command, by.to_owned()));
        self.want(instance);
        CommandKept::Kept
    }

    fn wake_one(&mut self, meeting: &Meeting) -> Vec<Arc<str>> {
        let mut awaiting: Vec<_> = self
            .rows
            .iter()
            .filter(|(_, row)| row.subscriptions.contains(meeting))
            .map(|(id, row)| (row.owner != 0, row.wake_ms == Some(0), id.clone()))
            .collect();
        awaiting.sort();
        if let Some((.., first)) = awaiting.first() {
            self.want(first);
        }
        awaiting.into_iter().map(|(.., id)| id).collect()
    }

    fn want(&mut self, instance: &str) {
        let shared = self.shared;
        if let Some(row) = self.rows.get_mut(instance).filter(|row| shared || row.owner == 0) {
            row.wake_ms = Some(0);
        }
    }
}
