//! What a call may do to records, and how far: see `host/records-read` and `host/records-write` in `wit/`.
//!
//! Invariants:
//! - Whoever describes itself or is asked to check sees no record type. Whoever is played (examples, cases) finds
//!   every type there and empty, with any status, of code 0.
//! - A call of a component below external sees what its instance has staged, and stages more; the desk it works at is
//!   the runtime's. An external one sees committed records, and the commit does not depend on them.
//! - Nothing is written that the record type refuses, and nothing is reached that is not granted: that decides the
//!   call's outcome, whatever the guest makes of it. So does a database that does not answer.
//!
//! Not here: where records are kept (`store`), when what was staged is committed (`runtime`).

mod link;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;
use stepwell_core::machine::{Failure, Outcome};
use stepwell_core::record::{RECORD_BODY_BYTES_MAX, RECORD_ID_BYTES_MAX, RecordType, is_record_id};
use stepwell_runtime::journal::{RecordWrite, Unavailable};
use stepwell_runtime::records::Desk;

use crate::call::permanent;
use crate::contract::{Entry, Filter, Guard, Page, RecordsError, StatusRange};

pub(crate) use link::{link_read, link_write};

/// Per call, see `wit/`.
const READS_MAX: u32 = 1000;
const WRITES_MAX: u32 = 200;
const LIST_MAX: u32 = 200;
/// All bodies that one call writes: they are held until the commit.
const WRITTEN_BYTES_MAX: usize = 8 << 20;

pub type Told<T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send>>;

/// How committed records, and the types they are held to, are read.
pub struct Reading {
    pub record_type: ReadType,
    pub record: ReadOne,
    /// A part of a list by id, and whether there is more.
    pub records: ReadMany,
}

type ReadType = Box<dyn Fn(&str) -> Told<Option<Arc<RecordType>>> + Send + Sync>;
type ReadOne = Box<dyn Fn(&str, &str) -> Told<Option<Committed>> + Send + Sync>;
type ReadMany = Box<dyn Fn(&str, Wanted) -> Told<(Vec<Committed>, bool)> + Send + Sync>;

/// A record as it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub id: String,
    pub status: String,
    pub status_code: i32,
    pub revision: u64,
    pub body: String,
}

/// Which records of a type.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub status: Option<String>,
    pub min: Option<i32>,
    pub max: Option<i32>,
    /// Ids above this one.
    pub after: String,
    pub limit: u32,
}

/// What one call can reach.
#[derive(Clone, Default)]
pub(crate) enum Way {
    #[default]
    Shut,
    /// Every type is there, and empty.
    Played,
    Open {
        reading: Arc<Reading>,
        granted: Arc<HashSet<String>>,
        /// The plugin, and the namespace of the flow that calls.
        whose: Arc<(String, String)>,
        desk: Option<Arc<Desk>>,
    },
}

/// What one call has done so far.
pub(crate) struct Records {
    way: Way,
    desk: Option<Arc<Desk>>,
    kinds: HashMap<String, Arc<RecordType>>,
    reads: u32,
    writes: u32,
    written_bytes: usize,
    /// Decides the outcome.
    denied: Option<Outcome>,
}

/// A refusal that the guest is told, or the end of the call.
type Said<T> = wasmtime::Result<Result<T, RecordsError>>;

/// Hands a refusal on to the guest.
macro_rules! granted {
    ($said:expr) => {
        match $said {
            Ok(value) => value,
            Err(refused) => return Ok(Err(refused)),
        }
    };
}

#[derive(Debug, thiserror::Error)]
#[error("the database does not answer")]
struct OutOfReach;

impl Records {
    pub(crate) fn new(way: Way) -> Self {
        let desk = match &way {
            Way::Shut => None,
            Way::Played => Some(Arc::default()),
            Way::Open { desk, .. } => desk.clone(),
        };
        Self { way, desk, kinds: HashMap::new(), reads: 0, writes: 0, written_bytes: 0, denied: None }
    }

    /// What the host has to say of the outcome.
    pub(crate) fn denied(&mut self) -> Option<Outcome> {
        self.denied.take()
    }

    async fn get(&mut self, kind: &str, id: &str) -> Said<Option<Entry>> {
        granted!(self.count_reads(1));
        granted!(named(id));
        granted!(self.kind(kind).await?);
        Ok(Ok(self.standing(kind, id).await?))
    }

