//! `/api/v1/schedules`: when flows start by themselves, and what came of it.
//!
//! Not here: what starts them (`crate::schedules`).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use stepwell_runtime::Clock;
use stepwell_store::{Act, Role, Schedule as Row};

use super::App;
use super::body::Raw;
use super::caller::Caller;
use super::extract::Path;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::start::{self, Ended};
use super::time::rfc3339;
use crate::schedules;

/// Due times that are shown.
const UPCOMING: usize = 5;

/// Times at which a flow starts by itself.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScheduleItem {
    /// `<flow>:<name>`
    id: String,
    flow: String,
    name: String,
    version: u32,
    /// Cron.
    schedule: String,
    timezone: String,
    paused: bool,
    /// The times it is due next; none while it is paused.
    next: Vec<String>,
    /// What came of it last: `due`, `at`, `outcome` (`started`, `skipped`, `refused`), and `instance` with its
    /// `state`, or `error`.
    #[schema(value_type = Option<Object>)]
    last: Option<Value>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Schedules {
    items: Vec<ScheduleItem>,
}

/// List schedules
#[utoipa::path(get, path = "/api/v1/schedules", tag = "schedules", responses((status = 200, body = Schedules)))]
pub(super) async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> Answer<Json<Schedules>> {
    let mut items = Vec::new();
    let within = caller.within(Role::Viewer);
    for row in app.engine.journal().schedules().await?.into_iter().filter(|row| within.holds(&row.flow)) {
        items.extend(item(&app, row).await?);
    }
    Ok(Json(Schedules { items }))
}

/// Show a schedule
#[utoipa::path(get, path = "/api/v1/schedules/{id}", tag = "schedules", params(("id" = String, Path)),
    responses((status = 200, body = ScheduleItem), (status = 404, body = RefusalBody)))]
pub(super) async fn show(State(app): State<App>, Path(id): Path<String>) -> Answer<Json<ScheduleItem>> {
    let row = find(&app, &id).await?;
    item(&app, row).await?.map(Json).ok_or_else(|| missing(&id))
}

/// Pause a schedule
#[utoipa::path(post, path = "/api/v1/schedules/{id}/pause", tag = "schedules", params(("id" = String, Path)),
    responses((status = 200, body = ScheduleItem), (status = 404, body = RefusalBody)))]
pub(super) async fn pause(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<Json<ScheduleItem>> {
    let row = find(&app, &id).await?;
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    app.engine.journal().pause_schedule(act, &row.flow, &row.name).await?;
    show(State(app), Path(id)).await
}

/// Resume a schedule, from its next due time on
#[utoipa::path(post, path = "/api/v1/schedules/{id}/resume", tag = "schedules", params(("id" = String, Path)),
    responses((status = 200, body = ScheduleItem), (status = 404, body = RefusalBody)))]
pub(super) async fn resume(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<Json<ScheduleItem>> {
    let row = find(&app, &id).await?;
    let schedule = schedules::find(&app, &row).await?.ok_or_else(|| missing(&id))?;
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let due_ms = schedule.after(act.at_ms);
    app.engine.journal().resume_schedule(act, &row.flow, &row.name, due_ms).await?;
    show(State(app), Path(id)).await
}

/// Start a schedule's flow now, beside its times; also while it is paused
#[utoipa::path(post, path = "/api/v1/schedules/{id}/run", tag = "schedules",
    params(("id" = String, Path),
           ("Idempotency-Key" = Option<String>, Header, description = "The same key again gives the same instance")),
    responses((status = 202, body = start::StartedBody, description = "Started; see Location"),
              (status = 404, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn run(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Raw(bytes): Raw,
) -> Answer<Response> {
    let row = find(&app, &id).await?;
    let schedule = schedules::find(&app, &row).await?.ok_or_else(|| missing(&id))?;
    let now_ms = app.clock.now_ms();
    let idempotency = start::idempotency(&headers, &bytes)?;
    let instance = schedules::start(&app, &row, &schedule, now_ms, idempotency, caller.user.as_str().into()).await?;
    let act = Act { by: caller.user.clone(), at_ms: now_ms };
    let last = schedules::told(now_ms, now_ms, &instance);
    app.engine.journal().ran_schedule(act, &row.flow, &row.name, &last).await?;
    Ended::of(&app, &instance).await?.whole()
}

async fn find(app: &App, id: &str) -> Answer<Row> {
    let (flow, name) = id.split_once(':').ok_or_else(|| missing(id))?;
    app.engine.journal().schedule(flow, name).await?.ok_or_else(|| missing(id))
}

fn missing(id: &str) -> Refusal {
    Refusal::say(Code::ScheduleNotFound, format!("no schedule {id}"))
}

/// `None`: published anew between two reads, without it.
async fn item(app: &App, row: Row) -> Answer<Option<ScheduleItem>> {
    let Some(schedule) = schedules::find(app, &row).await? else { return Ok(None) };
    let mut next = Vec::new();
    if let Some(due_ms) = row.due_ms.filter(|_| !row.paused) {
        next.push(rfc3339(due_ms));
        next.extend(schedule.upcoming(due_ms, UPCOMING - 1).into_iter().map(rfc3339));
    }
    let mut last = row.last.clone();
    if let Some(told) = &mut last
        && let Some(instance) = told.get("instance").and_then(Value::as_str)
        && let Some(found) = app.engine.journal().instance(&Arc::from(instance)).await?
    {
        told["state"] = found.summary.state.name().into();
    }
    Ok(Some(ScheduleItem {
        id: schedules::id(&row),
        schedule: schedule.text,
        timezone: schedule.timezone.name().to_owned(),
        paused: row.paused,
        next,
        last,
        flow: row.flow,
        name: row.name,
        version: row.version,
    }))
}
