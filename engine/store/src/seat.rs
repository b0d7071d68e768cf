//! An engine's place among those that share a database: its number, and the proof that it still has it.
//!
//! Time is the database's: engines whose clocks disagree agree on who is alive.
//!
//! Invariants:
//! - Every transaction that writes begins with [`Seat::prove`], which locks the engine's row until
//!   the commit. Whoever takes the engine for dead must lock the row too and raises its epoch, so a
//!   commit is wholly before that, or it is refused.
//! - An instance that is owned is owned by an engine that was not taken for dead: giving back its
//!   instances is part of the same transaction.
//! - A number is never used by two engines at once.
//!
//! Not here: a file, which one process owns (`open`); who takes which instance (`take`).

use std::time::Duration;

use crate::OpenError;
use crate::numbers::first_id;
use crate::sql::{Db, Error, Result, Row, values};

/// How often two engines that start at once may take the number the other wanted.
const TRIES: usize = 20;
/// The most engines one database ever has at once; the number is a part of others.
const ENGINES_MAX: i64 = 255;
/// More numbers than one transaction can give out.
const SKIPPED: i64 = 1 << 20;

/// The longest time between two looks for engines that are gone.
const HEARTBEAT_MS_MAX: u64 = 1_000;

const NOW_MS: &str = "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)";

#[derive(Debug, Clone)]
pub(crate) struct Seat {
    name: String,
    lease_ms: i64,
    /// Whether it tells others of what they should look at, or leaves it to them to look.
    pub(crate) hints: bool,
    /// From 1.
    pub(crate) number: i64,
    epoch: i64,
}

impl Seat {
    /// Takes a number: the one this name had, or that of an engine that is gone, or a new one.
    /// Returns it with the number from which on nothing was given out under it.
    pub(crate) fn take(
        place: &str,
        db: &mut Db,
        name: &str,
        lease: Duration,
        hints: bool,
    ) -> std::result::Result<(Self, i64), OpenError> {
        let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let mut last = None;
        for _ in 0..TRIES {
            match sit_down(db, name, lease_ms, hints) {
                Ok(Some(taken)) => return Ok(taken),
                Ok(None) => return Err(OpenError::unusable(place, &format!("{ENGINES_MAX} engines use it"))),
                Err(error) => {
                    db.roll_back();
                    last = Some(error);
                }
            }
        }
        Err(OpenError::unusable(place, &last.unwrap_or(Error::Raced)))
    }

    /// Takes a number again after others took this engine for dead.
    pub(crate) fn take_again(&self, db: &mut Db) -> Result<(Self, i64)> {
        sit_down(db, &self.name, self.lease_ms, self.hints)?.ok_or(Error::Raced)
    }

    /// First in a transaction: is this engine still what it was? Says, too, that it is alive.
    pub(crate) fn prove(&self, db: &mut Db, counter: i64) -> Result<()> {
        let alive = format!("update engine set counter = ?3, seen_ms = {NOW_MS} where number = ?1 and epoch = ?2");
        let proven = db.execute(&alive, &values![self.number, self.epoch, counter])?;
        if proven == 1 { Ok(()) } else { Err(Error::Fenced) }
    }

    /// Takes those for dead who were not heard of, and gives back what they drove. In a transaction.
    pub(crate) fn bury_others(&self, db: &mut Db) -> Result<usize> {
        let dead = format!(
            "select number from engine where number <> ?1 and seen_ms < {NOW_MS} - ?2 order by number
             for update skip locked"
        );
        let dead: Vec<i64> = db.query(&dead, &values![self.number, self.lease_ms], |row| row.get(0))?;
        for &number in &dead {
            db.execute("update engine set epoch = epoch + 1, seen_ms = null where number = ?1", &values![number])?;
            let instances = give_back(db, number)?;
            tracing::warn!(engine = number, instances, "an engine was not heard of: others go on with what it drove");
        }
        Ok(dead.len())
    }

    /// How long a transaction of a connection may lie still. An engine that sleeps or is cut off in the middle of one
    /// holds its own row, and nobody could take it for dead before the server gave the transaction up.
    pub(crate) fn bound(&self, db: &mut Db) -> Result<()> {
        db.run(&format!("set idle_in_transaction_session_timeout = {}", self.lease_ms.max(1)))
    }

    /// Leaves in order. In a transaction.
    pub(crate) fn leave(&self, db: &mut Db) -> Result<()> {
        let left = "update engine set epoch = epoch + 1, seen_ms = null where number = ?1 and epoch = ?2";
        if db.execute(left, &values![self.number, self.epoch])? == 1 {
            give_back(db, self.number)?;
        }
        Ok(())
    }

    /// How long it may be silent before others take it for dead.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.lease_ms).unwrap_or_default())
    }

    /// How often it must be heard of, whether or not it has something to write.
    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.lease_ms / 5).unwrap_or(1).clamp(1, HEARTBEAT_MS_MAX))
    }
}

/// Makes whatever an engine drove wanted at once.
fn give_back(db: &mut Db, number: i64) -> Result<usize> {
    db.execute("update instance set owner = 0, wake_ms = 0 where state <= 4 and owner = ?1", &values![number])
}

/// `None`: every number is in use.
fn sit_down(db: &mut Db, name: &str, lease_ms: i64, hints: bool) -> Result<Option<(Seat, i64)>> {
    db.begin()?;
    let free = format!(
        "select number, epoch, counter from engine
         where name = ?1 or seen_ms is null or seen_ms < {NOW_MS} - ?2
         order by name <> ?1, number limit 1 for update skip locked"
    );
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let found: Option<(i64, i64, i64)> = db.first(&free, &values![name, lease_ms], read)?;
    let (number, epoch, counter) = if let Some((number, epoch, counter)) = found {
        let sat = format!("update engine set name = ?2, epoch = ?3, seen_ms = {NOW_MS} where number = ?1");
        db.execute(&sat, &values![number, name, epoch + 1])?;
        give_back(db, number)?;
        (number, epoch + 1, counter)
    } else {
        let number: i64 = db.only("select coalesce(max(number), 0) + 1 from engine", &[], |row| row.get(0))?;
        if number > ENGINES_MAX {
            db.run("rollback")?;
            return Ok(None);
        }
        let new = format!("insert into engine (number, name, epoch, counter, seen_ms) values (?1, ?2, 1, 0, {NOW_MS})");
        db.execute(&new, &values![number, name])?;
        (number, 1, 0)
    };
    let now_ms: i64 = db.only(&format!("select {NOW_MS}"), &[], |row| row.get(0))?;
    db.run("commit")?;
    let given_out = (counter + SKIPPED).max(first_id(now_ms));
    Ok(Some((Seat { name: name.to_owned(), lease_ms, hints, number, epoch }, given_out)))
}
