//! Which new instances come to be: each caller's key once, a business key as often as its flow allows,
//! and none on a version that was taken back. Nor does an instance go on with such a version.
//!
//! Invariants:
//! - It is decided in the transaction of the instance's first commit, and again if that is run again.
//! - Whoever wants a business key for one instance holds its meeting until the commit, so of two that
//!   come at once on two engines one sees the other. Two unique indexes stand behind that.
//! - Who takes a version back locks its row; a start, and whoever goes on with it, shares it until its
//!   commit (`needs`).
//! - The versions that an instance ran before are written down with each move.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::json;
use stepwell_core::flow::Unique;
use stepwell_runtime::journal::{Admission, AppendError};

use crate::administration::{self, Deed};
use crate::append::{Commit, Good, Outcome, as_many};
use crate::rows::{id_text, integer, state_number};
use crate::sql::Kind::{Bytes, Int, Text};
use crate::sql::{Each, Error, Result, values};
use crate::tx::Tx;

/// How long an `Idempotency-Key` is remembered.
const IDEMPOTENCY_MS: u64 = 24 * 60 * 60 * 1000;

static WINNER: Each<2> = Each::new(
    [Text, Text],
    "select {at}, i.id, k.request from {each,} idempotency as k join instance as i on i.n = k.instance
     where k.flow = ?1 and k.key = ?2",
);
static ADMIT: Each<20> = Each::new(
    [Int, Bytes, Text, Int, Text, Int, Int, Int, Int, Int, Int, Int, Int, Text, Text, Text, Text, Text, Int, Int],
    "insert into instance (n, id, flow, version, business_key, priority, state, seq, epoch, owner, wake_ms,
                           started_ms, updated_ms, error, reply, output, traceparent, bound_by, unique_key,
                           forget_ms)
     select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20
     {from each} where true
     on conflict (id) do nothing",
);
static KEEP_KEY: Each<5> = Each::new(
    [Text, Text, Text, Int, Int],
    "insert into idempotency (flow, key, request, instance, expires_ms) select ?1, ?2, ?3, ?4, ?5 {from each}
     where true on conflict (flow, key) do nothing",
);
static STARTABLE: Each<2> = Each::new(
    [Text, Int],
    "select {at} from {each,} version as v where v.flow = ?1 and v.version = ?2 and v.retired_ms is null {share v}",
);
static RAN_BEFORE: Each<3> = Each::new(
    [Text, Int, Int],
    "insert into ran_before (flow, version, instance) select ?1, ?2, ?3 {from each} where true on conflict do nothing",
);
static HOLDER: Each<3> = Each::new(
    [Text, Text, Int],
    "select {at}, i.id from {each,} {lateral}
     (select id from instance where flow = ?1 and business_key = ?2 and (state <= 4 or ?3 = 2)
      order by n desc limit 1) as i",
);

/// How far a business key is an instance's own, in its column.
fn unique_number(unique: Option<Unique>) -> u8 {
    match unique {
        None => 0,
        Some(Unique::Running) => 1,
        Some(Unique::Always) => 2,
    }
}

/// A business key that is to stand for one instance, and how far.
fn claim(admission: &Admission) -> Option<(&str, &str, u8)> {
    let key = admission.business_key.as_deref()?;
    let unique = unique_number(admission.unique);
    (unique > 0).then_some((&*admission.flow, key, unique))
}

/// What is to be held for the business keys that these want for themselves.
pub(crate) fn claimed(commits: &[&Commit]) -> Vec<String> {
    let claims = commits.iter().filter_map(|one| claim(one.admission.as_ref()?));
    // No flow's key has a slash in it, so this is the name of nothing else that is held.
    claims.map(|(flow, key, _)| format!("{flow}/{key}")).collect()
}

