//! What is paused, and whose calls that holds back.
//!
//! A held instance is found by its subscription to [`HELD`]: written and taken back in its own
//! commits, so it is there exactly as long as a call of it waits.
//!
//! Not here: what a paused call does (`core`, `sandbox`), when it is let go (`server`).

use std::sync::Arc;

use serde_json::{Value as Json, json};
use stepwell_runtime::journal::{HELD, Unavailable};

use crate::administration::audit;
use crate::rows::{id, integer, json as read_json, natural, natural_or_null, text};
use crate::sql::{Db, Result, values};
use crate::{Act, Store};

/// Something of which no call is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Pause {
    pub what: Paused,
    pub reason: String,
    pub paused_ms: u64,
    pub paused_by: String,
    /// How often one call is let through to see. `None`: only when asked.
    pub probe_ms: Option<u64>,
    /// A call that was let through and went well ends the pause.
    pub resume: bool,
    pub probed_ms: Option<u64>,
    /// What came of it.
    pub probe: Option<Json>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Paused {
    /// `node-type` or `connection`
    pub kind: &'static str,
    pub name: String,
}

impl Paused {
    pub const NODE_TYPE: &'static str = "node-type";
    pub const CONNECTION: &'static str = "connection";

    pub fn new(kind: &'static str, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// As it stands in what it holds.
    pub fn key(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// How something is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPause {
    pub what: Paused,
    pub reason: String,
    pub probe_ms: Option<u64>,
    pub resume: bool,
}

impl Store {
    /// What is paused, by kind and name.
    pub async fn pauses(&self) -> std::result::Result<Vec<Pause>, Unavailable> {
        self.read(|db| {
            db.query(
                "select kind, name, reason, paused_ms, paused_by, probe_ms, resume, probed_ms, probe from pause
                 order by kind, name",
                &[],
                |row| {
                    let kind: String = row.get(0)?;
                    let kind = if kind == Paused::CONNECTION { Paused::CONNECTION } else { Paused::NODE_TYPE };
                    Ok(Pause {
                        what: Paused { kind, name: row.get(1)? },
                        reason: row.get(2)?,
                        paused_ms: natural(row, 3)?,
                        paused_by: row.get(4)?,
                        probe_ms: natural_or_null(row, 5)?,
                        resume: row.get(6)?,
                        probed_ms: natural_or_null(row, 7)?,
                        probe: match row.get::<Option<String>>(8)? {
                            Some(_) => Some(read_json(row, 8)?),
                            None => None,
                        },
                    })
                },
            )
        })
        .await
    }

    /// Pauses, or changes how it is paused.
    pub async fn pause(&self, act: Act, pause: NewPause) -> std::result::Result<(), Unavailable> {
        self.write(move |tx| {
            let NewPause { what, reason, probe_ms, resume } = &pause;
            tx.db.execute(
                "insert into pause (kind, name, reason, paused_ms, paused_by, probe_ms, resume, probed_ms)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?4)
                 on conflict (kind, name) do update
                 set reason = excluded.reason, probe_ms = excluded.probe_ms, resume = excluded.resume",
                &values![what.kind, &what.name, reason, integer(act.at_ms), &act.by, probe_ms.map(integer), *resume],
            )?;
            let detail = json!({ "reason": reason, "probeMs": probe_ms, "resumeOnSuccess": resume });
            audit(tx, &act.by, act.at_ms, "pause.put", &what.key(), &detail)
        })
        .await
    }

    /// Ends a pause. `false`: there was none.
    pub async fn resume(&self, act: Act, what: &Paused) -> std::result::Result<bool, Unavailable> {
        let what = what.clone();
        self.write(move |tx| {
            let gone =
                tx.db.execute("delete from pause where kind = ?1 and name = ?2", &values![what.kind, &what.name])?;
            if gone == 1 {
                audit(tx, &act.by, act.at_ms, "pause.delete", &what.key(), &json!({}))?;
            }
            Ok(gone == 1)
        })
        .await
    }

    /// Claims the next call that is let through, since `seen_ms`. `false`: another engine was first.
    pub async fn claim_probe(
        &self,
        what: &Paused,
        seen_ms: Option<u64>,
        now_ms: u64,
    ) -> std::result::Result<bool, Unavailable> {
        let what = what.clone();
        self.write(move |tx| {
            let claimed = tx.db.execute(
                "update pause set probed_ms = ?4 where kind = ?1 and name = ?2 and probed_ms is not distinct from ?3",
                &values![what.kind, &what.name, seen_ms.map(integer), integer(now_ms)],
            )?;
            Ok(claimed == 1)
        })
        .await
    }

    /// Keeps what came of a call that was let through.
    pub async fn probed(&self, what: &Paused, probe: &Json) -> std::result::Result<(), Unavailable> {
        let (what, probe) = (what.clone(), text(probe)?);
        self.write(move |tx| {
            let kept = "update pause set probe = ?3 where kind = ?1 and name = ?2";
            tx.db.execute(kept, &values![what.kind, &what.name, &probe])?;
            Ok(())
        })
        .await
    }

    /// Everything that holds calls back, paused or not any more.
    pub async fn holding(&self) -> std::result::Result<Vec<String>, Unavailable> {
        self.read(|db| {
            let mut keys: Vec<String> = Vec::new();
            // One seek for each of the few, not a walk over all that are held.
            while let Some(key) = next_key(db, keys.last().map_or("", String::as_str))? {
                keys.push(key);
            }
            Ok(keys)
        })
        .await
    }

    /// Instances whose calls are held back by `key`, the longest started first, after `after`; and that place.
    pub async fn held(
        &self,
        key: &str,
        after: i64,
        limit: u32,
    ) -> std::result::Result<Vec<(i64, Arc<str>)>, Unavailable> {
        let key = key.to_owned();
        self.read(move |db| {
            db.query(
                "select s.instance, i.id from subscription as s join instance as i on i.n = s.instance
                 where s.message = ?1 and s.key = ?2 and s.instance > ?3 order by s.instance limit ?4",
                &values![HELD, &key, after, limit],
                |row| Ok((row.get(0)?, id(row, 1)?)),
            )
        })
        .await
    }

    /// How many instances have calls that are held back by `key`.
    pub async fn held_count(&self, key: &str) -> std::result::Result<u64, Unavailable> {
        let key = key.to_owned();
        self.read(move |db| {
            let sql = "select count(*) from subscription where message = ?1 and key = ?2";
            db.only(sql, &values![HELD, &key], |row| natural(row, 0))
        })
        .await
    }
}

fn next_key(db: &mut Db, after: &str) -> Result<Option<String>> {
    let sql = "select min(key) from subscription where message = ?1 and key > ?2";
    db.only(sql, &values![HELD, after], |row| row.get(0))
}
