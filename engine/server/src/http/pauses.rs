//! `/api/v1/pauses`: node types and connections of which no call is made, at any engine.
//!
//! Not here: what puts them in force and lets go what waited (`crate::pauses`).

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_core::flow::duration;
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_store::{Act, NewPause, Pause, Paused, Role};

use super::App;
use super::body;
use super::caller::Caller;
use super::extract::Path;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use crate::pauses;

const REASON_CHARS_MAX: usize = 500;
const PROBE_EVERY_MS_MIN: u64 = 1_000;
/// Waiting instances that are named.
const HELD_SHOWN: u32 = 100;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PauseBody {
    /// For whoever finds it paused.
    reason: String,
    /// How often one call is let through to see, as `30s`; without it only when asked.
    #[serde(default)]
    probe_every: Option<String>,
    /// A call that was let through and went well ends the pause.
    #[serde(default)]
    resume_on_success: bool,
}

/// Something of which no call is made.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PauseItem {
    /// `node-type` or `connection`
    kind: &'static str,
    /// `plugin/type`, or a connection's name.
    name: String,
    reason: String,
    paused_at: String,
    paused_by: String,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_every_ms: Option<u64>,
    resume_on_success: bool,
    /// What came of the last call that was let through: `at`, `well`, `message`.
    #[schema(value_type = Option<Object>)]
    probe: Option<Value>,
    /// Instances with calls that wait for it.
    held: u64,
    /// Those of the first hundred that are in one's own namespaces; not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    instances: Vec<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Pauses {
    items: Vec<PauseItem>,
}

/// List what is paused
#[utoipa::path(get, path = "/api/v1/pauses", tag = "pauses", responses((status = 200, body = Pauses)))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<Pauses>> {
    let mut items = Vec::new();
    for pause in app.engine.journal().pauses().await? {
        items.push(item(&app, pause).await?);
    }
    Ok(Json(Pauses { items }))
}

/// Show a paused node type
#[utoipa::path(get, path = "/api/v1/pauses/node-types/{plugin}/{type}", tag = "pauses",
    params(("plugin" = String, Path), ("type" = String, Path)),
    responses((status = 200, body = PauseItem), (status = 404, body = RefusalBody)))]
pub(super) async fn show_node_type(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((plugin, node_type)): Path<(String, String)>,
) -> Answer<Json<PauseItem>> {
    show(&app, &caller, &of_node_type(&plugin, &node_type)).await
}

/// Show a paused connection
#[utoipa::path(get, path = "/api/v1/pauses/connections/{name}", tag = "pauses", params(("name" = String, Path)),
    responses((status = 200, body = PauseItem), (status = 404, body = RefusalBody)))]
