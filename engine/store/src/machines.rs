//! Machines: the actions that were plugged into their versions or taken out, and where live instances stand.
//!
//! Invariants:
//! - Revisions of a version are 1, 2, 3 …, each written once and never changed; who writes one names the one it
//!   follows, and of two one is refused.
//! - An action is pinned to builds that are kept and not revoked when it is plugged in.
//! - Where an instance stands is written with the commit that took it there.
//!
//! Not here: what is wrong with an action (`core`), what instances do with it (`runtime`).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use stepwell_core::flow::evaluate::Plugged;
use stepwell_runtime::journal::Unavailable;

use crate::administration::audit;
use crate::append::Good;
use crate::feed::{Change, notice};
use crate::needs::{self, PLUGINS};
use crate::revocations::is_revoked;
use crate::rows::{integer, json, json_or_null, natural, shared};
use crate::sql::Kind::{Int, Text};
use crate::sql::{Db, Each, Result, values};
use crate::tx::Tx;
use crate::{Act, Store};

/// Most changes to the actions of one version. Then it is time to publish another.
pub const REVISIONS_MAX: u32 = 500;

/// A change to a version's actions.
#[derive(Debug, Clone)]
pub struct Plug {
    pub flow: String,
    pub version: u32,
    /// The revision it follows.
    pub after: u32,
    pub action: String,
    /// What is plugged in; `None`: the action is taken out.
    pub document: Option<Json>,
    /// What it is pinned to (a `Catalog`), as far as the version is not.
    pub catalog: Json,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlugKept {
    /// The revision it is.
    Kept(u32),
    /// The actions have changed since they were read: look again.
    Moved,
    /// There is no such version, or it was taken back.
    Unknown,
    /// Publish another version.
    Full,
    /// A plugin it is pinned to was removed since.
    PluginGone(String),
    /// A plugin it is pinned to was revoked since.
    PluginRevoked(String),
}

/// A change as it was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct PluggedBy {
    pub change: Plugged,
    pub at_ms: u64,
    pub who: String,
}

/// Live instances of a machine in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub flow: String,
    pub state: String,
    pub instances: u64,
    /// Since when the one has been there that has been there longest.
    pub oldest_ms: u64,
}

static STAND: Each<4> = Each::new(
    [Int, Text, Text, Int],
    "insert into machine_standing (instance, flow, state, since_ms) select ?1, ?2, ?3, ?4 {from each} where true
     on conflict (instance) do update set state = excluded.state, since_ms = excluded.since_ms",
);
static STAND_NOWHERE: Each<1> = Each::new([Int], "delete from machine_standing {using each} where instance = ?1");

/// Where the instances of a batch stand now.
pub(crate) fn stand(tx: &mut Tx<'_>, good: &[Good<'_>]) -> Result<()> {
    let stands = good.iter().filter(|one| !one.commit.state.ended()).filter_map(|one| {
        let (state, since_ms) = one.commit.standing.as_ref()?;
        Some(values![one.n, &one.flow, &**state, integer(*since_ms)])
    });
    let stands: Vec<_> = stands.collect();
    tx.db.execute_each(&STAND, &stands)?;
    let ended = good.iter().filter(|one| one.commit.state.ended() && one.was.is_some());
    let ended: Vec<_> = ended.filter(|one| one.commit.standing.is_some()).map(|one| values![one.n]).collect();
    tx.db.execute_each(&STAND_NOWHERE, &ended)?;
    Ok(())
}

pub(crate) fn plugged(db: &mut Db, flow: &str, version: u32) -> Result<Vec<PluggedBy>> {
    db.query(
        "select revision, action, document, catalog, at_ms, who from machine_action
         where flow = ?1 and version = ?2 order by revision",
        &values![flow, version],
        |row| {
            let document: Option<Json> = json_or_null(row, 2)?;
            let change = Plugged {
                revision: row.get(0)?,
                action: row.get(1)?,
                document: document.map(shared),
                catalog: shared(json(row, 3)?),
            };
            Ok(PluggedBy { change, at_ms: natural(row, 4)?, who: row.get(5)? })
        },
    )
}

