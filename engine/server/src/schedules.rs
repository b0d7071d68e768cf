//! Starts what is due by its schedule.
//!
//! Every engine looks, about once a second and at the next due time. Who starts is settled by the
//! start itself: its idempotency key names the schedule and the due time, so of many engines, and of
//! a crash before the row moved on, one instance remains.
//!
//! Invariants:
//! - A due time is settled only after its start is on disk, or refused for good.
//! - What cannot be started just now (no room, no database) is tried again at the next look.
//!
//! Not here: which times are due (`core::flow::schedule`), the API's view of them (`http::schedules`).

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use http::HeaderMap;
use serde_json::{Value, json};
use stepwell_core::expr::{Root, Scope};
use stepwell_core::flow::schedule::Schedule;
use stepwell_runtime::Clock as _;
use stepwell_runtime::journal::Idempotency;
use stepwell_store::Schedule as Row;

use crate::http::problem::{Code, Refusal};
use crate::http::time::rfc3339;
use crate::http::{App, Start, Wish};

/// The longest time between two looks: a schedule may be published at another engine.
const LOOKS_EVERY_MS: u64 = 1_000;
/// Schedules acted on at once; the rest follows at once.
const BATCH: u32 = 50;
/// Before the next look where something could not be started.
const PAUSE_MS: u64 = 250;

/// Looks again and again, until dropped.
pub(crate) async fn run(app: App) {
    loop {
        let now_ms = app.clock.now_ms();
        let wait_ms = match app.engine.journal().due_schedules(now_ms, BATCH).await {
            Ok((due, next_ms)) => {
                let settled = join_all(due.iter().map(|row| settle(&app, row, now_ms))).await;
                match next_ms {
                    _ if settled.contains(&false) => PAUSE_MS,
                    _ if due.len() == BATCH as usize => 0,
                    Some(next_ms) => next_ms.saturating_sub(app.clock.now_ms()).min(LOOKS_EVERY_MS),
                    None => LOOKS_EVERY_MS,
                }
            }
            Err(error) => {
                tracing::warn!(%error, "could not look for due schedules");
                LOOKS_EVERY_MS
            }
        };
        app.clock.sleep(Duration::from_millis(wait_ms)).await;
    }
}

/// Acts on a due time. `false`: it is to be tried again.
async fn settle(app: &App, row: &Row, now_ms: u64) -> bool {
    let Some(due_ms) = row.due_ms else { return true };
    let schedule = match find(app, row).await {
        Ok(Some(schedule)) => schedule,
        // Published anew between two looks: the next one sees it.
        Ok(None) => return false,
        Err(refusal) => {
            tracing::warn!(
                flow = row.flow,
                schedule = row.name,
                code = refusal.code.text(),
                "a schedule cannot be read"
            );
            // It will not be better soon: looked at again with the others.
            return true;
        }
    };
    let turn = schedule.turn(due_ms, now_ms);
    let last = match turn.start_ms {
        None => json!({ "due": rfc3339(due_ms), "at": rfc3339(now_ms), "outcome": "skipped" }),
        Some(start_ms) => {
            let key = Some(Idempotency { key: format!("schedule {} {start_ms}", row.name), request: String::new() });
            let by = format!("schedule:{}", id(row));
            match start(app, row, &schedule, start_ms, key, by.into()).await {
                Ok(instance) => told(start_ms, now_ms, &instance),
                Err(refusal) if later(&refusal) => return false,
                Err(refusal) => refused(row, &refusal, start_ms, now_ms),
            }
        }
    };
    match app.engine.journal().settle_schedule(row, turn.next_ms, &last).await {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%error, flow = row.flow, schedule = row.name, "a schedule was not moved on");
            false
        }
    }
}

/// The schedule as its version says it.
pub(crate) async fn find(app: &App, row: &Row) -> Result<Option<Schedule>, Refusal> {
    let flow = app.engine.flow(&row.flow.as_str().into(), row.version).await?;
    Ok(flow.schedules.iter().find(|one| one.name == row.name).cloned())
}

/// Starts an instance as if the schedule were due at `due_ms`; returns its id once it is on disk.
pub(crate) async fn start(
    app: &App,
    row: &Row,
    schedule: &Schedule,
    due_ms: u64,
    idempotency: Option<Idempotency>,
    by: Arc<str>,
) -> Result<Arc<str>, Refusal> {
    let seen = json!({ "name": row.name, "due": rfc3339(due_ms) });
    let scope = Scope { roots: &[("schedule", Root::Value(&seen))] };
    let input = schedule.input.eval(&scope).map_err(|error| Refusal::unfit("/input", error.message))?;
    let gone = || Refusal::say(Code::FlowNotFound, format!("no flow {}", row.flow));
    let known = app.library.table().flow(&row.flow).ok_or_else(gone)?;
    let start = Start {
        known,
        // When it is due is said by the newest version; which one is started, as for any start.
        wish: Wish::Any,
        input,
        input_at: "/input",
        business_key: None,
        priority: None,
        wait: None,
        by,
        idempotency,
        redeliver: false,
    };
    Ok(start.run(app, &HeaderMap::new()).await?.id)
}

/// What is kept of a start.
pub(crate) fn told(due_ms: u64, now_ms: u64, instance: &str) -> Value {
    json!({ "due": rfc3339(due_ms), "at": rfc3339(now_ms), "outcome": "started", "instance": instance })
}

fn refused(row: &Row, refusal: &Refusal, due_ms: u64, now_ms: u64) -> Value {
    let (code, detail) = (refusal.code.text(), refusal.detail.as_deref().unwrap_or_default());
    let first = refusal.problems.first().map_or(detail, |problem| problem.message.as_str());
    tracing::error!(flow = row.flow, schedule = row.name, code, detail = first, "a schedule cannot start its flow");
    let error = json!({ "code": code, "message": first });
    json!({ "due": rfc3339(due_ms), "at": rfc3339(now_ms), "outcome": "refused", "error": error })
}

/// Nothing is wrong with the start but the moment.
fn later(refusal: &Refusal) -> bool {
    matches!(refusal.code.status().as_u16(), 409 | 503)
}

/// What the API calls it.
pub(crate) fn id(row: &Row) -> String {
    format!("{}:{}", row.flow, row.name)
}
