//! What the store tells the world after each commit, in commit order, and again after a number.
//!
//! Invariant: a subscriber that misses nothing and one that reads on with [`Store::feed_after`] are
//! told the same; numbers grow, and may have gaps.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwell_core::machine::State;
use stepwell_runtime::journal::Unavailable;
use tokio::sync::broadcast;

use crate::Store;
use crate::numbers;
use crate::rows::{self, id, integer, natural, state};
use crate::sql::{Result, values};
use crate::tx::Tx;

/// One thing that was committed.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedItem {
    Instance(Committed),
    Notice(Notice),
}

impl FeedItem {
    /// Its place in commit order.
    pub fn n(&self) -> u64 {
        match self {
            Self::Instance(one) => one.n,
            Self::Notice(one) => one.n,
        }
    }
}

/// An instance moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub n: u64,
    pub instance: Arc<str>,
    pub flow: Arc<str>,
    pub version: u32,
    pub state: State,
    /// The last journal entry of the commit.
    pub seq: u64,
    pub business_key: Option<Arc<str>>,
}

/// Something else changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    pub n: u64,
    pub at_ms: u64,
    pub change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Change {
    /// A draft was saved or dropped.
    Draft {
        flow: String,
    },
    Published {
        flow: String,
        version: u32,
    },
    Plugin {
        name: String,
        version: String,
        digest: String,
        status: PluginStatus,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginStatus {
    /// New versions of flows are pinned to it.
    Live,
    /// Another build took its place; what is pinned to it goes on with it.
    Superseded,
    /// It could not be loaded.
    Failed,
}

/// Tells the feed of a change, as part of a transaction.
pub(crate) fn notice(tx: &mut Tx<'_>, at_ms: u64, change: &Change) -> Result<()> {
    let n = tx.next_place();
    let body = serde_json::to_string(change)?;
    tx.db.execute("insert into notice (n, at_ms, body) values (?1, ?2, ?3)", &values![n, integer(at_ms), body])?;
    let n = numbers::bare(n).unsigned_abs();
    tx.say(FeedItem::Notice(Notice { n, at_ms, change: change.clone() }));
    Ok(())
}

impl Store {
    /// Everything committed from now on. One that lags behind is told so by the channel, and reads
    /// on with [`Store::feed_after`] from the last number it saw.
    pub fn feed(&self) -> broadcast::Receiver<FeedItem> {
        self.inner.feed.subscribe()
    }

    /// The number of the last thing committed; 0 in a new store. A cursor beyond it is from another
    /// life of the file.
    pub async fn feed_last(&self) -> std::result::Result<u64, Unavailable> {
        let (first, last) = self.places();
        self.read(move |db| {
            let n: i64 = db.only(
                "select coalesce(max(n), 0) from
                     (select max(n) as n from journal where n > ?1 and n < ?2
                      union all select max(n) from notice where n > ?1 and n < ?2) as both_of_them",
                &values![first, last],
                |row| row.get(0),
            )?;
            Ok(numbers::bare(n).unsigned_abs())
        })
        .await
    }

    /// What was committed after `n`, oldest first, at most `limit`.
    pub async fn feed_after(&self, n: u64, limit: u32) -> std::result::Result<Vec<FeedItem>, Unavailable> {
        let (first, last) = self.places();
        let after = first.saturating_add(integer(n));
        self.read(move |db| {
            let mut items: Vec<FeedItem> = db.query(
                "select j.n, i.id, i.flow, i.version, j.state, j.last_seq, i.business_key
                 from journal as j join instance as i on i.n = j.instance
                 where j.n > ?1 and j.n < ?2 order by j.n limit ?3",
                &values![after, last, limit],
                |row| {
                    Ok(FeedItem::Instance(Committed {
                        n: place(row.get(0)?),
                        instance: id(row, 1)?,
                        flow: row.get(2)?,
                        version: row.get(3)?,
                        state: state(row, 4)?,
                        seq: natural(row, 5)?,
                        business_key: row.get(6)?,
                    }))
                },
            )?;
            let mut notices = db.query(
                "select n, at_ms, body from notice where n > ?1 and n < ?2 order by n limit ?3",
                &values![after, last, limit],
                |row| {
                    Ok(FeedItem::Notice(Notice {
                        n: place(row.get(0)?),
                        at_ms: natural(row, 1)?,
                        change: rows::json(row, 2)?,
                    }))
                },
            )?;
            items.append(&mut notices);
            items.sort_by_key(FeedItem::n);
            items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(items)
        })
        .await
    }
}

fn place(n: i64) -> u64 {
    numbers::bare(n).unsigned_abs()
}
