//! Reads the record of who did what, the newest first.
//!
//! The record has no index for most of what it is searched by: every start writes to it, and each index would cost every
//! start. A page looks through a bounded number of rows instead, and says where the next one goes on, so that a page may
//! be short, or empty, before the end.
//!
//! Not here: what writes it (`administration`).

use std::collections::HashMap;

use serde_json::Value as Json;
use stepwell_runtime::journal::Unavailable;

use crate::rows::{id_bytes, integer, json as read_json, natural};
use crate::sql::{Db, Result, Row, Value, values};
use crate::within::Within;
use crate::{Cursor, Page, Store};

/// Rows that one page looks through.
const LOOKED_AT_MAX: usize = 20_000;
/// Rows read at once, where not all of them may be shown.
const CHUNK: u32 = 1_000;
/// Numbers follow the clock, as nearly as requests take and engines' clocks agree.
const SLACK_MS: u64 = 60_000;

/// One thing somebody did.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    pub n: u64,
    pub at_ms: u64,
    pub who: String,
    /// `flow.publish`, `instance.cancel` …
    pub action: String,
    /// What it was done to: a flow's key, an instance's id …
    pub target: String,
    pub detail: Json,
}

/// Every given part must match.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub who: Option<String>,
    /// Whole (`flow.publish`), or what comes before the dot (`flow`).
    pub action: Option<String>,
    pub target: Option<String>,
    pub from_ms: Option<u64>,
    pub to_ms: Option<u64>,
    /// Only what was done to flows of these namespaces, and to their instances.
    pub within: Within,
}

impl AuditFilter {
    /// Whether every row of a chunk is to be shown.
    fn shows_all(&self) -> bool {
        self.who.is_none() && self.action.is_none() && self.within == Within::Everything
    }

    /// All but the target and the namespace.
    fn fits(&self, entry: &AuditEntry) -> bool {
        let action = self.action.as_deref().is_none_or(|action| {
            entry.action == action || entry.action.split_once('.').is_some_and(|(kind, _)| kind == action)
        });
        action
            && self.who.as_deref().is_none_or(|who| who == entry.who)
            && self.from_ms.is_none_or(|from| from <= entry.at_ms)
            && self.to_ms.is_none_or(|to| entry.at_ms <= to)
    }
}

/// Of which flow a row tells, as far as it can be told.
struct Flows(HashMap<String, Option<String>>);

impl Flows {
    fn of(&mut self, db: &mut Db, entry: &AuditEntry) -> Result<Option<String>> {
        let kind = entry.action.split('.').next().unwrap_or_default();
        match kind {
            "flow" | "draft" | "binding" | "version" => Ok(Some(entry.target.clone())),
            "schedule" => Ok(entry.target.split_once(':').map(|(flow, _)| flow.to_owned())),
            "instance" | "task" | "external-task" => match id_bytes(&entry.target) {
                // How many of a flow's were forgotten.
                None => Ok(Some(entry.target.clone())),
                Some(id) => {
                    if let Some(known) = self.0.get(&entry.target) {
                        return Ok(known.clone());
                    }
                    let sql = "select flow from instance where id = ?1";
                    let found = db.first(sql, &values![&id], |row| row.get::<String>(0))?;
                    self.0.insert(entry.target.clone(), found.clone());
                    Ok(found)
                }
            },
            _ => Ok(None),
        }
    }
}

impl Store {
    /// The newest first. A page may have fewer than `limit` and still a `next`.
    pub async fn audit_page(
        &self,
        filter: AuditFilter,
        cursor: Option<Cursor>,
        limit: u32,
    ) -> std::result::Result<Page<AuditEntry>, Unavailable> {
        self.read(move |db| {
            let mut before = cursor.map_or(i64::MAX, |cursor| cursor.0);
            if let Some(to_ms) = filter.to_ms {
                before = before.min(first_after(db, to_ms.saturating_add(SLACK_MS))?);
            }
            let until = filter.from_ms.map_or(Ok(0), |from_ms| first_after(db, from_ms.saturating_sub(SLACK_MS)))?;
            let mut items = Vec::new();
            let mut flows = Flows(HashMap::new());
            let mut looked_at = 0;
            while looked_at < LOOKED_AT_MAX {
                let most = if filter.shows_all() { limit.saturating_add(1).min(CHUNK) } else { CHUNK };
                let found = chunk(db, &filter, before, until, most)?;
                let last = found.len() < most as usize;
                looked_at += found.len();
                for entry in found {
                    let n = integer(entry.n);
                    let seen = filter.within == Within::Everything
                        || flows.of(db, &entry)?.is_some_and(|flow| filter.within.holds(&flow));
                    if seen && filter.fits(&entry) {
                        if items.len() == limit as usize {
                            return Ok(Page { items, next: Some(Cursor(before)) });
                        }
                        items.push(entry);
                    }
                    before = n;
                }
                if last {
                    return Ok(Page { items, next: None });
                }
            }
            Ok(Page { items, next: Some(Cursor(before)) })
        })
        .await
    }
}

/// The newest rows between two numbers.
fn chunk(db: &mut Db, filter: &AuditFilter, before: i64, until: i64, most: u32) -> Result<Vec<AuditEntry>> {
    let narrowed = if filter.target.is_some() { "and target = ?4" } else { "" };
    let sql = format!(
        "select n, at_ms, who, action, target, detail from audit
         where n < ?1 and n >= ?2 {narrowed} order by n desc limit ?3"
    );
    let mut values: Vec<Value<'_>> = vec![before.into(), until.into(), most.into()];
    values.extend(filter.target.as_ref().map(Value::from));
    db.query(&sql, &values, entry)
}

fn entry(row: &Row<'_>) -> Result<AuditEntry> {
    Ok(AuditEntry {
        n: natural(row, 0)?,
        at_ms: natural(row, 1)?,
        who: row.get(2)?,
        action: row.get(3)?,
        target: row.get(4)?,
        detail: read_json(row, 5)?,
    })
}

/// About where what was written after a time begins: numbers grow with the time, so it is found by halving.
fn first_after(db: &mut Db, at_ms: u64) -> Result<i64> {
    let ends = "select coalesce(min(n), 0), coalesce(max(n), 0) from audit";
    let (mut low, mut high): (i64, i64) = db.only(ends, &[], |row| Ok((row.get(0)?, row.get(1)?)))?;
    high = high.saturating_add(1);
    while low < high {
        let middle = low + (high - low) / 2;
        let sql = "select n, at_ms from audit where n >= ?1 order by n limit 1";
        let found: Option<(i64, u64)> = db.first(sql, &values![middle], |row| Ok((row.get(0)?, row.get(1)?)))?;
        match found {
            Some((n, then)) if then <= at_ms => low = n.saturating_add(1),
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}
