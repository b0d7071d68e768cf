//! One transaction as the items of a batch see it: the connection, the counter, and what is to be
//! said after the commit.
//!
//! Invariant: numbers grow with every call of [`Tx::next`] and are never used twice, whether or not
//! the transaction is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, Params};
use stepwell_core::machine::State;

use crate::feed::FeedItem;
use crate::rows::state_number;

pub(crate) struct Tx<'c> {
    connection: &'c Connection,
    counter: &'c mut i64,
    tally: Vec<Move>,
    feed: Vec<FeedItem>,
}

/// One instance more or less of a version in a state.
struct Move {
    flow: Arc<str>,
    version: u32,
    state: State,
    by: i64,
}

/// How much a transaction had to say at some moment.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    tally: usize,
    feed: usize,
}

impl<'c> Tx<'c> {
    pub(crate) fn new(connection: &'c Connection, counter: &'c mut i64) -> Self {
        Self { connection, counter, tally: Vec::new(), feed: Vec::new() }
    }

    /// A number greater than every one before.
    pub(crate) fn next(&mut self) -> i64 {
        *self.counter += 1;
        *self.counter
    }

    pub(crate) fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.connection.prepare_cached(sql)
    }

    /// Runs a statement; returns how many rows it changed.
    pub(crate) fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    pub(crate) fn connection(&self) -> &Connection {
        self.connection
    }

    pub(crate) fn count(&mut self, flow: &Arc<str>, version: u32, state: State, by: i64) {
        self.tally.push(Move { flow: flow.clone(), version, state, by });
    }

    /// Says something to the feed, once committed.
    ///
    /// Also when nobody listens yet: who begins to while the commit is under way would miss it.
    pub(crate) fn say(&mut self, item: FeedItem) {
        self.feed.push(item);
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { tally: self.tally.len(), feed: self.feed.len() }
    }

    /// Takes back what was said since.
    pub(crate) fn forget(&mut self, since: Mark) {
        self.tally.truncate(since.tally);
        self.feed.truncate(since.feed);
    }

    /// Writes the tally: one row per version and state, however many instances moved.
    pub(crate) fn finish(self) -> rusqlite::Result<Vec<FeedItem>> {
        let mut sums: BTreeMap<(&str, u32, u8), i64> = BTreeMap::new();
        for one in &self.tally {
            *sums.entry((&one.flow, one.version, state_number(one.state))).or_default() += one.by;
        }
        for ((flow, version, state), by) in sums {
            if by == 0 {
                continue;
            }
            let changed = self.execute(
                "update tally set instances = instances + ?4 where flow = ?1 and version = ?2 and state = ?3",
                (flow, version, state, by),
            )?;
            if changed == 0 {
                self.execute(
                    "insert into tally (flow, version, state, instances) values (?1, ?2, ?3, ?4)",
                    (flow, version, state, by),
                )?;
            }
        }
        Ok(self.feed)
    }
}
