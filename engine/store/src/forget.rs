//! What is taken away of ended instances: all of them after their time, or their payloads when somebody asks.
//!
//! Invariants:
//! - Only what has ended is touched, and it is held until the commit: of engines that sweep at once, each forgets
//!   others, and what is counted is counted once.
//! - An instance outlives the promise that its `Idempotency-Key` makes.
//! - The feed never goes back: `passed` keeps the places of rows that are gone, in the transaction that takes them.
//!
//! Not here: when an instance may go (`runtime` says so with its end); what else is forgotten (`sweep`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use stepwell_core::machine::{Error, State};
use stepwell_runtime::journal::Unavailable;

use crate::administration::audit;
use crate::feed::{Change, notice};
use crate::rows::{id_bytes, integer, json_or_null, state};
use crate::sql::Kind::Int;
use crate::sql::{Each, Result, Value, values};
use crate::sweep::Swept;
use crate::tx::Tx;
use crate::{Act, Store};

/// Instances forgotten in one transaction, and about how many journal entries: others wait behind it.
const FORGOTTEN_MAX: u32 = 200;
const ENTRIES_MAX: i64 = 5_000;
/// Who does what nobody asked for.
const ENGINE: &str = "engine";

static PROMISED: Each<2> = Each::new(
    [Int, Int],
    "select {at}, k.expires_ms from {each,} idempotency as k where k.instance = ?1 and k.expires_ms > ?2",
);
static POSTPONE: Each<2> = Each::new([Int, Int], "update instance set forget_ms = ?2 {from each} where n = ?1");
static PLACES: Each<1> = Each::new(
    [Int],
    "select {at}, x.engine, x.n from {each,} {lateral}
     (select n >> 48 as engine, max(n) as n from journal where instance = ?1 group by n >> 48) as x",
);
static PASS: Each<2> = Each::new(
    [Int, Int],
    "insert into passed (engine, n) select ?1, ?2 {from each} where true
     on conflict (engine) do update set n = case when excluded.n > passed.n then excluded.n else passed.n end",
);
static DROP_JOURNAL: Each<1> = Each::new([Int], "delete from journal {using each} where instance = ?1");
static DROP_VERSIONS: Each<1> = Each::new([Int], "delete from ran_before {using each} where instance = ?1");
static DROP_KEYS: Each<1> = Each::new([Int], "delete from idempotency {using each} where instance = ?1");
static DROP: Each<1> = Each::new([Int], "delete from instance {using each} where n = ?1 and state > 4");

/// What became of a wish to erase an instance's payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erased {
    /// They are gone, now or since before.
    Gone,
    /// It has not ended. Nothing was done.
    Live,
    Unknown,
}

/// An instance that may go.
struct Due {
    n: i64,
    flow: Arc<str>,
    version: u32,
    bound_by: Option<Arc<str>>,
    state: State,
    seq: i64,
}

fn forget(tx: &mut Tx<'_>, now_ms: u64) -> Result<Swept> {
    let mut due: Vec<Due> = tx.db.query(
        "select i.n, i.flow, i.version, i.bound_by, i.state, i.seq from instance as i
         where i.forget_ms <= ?1 order by i.forget_ms limit ?2 {lock i, leave}",
        &values![integer(now_ms), FORGOTTEN_MAX],
        |row| {
            let (n, flow, version, bound_by) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Due { n, flow, version, bound_by, state: state(row, 4)?, seq: row.get(5)? })
        },
    )?;
    let found = due.len();
    postpone(tx, &mut due, now_ms)?;
    // One is forgotten in any case, however long it is.
    let mut entries = 0;
    let enough = due.iter().position(|one| {
        entries += one.seq;
        entries > ENTRIES_MAX
    });
    due.truncate(enough.map_or(due.len(), |at| at.max(1)));
    let rows: Vec<_> = due.iter().map(|one| values![one.n]).collect();
    drop_journals(tx, &rows)?;
    tx.db.execute_each(&DROP_KEYS, &rows)?;
    tx.db.execute_each(&DROP, &rows)?;
    let mut by_flow: BTreeMap<&str, u64> = BTreeMap::new();
    for one in &due {
        tx.count(&one.flow, one.version, one.bound_by.as_ref(), one.state, -1);
        *by_flow.entry(&one.flow).or_default() += 1;
    }
    for (flow, instances) in by_flow {
        audit(tx, ENGINE, now_ms, "instance.forget", flow, &json!({ "instances": instances }))?;
        notice(tx, now_ms, &Change::Forgotten { flow: flow.to_owned(), instances })?;
    }
    Ok(Swept { rows: due.len(), more: due.len() < found || found >= FORGOTTEN_MAX as usize })
}

