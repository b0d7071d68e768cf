//! Records as the engine keeps them.

use super::{Filter, Guard, Record, refused};
use crate::Error;
use crate::bindings::reading::stepwell::host::records_read as read;
use crate::bindings::writing::stepwell::host::records_write as write;

pub(super) type Raw = Record<String>;

fn told(error: read::RecordsError) -> Error {
    match error {
        read::RecordsError::UnknownType(message)
        | read::RecordsError::Invalid(message)
        | read::RecordsError::Limit(message)
        | read::RecordsError::NotGranted(message) => refused(message),
    }
}

fn record(entry: read::Entry) -> Raw {
    let read::Entry { id, status, status_code, revision, body } = entry;
    Record { id, status, status_code, revision, body }
}

pub(super) fn is_type(record_type: &str) -> Result<bool, Error> {
    let none = read::Filter { status: None, status_range: None };
    match read::list(record_type, &none, None, 1) {
        Ok(_) => Ok(true),
        Err(read::RecordsError::UnknownType(_)) => Ok(false),
        Err(error) => Err(told(error)),
    }
}

pub(super) fn get(record_type: &str, id: &str) -> Result<Option<Raw>, Error> {
    Ok(read::get(record_type, id).map_err(told)?.map(record))
}

pub(super) fn list(
    record_type: &str,
    filter: Filter<'_>,
    after: Option<&str>,
    limit: u32,
) -> Result<(Vec<Raw>, Option<String>), Error> {
    let Filter { status, min, max } = filter;
    let range = (min.is_some() || max.is_some()).then_some(read::StatusRange { min, max });
    let filter = read::Filter { status: status.map(str::to_owned), status_range: range };
    let page = read::list(record_type, &filter, after, limit).map_err(told)?;
    Ok((page.entries.into_iter().map(record).collect(), page.next))
}

pub(super) fn put(record_type: &str, id: &str, status: &str, body: &str) -> Result<u64, Error> {
    write::put(record_type, id, status, body).map_err(told)
}

pub(super) fn compare_and_set(
    record_type: &str,
    id: &str,
    guard: Guard<'_>,
    status: &str,
    body: Option<&str>,
) -> Result<Option<u64>, Error> {
    let guard = match guard {
        Guard::Absent => write::Guard::Absent,
        Guard::Status(status) => write::Guard::Status(status.to_owned()),
        Guard::Between(min, max) => write::Guard::StatusRange(read::StatusRange { min, max }),
        Guard::Revision(revision) => write::Guard::Revision(revision),
    };
    write::compare_and_set(record_type, id, &guard, status, body).map_err(told)
}
