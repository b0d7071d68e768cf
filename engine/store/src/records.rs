//! Records: business entities whose status and revision change with the commits of instances.
//!
//! Invariants:
//! - A commit stands only if every record it read or wrote is at the revision it saw, as if the
//!   commits of a batch came one after the other; one whose record moved is refused alone.
//! - Whoever touches a record holds its name until the commit (`tx.hold_all`), so of two engines one
//!   sees what the other did. The upsert never takes a revision back.
//!
//! Not here: what a status is and whether a body fits (the record type's), and what a call has staged (`runtime`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;
use stepwell_runtime::journal::{AppendError, RecordWrite, Touched, Unavailable};

use crate::administration::audit;
use crate::append::{Commit, Good, Outcome, as_many};
use crate::rows::{integer, natural};
use crate::sql::Kind::{Int, Text};
use crate::sql::{Db, Each, Result, Row, Value, values};
use crate::tx::Tx;
use crate::{Act, Expect, Store};

static REVISION: Each<2> =
    Each::new([Text, Text], "select {at}, r.revision from {each,} record as r where r.type = ?1 and r.id = ?2");
static WRITE: Each<7> = Each::new(
    [Text, Text, Text, Int, Int, Text, Int],
    "insert into record (type, id, status, status_code, revision, body, updated_ms)
     select ?1, ?2, ?3, ?4, ?5, ?6, ?7 {from each} where true
     on conflict (type, id) do update
     set status = excluded.status, status_code = excluded.status_code, revision = excluded.revision,
         body = excluded.body, updated_ms = excluded.updated_ms
     where record.revision < excluded.revision",
);

/// Bodies of one list, in letters: what a reader holds at once.
const LIST_BYTES_MAX: usize = 1 << 20;

/// A record as it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub id: String,
    pub status: String,
    pub status_code: i32,
    /// Counts writes, from 1.
    pub revision: u64,
    /// JSON text.
    pub body: String,
    pub updated_ms: u64,
}

/// Which records of a type; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct RecordFilter {
    pub status: Option<String>,
    /// By the status's code, both ends included.
    pub min: Option<i32>,
    pub max: Option<i32>,
    /// Ids above this one.
    pub after: String,
}

/// What somebody writes by hand. The record type has passed it.
#[derive(Debug, Clone)]
pub struct PutRecord {
    pub kind: String,
    pub id: String,
    pub status: String,
    pub status_code: i32,
    /// JSON text.
    pub body: String,
    pub expect: Expect,
    pub act: Act,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RecordPut {
    Put(Record),
    /// Nothing was changed: this is what stands there (`None`: nothing does).
    Moved(Option<Record>),
}

type Name<'a> = (&'a str, &'a str);

fn name(touched: &Touched) -> Name<'_> {
    (&touched.kind, &touched.id)
}

/// What is to be held for the records that these touch.
pub(crate) fn held(commits: &[&Commit]) -> Vec<String> {
    let touched = commits.iter().flat_map(|one| &one.records);
    // Neither a record type nor a flow has a space in its key, so this is the name of nothing else that is held.
    touched.map(|one| hold_name(&one.kind, &one.id)).collect()
}

fn hold_name(kind: &str, id: &str) -> String {
    format!("record {kind} {id}")
}

/// Whether a commit contradicts itself: it names a record twice, or writes one without a revision more.
pub(crate) fn contradict(records: &[Touched]) -> bool {
    let mut names: Vec<_> = records.iter().map(name).collect();
    names.sort_unstable();
    let back = |one: &Touched| one.write.as_ref().is_some_and(|write| write.revision <= one.seen);
    names.windows(2).any(|two| two[0] == two[1]) || records.iter().any(back)
}

/// Tells those whose records moved so, and returns the others.
pub(crate) fn judge<'c>(
    tx: &mut Tx<'_>,
    mut good: Vec<Good<'c>>,
    outcomes: &mut [Option<Outcome>],
) -> Result<Vec<Good<'c>>> {
    if good.iter().all(|one| one.commit.records.is_empty()) {
        return Ok(good);
    }
    let mut now: BTreeMap<Name<'c>, u64> =
        good.iter().flat_map(|one| &one.commit.records).map(|one| (name(one), 0)).collect();
    let names: Vec<Name<'c>> = now.keys().copied().collect();
    let rows: Vec<_> = names.iter().map(|&(kind, id)| values![kind, id]).collect();
    for (at, revision) in tx.db.query_each(&REVISION, &rows, |at, row| Ok((at, natural(row, 1)?)))? {
        now.insert(names[at], revision);
    }
    // As they came, whatever order the judgements before left them in.
    good.sort_unstable_by_key(|one| one.at);
    good.retain(|one| {
        let records = &one.commit.records;
        if records.iter().any(|touched| now.get(&name(touched)) != Some(&touched.seen)) {
            outcomes[one.at] = Some(Err(AppendError::Moved(one.commit.instance.clone())));
            return false;
        }
        for touched in records {
            if let Some(write) = &touched.write {
                now.insert(name(touched), write.revision);
            }
        }
        true
    });
    Ok(good)
}