/// Leaves those whose key is promised longer than they are kept until then.
fn postpone(tx: &mut Tx<'_>, due: &mut Vec<Due>, now_ms: u64) -> Result<()> {
    let rows: Vec<_> = due.iter().map(|one| values![one.n, integer(now_ms)]).collect();
    let promised = tx.db.query_each(&PROMISED, &rows, |at, row| Ok((due[at].n, row.get::<i64>(1)?)))?;
    let mut until: BTreeMap<i64, i64> = BTreeMap::new();
    for (n, expires_ms) in promised {
        let latest = until.entry(n).or_insert(expires_ms);
        *latest = expires_ms.max(*latest);
    }
    due.retain(|one| !until.contains_key(&one.n));
    let rows: Vec<_> = until.into_iter().map(|(n, expires_ms)| values![n, expires_ms]).collect();
    tx.db.execute_each(&POSTPONE, &rows)?;
    Ok(())
}

/// Takes journals away, and what is kept for their sake. The instances are held.
fn drop_journals(tx: &mut Tx<'_>, rows: &[[Value<'_>; 1]]) -> Result<()> {
    let mut passed: BTreeMap<i64, i64> = BTreeMap::new();
    for (engine, n) in tx.db.query_each(&PLACES, rows, |_, row| Ok((row.get(1)?, row.get::<i64>(2)?)))? {
        let last = passed.entry(engine).or_default();
        *last = n.max(*last);
    }
    let passed: Vec<_> = passed.into_iter().map(|(engine, n)| values![engine, n]).collect();
    tx.db.execute_each(&PASS, &passed)?;
    tx.db.execute_each(&DROP_JOURNAL, rows)?;
    tx.db.execute_each(&DROP_VERSIONS, rows)?;
    Ok(())
}

fn erase(tx: &mut Tx<'_>, act: &Act, instance: &str, id: &[u8; 16]) -> Result<Erased> {
    let found = tx.db.first(
        "select i.n, i.flow, i.state, i.erased_ms is not null, i.error from instance as i where i.id = ?1 {lock i}",
        &values![id],
        |row| Ok((row.get::<i64>(0)?, row.get::<String>(1)?, state(row, 2)?, row.get(3)?, json_or_null(row, 4)?)),
    )?;
    let Some((n, flow, state, erased, error)) = found else { return Ok(Erased::Unknown) };
    if !state.ended() {
        return Ok(Erased::Live);
    }
    if erased {
        return Ok(Erased::Gone);
    }
    drop_journals(tx, &[values![n]])?;
    // What went wrong is still counted and listed; what was said about it may hold anything.
    let error = error.map(|error: Error| Error { message: "erased".to_owned(), data: None, ..error });
    let error = error.as_ref().map(serde_json::to_string).transpose()?;
    tx.db.execute(
        "update instance set reply = null, output = null, error = ?2, erased_ms = ?3 where n = ?1",
        &values![n, &error, integer(act.at_ms)],
    )?;
    audit(tx, &act.by, act.at_ms, "instance.erase", instance, &Json::Null)?;
    notice(tx, act.at_ms, &Change::Erased { flow, instance: instance.to_owned() })?;
    Ok(Erased::Gone)
}

impl Store {
    /// Forgets ended instances whose time is over, some at once. To be called every now and then, and again while
    /// there is more. Costs one look where there is nothing.
    pub async fn forget(&self, now_ms: u64) -> std::result::Result<Swept, Unavailable> {
        self.tell(now_ms);
        let due = "select 1 from instance where forget_ms <= ?1 limit 1";
        if !self.read(move |db| db.exists(due, &values![integer(now_ms)])).await? {
            return Ok(Swept { rows: 0, more: false });
        }
        self.write(move |tx| forget(tx, now_ms)).await
    }

    /// Takes an ended instance's payloads away: its journal, reply and output. That it was, and how it ended, stays.
    pub async fn erase(&self, act: Act, instance: &str) -> std::result::Result<Erased, Unavailable> {
        let Some(id) = id_bytes(instance) else { return Ok(Erased::Unknown) };
        let instance = instance.to_owned();
        self.write(move |tx| erase(tx, &act, &instance, &id)).await
    }
}
