//! Schedules: when each is due, and what came of it.
//!
//! Invariants:
//! - A flow's schedules are those of its newest version, and change in the transaction that
//!   publishes it; a name keeps its pause and its history.
//! - A due time is settled once: the row moves on only from the time that was acted on. That an
//!   instance was started once for it is the idempotency key's doing (`append`), so a crash between
//!   start and settling does no harm.
//!
//! Not here: when a schedule is due (`core`), who starts what (`server`).

use serde_json::{Value as Json, json};
use stepwell_runtime::journal::Unavailable;

use crate::administration::audit;
use crate::rows::{integer, json as read_json, natural_or_null, text};
use crate::sql::{Result, Row, values};
use crate::tx::Tx;
use crate::{Act, Publish, Store};

/// One schedule of a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    pub flow: String,
    pub name: String,
    /// The version it stands in: the flow's newest.
    pub version: u32,
    /// `None`: never again.
    pub due_ms: Option<u64>,
    pub paused: bool,
    /// What came of it last.
    pub last: Option<Json>,
}

/// A schedule of a version that is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchedule {
    pub name: String,
    /// Cron and time zone: if they are as before, the due time stays.
    pub spec: String,
    pub due_ms: Option<u64>,
}

const COLUMNS: &str = "flow, name, version, due_ms, paused, last";

fn read(row: &Row<'_>) -> Result<Schedule> {
    Ok(Schedule {
        flow: row.get(0)?,
        name: row.get(1)?,
        version: row.get(2)?,
        due_ms: natural_or_null(row, 3)?,
        paused: row.get(4)?,
        last: match row.get::<Option<String>>(5)? {
            Some(_) => Some(read_json(row, 5)?),
            None => None,
        },
    })
}

/// Makes a flow's schedules those of its new version; part of the publishing transaction.
pub(crate) fn replace(tx: &mut Tx<'_>, publish: &Publish, version: u32) -> Result<()> {
    let flow = &publish.flow;
    let names: Vec<String> =
        tx.db.query("select name from schedule where flow = ?1", &values![flow], |row| row.get(0))?;
    for name in names.iter().filter(|name| publish.schedules.iter().all(|one| one.name != **name)) {
        tx.db.execute("delete from schedule where flow = ?1 and name = ?2", &values![flow, name])?;
    }
    for one in &publish.schedules {
        tx.db.execute(
            "insert into schedule (flow, name, version, spec, due_ms, paused) values (?1, ?2, ?3, ?4, ?5, 0)
             on conflict (flow, name) do update
             set version = excluded.version, spec = excluded.spec,
                 due_ms = case when schedule.spec = excluded.spec then schedule.due_ms else excluded.due_ms end",
            &values![flow, &one.name, version, &one.spec, one.due_ms.map(integer)],
        )?;
    }
    Ok(())
}

impl Store {
    /// All of them, by flow and name.
    pub async fn schedules(&self) -> std::result::Result<Vec<Schedule>, Unavailable> {
        self.read(|db| db.query(&format!("select {COLUMNS} from schedule order by flow, name"), &[], read)).await
    }

    pub async fn schedule(&self, flow: &str, name: &str) -> std::result::Result<Option<Schedule>, Unavailable> {
        let (flow, name) = (flow.to_owned(), name.to_owned());
        self.read(move |db| {
            let sql = format!("select {COLUMNS} from schedule where flow = ?1 and name = ?2");
            db.first(&sql, &values![&flow, &name], read)
        })
        .await
    }

    /// Those that are due by `now_ms`, the longest due first; and when the next one is.
    pub async fn due_schedules(
        &self,
        now_ms: u64,
        limit: u32,
    ) -> std::result::Result<(Vec<Schedule>, Option<u64>), Unavailable> {
        self.read(move |db| {
            let sql = format!(
                "select {COLUMNS} from schedule where paused = 0 and due_ms <= ?1 order by due_ms, flow, name limit ?2"
            );
            let due = db.query(&sql, &values![integer(now_ms), limit], read)?;
            let next = db.only(
                "select min(due_ms) from schedule where paused = 0 and due_ms > ?1",
                &values![integer(now_ms)],
                |row| natural_or_null(row, 0),
            )?;
            Ok((due, next))
        })
        .await
    }

    /// Moves a schedule on from a due time that was acted on. `false`: another engine did, or it was
    /// published anew meanwhile.
    pub async fn settle_schedule(
        &self,
        settled: &Schedule,
        next_ms: Option<u64>,
        last: &Json,
    ) -> std::result::Result<bool, Unavailable> {
        let (settled, last) = (settled.clone(), text(last)?);
        self.write(move |tx| {
            let Schedule { flow, name, version, due_ms, .. } = &settled;
            let moved = tx.db.execute(
                "update schedule set due_ms = ?5, last = ?6
                 where flow = ?1 and name = ?2 and version = ?3 and due_ms = ?4",
                &values![flow, name, *version, due_ms.map(integer), next_ms.map(integer), &last],
            )?;
            Ok(moved == 1)
        })
        .await
    }

    /// Keeps what came of a start that no due time asked for, with its audit row.
    pub async fn ran_schedule(
        &self,
        act: Act,
        flow: &str,
        name: &str,
        last: &Json,
    ) -> std::result::Result<(), Unavailable> {
        let (flow, name, detail, last) = (flow.to_owned(), name.to_owned(), last.clone(), text(last)?);
        self.write(move |tx| {
            let kept = "update schedule set last = ?3 where flow = ?1 and name = ?2";
            tx.db.execute(kept, &values![&flow, &name, &last])?;
            audit(tx, &act.by, act.at_ms, "schedule.run", &format!("{flow}:{name}"), &detail)
        })
        .await
    }

    /// Starts nothing by itself until it is resumed. `false`: there is none.
    pub async fn pause_schedule(&self, act: Act, flow: &str, name: &str) -> std::result::Result<bool, Unavailable> {
        let (flow, name) = (flow.to_owned(), name.to_owned());
        self.write(move |tx| {
            let sql = "update schedule set paused = 1 where flow = ?1 and name = ?2 and paused = 0";
            let changed = tx.db.execute(sql, &values![&flow, &name])?;
            told(tx, &act, "schedule.pause", (&flow, &name), changed == 1)
        })
        .await
    }

    /// Goes on from the time it is due next: what it would have started meanwhile is not made up for.
    /// `false`: there is none.
    pub async fn resume_schedule(
        &self,
        act: Act,
        flow: &str,
        name: &str,
        due_ms: Option<u64>,
    ) -> std::result::Result<bool, Unavailable> {
        let (flow, name) = (flow.to_owned(), name.to_owned());
        self.write(move |tx| {
            let sql = "update schedule set paused = 0, due_ms = ?3 where flow = ?1 and name = ?2 and paused = 1";
            let changed = tx.db.execute(sql, &values![&flow, &name, due_ms.map(integer)])?;
            told(tx, &act, "schedule.resume", (&flow, &name), changed == 1)
        })
        .await
    }
}

/// Audits what was changed; where nothing was, says whether there is such a schedule.
fn told(tx: &mut Tx<'_>, act: &Act, action: &str, (flow, name): (&str, &str), changed: bool) -> Result<bool> {
    if changed {
        audit(tx, &act.by, act.at_ms, action, &format!("{flow}:{name}"), &json!({}))?;
        return Ok(true);
    }
    tx.db.exists("select 1 from schedule where flow = ?1 and name = ?2", &values![flow, name])
}
