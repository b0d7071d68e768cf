//! What the store tells the world after each commit, in commit order, and again after a place.
//!
//! Each engine numbers its own commits; between two engines there is no order. So a reader's place is
//! how far it was told of each ([`Places`]), and what other engines committed is read from the
//! database every now and then and told here as well.
//!
//! Invariants:
//! - Of one engine, numbers grow and may have gaps; it commits them in their order, so whoever was
//!   told of one will never need an earlier one.
//! - A place whose row was taken away since is still counted (`passed`): no head goes back.
//! - A subscriber that misses nothing and one that reads on with [`Store::feed_after`] are told the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwell_core::machine::State;
use stepwell_runtime::journal::Unavailable;
use tokio::sync::broadcast;

use crate::Store;
use crate::numbers;
use crate::rows::{self, id, integer, natural, state};
use crate::sql::{Db, Result, values};
use crate::tx::Tx;

/// One thing that was committed.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedItem {
    Instance(Committed),
    Notice(Notice),
}

impl FeedItem {
    /// The engine that committed it; 0 where a file has only one. And its place among that engine's.
    pub fn place(&self) -> (u32, u64) {
        match self {
            Self::Instance(one) => (one.engine, one.n),
            Self::Notice(one) => (one.engine, one.n),
        }
    }
}

/// An instance moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub engine: u32,
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
    pub engine: u32,
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
    /// The actions of a machine's version were changed.
    Plugged {
        flow: String,
        version: u32,
        revision: u32,
    },
    /// Nothing is started on this version any more.
    Retired {
        flow: String,
        version: u32,
    },
    /// What decides over a flow's versions was changed.
    Binding {
        flow: String,
    },
    /// What a path starts was changed.
    Route {
        path: String,
    },
    /// Its bytes are gone; nobody needs it.
    PluginRemoved {
        name: String,
        version: String,
        digest: String,
    },
    /// No call is made of it any more, or again.
    Revoked {
        name: String,
        version: String,
        digest: String,
        revoked: bool,
    },
    /// A component that was brought has come to this stage, or to its end.
    Upload {
        id: String,
        state: String,
        stage: String,
    },
    /// A connection or a grant was changed.
    Grants,
    /// Who may do what was changed, or a session was ended.
    Access,
    /// Instances are kept no longer.
    Forgotten {
        flow: String,
        instances: u64,
    },
    /// An instance's payloads were taken away.
    Erased {
        flow: String,
        instance: String,
    },
}

/// How far somebody was told of each engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<u32, u64>);

impl Places {
    pub fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        self.0.iter().map(|(&engine, &n)| (engine, n))
    }

    pub fn of(&self, engine: u32) -> u64 {
        self.0.get(&engine).copied().unwrap_or_default()
    }

    /// Goes on to an item. `false`: it was told of before.
    pub fn pass(&mut self, item: &FeedItem) -> bool {
        let (engine, n) = item.place();
        let told = self.0.entry(engine).or_default();
        let is_new = n > *told;
        *told = n.max(*told);
        is_new
    }
}

impl FromIterator<(u32, u64)> for Places {
    fn from_iter<T: IntoIterator<Item = (u32, u64)>>(places: T) -> Self {
        Self(places.into_iter().collect())
    }
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
    let (engine, n) = place(n);
    tx.say(FeedItem::Notice(Notice { engine, n, at_ms, change: change.clone() }));
    Ok(())
}

/// A place's engine, and its number there.
pub(crate) fn place(n: i64) -> (u32, u64) {
    (u32::try_from(numbers::engine_of(n)).unwrap_or_default(), numbers::bare(n).unsigned_abs())
}

/// What an engine's places are between: all of them after the first, all before the second.
fn bounds(db: &Db, engine: u32) -> (i64, i64) {
    if db.is_shared() {
        (numbers::first_place(engine.into()), numbers::first_place(i64::from(engine) + 1))
    } else {
        (0, i64::MAX)
    }
}

/// How far each engine is.
pub(crate) fn heads(db: &mut Db) -> Result<Places> {
    let engines: Vec<u32> =
        if db.is_shared() { db.query("select number from engine", &[], |row| row.get(0))? } else { vec![0] };
    let mut heads = Places::default();
    for engine in engines {
        let (first, last) = bounds(db, engine);
        let n: i64 = db.only(
            "select coalesce(max(n), 0) from
                 (select max(n) as n from journal where n > ?1 and n < ?2
                  union all select max(n) from notice where n > ?1 and n < ?2
                  union all select max(n) from passed where n > ?1 and n < ?2) as all_of_them",
            &values![first, last],
            |row| row.get(0),
        )?;
        heads.0.insert(engine, place(n).1);
    }
    Ok(heads)
}

/// What an engine committed after its number `n`, at most `limit`.
pub(crate) fn after(db: &mut Db, engine: u32, n: u64, limit: u32) -> Result<Vec<FeedItem>> {
    let (first, last) = bounds(db, engine);
    let after = first.saturating_add(integer(n));
    let mut items: Vec<FeedItem> = db.query(
        "select j.n, i.id, i.flow, i.version, j.state, j.last_seq, i.business_key
         from journal as j join instance as i on i.n = j.instance
         where j.n > ?1 and j.n < ?2 order by j.n limit ?3",
        &values![after, last, limit],
        |row| {
            let (engine, n) = place(row.get(0)?);
            Ok(FeedItem::Instance(Committed {
                engine,
                n,
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
            let (engine, n) = place(row.get(0)?);
            Ok(FeedItem::Notice(Notice { engine, n, at_ms: natural(row, 1)?, change: rows::json(row, 2)? }))
        },
    )?;
    items.append(&mut notices);
    items.sort_by_key(FeedItem::place);
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(items)
}

impl Store {
    /// Everything committed from now on; what other engines committed comes a moment later. One that
    /// lags behind is told so by the channel, and reads on with [`Store::feed_after`].
    pub fn feed(&self) -> broadcast::Receiver<FeedItem> {
        self.inner.feed.subscribe()
    }

    /// How far each engine is; nothing in a new store. A place beyond it is from another life of the
    /// database.
    pub async fn feed_heads(&self) -> std::result::Result<Places, Unavailable> {
        self.read(heads).await
    }

    /// Up to where each engine's rows may be gone. A reader that was not told so far may miss some.
    pub async fn feed_passed(&self) -> std::result::Result<Places, Unavailable> {
        self.read(|db| db.query("select n from passed", &[], |row| Ok(place(row.get(0)?)))).await.map(Places::from_iter)
    }

    /// What was committed after these places, the oldest of each engine first, at most `limit` of each.
    pub async fn feed_after(&self, places: Places, limit: u32) -> std::result::Result<Vec<FeedItem>, Unavailable> {
        self.read(move |db| {
            let mut items = Vec::new();
            for (engine, _) in heads(db)?.iter().filter(|(engine, head)| *head > places.of(*engine)) {
                items.append(&mut after(db, engine, places.of(engine), limit)?);
            }
            Ok(items)
        })
        .await
    }
}
