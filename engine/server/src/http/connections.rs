//! `/api/v1/connections` and `/api/v1/grants`: what plugins may reach.
//!
//! Invariant: a secret goes in and never comes out: the values of headers and secrets are shown as
//! [`HIDDEN`], and [`HIDDEN`] sent back keeps what is there.

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_sandbox::{Connection, Grants};
use stepwell_store::Act;

use super::caller::Caller;
use super::extract::Path;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, body};
use crate::grants::{Grant, RecordGrant};
use crate::packages::{self, GrantsError};

const HIDDEN: &str = "***";

/// A named target.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct ConnectionBody {
    /// `http` or `https`
    scheme: String,
    host: String,
    port: Option<u16>,
    /// Upper case; empty means all.
    #[schema(required = false)]
    methods: Vec<String>,
    /// Put before the path of every request.
    #[schema(required = false)]
    path_prefix: String,
    /// Loopback, private and link-local addresses are refused without this.
    #[schema(required = false)]
    allow_private: bool,
    /// Set on every request; values are not shown again.
    #[schema(value_type = Object, required = false)]
    headers: Value,
    /// Put in for `$secret:NAME` in a header; values are not shown again.
    #[schema(value_type = Object, required = false)]
    secrets: Value,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ConnectionItem {
    name: String,
    #[serde(flatten)]
    #[schema(value_type = ConnectionBody)]
    spec: Value,
    #[serde(rename = "updatedAt")]
    updated_at: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Connections {
    items: Vec<ConnectionItem>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct GrantList {
    items: Vec<Grant>,
    /// Of record types.
    records: Vec<RecordGrant>,
}

fn shown(connection: stepwell_store::Connection) -> ConnectionItem {
    let mut spec = connection.spec;
    for part in ["headers", "secrets"] {
        for value in spec.get_mut(part).and_then(Value::as_object_mut).into_iter().flat_map(|map| map.values_mut()) {
            *value = HIDDEN.into();
        }
    }
    ConnectionItem { name: connection.name, spec, updated_at: rfc3339(connection.updated_ms) }
}

/// List connections
#[utoipa::path(get, path = "/api/v1/connections", tag = "grants", responses((status = 200, body = Connections)))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<Connections>> {
    let items = app.engine.journal().connections().await?.into_iter().map(shown).collect();
    Ok(Json(Connections { items }))
}

/// Show a connection
#[utoipa::path(get, path = "/api/v1/connections/{name}", tag = "grants", params(("name" = String, Path)),
    responses((status = 200, body = ConnectionItem), (status = 404, body = RefusalBody)))]
pub(super) async fn show(State(app): State<App>, Path(name): Path<String>) -> Answer<Json<ConnectionItem>> {
    find(&app, &name).await?.map(|one| Json(shown(one))).ok_or_else(|| missing(&name))
}

async fn find(app: &App, name: &str) -> Answer<Option<stepwell_store::Connection>> {
    Ok(app.engine.journal().connections().await?.into_iter().find(|one| one.name == name))
}

fn missing(name: &str) -> Refusal {
    Refusal::say(Code::ConnectionNotFound, format!("no connection {name}"))
}

/// Make or replace a connection
#[utoipa::path(put, path = "/api/v1/connections/{name}", tag = "grants", params(("name" = String, Path)),
    request_body = ConnectionBody,
    responses((status = 200, body = ConnectionItem), (status = 422, body = RefusalBody)))]
pub(super) async fn put(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(mut spec): body::Json<Value>,
) -> Answer<Json<ConnectionItem>> {
    if let Some(before) = find(&app, &name).await? {
        keep_hidden(&mut spec, &before.spec);
    }
    let parsed: Connection = body::parse(spec.to_string().as_bytes())?;
    let alone = Grants { connections: [(name.clone(), parsed.clone())].into(), ..Grants::default() };
    check(&alone)?;
    let spec = serde_json::to_value(&parsed).map_err(|_| Refusal::new(Code::Internal))?;
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    app.engine.journal().put_connection(act, &name, &spec).await?;
    enforce(&app).await?;
    show(State(app), Path(name)).await
}