    async fn list(&mut self, kind: &str, filter: Filter, after: Option<String>, limit: u32) -> Said<Page> {
        granted!(self.count_reads(1));
        if !(1..=LIST_MAX).contains(&limit) {
            return Ok(Err(RecordsError::Invalid(format!("a limit of {limit}: 1 to {LIST_MAX}"))));
        }
        let after = after.unwrap_or_default();
        if !after.is_empty() {
            granted!(named(&after));
        }
        let record_type = granted!(self.kind(kind).await?);
        if let Some(status) = &filter.status {
            granted!(code(record_type.as_deref(), status));
        }
        let (min, max) = match &filter.status_range {
            Some(range) => granted!(ends(range)),
            None => (None, None),
        };
        let wanted = Wanted { status: filter.status, min, max, after, limit };
        let (committed, more) = match &self.way {
            Way::Open { reading, .. } => {
                let asked = (reading.records)(kind, wanted.clone());
                self.heard(asked.await)?
            }
            Way::Shut | Way::Played => (Vec::new(), false),
        };
        let page = self.with_staged(kind, &wanted, committed, more);
        let found = u32::try_from(page.entries.len()).unwrap_or(u32::MAX);
        granted!(self.count_reads(found.saturating_sub(1)));
        Ok(Ok(page))
    }

    /// A part of a list as the instance has it before it.
    fn with_staged(&self, kind: &str, wanted: &Wanted, committed: Vec<Committed>, more: bool) -> Page {
        // Beyond the last id of a part nothing is known yet of what is committed.
        let last = if more { committed.last().map(|last| last.id.clone()) } else { None };
        let mut entries: BTreeMap<String, Entry> =
            committed.into_iter().map(|one| (one.id.clone(), Entry::from(one))).collect();
        for (id, write) in self.desk.as_ref().map(|desk| desk.all_staged(kind)).unwrap_or_default() {
            let within = id > wanted.after && last.as_ref().is_none_or(|last| id <= *last);
            let fits = wanted.status.as_ref().is_none_or(|status| *status == write.status)
                && wanted.min.is_none_or(|min| write.status_code >= min)
                && wanted.max.is_none_or(|max| write.status_code <= max);
            entries.remove(&id);
            if within && fits {
                entries.insert(id.clone(), entry(id, write));
            }
        }
        let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
        let cut = entries.len() > limit;
        let entries: Vec<Entry> = entries.into_values().take(limit).collect();
        let next = if cut { entries.last().map(|last| last.id.clone()) } else { last };
        Page { entries, next }
    }

    async fn put(&mut self, kind: &str, id: &str, status: &str, body: String) -> Said<u64> {
        granted!(self.count_reads(1));
        granted!(named(id));
        let record_type = granted!(self.kind(kind).await?);
        let code = granted!(code(record_type.as_deref(), status));
        granted!(fits(record_type.as_deref(), &body));
        // Before it is read: what is read makes the commit depend on it.
        granted!(self.room(body.len()));
        let standing = self.standing(kind, id).await?;
        Ok(self.write(kind, id, standing.map_or(0, |entry| entry.revision), status, code, body))
    }

    async fn compare_and_set(
        &mut self,
        kind: &str,
        id: &str,
        guard: Guard,
        status: &str,
        body: Option<String>,
    ) -> Said<Option<u64>> {
        granted!(self.count_reads(1));
        granted!(named(id));
        let record_type = granted!(self.kind(kind).await?);
        let new_code = granted!(code(record_type.as_deref(), status));
        if let Some(body) = &body {
            granted!(fits(record_type.as_deref(), body));
        }
        match &guard {
            Guard::Absent if body.is_none() => {
                return Ok(Err(RecordsError::Invalid("`absent` needs a body".to_owned())));
            }
            Guard::Status(status) => drop(granted!(code(record_type.as_deref(), status))),
            Guard::StatusRange(range) => drop(granted!(ends(range))),
            Guard::Absent | Guard::Revision(_) => {}
        }
        let standing = self.standing(kind, id).await?;
        let holds = match (&guard, &standing) {
            (Guard::Absent, standing) => standing.is_none(),
            (_, None) => false,
            (Guard::Status(status), Some(now)) => now.status == *status,
            (Guard::StatusRange(StatusRange { min, max }), Some(now)) => {
                min.is_none_or(|min| now.status_code >= min) && max.is_none_or(|max| now.status_code <= max)
            }
            (Guard::Revision(revision), Some(now)) => now.revision == *revision,
        };
        if !holds {
            return Ok(Ok(None));
        }
        let (revision, was) = standing.map_or((0, String::new()), |entry| (entry.revision, entry.body));
        Ok(self.write(kind, id, revision, status, new_code, body.unwrap_or(was)).map(Some))
    }

    /// A record as the instance has it before it. The commit depends on it, where there is one to come.
    async fn standing(&mut self, kind: &str, id: &str) -> wasmtime::Result<Option<Entry>> {
        let staged = self.desk.as_ref().and_then(|desk| desk.staged(kind, id));
        let found = match (staged, &self.way) {
            (Some(write), _) => Some(entry(id.to_owned(), write)),
            (None, Way::Open { reading, .. }) => {
                let asked = (reading.record)(kind, id);
                self.heard(asked.await)?.map(Entry::from)
            }
            (None, Way::Shut | Way::Played) => None,
        };
        if let Some(desk) = &self.desk {
            desk.saw(kind, id, found.as_ref().map_or(0, |entry| entry.revision));
        }
        Ok(found)
    }

