//! What a database refuses with, and what that means for the transaction it happened in.

use rusqlite::ErrorCode;
use stepwell_runtime::journal::Unavailable;

pub(crate) type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{}", said(.0))]
    Postgres(#[from] ::postgres::Error),
    /// A row is not as this engine would have written it.
    #[error("column {column} holds {holds}")]
    Column { column: usize, holds: &'static str },
    /// What was read a moment before is not so any more: decide again.
    #[error("another writer came between")]
    Raced,
    /// Others took this engine for dead. Nothing it holds is its own any more.
    #[error("this engine's lease is over")]
    Fenced,
    /// The database's URL asks for something that is not to be had.
    #[error("{0}")]
    Setting(String),
    #[error("a value has no JSON form: {0}")]
    Json(#[from] serde_json::Error),
}

/// What to do about a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// One item's own fault; the others can do without it.
    Item,
    /// The same again, from the start.
    Again,
    /// No item would fare better: disk full, server away.
    Whole,
    /// As `Whole`, and the connection is no good any more.
    Lost,
}

/// The database's own words: the client's say no more than that there were some.
fn said(error: &::postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => format!("{} ({})", said.message(), said.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

impl Error {
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Sqlite(error) => of_sqlite(error),
            Self::Postgres(error) => error.code().map_or(Verdict::Lost, |code| of_postgres(code.code())),
            Self::Column { .. } | Self::Raced | Self::Json(_) => Verdict::Item,
            Self::Fenced | Self::Setting(_) => Verdict::Whole,
        }
    }
}

fn of_sqlite(error: &rusqlite::Error) -> Verdict {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OutOfMemory) => {
            Verdict::Whole
        }
        // After these the connection's own view of the file cannot be relied on.
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly,
        ) => Verdict::Lost,
        _ => Verdict::Item,
    }
}

/// By the class of the SQLSTATE, its first two characters.
fn of_postgres(code: &str) -> Verdict {
    match (code, code.get(..2).unwrap_or_default()) {
        // Serialization failure, deadlock, a lock that was not let go in time.
        ("40001" | "40P01" | "55P03", _) => Verdict::Again,
        // A statement made under another schema: the connection forgets it.
        ("0A000" | "26000", _) | (_, "08" | "57") => Verdict::Lost,
        // Data, integrity, and what a trigger or a function says.
        (_, "21" | "22" | "23" | "44" | "P0") => Verdict::Item,
        _ => Verdict::Whole,
    }
}

impl From<Error> for Unavailable {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_says_what_to_do() {
        for (code, verdict) in [
            ("40001", Verdict::Again),
            ("40P01", Verdict::Again),
            ("23505", Verdict::Item),
            ("22021", Verdict::Item),
            ("53100", Verdict::Whole), // Disk full.
            ("25006", Verdict::Whole), // Read only.
            ("57P01", Verdict::Lost),  // An administrator ended the connection.
            ("08006", Verdict::Lost),
        ] {
            assert_eq!(of_postgres(code), verdict, "{code}");
        }
    }
}
