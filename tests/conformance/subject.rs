//! What a case is given: a store under test, and short words for commits.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use stepwell_core::flow::Unique;
use stepwell_core::machine::{Command, Entry, Event, State};
use stepwell_runtime::Journal;
use stepwell_runtime::journal::{
    Admission, Append, Header, Idempotency, Inbound, InboxItem, Message, Posted, RecordWrite, Taken, TaskMoves, Touched,
};

/// Published as version 1 in every subject.
pub(crate) const FLOW: &str = "order";
pub(crate) const OTHER_FLOW: &str = "refund";

/// A store under test. [`FLOW`] and [`OTHER_FLOW`] are published in it as version 1.
pub(crate) trait Subject: Sized {
    type Journal: Journal;

    fn journal(&self) -> &Self::Journal;

    /// Status and revision of a record as it is committed.
    async fn record(&self, kind: &str, id: &str) -> Result<Option<(String, u64)>>;

    /// Ends its process, as far as the store can tell, and starts another on the same data.
    async fn restart(self) -> Self;
}

pub(crate) fn new_id() -> Arc<str> {
    uuid::Uuid::now_v7().to_string().into()
}

/// One commit, in the words of the cases.
#[derive(Clone)]
pub(crate) struct Commit(pub(crate) Append);

impl Commit {
    /// The first commit of a running instance.
    pub(crate) fn first(id: &Arc<str>) -> Self {
        Self(Append {
            instance: id.clone(),
            expected_seq: 0,
            epoch: 1,
            entries: vec![entry(1)],
            header: header(State::Running, 1_000),
            version: 1,
            tasks: TaskMoves::default(),
            snapshot: Some("as of 1".to_owned()),
            subscriptions: Vec::new(),
            taken: Vec::new(),
            records: Vec::new(),
            admission: Some(Admission {
                flow: FLOW.into(),
                version: 1,
                business_key: Some("key of it".to_owned()),
                started_ms: 1_000,
                idempotency: None,
                traceparent: Some("00-trace-01".to_owned()),
                unique: None,
                bound_by: None,
                by: "admin".into(),
            }),
            park: false,
        })
    }

    /// One entry after `seq`, under `epoch`.
    pub(crate) fn after(id: &Arc<str>, seq: u64, epoch: u64) -> Self {
        let mut commit = Self::first(id);
        commit.0.admission = None;
        commit.0.expected_seq = seq;
        commit.0.epoch = epoch;
        commit.0.entries = vec![entry(seq + 1)];
        commit.0.snapshot = Some(format!("as of {}", seq + 1));
        commit
    }

    pub(crate) fn state(mut self, state: State) -> Self {
        self.0.header.state = state;
        if state.ended() {
            self.0.snapshot = None;
        }
        self
    }

    pub(crate) fn at(mut self, now_ms: u64) -> Self {
        self.0.header.updated_ms = now_ms;
        self
    }

    pub(crate) fn entries(mut self, count: u64) -> Self {
        self.0.entries = (1..=count).map(|more| entry(self.0.expected_seq + more)).collect();
        self
    }

    /// Parked and waiting, until `due_ms` or something else.
    pub(crate) fn parked(mut self, due_ms: Option<u64>) -> Self {
        self.0.park = true;
        self.0.header.due_ms = due_ms;
        self.state(State::Waiting)
    }

    pub(crate) fn waits_for(mut self, message: &str, key: &str) -> Self {
        self.0.subscriptions.push((message.into(), key.to_owned()));
        self
    }

    pub(crate) fn takes(mut self, items: &[InboxItem]) -> Self {
        self.0.taken.extend(items.iter().map(|item| item.id));
        self
    }

    pub(crate) fn priority(mut self, priority: i32) -> Self {
        self.0.header.priority = priority;
        self
    }

    pub(crate) fn of_flow(mut self, flow: &str) -> Self {
        self.admission().flow = flow.into();
        self
    }

    pub(crate) fn idempotency(mut self, key: &str, request: &str) -> Self {
        self.admission().idempotency = Some(Idempotency { key: key.to_owned(), request: request.to_owned() });
        self
    }

    /// Wants its business key for itself.
    pub(crate) fn unique(mut self, key: &str, unique: Option<Unique>) -> Self {
        self.admission().business_key = Some(key.to_owned());
        self.admission().unique = unique;
        self
    }

    pub(crate) fn version(mut self, version: u32) -> Self {
        self.admission().version = version;
        self
    }

