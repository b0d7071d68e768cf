//! `/api/v1/connections`: where plugins' requests may lead, and what goes along.
//!
//! Invariant: a secret goes in and never comes out: of secrets and headers there are names and templates, no values.
//!
//! Not here: who may use which (`grants`), secrets by themselves (`secrets`).

use std::collections::BTreeSet;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_store::{Act, Dropped, GrantedKind, Role};

use super::caller::Caller;
use super::extract::Path;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, body, grants};
use crate::granting::{self, GrantsError};
use crate::secrets::{self, ConnectionSpec, SecretsError};

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
    /// Set on every request. `$secret:NAME` stands for a secret; a value without one is taken for a secret itself and
    /// not shown again, but of `Accept`, `Accept-Language`, `Content-Type`, `User-Agent` and `X-Api-Version`.
    #[schema(value_type = Object, required = false)]
    headers: Value,
    /// Names of secrets that may be put into its headers and those of guests. With values, as an object, they are the
    /// connection's own: each is kept as `<connection>.<name>`, and `***` leaves it as it is.
    #[schema(value_type = Vec<String>, required = false)]
    secrets: Value,
    /// Requests in any second, of all plugins together, at each engine.
    rate_per_second: Option<u32>,
    /// Requests under way at once, of all plugins together, at each engine.
    concurrency: Option<u32>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ConnectionItem {
    name: String,
    #[serde(flatten)]
    #[schema(value_type = ConnectionBody)]
    spec: Value,
    #[serde(rename = "updatedAt")]
    updated_at: String,
    #[serde(rename = "updatedBy")]
    updated_by: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Connections {
    items: Vec<ConnectionItem>,
}

/// The one request that is sent.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TryBody {
    /// `GET` unless given; `HEAD` and `OPTIONS` are taken, too.
    #[serde(default)]
    method: Option<String>,
    /// `/` unless given.
    #[serde(default)]
    path: Option<String>,
}

/// How the connection was found.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tried {
    /// None: there was no answer.
    status: Option<u16>,
    /// For people.
    message: String,
    duration_ms: u64,
}

/// Engines of before kept values; they are sealed at the next start with a key, and hidden until then.
fn shown(connection: stepwell_store::Connection) -> ConnectionItem {
    let mut spec = connection.spec;
    if let Some(clear) = spec.get("secrets").and_then(Value::as_object) {
        let names: Vec<Value> = clear.keys().map(|name| name.as_str().into()).collect();
        spec["secrets"] = names.into();
        for value in spec["headers"].as_object_mut().into_iter().flat_map(|map| map.values_mut()) {
            *value = "***".into();
        }
    }
    ConnectionItem {
        name: connection.name,
        spec,
        updated_at: rfc3339(connection.updated_ms),
        updated_by: connection.updated_by,
    }
}

/// The connections that are granted to some plugin for flows that the caller may draw; `None`: all.
async fn theirs(app: &App, caller: &Caller) -> Answer<Option<BTreeSet<String>>> {
    if caller.reach.everywhere() >= Some(Role::Designer) {
        return Ok(None);
    }
    let grants = app.engine.journal().grants().await?.into_iter();
    let of_connections =
        grants.filter(|row| row.kind == GrantedKind::Connection && grants::concerns(caller, row)).map(|row| row.name);
    Ok(Some(of_connections.collect()))
}

/// List connections
///
/// For who draws in some namespaces only, those that are granted to some plugin there.
#[utoipa::path(get, path = "/api/v1/connections", tag = "grants", responses((status = 200, body = Connections)))]
pub(super) async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> Answer<Json<Connections>> {
    let theirs = theirs(&app, &caller).await?;
    let seen = |one: &stepwell_store::Connection| theirs.as_ref().is_none_or(|names| names.contains(&one.name));
    let items = app.engine.journal().connections().await?.into_iter().filter(seen).map(shown).collect();
    Ok(Json(Connections { items }))
}

/// Show a connection
#[utoipa::path(get, path = "/api/v1/connections/{name}", tag = "grants", params(("name" = String, Path)),
    responses((status = 200, body = ConnectionItem), (status = 404, body = RefusalBody)))]
