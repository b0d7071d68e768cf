//! `/api/v1/external-tasks`: work that workers fetch, each task for one of them at a time.
//!
//! A worker names itself. What it has fetched is its own until the lock is over; it may answer later than that as
//! long as nobody else has fetched the task. A reply to a fetch that is lost costs the time of the lock, no more.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_core::machine::{Command, Failure, fits_message};
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_store::{Grasp, Lock, OpenTask, Role, TaskFilter};

use super::caller::Caller;
use super::extract::{Path, Query};
use super::instances::send;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::shapes::limit;
use super::tasks::{RejectBody, fits, missing, named, rejection};
use super::time::rfc3339;
use super::{App, body};

const LOCK_MS: u64 = 30_000;
const LOCK_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// An answer waits that long for its instance, at most.
const ANSWERED_MS: u64 = 60 * 60 * 1000;
const WAIT_MS_MAX: u64 = 60_000;
const TASKS_MAX: u32 = 100;
const TOPICS_MAX: usize = 50;
const WORKER_BYTES_MAX: usize = 200;
/// How soon a worker that waits looks again by itself: for locks that are over, and for what other engines put out.
const LOOK_MS: u64 = 1_000;
/// And where somebody else was a moment quicker.
const LOST_MS: u64 = 50;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TaskQuery {
    instance: Option<String>,
    flow: Option<String>,
    topic: Option<String>,
    /// 50 unless given, at most 500.
    limit: Option<u32>,
}

/// Work for a worker.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExternalTaskItem {
    /// `<instance>.<token>`
    id: String,
    #[schema(value_type = String)]
    instance: Arc<str>,
    #[schema(value_type = String)]
    flow: Arc<str>,
    version: u32,
    business_key: Option<String>,
    node: String,
    topic: String,
    /// To be named in the answer.
    attempt: u32,
    /// Idempotency key: the same for every attempt, and however often the task is fetched. `null` only of one that an
    /// engine put out which did not store it yet.
    key: Option<String>,
    input: Value,
    since: String,
    until: Option<String>,
    worker: Option<String>,
    locked_until: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ExternalTaskList {
    items: Vec<ExternalTaskItem>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FetchBody {
    topics: Vec<String>,
    worker: String,
    /// How long the tasks are this worker's alone: `30s` unless given, at most a day.
    lock: Option<String>,
    /// How long to wait for a task if there is none: at most `60s`; not at all unless given.
    wait: Option<String>,
    /// At most 100; 1 unless given.
    limit: Option<u32>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtendBody {
    worker: String,
    attempt: u32,
    /// From now on; `0s` gives the task back.
    lock: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkDoneBody {
    worker: String,
    attempt: u32,
    output: Value,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct WorkFailedBody {
    worker: String,
    attempt: u32,
    /// A business error: never tried again.
    #[serde(default)]
    rejected: Option<RejectBody>,
    /// Tried again as the node says, if there is no `rejected`: what went wrong.
    #[serde(default)]
    message: String,
    /// Not before so long.
    #[serde(default)]
    retry_after: Option<String>,
}

/// List open external tasks
#[utoipa::path(get, path = "/api/v1/external-tasks", tag = "external-tasks", params(TaskQuery),
    responses((status = 200, body = ExternalTaskList, description = "The oldest first; fetched ones, too")))]
pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<TaskQuery>,
) -> Answer<Json<ExternalTaskList>> {
    let TaskQuery { instance, flow, topic, limit: asked } = query;
    let filter =
        TaskFilter { people: false, instance, flow, assignee: None, topic, within: caller.within(Role::Viewer) };
    let found = app.engine.journal().tasks(filter, limit(asked)).await?;
    Ok(Json(ExternalTaskList { items: found.into_iter().map(item).collect() }))
}

/// Fetch and lock tasks
///
/// Waits for one if there is none, as long as `wait` says.
#[utoipa::path(post, path = "/api/v1/external-tasks/fetch", tag = "external-tasks", request_body = FetchBody,
    responses((status = 200, body = ExternalTaskList, description = "None: the time to wait was over"), (status = 422, body = RefusalBody)))]
