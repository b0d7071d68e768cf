//! Who drives what: taking instances, finding those that need an owner, reading entries back.
//!
//! Invariant: what another engine drives is not taken; only when it is taken for dead is it given back.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwell_core::machine::Entry;
use stepwell_runtime::journal::{Taken, Unavailable};

use crate::Store;
use crate::inbox::{self, Awaits};
use crate::rows::{id, id_bytes, integer, json, natural, natural_or_null};
use crate::sql::Kind::{Bytes, Int};
use crate::sql::{Each, Error, Result, values};
use crate::tx::Tx;
use crate::writer::{Item, TakeAsk};

// Rows that another engine has just now locked are left out: it may well be taking them.
static HOLD: Each<1> = Each::new(
    [Bytes],
    "select {at}, i.n, i.owner, i.epoch, i.seq, i.flow, i.version, i.business_key, i.traceparent
     from {each,} instance as i where i.id = ?1 and i.state <= 4 {lock i, leave}",
);
static LIVE: Each<1> = Each::new([Bytes], "select {at} from {each,} instance as i where i.id = ?1 and i.state <= 4");
static TAKE: Each<2> =
    Each::new([Int, Int], "update instance set epoch = epoch + 1, owner = ?2, wake_ms = null {from each} where n = ?1");
static SNAPSHOT: Each<1> = Each::new([Int], "select {at}, s.body from {each,} snapshot as s where s.instance = ?1");

type Outcome = std::result::Result<Option<Taken>, Unavailable>;

/// Takes what can be; the outcomes are in the order of the ids.
pub(crate) fn run(tx: &mut Tx<'_>, ids: &[[u8; 16]]) -> Result<Vec<Outcome>> {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_unstable_by_key(|&at| ids[at]);
    let rows: Vec<_> = order.iter().map(|&at| values![&ids[at]]).collect();
    let mut outcomes: Vec<Outcome> = ids.iter().map(|_| Ok(None)).collect();
    let mut seen = BTreeSet::new();
    let mut held: Vec<(usize, i64, Taken)> = Vec::with_capacity(ids.len());
    for (at, n, owner, taken) in tx.db.query_each(&HOLD, &rows, |at, row| {
        let taken = Taken {
            epoch: natural(row, 3)? + 1,
            seq: natural(row, 4)?,
            flow: row.get(5)?,
            version: row.get(6)?,
            business_key: row.get(7)?,
            traceparent: row.get(8)?,
            snapshot: String::new(),
            inbox: Vec::new(),
        };
        Ok((order[at], row.get::<i64>(1)?, row.get::<i64>(2)?, taken))
    })? {
        seen.insert(at);
        if owner == 0 || owner == tx.engine {
            held.push((at, n, taken));
        }
    }
    if tx.db.is_shared() && seen.len() < ids.len() {
        for at in tx.db.query_each(&LIVE, &rows, |at, _| Ok(order[at]))? {
            if !seen.contains(&at) {
                outcomes[at] = Err(Unavailable("another engine has hold of the instance just now".to_owned()));
            }
        }
    }
    let engine = tx.engine;
    let rows: Vec<_> = held.iter().map(|(_, n, _)| values![*n, engine]).collect();
    if tx.db.execute_each(&TAKE, &rows)? != held.len() {
        return Err(Error::Raced); // Two of this batch want the same.
    }
    fill(tx, &mut held)?;
    for (at, _, taken) in held {
        outcomes[at] = Ok(Some(taken));
    }
    Ok(outcomes)
}

/// Reads what an owner goes on from.
fn fill(tx: &mut Tx<'_>, held: &mut [(usize, i64, Taken)]) -> Result<()> {
    let rows: Vec<_> = held.iter().map(|(_, n, _)| values![*n]).collect();
    let snapshots: Vec<(usize, String)> = tx.db.query_each(&SNAPSHOT, &rows, |at, row| Ok((at, row.get(1)?)))?;
    if snapshots.len() != held.len() {
        return Err(Error::Column { column: 1, holds: "no snapshot of a live instance" });
    }
    for (at, snapshot) in snapshots {
        held[at].2.snapshot = snapshot;
    }
    let instances: Vec<i64> = held.iter().map(|(_, n, _)| *n).collect();
    let subscriptions = inbox::subscriptions(tx.db, &instances)?;
    let now_ms = tx.now_ms;
    let all: Vec<Awaits<'_>> = instances
        .iter()
        .zip(&subscriptions)
        .map(|(&n, subscriptions)| Awaits { instance: Some(n), subscriptions, commands: true, now_ms })
        .collect();
    for ((.., taken), items) in held.iter_mut().zip(inbox::waiting(tx.db, &all)?) {
        taken.inbox = items;
    }
    Ok(())
}

type Answer<T> = std::result::Result<T, Unavailable>;

impl Store {
    pub(crate) async fn take(&self, instance: &str) -> Answer<Option<Taken>> {
        let Some(bytes) = id_bytes(instance) else { return Ok(None) };
        let (ask, answer) = TakeAsk::new(bytes);
        self.send(Item::Take(ask), answer).await?
    }

    pub(crate) async fn ready(&self, now_ms: u64, limit: u32) -> Answer<Vec<Arc<str>>> {
        self.tell(now_ms);
        let engine = self.engine();
        self.read(move |db| {
            db.query(
                "select i.id from
                     (select n, priority, wake_ms from instance
                      where state <= 4 and owner in (0, ?3) and wake_ms <= ?1
                      order by priority, wake_ms limit ?2) as due
                 cross join instance as i where i.n = due.n
                 order by due.priority, due.wake_ms",
                &values![integer(now_ms), limit, engine],
                |row| id(row, 0),
            )
        })
        .await
    }

    pub(crate) async fn next_due_ms(&self) -> Answer<Option<u64>> {
        self.read(|db| {
            db.only(
                "select min(wake_ms) from instance where state <= 4 and owner = 0 and wake_ms is not null",
                &[],
                |row| natural_or_null(row, 0),
            )
        })
        .await
    }

    pub(crate) async fn entries(&self, instance: &str, seqs: &[u64]) -> Answer<Vec<Entry>> {
        let Some(bytes) = id_bytes(instance) else { return Ok(Vec::new()) };
        let mut seqs = seqs.to_vec();
        seqs.sort_unstable();
        seqs.dedup();
        self.read(move |db| {
            let mut found: Vec<Entry> = Vec::with_capacity(seqs.len());
            let mut at = 0;
            while let Some(&seq) = seqs.get(at) {
                let row: Option<(u64, Vec<Entry>)> = db.first(
                    "select last_seq, entries from journal
                     where instance = (select n from instance where id = ?1) and first_seq <= ?2
                     order by first_seq desc limit 1",
                    &values![&bytes, integer(seq)],
                    |row| Ok((natural(row, 0)?, json(row, 1)?)),
                )?;
                let Some((last_seq, mut entries)) = row else {
                    at += 1;
                    continue;
                };
                // One row serves all the numbers it holds.
                let end = seqs.partition_point(|&seq| seq <= last_seq).max(at + 1);
                entries.retain(|entry| seqs[at..end].binary_search(&entry.seq).is_ok());
                found.append(&mut entries);
                at = end;
            }
            Ok(found)
        })
        .await
    }
}