pub(super) async fn show_connection(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Answer<Json<PauseItem>> {
    show(&app, &caller, &Paused::new(Paused::CONNECTION, name)).await
}

/// Pause a node type at every engine
#[utoipa::path(put, path = "/api/v1/pauses/node-types/{plugin}/{type}", tag = "pauses",
    params(("plugin" = String, Path), ("type" = String, Path)), request_body = PauseBody,
    responses((status = 200, body = PauseItem, description = "In force here; elsewhere within a second"),
              (status = 404, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn pause_node_type(
    State(app): State<App>,
    Path((plugin, node_type)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<PauseBody>,
) -> Answer<Json<PauseItem>> {
    let what = of_node_type(&plugin, &node_type);
    // Also of builds that only older instances are pinned to.
    let known = app.engine.journal().plugins().await?.into_iter().any(|one| {
        let types = one.manifest.get("nodeTypes").and_then(Value::as_array);
        types.into_iter().flatten().any(|one| one.get("id").and_then(Value::as_str) == Some(&what.name))
    });
    if !known {
        return Err(Refusal::say(Code::NodeTypeNotFound, format!("no node type {}", what.name)));
    }
    pause(&app, caller, what, asked).await
}

/// Pause a connection at every engine
#[utoipa::path(put, path = "/api/v1/pauses/connections/{name}", tag = "pauses", params(("name" = String, Path)),
    request_body = PauseBody,
    responses((status = 200, body = PauseItem, description = "In force here; elsewhere within a second"),
              (status = 404, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn pause_connection(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<PauseBody>,
) -> Answer<Json<PauseItem>> {
    if !app.engine.journal().connections().await?.iter().any(|one| one.name == name) {
        return Err(Refusal::say(Code::ConnectionNotFound, format!("no connection {name}")));
    }
    pause(&app, caller, Paused::new(Paused::CONNECTION, name), asked).await
}

/// Resume a node type; what waited goes on
#[utoipa::path(delete, path = "/api/v1/pauses/node-types/{plugin}/{type}", tag = "pauses",
    params(("plugin" = String, Path), ("type" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn resume_node_type(
    State(app): State<App>,
    Path((plugin, node_type)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    resume(&app, caller, &of_node_type(&plugin, &node_type)).await
}

/// Resume a connection; what waited goes on
#[utoipa::path(delete, path = "/api/v1/pauses/connections/{name}", tag = "pauses", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn resume_connection(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    resume(&app, caller, &Paused::new(Paused::CONNECTION, name)).await
}

/// Let one call of a paused node type through
#[utoipa::path(post, path = "/api/v1/pauses/node-types/{plugin}/{type}/probe", tag = "pauses",
    params(("plugin" = String, Path), ("type" = String, Path)),
    responses((status = 202, body = PauseItem, description = "One that waits, or the next that comes"),
              (status = 404, body = RefusalBody)))]
pub(super) async fn probe_node_type(
    State(app): State<App>,
    Path((plugin, node_type)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
) -> Answer<(StatusCode, Json<PauseItem>)> {
    probe(&app, caller, &of_node_type(&plugin, &node_type)).await
}

/// Let one call to a paused connection through
#[utoipa::path(post, path = "/api/v1/pauses/connections/{name}/probe", tag = "pauses", params(("name" = String, Path)),
    responses((status = 202, body = PauseItem, description = "One that waits, or the next that comes"),
              (status = 404, body = RefusalBody)))]
pub(super) async fn probe_connection(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<(StatusCode, Json<PauseItem>)> {
    probe(&app, caller, &Paused::new(Paused::CONNECTION, name)).await
}

fn of_node_type(plugin: &str, node_type: &str) -> Paused {
    Paused::new(Paused::NODE_TYPE, format!("{plugin}/{node_type}"))
}

async fn find(app: &App, what: &Paused) -> Answer<Pause> {
    let found = app.engine.journal().pauses().await?.into_iter().find(|one| one.what == *what);
    found.ok_or_else(|| Refusal::say(Code::NotPaused, format!("{} is not paused", what.key())))
}

async fn show(app: &App, caller: &Caller, what: &Paused) -> Answer<Json<PauseItem>> {
    let mut item = item(app, find(app, what).await?).await?;
    let within = caller.within(Role::Viewer);
    for (_, instance) in app.engine.journal().held(&what.key(), 0, HELD_SHOWN).await? {
        if app.auth.book.flow_of(&instance).await?.is_some_and(|flow| within.holds(&flow)) {
            item.instances.push(instance.to_string());
        }
    }
    Ok(Json(item))
}

async fn item(app: &App, pause: Pause) -> Answer<PauseItem> {
    let held = app.engine.journal().held_count(&pause.what.key()).await?;
    Ok(PauseItem {
        kind: pause.what.kind,
        name: pause.what.name,
        reason: pause.reason,
        paused_at: rfc3339(pause.paused_ms),
        paused_by: pause.paused_by,
        probe_every_ms: pause.probe_ms,
        resume_on_success: pause.resume,
        probe: pause.probe,
        held,
        instances: Vec::new(),
    })
}

async fn pause(app: &App, caller: Caller, what: Paused, asked: PauseBody) -> Answer<Json<PauseItem>> {
    let mut problems = Vec::new();
    if !(1..=REASON_CHARS_MAX).contains(&asked.reason.chars().count()) || asked.reason.contains('\0') {
        let message = format!("1 to {REASON_CHARS_MAX} characters, none of them NUL");
        problems.push(Problem::error("TEXT_LENGTH", "/reason", message));
    }
    let probe_ms = match asked.probe_every.as_deref().map(duration::parse_ms) {
        None => None,
        Some(Ok(ms)) if ms >= PROBE_EVERY_MS_MIN => Some(ms),
        Some(Ok(_)) => {
            problems.push(Problem::error("DURATION", "/probeEvery", "at least 1s"));
            None
        }
        Some(Err(error)) => {
            problems.push(Problem::error("DURATION", "/probeEvery", error));
            None
        }
    };
    if !problems.is_empty() {
        return Err(Refusal::with(Code::BodyInvalid, problems));
    }
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let new = NewPause { what: what.clone(), reason: asked.reason, probe_ms, resume: asked.resume_on_success };
    app.engine.journal().pause(act, new).await?;
    pauses::enforce(app.engine.nodes(), app.engine.journal(), &app.pausing).await?;
    Ok(Json(item(app, find(app, &what).await?).await?))
}

async fn resume(app: &App, caller: Caller, what: &Paused) -> Answer<StatusCode> {
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    if !app.engine.journal().resume(act, what).await? {
        return Err(Refusal::say(Code::NotPaused, format!("{} is not paused", what.key())));
    }
    pauses::enforce(app.engine.nodes(), app.engine.journal(), &app.pausing).await?;
    app.pausing.ring();
    Ok(StatusCode::NO_CONTENT)
}

async fn probe(app: &App, caller: Caller, what: &Paused) -> Answer<(StatusCode, Json<PauseItem>)> {
    let pause = find(app, what).await?;
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    app.engine.journal().audit(act, "pause.probe", &what.key(), Value::Null).await?;
    pauses::enforce(app.engine.nodes(), app.engine.journal(), &app.pausing).await?;
    pauses::probe(app, &pause).await?;
    Ok((StatusCode::ACCEPTED, Json(item(app, pause).await?)))
}