/// Writes what was judged: of several writes of one record in a batch, the last.
pub(crate) fn write(tx: &mut Tx<'_>, good: &[Good<'_>]) -> Result<()> {
    let mut last: BTreeMap<Name<'_>, (&RecordWrite, u64)> = BTreeMap::new();
    for one in good {
        for touched in &one.commit.records {
            let Some(write) = &touched.write else { continue };
            if last.get(&name(touched)).is_none_or(|(known, _)| known.revision < write.revision) {
                last.insert(name(touched), (write, one.commit.updated_ms));
            }
        }
    }
    let rows: Vec<_> = last
        .iter()
        .map(|(&(kind, id), &(write, updated_ms))| {
            let RecordWrite { revision, status, status_code, body } = write;
            values![kind, id, status, *status_code, integer(*revision), body, integer(updated_ms)]
        })
        .collect();
    as_many(tx.db.execute_each(&WRITE, &rows)?, rows.len())
}

const COLUMNS: &str = "id, status, status_code, revision, body, updated_ms";

fn record(row: &Row<'_>) -> Result<Record> {
    Ok(Record {
        id: row.get(0)?,
        status: row.get(1)?,
        status_code: row.get(2)?,
        revision: natural(row, 3)?,
        body: row.get(4)?,
        updated_ms: natural(row, 5)?,
    })
}

fn find(db: &mut Db, kind: &str, id: &str) -> Result<Option<Record>> {
    let sql = format!("select {COLUMNS} from record where type = ?1 and id = ?2");
    db.first(&sql, &values![kind, id], record)
}

impl Store {
    /// A record as it is committed, if there is one.
    pub async fn record(&self, kind: &str, id: &str) -> std::result::Result<Option<Record>, Unavailable> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.read(move |db| find(db, &kind, &id)).await
    }

    /// Records of a type by id, in byte order: at most `limit`, fewer where their bodies have more than
    /// [`LIST_BYTES_MAX`]. And whether there are more.
    pub async fn records(
        &self,
        kind: &str,
        filter: RecordFilter,
        limit: u32,
    ) -> std::result::Result<(Vec<Record>, bool), Unavailable> {
        let kind = kind.to_owned();
        self.read(move |db| {
            let RecordFilter { status, min, max, after } = &filter;
            let mut values: Vec<Value<'_>> = vec![(&kind).into(), after.into(), limit.saturating_add(1).into()];
            let mut narrowed = String::new();
            if let Some(status) = status {
                values.push(status.into());
                let _ = write!(narrowed, " and status = ?{}", values.len()); // Writing to a string cannot fail.
            }
            for (end, code) in [(">=", min), ("<=", max)] {
                if let Some(code) = code {
                    values.push((*code).into());
                    let _ = write!(narrowed, " and status_code {end} ?{}", values.len());
                }
            }
            // Cut in the database, so that nothing longer is ever held here. No single body is as long.
            let sql = format!(
                "select {COLUMNS} from
                 (select {COLUMNS}, sum(length(body)) over (order by id) as so_far from
                  (select {COLUMNS} from record where type = ?1 and id > ?2{narrowed} order by id limit ?3) as page
                 ) as sized where so_far <= {LIST_BYTES_MAX} order by id"
            );
            let mut found: Vec<Record> = db.query(&sql, &values, record)?;
            let all = usize::try_from(limit).unwrap_or(usize::MAX);
            let cut = match found.last() {
                Some(last) if found.len() <= all => {
                    let mut values = values.clone();
                    values[1] = (&last.id).into();
                    values[2] = 1_i64.into();
                    let sql =
                        format!("select 1 from record where type = ?1 and id > ?2{narrowed} order by id limit ?3");
                    db.exists(&sql, &values)?
                }
                Some(_) => true,
                None => false,
            };
            found.truncate(all);
            Ok((found, cut))
        })
        .await
    }

    /// Writes a record by hand, over the revision its writer has seen.
    pub async fn put_record(&self, put: PutRecord) -> std::result::Result<RecordPut, Unavailable> {
        self.write(move |tx| {
            let PutRecord { kind, id, status, status_code, body, expect, act } = &put;
            tx.hold(&hold_name(kind, id))?;
            let current = find(tx.db, kind, id)?;
            let revision = match (expect, &current) {
                (Expect::None, None) => 1,
                (Expect::Revision(seen), Some(now)) if now.revision == *seen => seen + 1,
                (Expect::None | Expect::Revision(_), _) => return Ok(RecordPut::Moved(current)),
            };
            let at_ms = integer(act.at_ms);
            let row = values![kind, id, status, *status_code, integer(revision), body, at_ms];
            as_many(tx.db.execute_each(&WRITE, &[row])?, 1)?;
            let detail = json!({ "status": status, "revision": revision, "was": current.map(|was| was.status) });
            audit(tx, &act.by, act.at_ms, "record.put", &format!("{kind}/{id}"), &detail)?;
            Ok(RecordPut::Put(Record {
                id: id.clone(),
                status: status.clone(),
                status_code: *status_code,
                revision,
                body: body.clone(),
                updated_ms: act.at_ms,
            }))
        })
        .await
    }
}