    /// Whether one more write of so many bytes may be staged.
    fn room(&self, bytes: usize) -> Result<(), RecordsError> {
        if self.writes == WRITES_MAX {
            return Err(RecordsError::Limit(format!("more than {WRITES_MAX} writes in one call")));
        }
        if self.written_bytes + bytes > WRITTEN_BYTES_MAX {
            return Err(RecordsError::Limit(format!("more than {WRITTEN_BYTES_MAX} bytes written in one call")));
        }
        Ok(())
    }

    fn write(
        &mut self,
        kind: &str,
        id: &str,
        revision: u64,
        status: &str,
        code: i32,
        body: String,
    ) -> Result<u64, RecordsError> {
        self.room(body.len())?;
        let Some(desk) = &self.desk else {
            return Err(RecordsError::Invalid("nothing can be written here".to_owned()));
        };
        self.writes += 1;
        self.written_bytes += body.len();
        Ok(desk.write(kind, id, revision, status, code, body))
    }

    /// What writes are held to; `None` where a plugin is played.
    async fn kind(&mut self, kind: &str) -> Said<Option<Arc<RecordType>>> {
        let unknown = || RecordsError::UnknownType(format!("there is no record type {kind}"));
        let (reading, granted, whose) = match &self.way {
            Way::Shut => return Ok(Err(unknown())),
            Way::Played => return Ok(Ok(None)),
            Way::Open { reading, granted, whose, .. } => (reading, granted, whose),
        };
        if !granted.contains(kind) {
            let (plugin, namespace) = &**whose;
            let message = format!(
                "records of type {kind} are not granted to the plugin `{plugin}` in flows of the namespace \
                 `{namespace}`: an administrator grants them with \
                 `PUT /api/v1/grants/{plugin}/records/{kind}?namespace={namespace}`"
            );
            self.denied = Some(permanent("NOT_GRANTED", message.clone()));
            return Ok(Err(RecordsError::NotGranted(message)));
        }
        if let Some(known) = self.kinds.get(kind) {
            return Ok(Ok(Some(known.clone())));
        }
        let asked = (reading.record_type)(kind);
        let Some(found) = self.heard(asked.await)? else { return Ok(Err(unknown())) };
        self.kinds.insert(kind.to_owned(), found.clone());
        Ok(Ok(Some(found)))
    }

    /// Ends the call where the database did not answer: nothing was done, and trying again may help.
    fn heard<T>(&mut self, told: Result<T, Unavailable>) -> wasmtime::Result<T> {
        told.map_err(|error| {
            let failure = Failure::Transient { message: error.to_string(), retry_after_ms: None };
            self.denied = Some(Outcome::Failed(failure));
            wasmtime::Error::new(OutOfReach)
        })
    }

    fn count_reads(&mut self, more: u32) -> Result<(), RecordsError> {
        self.reads = self.reads.saturating_add(more);
        if self.reads > READS_MAX {
            return Err(RecordsError::Limit(format!("more than {READS_MAX} reads in one call")));
        }
        Ok(())
    }
}

impl From<Committed> for Entry {
    fn from(one: Committed) -> Self {
        let Committed { id, status, status_code, revision, body } = one;
        Self { id, status, status_code, revision, body }
    }
}

fn entry(id: String, write: RecordWrite) -> Entry {
    let RecordWrite { revision, status, status_code, body } = write;
    Entry { id, status, status_code, revision, body }
}

fn named(id: &str) -> Result<(), RecordsError> {
    if is_record_id(id) {
        return Ok(());
    }
    Err(RecordsError::Invalid(format!("an id has 1 to {RECORD_ID_BYTES_MAX} bytes, none of them NUL")))
}

fn ends(range: &StatusRange) -> Result<(Option<i32>, Option<i32>), RecordsError> {
    if range.min.is_none() && range.max.is_none() {
        return Err(RecordsError::Invalid("a range of statuses has a min, a max or both".to_owned()));
    }
    Ok((range.min, range.max))
}

fn code(record_type: Option<&RecordType>, status: &str) -> Result<i32, RecordsError> {
    let Some(record_type) = record_type else { return Ok(0) };
    let unknown = || RecordsError::Invalid(format!("{} has no status {status}", record_type.key));
    record_type.status(status).map(|status| status.code).ok_or_else(unknown)
}

fn fits(record_type: Option<&RecordType>, body: &str) -> Result<(), RecordsError> {
    if body.len() > RECORD_BODY_BYTES_MAX {
        let message = format!("a body of {} bytes; at most {RECORD_BODY_BYTES_MAX}", body.len());
        return Err(RecordsError::Invalid(message));
    }
    let value: Value =
        serde_json::from_str(body).map_err(|error| RecordsError::Invalid(format!("the body is not JSON: {error}")))?;
    match record_type.map(|record_type| record_type.misfits(&value)).unwrap_or_default().first() {
        Some(problem) => Err(RecordsError::Invalid(format!("body{}: {}", problem.pointer, problem.message))),
        None => Ok(()),
    }
}