/// The names and values of a connection are checked by the sandbox that will use it.
fn check(alone: &Grants) -> Answer<()> {
    let problems: Vec<Problem> = alone.problems().into_iter().map(inside).collect();
    if problems.is_empty() { Ok(()) } else { Err(Refusal::with(Code::BodyInvalid, problems)) }
}

/// The body is the connection itself: `/connections/<name>/port` becomes `/port`.
fn inside(mut problem: Problem) -> Problem {
    problem.pointer = problem.pointer.splitn(4, '/').nth(3).map_or(String::new(), |rest| format!("/{rest}"));
    problem
}

/// Puts back what the caller was not shown.
fn keep_hidden(spec: &mut Value, before: &Value) {
    for part in ["headers", "secrets"] {
        let Some(map) = spec.get_mut(part).and_then(Value::as_object_mut) else { continue };
        for (name, value) in map {
            if value == HIDDEN
                && let Some(kept) = before.get(part).and_then(|part| part.get(name))
            {
                *value = kept.clone();
            }
        }
    }
}

async fn enforce(app: &App) -> Answer<()> {
    match packages::enforce(app.engine.nodes(), app.engine.journal(), &app.granting).await {
        Ok(()) => Ok(()),
        Err(GrantsError::Refused(problems)) => Err(Refusal::with(Code::BodyInvalid, problems)),
        Err(GrantsError::Unreadable { name, reason }) => {
            tracing::error!(connection = name, reason, "a stored connection cannot be read");
            Err(Refusal::new(Code::Internal))
        }
        Err(GrantsError::Unavailable(error)) => Err(error.into()),
    }
}

/// List grants
#[utoipa::path(get, path = "/api/v1/grants", tag = "grants", responses((status = 200, body = GrantList)))]
pub(super) async fn grants(State(app): State<App>) -> Answer<Json<GrantList>> {
    let grants = app.engine.journal().grants().await?;
    let items = grants.into_iter().map(|one| Grant { plugin: one.plugin, connection: one.connection }).collect();
    let records = app.engine.journal().record_grants().await?;
    let records = records.into_iter().map(|one| RecordGrant { plugin: one.plugin, record_type: one.kind }).collect();
    Ok(Json(GrantList { items, records }))
}

/// Let a plugin use a connection
#[utoipa::path(put, path = "/api/v1/grants/{plugin}/{connection}", tag = "grants",
    params(("plugin" = String, Path), ("connection" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn grant(
    State(app): State<App>,
    Path((plugin, connection)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    if !app.engine.journal().grant(act, &plugin, &connection).await? {
        return Err(missing(&connection));
    }
    enforce(&app).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a grant back
#[utoipa::path(delete, path = "/api/v1/grants/{plugin}/{connection}", tag = "grants",
    params(("plugin" = String, Path), ("connection" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn ungrant(
    State(app): State<App>,
    Path((plugin, connection)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    if !app.engine.journal().ungrant(act, &plugin, &connection).await? {
        return Err(missing(&connection));
    }
    enforce(&app).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let a plugin read and write records of a type
#[utoipa::path(put, path = "/api/v1/grants/{plugin}/records/{type}", tag = "grants",
    params(("plugin" = String, Path), ("type" = String, Path, description = "Need not be published yet")),
    responses((status = 204)))]
pub(super) async fn grant_records(
    State(app): State<App>,
    Path((plugin, kind)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    app.engine.journal().grant_records(act, &plugin, &kind).await?;
    enforce(&app).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a grant of records back
#[utoipa::path(delete, path = "/api/v1/grants/{plugin}/records/{type}", tag = "grants",
    params(("plugin" = String, Path), ("type" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn ungrant_records(
    State(app): State<App>,
    Path((plugin, kind)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    if !app.engine.journal().ungrant_records(act, &plugin, &kind).await? {
        return Err(Refusal::say(Code::RecordTypeNotFound, format!("{plugin} has no grant of {kind}")));
    }
    enforce(&app).await?;
    Ok(StatusCode::NO_CONTENT)
}
