//! `/api/v1/tasks`: what people have to do.
//!
//! A task's name is its instance and token, `<instance>.<token>`. An answer is checked against the form here, so that
//! everything wrong with it is told at once; whether the task still waits for it is the core's to say.
//!
//! Not here: tasks for workers (`external_tasks`).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_core::flow::Kind;
use stepwell_core::machine::{Command, Failure, Rejection, fits_message};
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_store::{Act, Grasp, OpenTask, Role, TaskFilter};

use super::caller::Caller;
use super::extract::{Path, Query};
use super::instances::send;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::shapes::limit;
use super::time::rfc3339;
use super::{App, body};

const NAME_BYTES_MAX: usize = 200;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TaskQuery {
    instance: Option<String>,
    flow: Option<String>,
    assignee: Option<String>,
    /// 50 unless given, at most 500.
    limit: Option<u32>,
}

/// A person's open task.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskItem {
    /// `<instance>.<token>`
    id: String,
    #[schema(value_type = String)]
    instance: Arc<str>,
    #[schema(value_type = String)]
    flow: Arc<str>,
    version: u32,
    business_key: Option<String>,
    node: String,
    attempt: u32,
    /// A text, or one per language tag.
    title: Value,
    /// What the person is shown.
    data: Value,
    /// JSON Schema of the answer.
    #[schema(value_type = Option<Object>)]
    form: Option<Arc<Value>>,
    assignee: Option<String>,
    users: Vec<String>,
    groups: Vec<String>,
    since: String,
    due_at: Option<String>,
    /// Then nobody need do it any more.
    until: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TaskList {
    items: Vec<TaskItem>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AssignBody {
    /// Whose it becomes; null: nobody's.
    user: Option<String>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CompleteBody {
    /// Fits the task's form.
    output: Value,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RejectBody {
    /// A business code that a handler of the node can name.
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) data: Option<Value>,
}

/// List people's open tasks
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks", params(TaskQuery),
    responses((status = 200, body = TaskList, description = "The oldest first")))]
pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<TaskQuery>,
) -> Answer<Json<TaskList>> {
    let TaskQuery { instance, flow, assignee, limit: asked } = query;
    let filter =
        TaskFilter { people: true, instance, flow, assignee, topic: None, within: caller.within(Role::Viewer) };
    let mut items = Vec::new();
    for task in app.engine.journal().tasks(filter, limit(asked)).await? {
        items.push(item(&app, task).await);
    }
    Ok(Json(TaskList { items }))
}

/// Show a person's open task
#[utoipa::path(get, path = "/api/v1/tasks/{id}", tag = "tasks", params(("id" = String, Path)),
    responses((status = 200, body = TaskItem), (status = 404, body = RefusalBody)))]
pub(super) async fn show(State(app): State<App>, Path(id): Path<String>) -> Answer<Json<TaskItem>> {
    Ok(Json(item(&app, open(&app, &id).await?).await))
}

/// Claim a task
///
/// Makes it the caller's, or another's, if it is nobody's yet.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/claim", tag = "tasks", params(("id" = String, Path)), request_body = AssignBody,
    responses((status = 200, body = TaskItem), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn claim(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<AssignBody>,
) -> Answer<Json<TaskItem>> {
    let who = asked.user.unwrap_or_else(|| caller.user.clone());
    give(&app, &id, Some(who), true, &caller).await
}

/// Assign a task
///
/// Makes it somebody's, or nobody's, whoever had it.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/assign", tag = "tasks", params(("id" = String, Path)), request_body = AssignBody,
    responses((status = 200, body = TaskItem), (status = 404, body = RefusalBody)))]
pub(super) async fn assign(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<AssignBody>,
) -> Answer<Json<TaskItem>> {
    give(&app, &id, asked.user, false, &caller).await
}

async fn give(app: &App, id: &str, who: Option<String>, if_free: bool, caller: &Caller) -> Answer<Json<TaskItem>> {
    if who.as_ref().is_some_and(|who| !fits_message(who, NAME_BYTES_MAX)) {
        let problem = Problem::error("TEXT_LENGTH", "/user", format!("1 to {NAME_BYTES_MAX} bytes, none of them NUL"));
        return Err(Refusal::with(Code::BodyInvalid, vec![problem]));
    }
    let (instance, token) = named(id)?;
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    match app.engine.journal().assign(instance, token, who, if_free, act).await? {
        Grasp::Held(task) => Ok(Json(item(app, *task).await)),
        Grasp::Taken(by) => Err(Refusal::say(Code::TaskTaken, format!("it is {by}'s")).and("assignee", by)),
        Grasp::Gone => Err(missing(id)),
    }
}

