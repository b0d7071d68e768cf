//! Who drives what: taking instances, finding those that need an owner, reading entries back.

use std::sync::Arc;

use rusqlite::OptionalExtension as _;
use stepwell_core::machine::Entry;
use stepwell_runtime::journal::{Taken, Unavailable};

use crate::Store;
use crate::inbox;
use crate::rows::{id, id_bytes, integer, json, natural, natural_or_null};

impl Store {
    pub(crate) async fn take(&self, instance: &str) -> Result<Option<Taken>, Unavailable> {
        let Some(bytes) = id_bytes(instance) else { return Ok(None) };
        let now_ms = self.told();
        self.write(move |tx| {
            let taken = tx
                .prepare(
                    "update instance set epoch = epoch + 1, owned = 1, wake_ms = null where id = ?1 and state <= 4
                     returning n, epoch, seq, flow, version, business_key, traceparent",
                )?
                .query_row([bytes], |row| {
                    let n: i64 = row.get(0)?;
                    Ok((
                        n,
                        Taken {
                            epoch: natural(row, 1)?,
                            seq: natural(row, 2)?,
                            flow: row.get(3)?,
                            version: row.get(4)?,
                            business_key: row.get(5)?,
                            traceparent: row.get(6)?,
                            snapshot: String::new(),
                            inbox: Vec::new(),
                        },
                    ))
                })
                .optional()?;
            let Some((n, mut taken)) = taken else { return Ok(None) };
            taken.snapshot =
                tx.prepare("select body from snapshot where instance = ?1")?.query_row([n], |row| row.get(0))?;
            let subscriptions = inbox::subscriptions(tx.connection(), n)?;
            taken.inbox = inbox::waiting(tx.connection(), Some(n), &subscriptions, now_ms)?;
            Ok(Some(taken))
        })
        .await
    }

    pub(crate) async fn ready(&self, now_ms: u64, limit: u32) -> Result<Vec<Arc<str>>, Unavailable> {
        self.tell(now_ms);
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "select i.id from
                         (select n, priority, wake_ms from instance
                          where state <= 4 and owned = 0 and wake_ms <= ?1
                          order by priority, wake_ms limit ?2) as due
                     cross join instance as i on i.n = due.n
                     order by due.priority, due.wake_ms",
                )?
                .query_map((integer(now_ms), limit), |row| id(row, 0))?
                .collect()
        })
        .await
    }

    pub(crate) async fn next_due_ms(&self) -> Result<Option<u64>, Unavailable> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "select min(wake_ms) from instance where state <= 4 and owned = 0 and wake_ms is not null",
                )?
                .query_row([], |row| natural_or_null(row, 0))
        })
        .await
    }

    pub(crate) async fn entries(&self, instance: &str, seqs: &[u64]) -> Result<Vec<Entry>, Unavailable> {
        let Some(bytes) = id_bytes(instance) else { return Ok(Vec::new()) };
        let mut seqs = seqs.to_vec();
        seqs.sort_unstable();
        seqs.dedup();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "select last_seq, entries from journal
                 where instance = (select n from instance where id = ?1) and first_seq <= ?2
                 order by first_seq desc limit 1",
            )?;
            let mut found: Vec<Entry> = Vec::with_capacity(seqs.len());
            let mut at = 0;
            while let Some(&seq) = seqs.get(at) {
                let row: Option<(u64, Vec<Entry>)> = statement
                    .query_row((bytes, integer(seq)), |row| Ok((natural(row, 0)?, json(row, 1)?)))
                    .optional()?;
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
