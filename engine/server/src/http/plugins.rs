//! `/api/v1/plugins` and `/api/v1/node-types`: what flows can be built of.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use stepwell_core::catalog::{Catalog, NodeType};
use stepwell_runtime::Clock;
use stepwell_runtime::journal::Unavailable;
use stepwell_sandbox::{BreakerState, Sandbox};
use stepwell_store::{Act, Plugin, PluginKept, PluginStatus, Role, Store, Within};

use super::body;
use super::caller::Caller;
use super::extract::Path;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, shapes};
use crate::config::PLUGIN_BYTES_MAX;
use crate::packages::{self, LoadError};

/// A loaded package.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PluginItem {
    name: String,
    version: String,
    digest: String,
    #[schema(value_type = shapes::Effect)]
    effect: String,
    bytes: u64,
    /// The interfaces its component imports.
    imports: Value,
    loaded_at: String,
    loaded_by: String,
    #[schema(value_type = Vec<shapes::NodeType>)]
    node_types: Value,
    used_by: Vec<UsedBy>,
    /// `live`, `superseded` or `failed`
    #[schema(value_type = String)]
    status: PluginStatus,
    /// At the engine that is asked; none where the build is not loaded.
    breaker: Option<Breaker>,
}

/// Whether a plugin that keeps trapping is broken off.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Breaker {
    /// `closed`, `open`, or `half-open`: the next call tries for all.
    state: &'static str,
    /// Milliseconds until one call is let through.
    open_for_ms: u64,
    /// Traps since the last answer.
    traps: u32,
    /// How often it was broken off since this engine started.
    trips: u64,
}

/// How a state is called.
pub(super) fn breaker_state(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half-open",
    }
}

fn breaker(sandbox: &Sandbox, digest: &str) -> Option<Breaker> {
    let view = sandbox.breaker(&digest.parse().ok()?)?;
    Some(Breaker {
        state: breaker_state(view.state),
        open_for_ms: u64::try_from(view.open_for.as_millis()).unwrap_or(u64::MAX),
        traps: view.in_a_row,
        trips: view.trips,
    })
}

