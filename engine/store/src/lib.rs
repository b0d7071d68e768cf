//! Keeps everything: instances with their journals, flows, plugins and the record of who did what.
//!
//! [`Store`] is one `SQLite` file with one owner, or a `PostgreSQL` database that any number of engines
//! share. What is done is written once, for both (`sql` says how). A single writer thread gathers
//! what waits into one transaction (group commit), so one flush to disk serves many callers; reads
//! run beside it on connections of their own and see every commit that was acknowledged.
//!
//! Invariants:
//! - What was acknowledged is on disk: write-ahead log, `synchronous = FULL`; `synchronous_commit`.
//! - Nothing but the writer thread writes; of a file, a second process is refused at the door.
//! - On a server, each transaction proves first that its engine was not taken for dead, and each
//!   write of an instance that it is still the owner's.
//! - One failed item of a batch leaves no trace and does not touch its neighbours.
//! - The feed says things in the order in which an engine committed them.
//!
//! Not here: what an instance does next (`core`), when (`runtime`), and who may ask (`server`).
//! Nothing here reads a clock: every time comes from the caller.

mod administration;
mod admission;
mod aliases;
mod append;
mod audit;
mod bindings;
mod drafts;
mod feed;
mod flows;
mod forget;
mod grants;
mod inbox;
mod instances;
mod keeper;
mod machines;
mod migrate;
mod needs;
mod numbers;
mod open;
mod pauses;
mod plugins;
mod post;
mod readers;
mod record_types;
mod records;
mod revocations;
mod rows;
mod schedules;
mod seat;
mod sessions;
mod sql;
mod store;
mod sweep;
mod tables;
mod take;
mod tasks;
#[cfg(test)]
mod tests;
mod tx;
mod uploads;
mod users;
mod within;
mod writer;

pub use audit::{AuditEntry, AuditFilter};
pub use bindings::{Doors, PathOwner, Rules, RulesSaved, SaveRules};
pub use drafts::{Draft, DraftSaved, Expect, SaveDraft};
pub use feed::{Change, Committed, FeedItem, Notice, Places, PluginStatus};
pub use flows::{
    ChoiceCounts, Counts, FlowDetail, FlowSummary, Publish, Published, TriggerRow, Version, VersionSummary,
};
pub use forget::Erased;
pub use grants::{Connection, Dropped, GrantKept, Granted, GrantedKind, KeptSecret, Sealed};
pub use instances::{Cursor, Filter, InstanceDetail, InstanceSummary, Page, Stands};
pub use machines::{Plug, PlugKept, PluggedBy, REVISIONS_MAX, Standing};
pub use needs::{Garbage, Need, Pinned, Removed, Unneeded, UnneededPlugin, UsedBy, VersionUse, WhereUsed};
pub use open::{AbortAt, OpenError, Options};
pub use pauses::{NewPause, Pause, Paused};
pub use plugins::{NewPlugin, Plugin, PluginKept};
pub use record_types::{PublishRecordType, RecordTypeVersion};
pub use records::{PutRecord, Record, RecordFilter, RecordPut};
pub use revocations::Revocation;
pub use schedules::{NewSchedule, Schedule};
pub use sessions::{Bought, Session};
pub use store::{Act, Store};
pub use sweep::Swept;
pub use tables::TableVersion;
pub use tasks::{Grasp, Lock, OpenTask, TaskFilter};
pub use uploads::{Upload, UploadState};
pub use users::{ApiToken, Directory, NewUser, TOKENS_MAX, TokenAdded, USERS_MAX, User, UserAdded, UserChanged};
pub use within::{EVERYWHERE, Role, Roles, Within};
