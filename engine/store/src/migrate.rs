//! Brings a database to this engine's schema: numbered files, forward only, each in a transaction.
//!
//! Invariants:
//! - A file that was released never changes; a change is a new file. The database remembers the
//!   sha256 of what it was built with, and a difference is refused.
//! - A database of a newer engine is left alone.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};
use sha2::{Digest as _, Sha256};

use crate::OpenError;

/// In order; a migration's number is its place, from 1.
const MIGRATIONS: [(&str, &str); 2] = [
    ("0001-instances", include_str!("../migrations/0001-instances.sql")),
    ("0002-administration", include_str!("../migrations/0002-administration.sql")),
];

/// Marks the file as ours (`pragma application_id`): "step".
const APPLICATION_ID: i32 = 0x7374_6570;

/// The schema this engine writes.
pub(crate) fn known() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Applies what is missing, all or nothing per file.
pub(crate) fn up(path: &Path, connection: &mut Connection) -> Result<(), OpenError> {
    let unusable = |error: rusqlite::Error| OpenError::unusable(path, &error);
    refuse_foreign(path, connection)?;
    // One lock over look and change: nobody else migrates meanwhile.
    let tx = connection.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(unusable)?;
    let found: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(unusable)?;
    if found > known() {
        return Err(OpenError::NewerSchema { path: path.to_owned(), found, known: known() });
    }
    tx.execute_batch(
        "create table if not exists migration (number integer primary key, name text not null, sha256 text not null) strict",
    )
    .map_err(unusable)?;
    for (number, (name, sql)) in (1_u32..).zip(MIGRATIONS) {
        let sum = hex(&Sha256::digest(sql.as_bytes()));
        if number <= found {
            let kept: Option<String> = tx
                .query_row("select sha256 from migration where number = ?1", [number], |row| row.get(0))
                .optional()
                .map_err(unusable)?;
            if kept.as_deref() != Some(&sum) {
                return Err(OpenError::unusable(path, &format!("migration {name} is not the one it was built with")));
            }
            continue;
        }
        tx.execute_batch(sql).map_err(|error| OpenError::unusable(path, &format!("migration {name}: {error}")))?;
        tx.execute("insert into migration (number, name, sha256) values (?1, ?2, ?3)", (number, name, &sum))
            .map_err(unusable)?;
        tracing::info!(migration = name, "schema brought up to date");
    }
    tx.pragma_update(None, "user_version", known()).map_err(unusable)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(unusable)?;
    tx.commit().map_err(unusable)
}

fn refuse_foreign(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let unusable = |error: rusqlite::Error| OpenError::unusable(path, &error);
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(unusable)?;
    let tables: i64 =
        connection.query_row("select count(*) from sqlite_schema", [], |row| row.get(0)).map_err(unusable)?;
    if id == APPLICATION_ID || (id == 0 && tables == 0) {
        return Ok(());
    }
    Err(OpenError::Foreign(path.to_owned()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // Writing to a string cannot fail.
        text
    })
}
