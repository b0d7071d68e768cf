//! Is this database ours, and how far is it: what is said once, at the start.

use super::say::migration;
use super::{Db, Result};

/// Marks a file as ours (`pragma application_id`): "step".
const APPLICATION_ID: i32 = 0x7374_6570;

const BOOK: &str = "create table if not exists migration (number integer primary key, name text not null, sha256 text not null) strict";

/// `SQLite` has this built in.
const JSON_VALID: &str = "create or replace function json_valid(text) returns boolean language sql immutable
    as 'select $1::json is not null'";

impl Db {
    /// `false`: it holds things of somebody else.
    pub(crate) fn is_ours(&mut self) -> Result<bool> {
        if let Self::Sqlite(link) = self {
            let id: i32 = link.connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
            if id != 0 {
                return Ok(id == APPLICATION_ID);
            }
        }
        let tables = self.tables()?;
        Ok(tables.is_empty() || (self.is_shared() && tables.iter().any(|name| name == "migration")))
    }

    /// Was anything of ours ever put there?
    pub(crate) fn has_book(&mut self) -> Result<bool> {
        Ok(self.tables()?.iter().any(|name| name == "migration"))
    }

    fn tables(&mut self) -> Result<Vec<String>> {
        let sql = match self {
            Self::Sqlite(_) => "select name from sqlite_schema",
            Self::Postgres(_) => {
                "select c.relname from pg_catalog.pg_class as c
                 join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
                 where n.nspname = current_schema() and c.relkind = 'r'"
            }
        };
        self.query(sql, &[], |row| row.get(0))
    }

    /// Begins a transaction beside which nobody else can begin one of these, with the book of migrations at hand.
    pub(crate) fn begin_alone(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(link) => {
                link.run("begin exclusive")?;
                link.run(BOOK)
            }
            Self::Postgres(link) => {
                link.make_schema()?;
                // Of two who make the table at once, one is refused, and finds it the next time.
                if let Err(error) = link.run(&migration(BOOK)) {
                    tracing::debug!(%error, "another engine starts as well");
                    link.run(&migration(BOOK))?;
                }
                link.run("begin isolation level read committed")?;
                link.run("set local lock_timeout = 0")?;
                link.run("lock table migration in access exclusive mode")?;
                link.run(JSON_VALID)
            }
        }
    }

    /// Runs a migration.
    pub(crate) fn define(&mut self, sql: &str, to_postgres: &str) -> Result<()> {
        match self {
            Self::Sqlite(link) => Ok(link.connection.execute_batch(sql)?),
            Self::Postgres(link) => {
                link.run(&migration(sql))?;
                link.run(to_postgres)
            }
        }
    }

    /// The schema's number where it is marked elsewhere than in the book.
    pub(crate) fn marked(&mut self) -> Result<Option<u32>> {
        match self {
            Self::Sqlite(link) => Ok(Some(link.connection.pragma_query_value(None, "user_version", |row| row.get(0))?)),
            Self::Postgres(_) => Ok(None),
        }
    }

    pub(crate) fn mark_as_ours(&mut self, schema: u32) -> Result<()> {
        match self {
            Self::Sqlite(link) => {
                link.connection.pragma_update(None, "user_version", schema)?;
                link.connection.pragma_update(None, "application_id", APPLICATION_ID)?;
                Ok(())
            }
            Self::Postgres(_) => Ok(()),
        }
    }
}
