//! The seam to the disk: what the runtime needs kept, and what each answer lets it do next.
//!
//! Invariants every implementation must hold (the conformance suite tries them on each):
//! - What [`Journal::append`] acknowledged survives a power cut.
//! - An append whose `expected_seq` or `epoch` is not the stored one changes nothing; the guard is in the SQL.
//! - Journal rows, snapshot, header, subscriptions, taken inbox items, records and admission rows of one
//!   append stand or fall together.
//! - An append whose records are not all at the revisions it saw changes nothing, and hurts no other.
//! - A message and a subscription never miss each other, in whichever order they arrive.
//!
//! Not here: lists, searches and documents that only people read (`store` offers them to `server`).

use std::future::Future;
use std::sync::Arc;

use serde_json::Value;
use stepwell_core::flow::Unique;
use stepwell_core::flow::evaluate::Plugged;
use stepwell_core::machine::{Command, Entry, Error, OpenTask, State, TokenId};

/// Keeps instances.
pub trait Journal: Send + Sync + 'static {
    /// Commits what happened to one instance. Appends of many instances may share a transaction.
    /// If the future is dropped, the outcome is not known.
    fn append(&self, append: Append) -> impl Future<Output = Result<Appended, AppendError>> + Send;

    /// Takes an instance in order to drive it: raises its epoch, so that every earlier owner's
    /// writes are refused. `None`: no such instance, or it has ended and nothing is in its inbox.
    fn take(&self, instance: &str) -> impl Future<Output = Result<Option<Taken>, Unavailable>> + Send;

    /// Instances that need an owner now: running or compensating without a live one, due by
    /// `now_ms`, or with something in the inbox. At most `limit`, the most urgent first
    /// (priority, then due time). Does not take them.
    fn ready(&self, now_ms: u64, limit: u32) -> impl Future<Output = Result<Vec<Arc<str>>, Unavailable>> + Send;

    /// The earliest time at which [`Journal::ready`] could have more to say, as far as known.
    fn next_due_ms(&self) -> impl Future<Output = Result<Option<u64>, Unavailable>> + Send;

    /// Completes when another engine hints that [`Journal::ready`] may have more to say. Nothing is
    /// lost where no hint comes; a store of one engine has none to give.
    fn rung(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Entries of one instance by sequence number, ascending: to fill the values a snapshot refers to.
    fn entries(&self, instance: &str, seqs: &[u64]) -> impl Future<Output = Result<Vec<Entry>, Unavailable>> + Send;

    /// Whether this engine was heard of lately enough that nobody can have taken it for dead; by its own
    /// monotonic clock. While it is not, it begins nothing outside: another may be doing the same.
    fn is_heard(&self) -> bool {
        true
    }

    /// What waits for an instance now.
    fn inbox(&self, instance: &str) -> impl Future<Output = Result<Vec<InboxItem>, Unavailable>> + Send;

    /// Keeps a message until an instance takes it or its time is over, with its audit row. Committed
    /// when this returns.
    fn post(&self, message: Message) -> impl Future<Output = Result<Posted, Unavailable>> + Send;

    /// Puts a command into an instance's inbox, with its audit row. Committed when this returns.
    fn command(
        &self,
        instance: &str,
        command: Command,
        by: &str,
        at_ms: u64,
    ) -> impl Future<Output = Result<CommandKept, Unavailable>> + Send;

    /// A published version, with all it is pinned to. `None`: never published.
    fn definition(
        &self,
        flow: &str,
        version: u32,
    ) -> impl Future<Output = Result<Option<Definition>, Unavailable>> + Send;

    /// The newest committed revision of a machine's actions; 0 where none was changed since it was published.
    fn revision(&self, flow: &str, version: u32) -> impl Future<Output = Result<u32, Unavailable>> + Send;
}

/// Subscriptions to this "message", which no message can be called, are no waits for one: they name what
/// holds back the instance's calls, so that it can be found when they are let go.
pub const HELD: &str = "";

/// A published version as it was frozen.
#[derive(Debug, Clone)]
pub struct Definition {
    pub document: Arc<Value>,
    /// The node types it is pinned to (a `Catalog` as JSON), digests and all.
    pub catalog: Arc<Value>,
    /// It was taken back: nothing is begun on it, and nothing is moved to it.
    pub retired: bool,
    /// How the actions of a machine have changed since, by revision.
    pub plugged: Vec<Plugged>,
}

/// One instance's commit.
#[derive(Debug, Clone)]
pub struct Append {
    pub instance: Arc<str>,
    /// The last stored sequence number; 0 with `admission`.
    pub expected_seq: u64,
    /// The epoch under which the instance was taken; 1 with `admission`.
    pub epoch: u64,
    /// Numbered from `expected_seq + 1`. Empty only when the commit does nothing but use up inbox items or park.
    pub entries: Vec<Entry>,
    pub header: Header,
    /// Of the flow, as of this commit: a migration changes it.
    pub version: u32,
    /// `None` once the instance has ended: the journal alone is kept then.
    pub snapshot: Option<String>,
    /// All the messages the instance waits for after this commit: (message, key). And ([`HELD`], what holds its calls).
    pub subscriptions: Vec<(Arc<str>, String)>,
    /// What became of its open tasks since the commit before; nothing where nothing did.
    pub tasks: TaskMoves,
    /// Inbox items that this commit uses up.
    pub taken: Vec<InboxId>,
    /// The records that its calls read or wrote since the commit before, each once.
    pub records: Vec<Touched>,
    /// The first commit of an instance carries the rows that make it unique.
    pub admission: Option<Admission>,
    /// Gives up ownership: until something is due, nobody drives the instance.
    pub park: bool,
}

