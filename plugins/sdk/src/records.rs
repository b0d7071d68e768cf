//! Records: business entities whose status and revision the engine keeps. Makes the plugin transactional, or, beside
//! the feature `http`, lets an external one read.
//!
//! What a call writes is staged, and becomes real with the commit that carries its result; if a record that it read or
//! wrote has moved by then, the instance runs again from its last commit. A lost race is an answer (`None`), no error.
//!
//! On the host (`cargo test`) there are no records to begin with: every type is there and empty, statuses have code 0,
//! and what a thread writes it sees.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, permanent, read, write};

#[cfg(target_arch = "wasm32")]
mod engine;
#[cfg(not(target_arch = "wasm32"))]
#[path = "records/memory.rs"]
mod engine;

/// A record as it stands for this call.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<T> {
    pub id: String,
    pub status: String,
    /// By which intervals of statuses compare.
    pub status_code: i32,
    /// Counts writes, from 1.
    pub revision: u64,
    pub body: T,
}

/// What must hold for [`compare_and_set`] to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard<'a> {
    /// There is no such record.
    Absent,
    /// Its status is this one.
    Status(&'a str),
    /// Its status's code lies between these, both included; at least one is given.
    Between(Option<i32>, Option<i32>),
    /// Its revision is this one.
    Revision(u64),
}

/// Which records [`list`] returns; what is `None` does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter<'a> {
    pub status: Option<&'a str>,
    /// By the status's code, both ends included.
    pub min: Option<i32>,
    pub max: Option<i32>,
}

/// A part of a list, by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub records: Vec<Record<T>>,
    /// Give it to the next call as `after`; none: that was all.
    pub next: Option<String>,
}

/// Whether records of this type are kept at all.
pub fn is_type(record_type: &str) -> Result<bool, Error> {
    engine::is_type(record_type)
}

/// The record, or none. The commit depends on it.
pub fn get<T: DeserializeOwned>(record_type: &str, id: &str) -> Result<Option<Record<T>>, Error> {
    engine::get(record_type, id)?.map(typed).transpose()
}

/// At most `limit` records (1 to 200) after the id `after`. The commit does not depend on them.
pub fn list<T: DeserializeOwned>(
    record_type: &str,
    filter: Filter<'_>,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<T>, Error> {
    let (found, next) = engine::list(record_type, filter, after, limit)?;
    Ok(Page { records: found.into_iter().map(typed).collect::<Result<_, _>>()?, next })
}

/// Makes the record or replaces it, whatever it was. Returns its new revision.
pub fn put<T: Serialize + ?Sized>(record_type: &str, id: &str, status: &str, body: &T) -> Result<u64, Error> {
    engine::put(record_type, id, status, &write(body)?)
}

/// Sets status and, where given, body, if the guard holds. Returns the new revision, or none where it did not hold:
/// somebody else was first. [`Guard::Absent`] needs a body.
pub fn compare_and_set<T: Serialize + ?Sized>(
    record_type: &str,
    id: &str,
    guard: Guard<'_>,
    status: &str,
    body: Option<&T>,
) -> Result<Option<u64>, Error> {
    let body = body.map(write).transpose()?;
    engine::compare_and_set(record_type, id, guard, status, body.as_deref())
}

/// [`compare_and_set`] that leaves the body as it is.
pub fn set_status(record_type: &str, id: &str, guard: Guard<'_>, status: &str) -> Result<Option<u64>, Error> {
    engine::compare_and_set(record_type, id, guard, status, None)
}

fn typed<T: DeserializeOwned>(raw: Record<String>) -> Result<Record<T>, Error> {
    let Record { id, status, status_code, revision, body } = raw;
    let body = read::<Owned<T>>(&body)?.0;
    Ok(Record { id, status, status_code, revision, body })
}

/// Reads what borrows nothing.
struct Owned<T>(T);

impl<'de, T: DeserializeOwned> serde::Deserialize<'de> for Owned<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

fn refused(message: String) -> Error {
    permanent(message)
}
