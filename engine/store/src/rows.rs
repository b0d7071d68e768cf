//! How values stand in columns: ids, states, JSON, times.
//!
//! Invariant: the number of a state is part of the schema; it never changes.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use stepwell_core::machine::State;
use stepwell_runtime::journal::Unavailable;
use uuid::Uuid;

use crate::sql::{Cell, Error, Result, Row};

/// In the order of their numbers.
pub(crate) const STATES: [State; 9] = [
    State::Running,
    State::Waiting,
    State::Incident,
    State::Suspended,
    State::Compensating,
    State::Completed,
    State::Failed,
    State::Compensated,
    State::Cancelled,
];

pub(crate) fn state_number(state: State) -> u8 {
    match state {
        State::Running => 0,
        State::Waiting => 1,
        State::Incident => 2,
        State::Suspended => 3,
        State::Compensating => 4,
        State::Completed => 5,
        State::Failed => 6,
        State::Compensated => 7,
        State::Cancelled => 8,
    }
}

pub(crate) fn state(row: &Row<'_>, column: usize) -> Result<State> {
    let number: u8 = row.get(column)?;
    STATES.get(usize::from(number)).copied().ok_or(Error::Column { column, holds: "no state's number" })
}

/// The column form of an instance's id; `None` is not an id of ours.
pub(crate) fn id_bytes(id: &str) -> Option<[u8; 16]> {
    Uuid::try_parse(id).ok().map(Uuid::into_bytes)
}

pub(crate) fn id_text(bytes: [u8; 16]) -> Arc<str> {
    let mut buffer = Uuid::encode_buffer();
    Arc::from(&*Uuid::from_bytes(bytes).hyphenated().encode_lower(&mut buffer))
}

pub(crate) fn id(row: &Row<'_>, column: usize) -> Result<Arc<str>> {
    row.get(column).map(id_text)
}

/// Reads a JSON column.
pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    json_or_null(row, column)?.ok_or(Error::Column { column, holds: "nothing" })
}

/// Reads a JSON column that may be null.
pub(crate) fn json_or_null<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<Option<T>> {
    match row.cell(column)? {
        Cell::Null => Ok(None),
        Cell::Text(text) => Ok(Some(serde_json::from_str(text)?)),
        Cell::Int(_) | Cell::Bytes(_) | Cell::Other => Err(Error::Column { column, holds: "no text" }),
    }
}

/// JSON text of a value; values of ours always have one.
pub(crate) fn text(value: &(impl serde::Serialize + ?Sized)) -> std::result::Result<String, Unavailable> {
    serde_json::to_string(value).map_err(|error| Unavailable(format!("a value has no JSON form: {error}")))
}

/// The column form of a time or count of ours.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn natural(row: &Row<'_>, column: usize) -> Result<u64> {
    row.get(column)
}

pub(crate) fn natural_or_null(row: &Row<'_>, column: usize) -> Result<Option<u64>> {
    row.get(column)
}

pub(crate) fn shared(value: Value) -> Arc<Value> {
    Arc::new(value)
}
