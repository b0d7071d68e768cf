//! `/api/v1/plugins` and `/api/v1/node-types`: what flows can be built of.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use stepwell_core::catalog::{EffectClass, NodeType};
use stepwell_runtime::Clock;
use stepwell_runtime::journal::Unavailable;
use stepwell_sandbox::{BreakerState, Imported, Sandbox};
use stepwell_store::{Act, Pinned, Plugin, PluginStatus, Revocation, Role, Store};

use super::caller::Caller;
use super::extract::Path;
use super::old_code::Revoked;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, shapes};

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
    /// The imports that raised its effect class to what it is, with the flag that drops each.
    raised_by: Vec<RaisedBy>,
    /// Code, data, debug names, and memory at the start of each call; none of builds loaded by older engines.
    #[schema(value_type = Option<Sizes>)]
    sizes: Option<Value>,
    /// How long its examples took when it was loaded.
    #[schema(value_type = Vec<Rehearsed>)]
    rehearsed: Value,
    /// No call is made of it.
    revoked: Option<Revoked>,
    /// `live`, `superseded` or `failed`
    #[schema(value_type = String)]
    status: PluginStatus,
    /// At the engine that is asked; none where the build is not loaded.
    breaker: Option<Breaker>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct RaisedBy {
    import: String,
    /// How a build is made that does not import it.
    remedy: &'static str,
}

#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, clippy::struct_field_names, reason = "only its schema is used, and units are named there")]
pub(super) struct Sizes {
    code_bytes: u64,
    data_bytes: u64,
    custom_bytes: u64,
    memory_bytes: u64,
}

#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct Rehearsed {
    /// Without the package.
    node_type: String,
    /// Its place among the examples of the node type.
    example: usize,
    took_us: u64,
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

/// What is shown beside a build, read once.
struct Shown<'a> {
    users: BTreeMap<String, BTreeSet<UsedBy>>,
    revoked: BTreeMap<String, Revocation>,
    sandbox: &'a Sandbox,
}

impl<'a> Shown<'a> {
    /// `of`: the one build that is to be shown.
    async fn read(app: &'a App, caller: &Caller, of: Option<&str>) -> Result<Self, Unavailable> {
        let store = app.engine.journal();
        let revoked = store.revocations().await?.into_iter().map(|one| (one.digest.clone(), one)).collect();
        let mut users: BTreeMap<String, BTreeSet<UsedBy>> = BTreeMap::new();
        for Pinned { flow, version, digests } in store.pinned(caller.within(Role::Viewer), of).await? {
            for digest in digests {
                users.entry(digest).or_default().insert(UsedBy { flow: flow.clone(), version });
            }
        }
        Ok(Self { users, revoked, sandbox: app.engine.nodes() })
    }

    fn item(&self, mut plugin: Plugin) -> PluginItem {
        let mut part = |name: &str| plugin.manifest.get_mut(name).map(Value::take).filter(|value| !value.is_null());
        let none = || Value::Array(Vec::new());
        let imports = part("imports").unwrap_or_else(none);
        PluginItem {
            node_types: part("nodeTypes").unwrap_or_else(none),
            rehearsed: part("rehearsed").unwrap_or_else(none),
            sizes: part("sizes"),
            raised_by: raised_by(&imports, &plugin.effect),
            imports,
            breaker: breaker(self.sandbox, &plugin.digest),
            used_by: self.users.get(&plugin.digest).map(|users| users.iter().cloned().collect()).unwrap_or_default(),
            revoked: self.revoked.get(&plugin.digest).map(Revoked::from),
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
}

/// The imports that make a component what it is. Pure is the least there is, so nothing raised it.
fn raised_by(imports: &Value, effect: &str) -> Vec<RaisedBy> {
    let names = imports.as_array().into_iter().flatten().filter_map(Value::as_str);
    let raised = names.filter_map(|name| {
        let Imported { class, remedy } = stepwell_sandbox::imported(name);
        let class = class.filter(|class| *class > EffectClass::Pure)?;
        let is_it = serde_json::to_value(class).ok()?.as_str() == Some(effect);
        is_it.then(|| RaisedBy { import: name.to_owned(), remedy })
    });
    raised.collect()
}

/// List plugins
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", responses((status = 200, body = Plugins)))]
pub(super) async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> Answer<Json<Plugins>> {
    let shown = Shown::read(&app, &caller, None).await?;
    let items = app.engine.journal().plugins().await?.into_iter().map(|plugin| shown.item(plugin)).collect();
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
    let plugin = find(app.engine.journal(), &name, &version).await?;
    Ok(Json(Shown::read(&app, &caller, Some(&plugin.digest)).await?.item(plugin)))
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

/// The build that was loaded a moment ago.
pub(super) async fn of_digest(app: &App, caller: &Caller, digest: &str) -> Answer<PluginItem> {
    let store = app.engine.journal();
    let plugin = store.plugins().await?.into_iter().find(|one| one.digest == digest);
    let plugin = plugin.ok_or_else(|| Refusal::new(Code::Internal))?;
    Ok(Shown::read(app, caller, Some(digest)).await?.item(plugin))
}

/// List node types
///
/// An alias is one of them, with its name in `uses`.
#[utoipa::path(get, path = "/api/v1/node-types", tag = "plugins", responses((status = 200, body = NodeTypes)))]
pub(super) async fn node_types(State(app): State<App>) -> Answer<Json<NodeTypes>> {
    let named = |(uses, one): (String, NodeType)| NodeType { uses, ..one };
    let items: Vec<NodeType> = app.library.node_types().await?.node_types.into_iter().map(named).collect();
    let text = serde_json::to_vec(&items).unwrap_or_default();
    Ok(Json(NodeTypes { items, hash: hex::encode(Sha256::digest(&text)) }))
}