pub(super) async fn show(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Answer<Json<ConnectionItem>> {
    if theirs(&app, &caller).await?.is_some_and(|names| !names.contains(&name)) {
        return Err(missing(&name));
    }
    find(&app, name).await
}

async fn find(app: &App, name: String) -> Answer<Json<ConnectionItem>> {
    let found = app.engine.journal().connections().await?.into_iter().find(|one| one.name == name);
    found.map(|one| Json(shown(one))).ok_or_else(|| missing(&name))
}

pub(super) fn missing(name: &str) -> Refusal {
    Refusal::say(Code::ConnectionNotFound, format!("no connection {name}"))
}

/// Make or replace a connection
#[utoipa::path(put, path = "/api/v1/connections/{name}", tag = "grants", params(("name" = String, Path)),
    request_body = ConnectionBody,
    responses((status = 200, body = ConnectionItem), (status = 409, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn put(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(given): body::Json<ConnectionSpec>,
) -> Answer<Json<ConnectionItem>> {
    let act = Act { by: caller.user, at_ms: app.clock.now_ms() };
    let kept = name.clone();
    change(&app, |app| async move {
        let (store, keys) = (app.engine.journal(), &app.granting.keys);
        secrets::put_connection(store, keys, act, &kept, given).await.map_err(refused)
    })
    .await?;
    find(&app, name).await
}

/// Take a connection away that nobody is granted
#[utoipa::path(delete, path = "/api/v1/connections/{name}", tag = "grants", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody),
              (status = 409, body = RefusalBody, description = "With the plugins that are granted it, in `neededBy`")))]
pub(super) async fn delete(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user, at_ms: app.clock.now_ms() };
    let which = name.clone();
    let gone =
        change(&app, |app| async move { Ok(app.engine.journal().delete_connection(act, &which).await?) }).await?;
    dropped(gone, || missing(&name))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses what is not there, or is used.
pub(super) fn dropped(dropped: Dropped, missing: impl FnOnce() -> Refusal) -> Answer<()> {
    match dropped {
        Dropped::Gone => Ok(()),
        Dropped::NotThere => Err(missing()),
        Dropped::Used(users) => Err(Refusal::new(Code::StillNeeded).and("neededBy", users)),
    }
}

/// Try a connection with one request
///
/// It carries the connection's headers, and passes bounds and pauses by; what is answered is not shown but its status.
#[utoipa::path(post, path = "/api/v1/connections/{name}/probe", tag = "grants", params(("name" = String, Path)),
    request_body = TryBody,
    responses((status = 200, body = Tried), (status = 404, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn probe(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<TryBody>,
) -> Answer<Json<Tried>> {
    let method = asked.method.as_deref().unwrap_or("GET");
    let path = asked.path.as_deref().unwrap_or("/");
    let wrong = |at, message: &str| Refusal::with(Code::BodyInvalid, vec![Problem::error("INVALID", at, message)]);
    if !["GET", "HEAD", "OPTIONS"].contains(&method) {
        return Err(wrong("/method", "only GET, HEAD and OPTIONS change nothing at the other side"));
    }
    if !path.starts_with('/') {
        return Err(wrong("/path", "a path begins with `/`"));
    }
    let tried = app.engine.nodes().try_out(&name, method, path).await.ok_or_else(|| missing(&name))?;
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let detail = serde_json::json!({ "method": method, "path": path, "status": tried.status });
    app.engine.journal().audit(act, "connection.probe", &name, detail).await?;
    Ok(Json(Tried { status: tried.status, message: tried.message, duration_ms: tried.duration_ms }))
}

/// Changes connections, secrets or grants, and has what is kept in force here. Goes on to its end though nobody waits for
/// it any more; also where there was nothing to change, for what is in force may be of before a change whose reading
/// failed.
pub(super) async fn change<T, F>(app: &App, work: impl FnOnce(App) -> F) -> Answer<T>
where
    T: Send + 'static,
    F: Future<Output = Answer<T>> + Send + 'static,
{
    let working = work(app.clone());
    let app = app.clone();
    let done = tokio::spawn(async move {
        let done = working.await;
        let enforced = enforce(&app).await;
        done.and_then(|done| enforced.map(|()| done))
    });
    done.await.map_err(|_| Refusal::new(Code::Internal))?
}

async fn enforce(app: &App) -> Answer<()> {
    match granting::enforce(app.engine.nodes(), app.engine.journal(), &app.granting).await {
        Ok(()) => Ok(()),
        Err(GrantsError::Refused(problems)) => Err(Refusal::with(Code::BodyInvalid, problems)),
        Err(GrantsError::Secrets(error)) => Err(refused(error)),
        Err(GrantsError::Unavailable(error)) => Err(error.into()),
    }
}

pub(super) fn refused(error: SecretsError) -> Refusal {
    match error {
        SecretsError::Refused(problems) => Refusal::with(Code::BodyInvalid, problems),
        SecretsError::NoKey(error) => Refusal::say(Code::SecretKeyMissing, error.to_string()),
        SecretsError::Unreadable { name, reason } => {
            tracing::error!(connection = name, reason, "a stored connection cannot be read");
            Refusal::new(Code::Internal)
        }
        SecretsError::Unavailable(error) => error.into(),
    }
}