/// Complete a task
#[utoipa::path(post, path = "/api/v1/tasks/{id}/complete", tag = "tasks", params(("id" = String, Path)), request_body = CompleteBody,
    responses((status = 202, body = super::instances::Commanded, description = "Kept; the instance goes on soon after"),
              (status = 404, body = RefusalBody), (status = 409, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn complete(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<CompleteBody>,
) -> Answer<Response> {
    body::not_too_deep(&asked.output, "/output")?;
    let task = open(&app, &id).await?;
    fits(&app, &task, &asked.output).await?;
    let (token, attempt) = (task.token, task.attempt);
    send(&app, &task.instance, Command::Complete { token, attempt, output: Arc::new(asked.output) }, caller).await
}

/// Say no to a task
///
/// The node fails with a business error.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/fail", tag = "tasks", params(("id" = String, Path)), request_body = RejectBody,
    responses((status = 202, body = super::instances::Commanded), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn fail(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<RejectBody>,
) -> Answer<Response> {
    let task = open(&app, &id).await?;
    let failure = Failure::Rejected(rejection(asked)?);
    send(&app, &task.instance, Command::Fail { token: task.token, attempt: task.attempt, failure }, caller).await
}

pub(super) fn rejection(asked: RejectBody) -> Answer<Rejection> {
    if let Some(data) = &asked.data {
        body::not_too_deep(data, "/data")?;
    }
    if !fits_message(&asked.code, NAME_BYTES_MAX) {
        let problem = Problem::error("TEXT_LENGTH", "/code", format!("1 to {NAME_BYTES_MAX} bytes"));
        return Err(Refusal::with(Code::BodyInvalid, vec![problem]));
    }
    Ok(Rejection { code: asked.code, message: asked.message, data: asked.data.map(Arc::new) })
}

/// Whether an answer is what the node asks for.
pub(super) async fn fits(app: &App, task: &OpenTask, output: &Value) -> Answer<()> {
    let flow = app.engine.flow(&task.flow, task.version).await?;
    let schema = match flow.named(&task.place).map(|node| &flow.nodes[node].kind) {
        Some(Kind::UserTask(one)) => one.form.as_ref(),
        Some(Kind::ExternalTask(one)) => one.output.as_ref(),
        _ => None,
    };
    let Some(schema) = schema.filter(|schema| !schema.is_valid(output)) else { return Ok(()) };
    let mut problems = schema.check(output);
    for problem in &mut problems {
        problem.pointer.insert_str(0, "/output");
    }
    Err(Refusal::with(Code::BodyInvalid, problems))
}

/// `<instance>.<token>`
pub(super) fn named(id: &str) -> Answer<(&str, u32)> {
    let parts = id.rsplit_once('.').and_then(|(instance, token)| Some((instance, token.parse().ok()?)));
    parts.ok_or_else(|| missing(id))
}

pub(super) fn missing(id: &str) -> Refusal {
    Refusal::say(Code::TaskNotFound, format!("no task {id} is open"))
}

async fn open(app: &App, id: &str) -> Answer<OpenTask> {
    let (instance, token) = named(id)?;
    let found = app.engine.journal().task(instance, token).await?;
    found.filter(|task| task.topic.is_none()).ok_or_else(|| missing(id))
}

async fn item(app: &App, task: OpenTask) -> TaskItem {
    // Of a version that cannot be read here only the form is missing.
    let flow = app.engine.flow(&task.flow, task.version).await.ok();
    let found = flow.as_ref().and_then(|flow| match &flow.nodes[flow.named(&task.place)?].kind {
        Kind::UserTask(one) => Some((one.title.clone(), one.form_source.clone())),
        _ => None,
    });
    let (title, form) = found.unwrap_or_default();
    TaskItem {
        id: format!("{}.{}", task.instance, task.token),
        instance: task.instance,
        flow: task.flow,
        version: task.version,
        business_key: task.business_key,
        node: task.node,
        attempt: task.attempt,
        title,
        data: task.input.get("data").cloned().unwrap_or_default(),
        form,
        assignee: task.assignee,
        users: task.users,
        groups: task.groups,
        since: rfc3339(task.since_ms),
        due_at: task.due_ms.map(rfc3339),
        until: task.until_ms.map(rfc3339),
    }
}
