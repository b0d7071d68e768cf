//! Brings a database to this engine's schema: numbered files, forward only, each in a transaction.
//!
//! Invariants:
//! - A file that was released never changes; a change is a new file. The database remembers the
//!   sha256 of what it was built with, and a difference is refused.
//! - A database of a newer engine is left alone.
//! - One at a time: whoever else starts meanwhile waits, and then finds it done.

use sha2::{Digest as _, Sha256};

use crate::OpenError;
use crate::sql::{Db, Result, Verdict, again, values};

struct Migration {
    name: &'static str,
    sql: &'static str,
    /// What only `PostgreSQL` is told, afterwards.
    to_postgres: &'static str,
}

/// In order; a migration's number is its place, from 1.
const MIGRATIONS: [Migration; 13] = [
    Migration { name: "0001-instances", sql: include_str!("../migrations/0001-instances.sql"), to_postgres: "" },
    Migration {
        name: "0002-administration",
        sql: include_str!("../migrations/0002-administration.sql"),
        to_postgres: "",
    },
    Migration {
        name: "0003-many-engines",
        sql: include_str!("../migrations/0003-many-engines.sql"),
        to_postgres: include_str!("../migrations/0003-many-engines.postgres.sql"),
    },
    Migration { name: "0004-bindings", sql: include_str!("../migrations/0004-bindings.sql"), to_postgres: "" },
    Migration { name: "0005-schedules", sql: include_str!("../migrations/0005-schedules.sql"), to_postgres: "" },
    Migration { name: "0006-pauses", sql: include_str!("../migrations/0006-pauses.sql"), to_postgres: "" },
    Migration { name: "0007-tasks", sql: include_str!("../migrations/0007-tasks.sql"), to_postgres: "" },
    Migration { name: "0008-forgetting", sql: include_str!("../migrations/0008-forgetting.sql"), to_postgres: "" },
    Migration {
        name: "0009-records",
        sql: include_str!("../migrations/0009-records.sql"),
        to_postgres: include_str!("../migrations/0009-records.postgres.sql"),
    },
    Migration { name: "0010-users", sql: include_str!("../migrations/0010-users.sql"), to_postgres: "" },
    Migration { name: "0011-grants", sql: include_str!("../migrations/0011-grants.sql"), to_postgres: "" },
    Migration { name: "0012-uploads", sql: include_str!("../migrations/0012-uploads.sql"), to_postgres: "" },
    Migration { name: "0013-machines", sql: include_str!("../migrations/0013-machines.sql"), to_postgres: "" },
];

/// The schema this engine writes.
pub(crate) fn known() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// The number of the newest migration that a database has; 0 of an empty one, `None` of somebody else's.
pub(crate) fn look(db: &mut Db) -> Result<Option<u32>> {
    if !db.is_ours()? {
        return Ok(None);
    }
    if db.has_book()? { found(db).map(Some) } else { Ok(Some(0)) }
}

/// Applies what is missing, all or nothing. `place` names the database to whoever reads an error.
pub(crate) fn up(place: &str, db: &mut Db) -> std::result::Result<(), OpenError> {
    let unusable = |error| OpenError::unusable(place, &error);
    if !db.is_ours().map_err(unusable)? {
        return Err(OpenError::Foreign(place.to_owned()));
    }
    let applied = again(|| {
        // One lock over look and change: nobody else migrates meanwhile.
        let applied = db.begin_alone().and_then(|()| apply(place, db));
        let done = match applied {
            Ok(Ok(())) => db.run("commit").map(Ok),
            other => other,
        };
        if !matches!(done, Ok(Ok(()))) {
            db.roll_back();
        }
        done
    });
    applied.map_err(unusable)?
}

/// What must not be applied is told apart from a transaction that failed.
fn apply(place: &str, db: &mut Db) -> Result<std::result::Result<(), OpenError>> {
    let found = found(db)?;
    if found > known() {
        return Ok(Err(OpenError::NewerSchema { place: place.to_owned(), found, known: known() }));
    }
    for (number, migration) in (1_u32..).zip(&MIGRATIONS) {
        let Migration { name, sql, to_postgres } = migration;
        let mut sum = Sha256::new();
        sum.update(sql);
        if db.is_shared() {
            sum.update(to_postgres);
        }
        let sum = hex(&sum.finalize());
        if number <= found {
            let kept: Option<String> =
                db.first("select sha256 from migration where number = ?1", &values![number], |row| row.get(0))?;
            if kept.as_deref() != Some(&sum) {
                let reason = format!("migration {name} is not the one it was built with");
                return Ok(Err(OpenError::unusable(place, &reason)));
            }
            continue;
        }
        match db.define(sql, to_postgres) {
            Err(error) if error.verdict() != Verdict::Again => {
                return Ok(Err(OpenError::unusable(place, &format!("migration {name}: {error}"))));
            }
            done => done?,
        }
        db.execute("insert into migration (number, name, sha256) values (?1, ?2, ?3)", &values![number, name, &sum])?;
        tracing::info!(migration = name, "schema brought up to date");
    }
    db.mark_as_ours(known()).map(Ok)
}

/// The number of the newest migration that was applied.
fn found(db: &mut Db) -> Result<u32> {
    let applied = db.only("select coalesce(max(number), 0) from migration", &[], |row| row.get(0))?;
    Ok(db.marked()?.unwrap_or(applied))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // Writing to a string cannot fail.
        text
    })
}