/// A version that is pinned to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
pub(super) struct UsedBy {
    flow: String,
    version: u32,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Plugins {
    items: Vec<PluginItem>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct NodeTypes {
    #[schema(value_type = Vec<shapes::NodeType>)]
    items: Vec<NodeType>,
    /// Changes whenever an item does.
    hash: String,
}

fn item(mut plugin: Plugin, users: &BTreeMap<String, BTreeSet<UsedBy>>, sandbox: &Sandbox) -> PluginItem {
    let mut part = |name: &str| plugin.manifest.get_mut(name).map_or_else(|| Value::Array(Vec::new()), Value::take);
    PluginItem {
        node_types: part("nodeTypes"),
        imports: part("imports"),
        breaker: breaker(sandbox, &plugin.digest),
        used_by: users.get(&plugin.digest).map(|users| users.iter().cloned().collect()).unwrap_or_default(),
        name: plugin.name,
        version: plugin.version,
        digest: plugin.digest,
        effect: plugin.effect,
        bytes: plugin.bytes,
        loaded_at: rfc3339(plugin.loaded_ms),
        loaded_by: plugin.loaded_by,
        status: plugin.status,
    }
}

/// Which versions are pinned to which digest.
async fn users(store: &Store, within: Within) -> Result<BTreeMap<String, BTreeSet<UsedBy>>, Unavailable> {
    let mut users: BTreeMap<String, BTreeSet<UsedBy>> = BTreeMap::new();
    for flow in store.flows_within(within, None, u32::MAX).await? {
        let versions = store.flow(&flow.key).await?.map(|detail| detail.versions).unwrap_or_default();
        for version in versions {
            let Some(whole) = store.version(&flow.key, Some(version.version)).await? else { continue };
            let catalog: Catalog = serde_json::from_value((*whole.definition.catalog).clone()).unwrap_or_default();
            for node_type in catalog.node_types.into_values() {
                let user = UsedBy { flow: flow.key.clone(), version: version.version };
                users.entry(node_type.digest).or_default().insert(user);
            }
        }
    }
    Ok(users)
}

/// List plugins
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", responses((status = 200, body = Plugins)))]
pub(super) async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> Answer<Json<Plugins>> {
    let store = app.engine.journal();
    let users = users(store, caller.within(Role::Viewer)).await?;
    let items = store.plugins().await?.into_iter().map(|plugin| item(plugin, &users, app.engine.nodes())).collect();
    Ok(Json(Plugins { items }))
}

/// Show a plugin
#[utoipa::path(get, path = "/api/v1/plugins/{name}/{version}", tag = "plugins",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = PluginItem), (status = 404, body = RefusalBody)))]
pub(super) async fn show(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((name, version)): Path<(String, String)>,
) -> Answer<Json<PluginItem>> {
    let store = app.engine.journal();
    let plugin = find(store, &name, &version).await?;
    Ok(Json(item(plugin, &users(store, caller.within(Role::Viewer)).await?, app.engine.nodes())))
}

/// Of several builds under one version the live one.
pub(super) async fn find(store: &Store, name: &str, version: &str) -> Answer<Plugin> {
    let mut found: Vec<Plugin> =
        store.plugins().await?.into_iter().filter(|one| one.name == name && one.version == version).collect();
    // They are listed in order of loading.
    found.sort_by_key(|one| one.status == PluginStatus::Live);
    found.pop().ok_or_else(|| Refusal::say(Code::PluginNotFound, format!("no plugin {name}@{version}")))
}

/// Let a plugin that was broken off be called again, at the engine that is asked
#[utoipa::path(delete, path = "/api/v1/plugins/{name}/{version}/breaker", tag = "plugins",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn reset_breaker(
    State(app): State<App>,
    Path((name, version)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let store = app.engine.journal();
    let plugin = find(store, &name, &version).await?;
    let digest = plugin.digest.parse().map_err(|_| Refusal::new(Code::Internal))?;
    if app.engine.nodes().reset_breaker(&digest) == Some(true) {
        let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
        let detail = serde_json::json!({ "digest": plugin.digest });
        store.audit(act, "plugin.breaker-reset", &format!("{name}@{version}"), detail).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Load a plugin
///
/// It is live at once; calls under way and instances pinned to an older build keep that.
#[utoipa::path(post, path = "/api/v1/plugins", tag = "plugins",
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "A component, at most 32 MiB"),
    responses((status = 201, body = PluginItem), (status = 200, body = PluginItem, description = "These bytes were loaded before"),
              (status = 413, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn upload(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Answer<Response> {
    let wasm = body::read(request.into_body(), PLUGIN_BYTES_MAX).await?;
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let store = app.engine.journal();
    let (info, kept) = match packages::load(&app, wasm.to_vec(), act).await {
        Ok(loaded) => loaded,
        Err(LoadError::Refused(problems)) => return Err(Refusal::with(Code::PluginRefused, problems)),
        Err(LoadError::Unavailable(error)) => return Err(error.into()),
    };
    let digest = info.digest.to_string();
    let plugin = store.plugins().await?.into_iter().find(|one| one.digest == digest);
    let plugin = plugin.ok_or_else(|| Refusal::new(Code::Internal))?;
    let status = if kept == PluginKept::New { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(item(plugin, &users(store, caller.within(Role::Viewer)).await?, app.engine.nodes())))
        .into_response())
}

/// List node types
#[utoipa::path(get, path = "/api/v1/node-types", tag = "plugins", responses((status = 200, body = NodeTypes)))]
pub(super) async fn node_types(State(app): State<App>) -> Json<NodeTypes> {
    let items: Vec<NodeType> = app.engine.nodes().catalog().node_types.into_values().collect();
    let text = serde_json::to_vec(&items).unwrap_or_default();
    Json(NodeTypes { items, hash: hex::encode(Sha256::digest(&text)) })
}