/// Open tasks that began to be, and those that are no more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskMoves {
    /// New, or put out again for another attempt.
    pub open: Vec<OpenTask>,
    pub gone: Vec<TokenId>,
}

/// A record on which a commit depends, or which it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The key of the record type; it has no space in it.
    pub kind: Arc<str>,
    pub id: String,
    /// The revision it must still be at; 0: there must be none.
    pub seen: u64,
    /// What becomes of it. `None`: it was read alone.
    pub write: Option<RecordWrite>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordWrite {
    /// As many above the one that was seen as it was written since: at least one.
    pub revision: u64,
    pub status: String,
    /// The status's ordered code.
    pub status_code: i32,
    /// JSON text.
    pub body: String,
}

/// What lists and searches show of an instance; kept in its row.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    pub state: State,
    pub updated_ms: u64,
    pub due_ms: Option<u64>,
    pub error: Option<Error>,
    /// The first reply, once there is one.
    pub reply: Option<Arc<Value>>,
    /// Once completed.
    pub output: Option<Arc<Value>>,
    /// Smaller is more urgent.
    pub priority: i32,
    /// Once ended: when it may be forgotten. `None` keeps it.
    pub forget_ms: Option<u64>,
    /// The state of a machine, and since when it is in it.
    pub standing: Option<(Arc<str>, u64)>,
}

/// What an instance is admitted with.
#[derive(Debug, Clone)]
pub struct Admission {
    pub flow: Arc<str>,
    pub version: u32,
    pub business_key: Option<String>,
    pub started_ms: u64,
    /// The caller's `Idempotency-Key` and the sha256 of what it asked, scoped to the flow.
    pub idempotency: Option<Idempotency>,
    pub traceparent: Option<String>,
    /// How far the business key is to be this instance's alone.
    pub unique: Option<Unique>,
    /// What chose the version, where it was not the caller alone.
    pub bound_by: Option<Arc<str>>,
    /// Who asked; for the audit row that is written with the instance.
    pub by: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    pub key: String,
    /// Hex sha256 of the request body.
    pub request: String,
}

#[derive(Debug, Clone, Default)]
pub struct Appended {
    /// What now waits for the instance: commands for it, and messages for its subscriptions. A
    /// parked instance with something here must be taken again at once.
    pub inbox: Vec<InboxItem>,
}

/// Why a commit was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Someone else drives the instance, or took what we wanted to take. Forget what you hold; do not retry as is.
    #[error("instance {0}: no longer ours")]
    Conflict(Arc<str>),
    /// Another instance was given an inbox item that this commit uses up, or its time was over. The
    /// instance is still ours as it was stored: take it again and go on without the item.
    #[error("instance {0}: an inbox item is gone")]
    Gone(Arc<str>),
    /// A record that the commit read or wrote is not at the revision it saw. The instance is still as it was
    /// stored: go on from there, and see the record as it is now.
    #[error("instance {0}: a record moved")]
    Moved(Arc<str>),
    /// Another start won the race for this Idempotency-Key: answer as that instance.
    #[error("already started as instance {instance}")]
    Duplicate {
        instance: Arc<str>,
        /// The winner was asked something else under the same key.
        other_request: bool,
    },
    /// Another instance has the business key, which the flow wants to stand for one: tell the caller.
    #[error("the business key is that of instance {instance}")]
    KeyTaken { instance: Arc<str> },
    /// The version was taken back since it was chosen: for a start, or for an instance to go on with. Choose again.
    #[error("nothing is started on this version any more")]
    Retired,
    /// The commit contradicts itself, whatever the database says: a mistake of ours, and the same again is refused again.
    #[error("no such commit can be: {0}")]
    Malformed(String),
    /// The outcome is not known, or the disk is full. Nothing may be acknowledged; take the instance again before going on.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The database does not answer, or refuses writes. Retry later.
#[derive(Debug, thiserror::Error)]
#[error("the store is out of reach: {0}")]
pub struct Unavailable(pub String);

/// An instance as it was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    pub epoch: u64,
    pub seq: u64,
    pub flow: Arc<str>,
    pub version: u32,
    pub business_key: Option<String>,
    pub traceparent: Option<String>,
    pub snapshot: String,
    pub inbox: Vec<InboxItem>,
}

/// Names a row of the inbox.
pub type InboxId = i64;

#[derive(Debug, Clone, PartialEq)]
pub struct InboxItem {
    pub id: InboxId,
    pub what: Inbound,
}

/// What comes from outside for an instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Inbound {
    Command { command: Command, by: String },
    Message { name: Arc<str>, key: String, id: String, payload: Arc<Value> },
}

/// A message from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub name: Arc<str>,
    pub key: String,
    /// The sender's id: the same (name, id) is taken once.
    pub id: String,
    pub payload: Arc<Value>,
    pub at_ms: u64,
    /// Kept that long without a taker. 0: for those alone who wait for it when it comes.
    pub ttl_ms: u64,
    pub by: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// These instances wait for it; wake one of them.
    Awaited(Vec<Arc<str>>),
    /// Nobody waits yet; it is kept.
    Buffered,
    /// Nobody waits, and it was for nobody else. Only its id is remembered.
    Dropped,
    /// The same id was posted before. Nothing was done.
    Duplicate,
    /// So many wait for a taker of this (name, key) already that no more is kept. Nothing was done.
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandKept {
    Kept,
    /// The instance has ended; nothing was kept.
    Ended,
    /// So many commands wait for the instance already that no more is kept.
    Full,
    Unknown,
}