pub(super) async fn fetch(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<FetchBody>,
) -> Answer<Json<ExternalTaskList>> {
    let mut problems = Vec::new();
    let lock_ms = body::duration_ms(asked.lock.as_deref(), "/lock", LOCK_MS, LOCK_MS_MAX, &mut problems);
    let wait_ms = body::duration_ms(asked.wait.as_deref(), "/wait", 0, WAIT_MS_MAX, &mut problems);
    worker(&asked.worker, &mut problems);
    if asked.topics.is_empty() || asked.topics.len() > TOPICS_MAX {
        problems.push(Problem::error("TOPICS", "/topics", format!("1 to {TOPICS_MAX} topics")));
    }
    if !problems.is_empty() {
        return Err(Refusal::with(Code::BodyInvalid, problems));
    }
    let limit = asked.limit.unwrap_or(1).clamp(1, TASKS_MAX);
    let topics: Vec<String> = asked.topics.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let (store, within) = (app.engine.journal(), caller.within(Role::Operator));
    let mut stop = app.stop.clone();
    // However the clock is set meanwhile.
    let mut over = pin!(app.clock.sleep(Duration::from_millis(wait_ms)));
    let mut last = wait_ms == 0;
    loop {
        // Before the look, so that what is put out after it is not missed.
        let mut work = pin!(store.work());
        work.as_mut().enable();
        let now_ms = app.clock.now_ms();
        let mut nap_ms = LOOK_MS;
        if store.has_work(topics.clone(), within.clone(), now_ms).await? {
            let locked_ms = now_ms.saturating_add(lock_ms);
            let found =
                store.fetch(topics.clone(), within.clone(), asked.worker.clone(), locked_ms, now_ms, limit).await?;
            if !found.is_empty() {
                return Ok(Json(ExternalTaskList { items: found.into_iter().map(item).collect() }));
            }
            nap_ms = LOST_MS;
        }
        if last || *stop.borrow() {
            return Ok(Json(ExternalTaskList { items: Vec::new() }));
        }
        tokio::select! {
            () = &mut over => last = true,
            () = work => {}
            () = app.clock.sleep(Duration::from_millis(nap_ms)) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Keep a task longer, or give it back
#[utoipa::path(post, path = "/api/v1/external-tasks/{id}/extend", tag = "external-tasks", params(("id" = String, Path)), request_body = ExtendBody,
    responses((status = 200, body = ExternalTaskItem), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn extend(
    State(app): State<App>,
    Path(id): Path<String>,
    body::Json(asked): body::Json<ExtendBody>,
) -> Answer<Json<ExternalTaskItem>> {
    let mut problems = Vec::new();
    let lock_ms = body::duration_ms(Some(&asked.lock), "/lock", LOCK_MS, LOCK_MS_MAX, &mut problems);
    if !problems.is_empty() {
        return Err(Refusal::with(Code::BodyInvalid, problems));
    }
    let lock = if lock_ms > 0 { Lock::Until(app.clock.now_ms().saturating_add(lock_ms)) } else { Lock::Over };
    held(&app, &id, asked.worker, asked.attempt, lock).await.map(|task| Json(item(task)))
}

/// Complete a task
#[utoipa::path(post, path = "/api/v1/external-tasks/{id}/complete", tag = "external-tasks", params(("id" = String, Path)), request_body = WorkDoneBody,
    responses((status = 202, body = super::instances::Commanded, description = "Kept; the instance goes on soon after"),
              (status = 404, body = RefusalBody), (status = 409, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn complete(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<WorkDoneBody>,
) -> Answer<Response> {
    body::not_too_deep(&asked.output, "/output")?;
    // First: a worker whose answer does not fit keeps its lock as it is.
    let (instance, token) = named(&id)?;
    let task = app.engine.journal().task(instance, token).await?.ok_or_else(|| missing(&id))?;
    if task.topic.is_some() && task.attempt == asked.attempt && task.worker.as_ref() == Some(&asked.worker) {
        fits(&app, &task, &asked.output).await?;
    }
    let task = held(&app, &id, asked.worker, asked.attempt, answered(&app)).await?;
    let (token, attempt) = (task.token, task.attempt);
    send(&app, &task.instance, Command::Complete { token, attempt, output: Arc::new(asked.output) }, caller).await
}

/// Say that a task went wrong
#[utoipa::path(post, path = "/api/v1/external-tasks/{id}/fail", tag = "external-tasks", params(("id" = String, Path)), request_body = WorkFailedBody,
    responses((status = 202, body = super::instances::Commanded), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn fail(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<WorkFailedBody>,
) -> Answer<Response> {
    let mut problems = Vec::new();
    let after = body::duration_ms(asked.retry_after.as_deref(), "/retryAfter", 0, LOCK_MS_MAX, &mut problems);
    if !problems.is_empty() {
        return Err(Refusal::with(Code::BodyInvalid, problems));
    }
    let failure = match asked.rejected {
        Some(rejected) => Failure::Rejected(rejection(rejected)?),
        None => Failure::Transient { message: asked.message, retry_after_ms: (after > 0).then_some(after) },
    };
    let task = held(&app, &id, asked.worker, asked.attempt, answered(&app)).await?;
    send(&app, &task.instance, Command::Fail { token: task.token, attempt: task.attempt, failure }, caller).await
}

/// Nobody else gets what is answered until the instance has taken the answer.
fn answered(app: &App) -> Lock {
    Lock::AtLeast(app.clock.now_ms().saturating_add(ANSWERED_MS))
}

/// The task, if the worker has it in this attempt.
async fn held(app: &App, id: &str, by: String, attempt: u32, lock: Lock) -> Answer<OpenTask> {
    let mut problems = Vec::new();
    worker(&by, &mut problems);
    if !problems.is_empty() {
        return Err(Refusal::with(Code::BodyInvalid, problems));
    }
    let (instance, token) = named(id)?;
    match app.engine.journal().extend(instance, token, attempt, by, lock).await? {
        Grasp::Held(task) => Ok(*task),
        Grasp::Taken(other) if other.is_empty() => Err(Refusal::say(Code::TaskTaken, "no worker has fetched it")),
        Grasp::Taken(other) => Err(Refusal::say(Code::TaskTaken, format!("{other} has it"))),
        Grasp::Gone => Err(missing(id)),
    }
}

fn worker(name: &str, problems: &mut Vec<Problem>) {
    if !fits_message(name, WORKER_BYTES_MAX) {
        problems.push(Problem::error(
            "TEXT_LENGTH",
            "/worker",
            format!("1 to {WORKER_BYTES_MAX} bytes, none of them NUL"),
        ));
    }
}

fn item(task: OpenTask) -> ExternalTaskItem {
    ExternalTaskItem {
        id: format!("{}.{}", task.instance, task.token),
        instance: task.instance,
        flow: task.flow,
        version: task.version,
        business_key: task.business_key,
        node: task.node,
        topic: task.topic.unwrap_or_default(),
        attempt: task.attempt,
        key: task.key,
        input: task.input,
        since: rfc3339(task.since_ms),
        until: task.until_ms.map(rfc3339),
        worker: task.worker,
        locked_until: task.locked_ms.map(rfc3339),
    }
}
