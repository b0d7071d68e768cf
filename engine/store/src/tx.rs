//! One transaction as the items of a batch see it: the database, the numbers, and what is to be
//! said after the commit.
//!
//! Invariant: what an item says is forgotten with the item.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwell_core::machine::State;

use crate::feed::FeedItem;
use crate::numbers::Numbers;
use crate::rows::{integer, state_number};
use crate::seat::Seat;
use crate::sql::Kind::{Int, Text};
use crate::sql::{Db, Each, Result, values};

pub(crate) struct Tx<'c> {
    pub(crate) db: &'c mut Db,
    numbers: &'c mut Numbers,
    /// This engine's number, as the owner of instances.
    pub(crate) engine: i64,
    /// Where others write, too.
    pub(crate) seat: Option<&'c Seat>,
    /// Another engine should look at something.
    hint: bool,
    /// Workers that wait here should look.
    pub(crate) work: bool,
    /// The caller's time as it was last told.
    pub(crate) now_ms: u64,
    tally: Vec<Move>,
    feed: Vec<FeedItem>,
}

/// One instance more or less of a version in a state.
struct Move {
    flow: Arc<str>,
    version: u32,
    bound_by: Option<Arc<str>>,
    state: State,
    by: i64,
}

/// How much a transaction had to say at some moment.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    tally: usize,
    feed: usize,
}

static COUNT: Each<5> = Each::new(
    [Text, Int, Int, Int, Int],
    "insert into tally (flow, version, state, engine, instances) select ?1, ?2, ?3, ?4, ?5 {from each} where true
     on conflict (flow, version, state, engine) do update set instances = tally.instances + excluded.instances",
);

static COUNT_BY_CHOICE: Each<6> = Each::new(
    [Text, Int, Text, Int, Int, Int],
    "insert into tally_by_choice (flow, version, bound_by, state, engine, instances)
     select ?1, ?2, ?3, ?4, ?5, ?6 {from each} where true
     on conflict (flow, version, bound_by, state, engine)
     do update set instances = tally_by_choice.instances + excluded.instances",
);

static HOLD: Each<3> = Each::new(
    [Text, Text, Int],
    "insert into meeting (message, key, touched_ms) select ?1, ?2, ?3 {from each} where true
     on conflict (message, key) do update set touched_ms = excluded.touched_ms",
);

impl<'c> Tx<'c> {
    pub(crate) fn new(
        db: &'c mut Db,
        numbers: &'c mut Numbers,
        engine: i64,
        seat: Option<&'c Seat>,
        now_ms: u64,
    ) -> Self {
        Self { db, numbers, engine, seat, hint: false, work: false, now_ms, tally: Vec::new(), feed: Vec::new() }
    }

    /// The owner of something that is wanted should know soon.
    pub(crate) fn tell_owner(&mut self, owner: i64) {
        self.hint |= owner != 0 && owner != self.engine;
    }

    /// A number that sorts by time.
    pub(crate) fn next_id(&mut self) -> i64 {
        self.numbers.next_id(self.now_ms)
    }

    /// The next place in this engine's feed.
    pub(crate) fn next_place(&mut self) -> i64 {
        self.numbers.next_place()
    }

    /// Lets no other writer do the same thing to `what` until the commit. A file has no other writer.
    pub(crate) fn hold(&mut self, what: &str) -> Result<()> {
        // No message has an empty name.
        self.hold_all(&BTreeSet::from([("", what)]))
    }

    /// Holds the rows of these (message, key) until the commit, in their order.
    pub(crate) fn hold_all(&mut self, pairs: &BTreeSet<(&str, &str)>) -> Result<()> {
        if self.db.is_shared() {
            let now_ms = integer(self.now_ms);
            let rows: Vec<_> = pairs.iter().map(|(message, key)| values![message, key, now_ms]).collect();
            self.db.execute_each(&HOLD, &rows)?;
        }
        Ok(())
    }

    pub(crate) fn count(&mut self, flow: &Arc<str>, version: u32, bound_by: Option<&Arc<str>>, state: State, by: i64) {
        self.tally.push(Move { flow: flow.clone(), version, bound_by: bound_by.cloned(), state, by });
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

    /// Writes the tally: one row per version and state, however many instances moved; and one hint.
    pub(crate) fn finish(self) -> Result<Vec<FeedItem>> {
        let mut sums: BTreeMap<(&str, u32, u8), i64> = BTreeMap::new();
        let mut by_choice: BTreeMap<(&str, u32, &str, u8), i64> = BTreeMap::new();
        for one in &self.tally {
            let state = state_number(one.state);
            *sums.entry((&one.flow, one.version, state)).or_default() += one.by;
            if let Some(bound_by) = &one.bound_by {
                *by_choice.entry((&one.flow, one.version, bound_by, state)).or_default() += one.by;
            }
        }
        let engine = self.engine;
        let rows: Vec<_> = sums
            .into_iter()
            .filter(|&(_, by)| by != 0)
            .map(|((flow, version, state), by)| values![flow, version, state, engine, by])
            .collect();
        self.db.execute_each(&COUNT, &rows)?;
        let rows: Vec<_> = by_choice
            .into_iter()
            .filter(|&(_, by)| by != 0)
            .map(|((flow, version, bound_by, state), by)| values![flow, version, bound_by, state, engine, by])
            .collect();
        self.db.execute_each(&COUNT_BY_CHOICE, &rows)?;
        if self.hint && self.seat.is_some_and(|seat| seat.hints) {
            self.db.hint()?;
        }
        Ok(self.feed)
    }
}
