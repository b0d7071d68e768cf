//! `/api/v1/grants`: which builds of which plugins may use what, for flows of which namespace.
//!
//! Not here: what follows from several grants together (`sandbox::allowed`, shown by `reach`).

use std::collections::BTreeMap;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_sandbox::{ALL_NAMESPACES, Grant, Narrowed};
use stepwell_store::{Act, GrantKept, Granted, GrantedKind, Role};

use super::caller::Caller;
use super::connections::{change, missing};
use super::extract::{Path, Query};
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, body};
use crate::granting::{gathered, rows};

/// What builds of a plugin may do for flows of a namespace.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct GrantBody {
    /// By name, each perhaps narrowed; a list of names narrows nothing.
    #[schema(required = false)]
    connections: BTreeMap<String, NarrowedBody>,
    /// Types of records.
    #[schema(required = false)]
    records: Vec<String>,
    /// Memory of a call, 1 to 512; the engine's own limit of 64 unless given.
    #[schema(rename = "memoryMiB")]
    memory_mib: Option<u32>,
    /// Most time of a call, whatever its task's timeout says.
    time_ms: Option<u64>,
    /// Calls that one instance serves, one after the other, 1 to 10,000; one unless given.
    reuse: Option<u32>,
}

/// How a grant narrows a connection.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct NarrowedBody {
    /// Upper case; empty means those of the connection.
    #[schema(required = false)]
    methods: Vec<String>,
    /// Paths as the plugin writes them, with what is below; empty means all.
    #[schema(required = false)]
    paths: Vec<String>,
    /// Requests of the plugin in any second, at each engine.
    rate_per_second: Option<u32>,
    /// Requests of the plugin under way at once, at each engine.
    concurrency: Option<u32>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct GrantItem {
    /// `name`, `name@1`, `name@1.2`, `name@1.2.0`, or `sha256:` and the digest of a build.
    #[schema(value_type = String)]
    plugin: Value,
    /// `*`: of all flows.
    #[schema(value_type = String)]
    namespace: Value,
    #[serde(flatten)]
    #[schema(value_type = GrantBody)]
    grant: Value,
    /// When something of it was given last.
    granted_at: String,
    granted_by: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct GrantList {
    items: Vec<GrantItem>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct NamespaceQuery {
    /// Of the flows that call: the part of a flow's key before its first `.`, or `default`. `*`, which is all, unless given.
    namespace: Option<String>,
}

impl NamespaceQuery {
    fn name(self) -> String {
        self.namespace.unwrap_or_else(|| ALL_NAMESPACES.to_owned())
    }
}

/// Whether a grant holds for flows that the caller may draw.
pub(super) fn concerns(caller: &Caller, grant: &Granted) -> bool {
    grant.namespace == ALL_NAMESPACES || caller.reach.in_namespace(&grant.namespace) >= Some(Role::Designer)
}

/// List grants
///
/// Those that hold in all namespaces, and those of one's own.
#[utoipa::path(get, path = "/api/v1/grants", tag = "grants", responses((status = 200, body = GrantList)))]
pub(super) async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> Answer<Json<GrantList>> {
    let mut kept = app.engine.journal().grants().await?;
    kept.retain(|row| concerns(&caller, row));
    let mut last: BTreeMap<(String, String), (u64, String)> = BTreeMap::new();
    for row in &kept {
        let key = (row.plugin.clone(), row.namespace.clone());
        let given = (row.granted_ms, row.granted_by.clone());
        let seen = last.entry(key).or_insert_with(|| given.clone());
        if given.0 > seen.0 {
            *seen = given;
        }
    }
    let unreadable = |_| Refusal::new(Code::Internal);
    let mut items = Vec::new();
    for grant in gathered(kept).map_err(unreadable)? {
        let (granted_ms, granted_by) =
            last.remove(&(grant.plugin.clone(), grant.namespace.clone())).unwrap_or_default();
        let mut grant = serde_json::to_value(grant).map_err(unreadable)?;
        let [plugin, namespace] = ["plugin", "namespace"].map(|name| grant[name].take());
        if let Some(fields) = grant.as_object_mut() {
            fields.retain(|name, _| name != "plugin" && name != "namespace");
        }
        items.push(GrantItem { plugin, namespace, grant, granted_at: rfc3339(granted_ms), granted_by });
    }
    Ok(Json(GrantList { items }))
}

/// Say all that builds of a plugin may do for flows of a namespace
///
/// It takes the place of what they were granted there. In force here before the answer, and at other engines a moment later.
#[utoipa::path(put, path = "/api/v1/grants/{plugin}", tag = "grants",
    params(("plugin" = String, Path, description = "`name`, `name@1`, `name@1.2`, `name@1.2.0`, or `sha256:` and a digest"), NamespaceQuery),
    request_body = GrantBody,
    responses((status = 204), (status = 404, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn put(
    State(app): State<App>,
    Path(plugin): Path<String>,
    Query(query): Query<NamespaceQuery>,
    Extension(caller): Extension<Caller>,
    body::Json(mut asked): body::Json<Value>,
) -> Answer<StatusCode> {
    let Some(fields) = asked.as_object_mut() else {
        let problem = Problem::error("INVALID", "", "an object is asked for");
        return Err(Refusal::with(Code::BodyInvalid, vec![problem]));
    };
    for name in ["plugin", "namespace"] {
        if fields.remove(name).is_some() {
            let problem = Problem::error("INVALID", format!("/{name}"), "this stands in the address");
            return Err(Refusal::with(Code::BodyInvalid, vec![problem]));
        }
    }
    fields.insert("plugin".to_owned(), plugin.into());
    fields.insert("namespace".to_owned(), query.name().into());
    let grant: Grant = body::parse(asked.to_string().as_bytes())?;
    keep(&app, caller, &grant, true).await
}

/// Let builds of a plugin use a connection, beside what they are granted
#[utoipa::path(put, path = "/api/v1/grants/{plugin}/{connection}", tag = "grants",
    params(("plugin" = String, Path), ("connection" = String, Path), NamespaceQuery),
    request_body(content = Option<NarrowedBody>, description = "Nothing is narrowed without one"),
    responses((status = 204), (status = 404, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn put_connection(
    State(app): State<App>,
    Path((plugin, connection)): Path<(String, String)>,
    Query(query): Query<NamespaceQuery>,
    Extension(caller): Extension<Caller>,
    body::Raw(asked): body::Raw,
) -> Answer<StatusCode> {
    let narrowed: Narrowed = if asked.is_empty() { Narrowed::default() } else { body::parse(&asked)? };
    let connections = [(connection, narrowed)].into();
    let grant = Grant { plugin, namespace: query.name(), connections, ..Grant::default() };
    keep(&app, caller, &grant, false).await
}

async fn keep(app: &App, caller: Caller, grant: &Grant, whole: bool) -> Answer<StatusCode> {
    let problems = grant.problems();
    if !problems.is_empty() {
        return Err(Refusal::with(Code::BodyInvalid, problems));
    }
    let rows = rows(grant).map_err(|_| Refusal::new(Code::Internal))?;
    let act = Act { by: caller.user, at_ms: app.clock.now_ms() };
    let (plugin, namespace) = (grant.plugin.clone(), grant.namespace.clone());
    let put =
        change(
            app,
            |app| async move { Ok(app.engine.journal().put_grant(act, &plugin, &namespace, rows, whole).await?) },
        );
    match put.await? {
        GrantKept::Kept | GrantKept::Same => Ok(StatusCode::NO_CONTENT),
        GrantKept::NoConnection(name) => Err(missing(&name)),
    }
}

/// Take back all that builds of a plugin were granted for a namespace
#[utoipa::path(delete, path = "/api/v1/grants/{plugin}", tag = "grants", params(("plugin" = String, Path), NamespaceQuery),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn delete(
    State(app): State<App>,
    Path(plugin): Path<String>,
    Query(query): Query<NamespaceQuery>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    take_back(&app, caller, &plugin, &query.name(), None).await
}

/// Take a grant of a connection back
#[utoipa::path(delete, path = "/api/v1/grants/{plugin}/{connection}", tag = "grants",
    params(("plugin" = String, Path), ("connection" = String, Path), NamespaceQuery),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn delete_connection(
    State(app): State<App>,
    Path((plugin, connection)): Path<(String, String)>,
    Query(query): Query<NamespaceQuery>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    take_back(&app, caller, &plugin, &query.name(), Some((GrantedKind::Connection, &connection))).await
}

/// Let builds of a plugin read and write records of a type, beside what they are granted
#[utoipa::path(put, path = "/api/v1/grants/{plugin}/records/{type}", tag = "grants",
    params(("plugin" = String, Path), ("type" = String, Path, description = "Need not be published yet"), NamespaceQuery),
    responses((status = 204), (status = 422, body = RefusalBody)))]
pub(super) async fn put_records(
    State(app): State<App>,
    Path((plugin, kind)): Path<(String, String)>,
    Query(query): Query<NamespaceQuery>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let grant = Grant { plugin, namespace: query.name(), records: [kind].into(), ..Grant::default() };
    keep(&app, caller, &grant, false).await
}

/// Take a grant of records back
#[utoipa::path(delete, path = "/api/v1/grants/{plugin}/records/{type}", tag = "grants",
    params(("plugin" = String, Path), ("type" = String, Path), NamespaceQuery),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn delete_records(
    State(app): State<App>,
    Path((plugin, kind)): Path<(String, String)>,
    Query(query): Query<NamespaceQuery>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    take_back(&app, caller, &plugin, &query.name(), Some((GrantedKind::Records, &kind))).await
}

async fn take_back(
    app: &App,
    caller: Caller,
    plugin: &str,
    namespace: &str,
    thing: Option<(GrantedKind, &str)>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user, at_ms: app.clock.now_ms() };
    let (of, within) = (plugin.to_owned(), namespace.to_owned());
    let thing = thing.map(|(kind, name)| (kind, name.to_owned()));
    let taking = change(app, |app| async move {
        let thing = thing.as_ref().map(|(kind, name)| (*kind, name.as_str()));
        Ok(app.engine.journal().delete_grant(act, &of, &within, thing).await?)
    });
    if !taking.await? {
        return Err(Refusal::say(
            Code::GrantNotFound,
            format!("{plugin} has no such grant in the namespace {namespace}"),
        ));
    }
    Ok(StatusCode::NO_CONTENT)
}