/// Sorts out the new instances: those that can be admitted are returned, the others told why not.
pub(crate) fn judge<'c>(
    tx: &mut Tx<'_>,
    commits: &[&'c Commit],
    outcomes: &mut [Option<Outcome>],
) -> Result<Vec<Good<'c>>> {
    let new: Vec<(usize, &'c Admission)> =
        commits.iter().enumerate().filter_map(|(at, one)| Some((at, one.admission.as_ref()?))).collect();
    if new.is_empty() {
        return Ok(Vec::new());
    }
    known_callers(tx, &new, outcomes)?;
    retired(tx, &new, outcomes)?;
    taken_keys(tx, commits, &new, outcomes)?;
    let good = new.into_iter().filter(|&(at, _)| outcomes[at].is_none()).map(|(at, admission)| Good {
        at,
        commit: commits[at],
        n: 0,
        flow: admission.flow.clone(),
        version: admission.version,
        business_key: admission.business_key.as_deref().map(Arc::from),
        bound_by: admission.bound_by.clone(),
        was: None,
        had: Vec::new(),
        items: Vec::new(),
    });
    Ok(good.collect())
}

/// Whose `Idempotency-Key` started something before is told of that.
fn known_callers(tx: &mut Tx<'_>, new: &[(usize, &Admission)], outcomes: &mut [Option<Outcome>]) -> Result<()> {
    let keyed: Vec<_> = new
        .iter()
        .filter_map(|&(at, admission)| Some((at, &admission.flow, admission.idempotency.as_ref()?)))
        .collect();
    let rows: Vec<_> = keyed.iter().map(|(_, flow, asked)| values![*flow, &asked.key]).collect();
    let winners: Vec<(usize, [u8; 16], String)> =
        tx.db.query_each(&WINNER, &rows, |at, row| Ok((at, row.get(1)?, row.get(2)?)))?;
    for (row, id, request) in winners {
        let (at, _, asked) = keyed[row];
        let other_request = asked.request != request;
        outcomes[at] = Some(Err(AppendError::Duplicate { instance: id_text(id), other_request }));
    }
    Ok(())
}

/// Those of these versions that were not taken back; shared until the commit.
fn startable<'a>(tx: &mut Tx<'_>, versions: BTreeSet<(&'a str, u32)>) -> Result<BTreeSet<(&'a str, u32)>> {
    let versions: Vec<_> = versions.into_iter().collect();
    let rows: Vec<_> = versions.iter().map(|&(flow, version)| values![flow, version]).collect();
    Ok(tx.db.query_each(&STARTABLE, &rows, |at, _| Ok(versions[at]))?.into_iter().collect())
}

/// Of known instances, those that do not go on with a version that was taken back.
pub(crate) fn judge_moves<'c>(
    tx: &mut Tx<'_>,
    good: Vec<Good<'c>>,
    outcomes: &mut [Option<Outcome>],
) -> Result<Vec<Good<'c>>> {
    if !good.iter().any(Good::moves) {
        return Ok(good);
    }
    let moved = good.iter().filter(|one| one.moves()).map(|one| (one.flow.clone(), one.commit.version));
    let moved: Vec<_> = moved.collect();
    let startable = startable(tx, moved.iter().map(|(flow, version)| (&**flow, *version)).collect())?;
    let (stay, gone): (Vec<_>, Vec<_>) =
        good.into_iter().partition(|one| !one.moves() || startable.contains(&(&*one.flow, one.commit.version)));
    for one in gone {
        outcomes[one.at] = Some(Err(AppendError::Retired));
    }
    Ok(stay)
}

/// Writes down what those who moved ran before.
pub(crate) fn remember_moves(tx: &mut Tx<'_>, good: &[Good<'_>]) -> Result<()> {
    let moved = good.iter().filter(|one| one.moves());
    let rows: Vec<_> = moved.map(|one| values![&one.flow, one.version, one.n]).collect();
    tx.db.execute_each(&RAN_BEFORE, &rows)?;
    Ok(())
}