    /// Read a record, at revision `seen`.
    pub(crate) fn reads(mut self, kind: &str, id: &str, seen: u64) -> Self {
        self.0.records.push(Touched { kind: kind.into(), id: id.to_owned(), seen, write: None });
        self
    }

    /// Writes a record that it saw at revision `seen`.
    pub(crate) fn writes(self, kind: &str, id: &str, seen: u64, status: &str) -> Self {
        self.writes_up_to(kind, id, seen, seen + 1, status)
    }

    /// More than once.
    pub(crate) fn writes_up_to(self, kind: &str, id: &str, seen: u64, revision: u64, status: &str) -> Self {
        let mut it = self.reads(kind, id, seen);
        let write = RecordWrite { revision, status: status.to_owned(), status_code: 20, body: "{}".to_owned() };
        it.0.records.last_mut().unwrap().write = Some(write);
        it
    }

    fn admission(&mut self) -> &mut Admission {
        self.0.admission.as_mut().unwrap()
    }
}

fn header(state: State, updated_ms: u64) -> Header {
    let (priority, forget_ms) = (0, None);
    Header {
        state,
        updated_ms,
        due_ms: None,
        error: None,
        reply: None,
        output: None,
        priority,
        forget_ms,
        standing: None,
    }
}

/// An entry that tells its number in its content.
pub(crate) fn entry(seq: u64) -> Entry {
    Entry {
        seq,
        at_ms: 1_000 + seq,
        event: Event::Started { input: Arc::new(json!({ "of": seq })), business_key: None, priority: 0 },
    }
}

pub(crate) fn message(name: &str, key: &str, id: &str) -> Message {
    Message {
        name: name.into(),
        key: key.to_owned(),
        id: id.to_owned(),
        payload: Arc::new(json!({ "id": id })),
        at_ms: 1_000,
        ttl_ms: 60_000,
        by: "test".to_owned(),
    }
}

pub(crate) fn cancel(reason: &str) -> Command {
    Command::Cancel { reason: reason.to_owned() }
}

/// Messages by id and commands by reason, in order.
pub(crate) fn told(items: &[InboxItem]) -> Vec<String> {
    items
        .iter()
        .map(|item| match &item.what {
            Inbound::Message { id, .. } => id.clone(),
            Inbound::Command { command: Command::Cancel { reason }, .. } => reason.clone(),
            Inbound::Command { command, .. } => format!("{command:?}"),
        })
        .collect()
}

pub(crate) async fn commit(journal: &impl Journal, commit: Commit) -> Result<Vec<InboxItem>> {
    Ok(journal.append(commit.0).await?.inbox)
}

/// The commit must be refused as no longer ours.
pub(crate) async fn refused(journal: &impl Journal, commit: Commit) -> Result<()> {
    match journal.append(commit.0).await {
        Err(stepwell_runtime::journal::AppendError::Conflict(_)) => Ok(()),
        other => bail!("expected a conflict, got {other:?}"),
    }
}

/// The commit must be refused because what it uses up is no longer there.
pub(crate) async fn missed(journal: &impl Journal, commit: Commit) -> Result<()> {
    match journal.append(commit.0).await {
        Err(stepwell_runtime::journal::AppendError::Gone(_)) => Ok(()),
        other => bail!("expected that an item is gone, got {other:?}"),
    }
}

/// The commit must be refused because a record it touched moved.
pub(crate) async fn moved(journal: &impl Journal, commit: Commit) -> Result<()> {
    match journal.append(commit.0).await {
        Err(stepwell_runtime::journal::AppendError::Moved(_)) => Ok(()),
        other => bail!("expected that a record moved, got {other:?}"),
    }
}

pub(crate) async fn taken(journal: &impl Journal, id: &str) -> Result<Taken> {
    journal.take(id).await?.with_context(|| format!("{id} cannot be taken"))
}

pub(crate) async fn posted(journal: &impl Journal, message: Message) -> Result<Posted> {
    Ok(journal.post(message).await?)
}

pub(crate) fn payload(items: &[InboxItem]) -> Value {
    items
        .iter()
        .find_map(|item| match &item.what {
            Inbound::Message { payload, .. } => Some(Value::clone(payload)),
            Inbound::Command { .. } => None,
        })
        .unwrap_or_default()
}

/// Fails with both values where they differ.
#[allow(clippy::needless_pass_by_value, reason = "the cases read better without references")]
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    bail!("{what}: got {got:?}, expected {expected:?}")
}