fn revision(db: &mut Db, flow: &str, version: u32) -> Result<u32> {
    let sql = "select coalesce(max(revision), 0) from machine_action where flow = ?1 and version = ?2";
    db.only(sql, &values![flow, version], |row| row.get(0))
}

fn plug(tx: &mut Tx<'_>, act: &Act, plug: &Plug) -> Result<PlugKept> {
    let Plug { flow, version, after, action, document, catalog } = plug;
    tx.hold_all(&BTreeSet::from([("", flow.as_str()), ("", PLUGINS)]))?;
    let live = "select 1 from version where flow = ?1 and version = ?2 and retired_ms is null";
    if !tx.db.exists(live, &values![flow, *version])? {
        return Ok(PlugKept::Unknown);
    }
    if revision(tx.db, flow, *version)? != *after {
        return Ok(PlugKept::Moved);
    }
    if *after >= REVISIONS_MAX {
        return Ok(PlugKept::Full);
    }
    for digest in needs::digests(catalog) {
        if !tx.db.exists("select 1 from plugin where digest = ?1", &values![digest])? {
            return Ok(PlugKept::PluginGone(digest.to_owned()));
        }
        if is_revoked(tx.db, digest)? {
            return Ok(PlugKept::PluginRevoked(digest.to_owned()));
        }
    }
    let (revision, text) = (after + 1, document.as_ref().map(ToString::to_string));
    tx.db.execute(
        "insert into machine_action (flow, version, revision, action, document, catalog, at_ms, who)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        &values![flow, *version, revision, action, &text, catalog.to_string(), integer(act.at_ms), &act.by,],
    )?;
    let what = if document.is_some() { "machine.plug" } else { "machine.unplug" };
    let detail = json!({ "version": version, "revision": revision, "action": action });
    audit(tx, &act.by, act.at_ms, what, flow, &detail)?;
    notice(tx, act.at_ms, &Change::Plugged { flow: flow.clone(), version: *version, revision })?;
    Ok(PlugKept::Kept(revision))
}

type Answer<T> = std::result::Result<T, Unavailable>;

impl Store {
    /// Changes the actions of a machine's version, from the next evaluation of its instances on.
    pub async fn plug(&self, act: Act, change: Plug) -> Answer<PlugKept> {
        self.write(move |tx| plug(tx, &act, &change)).await
    }

    /// How the actions of a version have changed since it was published, by revision.
    pub async fn plugged(&self, flow: &str, version: u32) -> Answer<Vec<PluggedBy>> {
        let flow = flow.to_owned();
        self.read(move |db| plugged(db, &flow, version)).await
    }

    pub(crate) async fn revision(&self, flow: &str, version: u32) -> Answer<u32> {
        let flow = flow.to_owned();
        self.read(move |db| revision(db, &flow, version)).await
    }

    /// Live instances by state, of one machine or of all.
    pub async fn standings(&self, flow: Option<&str>) -> Answer<Vec<Standing>> {
        let flow: Option<Arc<str>> = flow.map(Arc::from);
        self.read(move |db| {
            let narrowed = if flow.is_some() { "where flow = ?1" } else { "" };
            let sql = format!(
                "select flow, state, count(*), min(since_ms) from machine_standing {narrowed}
                 group by flow, state order by flow, state"
            );
            let values: Vec<_> = flow.iter().map(|flow| (&**flow).into()).collect();
            db.query(&sql, &values, |row| {
                Ok(Standing {
                    flow: row.get(0)?,
                    state: row.get(1)?,
                    instances: natural(row, 2)?,
                    oldest_ms: natural(row, 3)?,
                })
            })
        })
        .await
    }
}