/// Nothing is started on a version that was taken back since it was chosen.
fn retired(tx: &mut Tx<'_>, new: &[(usize, &Admission)], outcomes: &mut [Option<Outcome>]) -> Result<()> {
    let startable = startable(tx, new.iter().map(|(_, one)| (&*one.flow, one.version)).collect())?;
    for &(at, one) in new {
        if outcomes[at].is_none() && !startable.contains(&(&*one.flow, one.version)) {
            outcomes[at] = Some(Err(AppendError::Retired));
        }
    }
    Ok(())
}

/// Whose business key is another instance's, stored or of this batch, is told of that one.
fn taken_keys(
    tx: &mut Tx<'_>,
    commits: &[&Commit],
    new: &[(usize, &Admission)],
    outcomes: &mut [Option<Outcome>],
) -> Result<()> {
    let claims: Vec<_> = new
        .iter()
        .filter(|&&(at, _)| outcomes[at].is_none())
        .filter_map(|&(at, admission)| Some((at, claim(admission)?)))
        .collect();
    let rows: Vec<_> = claims.iter().map(|(_, (flow, key, unique))| values![*flow, *key, *unique]).collect();
    for (row, id) in tx.db.query_each(&HOLDER, &rows, |at, row| Ok((at, row.get::<[u8; 16]>(1)?)))? {
        outcomes[claims[row].0] = Some(Err(AppendError::KeyTaken { instance: id_text(id) }));
    }
    let mut first: HashMap<(&str, &str), usize> = HashMap::new();
    for &(at, (flow, key, unique)) in &claims {
        if outcomes[at].is_some() {
            continue;
        }
        match first.get(&(flow, key)) {
            // One that ends with its first commit leaves the key to the next.
            Some(&winner) if unique == 2 || !commits[winner].state.ended() => {
                let instance = commits[winner].instance.clone();
                outcomes[at] = Some(Err(AppendError::KeyTaken { instance }));
            }
            _ => {
                first.insert((flow, key), at);
            }
        }
    }
    Ok(())
}

/// Inserts the new instances. `false`: the only one has an id that is taken.
pub(crate) fn admit(tx: &mut Tx<'_>, good: &[Good<'_>]) -> Result<bool> {
    let new = || good.iter().filter_map(|one| Some((one, one.commit.admission.as_ref()?)));
    let engine = tx.engine;
    let rows: Vec<_> = new()
        .map(|(one, admission)| {
            let commit = one.commit;
            values![
                one.n,
                &commit.id,
                &admission.flow,
                admission.version,
                &admission.business_key,
                commit.priority,
                state_number(commit.state),
                integer(commit.last_seq),
                integer(commit.epoch),
                commit.owner(engine),
                commit.wake_ms(&one.items),
                integer(admission.started_ms),
                integer(commit.updated_ms),
                &commit.error,
                &commit.reply,
                &commit.output,
                &admission.traceparent,
                admission.bound_by.as_ref(),
                unique_number(admission.unique),
                commit.forget_ms.map(integer),
            ]
        })
        .collect();
    let inserted = tx.db.execute_each(&ADMIT, &rows)?;
    if inserted != rows.len() {
        return if good.len() == 1 { Ok(false) } else { Err(Error::Raced) };
    }
    let deeds: Vec<_> = new()
        .map(|(one, admission)| Deed {
            by: &admission.by,
            at_ms: admission.started_ms,
            action: "instance.start",
            target: &one.commit.instance,
            detail: match &admission.bound_by {
                Some(by) => json!({ "flow": admission.flow, "version": admission.version, "boundBy": by }),
                None => json!({ "flow": admission.flow, "version": admission.version }),
            },
        })
        .collect();
    administration::audit_all(tx, &deeds)?;
    let keys: Vec<_> = new()
        .filter_map(|(one, admission)| {
            let idempotency = admission.idempotency.as_ref()?;
            let expires_ms = integer(admission.started_ms.saturating_add(IDEMPOTENCY_MS));
            Some(values![&admission.flow, &idempotency.key, &idempotency.request, one.n, expires_ms])
        })
        .collect();
    as_many(tx.db.execute_each(&KEEP_KEY, &keys)?, keys.len())?;
    Ok(true)
}
