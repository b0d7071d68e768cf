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

use stepwell_runtime::journal::{AppendError, RecordWrite, Touched, Unavailable};

use crate::Store;
use crate::append::{Commit, Good, Outcome, as_many};
use crate::rows::{integer, natural};
use crate::sql::Kind::{Int, Text};
use crate::sql::{Each, Result, values};
use crate::tx::Tx;

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

/// A record as it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub status: String,
    pub status_code: i32,
    /// Counts writes, from 1.
    pub revision: u64,
    /// JSON text.
    pub body: String,
    pub updated_ms: u64,
}

type Name<'a> = (&'a str, &'a str);

fn name(touched: &Touched) -> Name<'_> {
    (&touched.kind, &touched.id)
}

/// What is to be held for the records that these touch.
pub(crate) fn held(commits: &[&Commit]) -> Vec<String> {
    let touched = commits.iter().flat_map(|one| &one.records);
    // Neither a record type nor a flow has a space in its key, so this is the name of nothing else that is held.
    touched.map(|one| format!("record {} {}", one.kind, one.id)).collect()
}

/// Whether one commit names a record twice, so that it contradicts itself.
pub(crate) fn named_twice(records: &[Touched]) -> bool {
    let mut names: Vec<_> = records.iter().map(name).collect();
    names.sort_unstable();
    names.windows(2).any(|two| two[0] == two[1])
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
        for touched in records.iter().filter(|touched| touched.write.is_some()) {
            now.insert(name(touched), touched.seen + 1);
        }
        true
    });
    Ok(good)
}

/// Writes what was judged: of several writes of one record in a batch, the last.
pub(crate) fn write(tx: &mut Tx<'_>, good: &[Good<'_>]) -> Result<()> {
    let mut last: BTreeMap<Name<'_>, (u64, &RecordWrite, u64)> = BTreeMap::new();
    for one in good {
        for touched in &one.commit.records {
            let Some(write) = &touched.write else { continue };
            let revision = touched.seen + 1;
            let known = last.get(&name(touched)).map_or(0, |(known, ..)| *known);
            if revision > known {
                last.insert(name(touched), (revision, write, one.commit.updated_ms));
            }
        }
    }
    let rows: Vec<_> = last
        .iter()
        .map(|(&(kind, id), &(revision, write, updated_ms))| {
            let RecordWrite { status, status_code, body } = write;
            values![kind, id, status, *status_code, integer(revision), body, integer(updated_ms)]
        })
        .collect();
    as_many(tx.db.execute_each(&WRITE, &rows)?, rows.len())
}

impl Store {
    /// A record as it is committed, if there is one.
    pub async fn record(&self, kind: &str, id: &str) -> std::result::Result<Option<Record>, Unavailable> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.read(move |db| {
            db.first(
                "select status, status_code, revision, body, updated_ms from record where type = ?1 and id = ?2",
                &values![&kind, &id],
                |row| {
                    Ok(Record {
                        status: row.get(0)?,
                        status_code: row.get(1)?,
                        revision: natural(row, 2)?,
                        body: row.get(3)?,
                        updated_ms: natural(row, 4)?,
                    })
                },
            )
        })
        .await
    }
}
