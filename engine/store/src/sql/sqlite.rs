//! `SQLite`: one file, statements prepared once per connection.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags, ToSql, params_from_iter};

use super::say::to_sqlite;
use super::{Cell, Each, Result, Row, Value};

/// A database file and how it is used.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) checkpoint_pages: u32,
}

pub(crate) struct Link {
    pub(crate) connection: Connection,
}

impl File {
    pub(super) fn writing(&self) -> Result<Link> {
        let connection = Connection::open(&self.path)?;
        // Somebody may look at the file with a tool, and hold it for a moment.
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", self.checkpoint_pages)?;
        connection.pragma_update(None, "cache_size", -32_768)?;
        connection.set_prepared_statement_cache_capacity(128);
        Ok(Link { connection })
    }

    pub(super) fn reading(&self) -> Result<Link> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "cache_size", -4_096)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Link { connection })
    }

    /// Copies the database as it stands into a new file.
    pub(crate) fn copy_to(&self, to: &Path) -> Result<()> {
        let to = to.display().to_string();
        self.reading()?.connection.execute("vacuum into ?1", [to])?;
        Ok(())
    }
}

impl Link {
    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>> {
        if sql.contains('{') {
            return Ok(self.connection.prepare_cached(&to_sqlite(sql))?);
        }
        Ok(self.connection.prepare_cached(sql)?)
    }

    pub(super) fn query<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(&Row::Sqlite(row))?);
        }
        Ok(found)
    }

    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize> {
        Ok(self.prepare(sql)?.execute(params_from_iter(values))?)
    }

    pub(super) fn query_each<T, const N: usize>(
        &self,
        each: &Each<N>,
        rows: &[[Value<'_>; N]],
        mut read: impl FnMut(usize, &Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(each.to_sqlite())?;
        let mut found = Vec::with_capacity(rows.len());
        for (at, values) in rows.iter().enumerate() {
            let mut answers = statement.query(params_from_iter(values))?;
            while let Some(row) = answers.next()? {
                found.push(read(at, &Row::Sqlite(row))?);
            }
        }
        Ok(found)
    }

    pub(super) fn execute_each<const N: usize>(&self, each: &Each<N>, rows: &[[Value<'_>; N]]) -> Result<usize> {
        let mut statement = self.connection.prepare_cached(each.to_sqlite())?;
        let mut changed = 0;
        for values in rows {
            changed += statement.execute(params_from_iter(values))?;
        }
        Ok(changed)
    }

    pub(super) fn run(&self, sql: &str) -> Result<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.connection.is_autocommit()
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl<'a> From<ValueRef<'a>> for Cell<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Int(number),
            ValueRef::Text(text) => std::str::from_utf8(text).map_or(Self::Other, Self::Text),
            ValueRef::Blob(bytes) => Self::Bytes(bytes),
            ValueRef::Real(_) => Self::Other,
        }
    }
}
