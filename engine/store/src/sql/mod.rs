//! The one place that knows which database it is: the store's operations are written once, in the
//! SQL that both speak, and say what differs by marks that are filled in here.
//!
//! A statement is either asked once ([`Db::query`], [`Db::execute`]) or [`Each`]: the same statement
//! for many rows of parameters. `SQLite` runs that as a loop over one prepared statement, where a call
//! costs next to nothing; `PostgreSQL` runs it as one statement over `unnest`, where a round trip is
//! what costs.
//!
//! Invariants:
//! - What a statement means does not depend on the database; only how it is said does.
//! - After a failed statement the transaction is good for nothing but a roll-back, to a savepoint or whole.
//!
//! Not here: which statements there are, and what is decided from their answers.

use std::time::Duration;

mod again;
mod error;
mod ours;
mod postgres;
mod say;
mod sqlite;
mod tls;
mod value;

pub(crate) use again::{PAUSE, TRIES, again};
pub(crate) use error::{Error, Result, Verdict};
pub(crate) use postgres::Server;
pub(crate) use say::{Each, Kind};

pub(crate) use sqlite::File;
pub(crate) use value::{Cell, Column, Value};

/// Values for one statement, in the order of its parameters.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::sql::Value::from($value)),*] };
}
pub(crate) use values;

/// One connection.
pub(crate) enum Db {
    Sqlite(sqlite::Link),
    Postgres(Box<postgres::Link>),
}

/// Where connections lead to.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Sqlite(File),
    Postgres(Box<Server>),
}

impl Place {
    /// A connection for the writer.
    pub(crate) fn writing(&self) -> Result<Db> {
        match self {
            Self::Sqlite(file) => file.writing().map(Db::Sqlite),
            Self::Postgres(server) => server.connect().map(|link| Db::Postgres(Box::new(link))),
        }
    }

    /// A connection that only reads.
    pub(crate) fn reading(&self) -> Result<Db> {
        match self {
            Self::Sqlite(file) => file.reading().map(Db::Sqlite),
            Self::Postgres(server) => server.connect().map(|link| Db::Postgres(Box::new(link))),
        }
    }
}

/// A row of an answer, as long as the answer is read.
pub(crate) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a ::postgres::Row),
}

impl Row<'_> {
    pub(crate) fn get<T: Column>(&self, column: usize) -> Result<T> {
        T::read(self.cell(column)?).ok_or(Error::Column { column, holds: "another type, or a number out of range" })
    }

    pub(crate) fn cell(&self, column: usize) -> Result<Cell<'_>> {
        match self {
            Self::Sqlite(row) => Ok(Cell::from(row.get_ref(column)?)),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}

impl Db {
    pub(crate) fn query<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        match self {
            Self::Sqlite(link) => link.query(sql, values, read),
            Self::Postgres(link) => link.query(sql, values, read),
        }
    }

    /// The first row, if there is one.
    pub(crate) fn first<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.query(sql, values, read)?.into_iter().next())
    }

    /// The one row that there must be.
    pub(crate) fn only<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.first(sql, values, read)?.ok_or(Error::Column { column: 0, holds: "no row" })
    }

    pub(crate) fn exists(&mut self, sql: &str, values: &[Value<'_>]) -> Result<bool> {
        Ok(self.first(sql, values, |_| Ok(()))?.is_some())
    }

    /// Returns how many rows it changed.
    pub(crate) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<usize> {
        match self {
            Self::Sqlite(link) => link.execute(sql, values),
            Self::Postgres(link) => link.execute(sql, values),
        }
    }

    /// Asks for every row of values; `read` is told for which. Answers of one row come together, in
    /// their order; which row comes first is not said.
    pub(crate) fn query_each<T, const N: usize>(
        &mut self,
        each: &Each<N>,
        rows: &[[Value<'_>; N]],
        read: impl FnMut(usize, &Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        match self {
            _ if rows.is_empty() => Ok(Vec::new()),
            Self::Sqlite(link) => link.query_each(each, rows, read),
            Self::Postgres(link) => link.query_each(each, rows, read),
        }
    }

    /// Returns how many rows were changed in all.
    pub(crate) fn execute_each<const N: usize>(&mut self, each: &Each<N>, rows: &[[Value<'_>; N]]) -> Result<usize> {
        match self {
            _ if rows.is_empty() => Ok(0),
            Self::Sqlite(link) => link.execute_each(each, rows),
            Self::Postgres(link) => link.execute_each(each, rows),
        }
    }

    /// Statements that nothing is asked of and nothing is answered to.
    pub(crate) fn run(&mut self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite(link) => link.run(sql),
            Self::Postgres(link) => link.run(sql),
        }
    }

    /// Begins a transaction that will write.
    pub(crate) fn begin(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(link) => link.run("begin immediate"),
            // Each statement sees what was committed before it began: after waiting for a lock, the
            // next one sees what its holder did.
            Self::Postgres(link) => link.run("begin isolation level read committed"),
        }
    }

    /// Begins a transaction that sees one moment throughout.
    pub(crate) fn begin_reading(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(link) => link.run("begin"),
            Self::Postgres(link) => link.run("begin isolation level repeatable read read only"),
        }
    }

    /// Ends a transaction that failed. `false`: the connection cannot be used again.
    pub(crate) fn roll_back(&mut self) -> bool {
        match self {
            // The database may have rolled back by itself.
            Self::Sqlite(link) => link.is_idle() || link.run("rollback").is_ok(),
            Self::Postgres(link) => link.run("rollback").is_ok(),
        }
    }

    /// Asks to be told when another engine has a hint for somebody.
    pub(crate) fn listen(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()), // There is no other engine.
            Self::Postgres(link) => link.run("listen stepwell"),
        }
    }

    /// Waits for hints, for a while; many at once are one.
    pub(crate) fn hears(&mut self, at_most: Duration) -> Result<bool> {
        match self {
            Self::Sqlite(_) => Ok(false),
            Self::Postgres(link) => link.hears(at_most),
        }
    }

    /// Tells the other engines, with the commit, that there is something to look at.
    pub(crate) fn hint(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()), // There is nobody to tell.
            Self::Postgres(link) => link.run("notify stepwell"),
        }
    }

    /// Other writers may be at work on the same rows.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}
