//! `/api/v1/plugins/{name}/{version}/reach`: what a build can reach for flows of a namespace, all of it in one answer.
//!
//! Invariant: it is decided by what decides each call (`sandbox::allowed`), from what the store says now.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use stepwell_core::bind::NAMESPACE_DEFAULT;
use stepwell_core::catalog::EffectClass;
use stepwell_sandbox::{Allowed, Build, Narrowed, Taken, allowed, imported};
use stepwell_store::Role;

use super::App;
use super::caller::Caller;
use super::connections::refused;
use super::extract::{Path, Query};
use super::plugins;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use crate::granting::gathered;
use crate::secrets::{ConnectionSpec, local_name};

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReachQuery {
    /// Of the flows that call; `default` unless given.
    namespace: Option<String>,
}

/// What a build can reach.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReachItem {
    plugin: String,
    version: String,
    digest: String,
    namespace: String,
    /// `pure`, `recorded`, `transactional` or `external`: only the last can send requests.
    effect: String,
    imports: Vec<ImportItem>,
    connections: Vec<WayItem>,
    /// Types of records.
    records: BTreeSet<String>,
    /// Memory of a call.
    #[serde(rename = "memoryMiB")]
    memory_mib: u64,
    /// Most time of a call; none: as long as its task's timeout says.
    time_ms: Option<u64>,
    /// Calls that one instance serves.
    reuse: u32,
}

/// One interface that it imports.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ImportItem {
    name: String,
    /// The class that it leads to.
    #[schema(value_type = Option<String>)]
    class: Option<EffectClass>,
}

/// One connection that it may use, and how.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WayItem {
    name: String,
    scheme: String,
    host: String,
    port: Option<u16>,
    path_prefix: String,
    /// The connection may lead to loopback, private and link-local addresses.
    allow_private: bool,
    /// Empty means all.
    methods: Vec<String>,
    /// Below the prefix; empty means all.
    paths: Vec<String>,
    /// By the grant and by the connection, whichever is smaller, at each engine.
    rate_per_second: Option<u32>,
    concurrency: Option<u32>,
    /// Secrets that the host may put in.
    secrets: Vec<SecretWay>,
    granted_by: Through,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretWay {
    name: String,
    /// How a header of the plugin may name it.
    placeholder: String,
    /// False: it is not set, or cannot be opened with this engine's keys.
    ready: bool,
}

/// The grant that holds, of all that name the connection.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Through {
    plugin: String,
    namespace: String,
}

/// What a plugin can reach
///
/// Decided from the grants as they are now, for flows of one namespace.
#[utoipa::path(get, path = "/api/v1/plugins/{name}/{version}/reach", tag = "grants",
    params(("name" = String, Path), ("version" = String, Path), ReachQuery),
    responses((status = 200, body = ReachItem), (status = 403, body = RefusalBody, description = "Not a designer there"),
              (status = 404, body = RefusalBody)))]
pub(super) async fn show(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((name, version)): Path<(String, String)>,
    Query(query): Query<ReachQuery>,
) -> Answer<Json<ReachItem>> {
    let store = app.engine.journal();
    let plugin = plugins::find(store, &name, &version).await?;
    let namespace = query.namespace.unwrap_or_else(|| NAMESPACE_DEFAULT.to_owned());
    caller.needs_in(Role::Designer, &namespace)?;
    let grants = gathered(store.grants().await?).map_err(|_| Refusal::new(Code::Internal))?;
    let build = Build { name: &plugin.name, version: &plugin.version, digest: &plugin.digest };
    let Allowed { connections, records, limits, by } = allowed(&grants, build, &namespace);
    let Taken { memory_mib, time_ms, reuse } = limits;
    let kept = store.secrets().await?;
    let ready = |secret: &str| {
        kept.iter().any(|one| one.name == secret && app.granting.keys.open(&one.name, &one.sealed).is_some())
    };
    let mut ways = Vec::new();
    for connection in store.connections().await? {
        let Some(narrowed) = connections.get(&connection.name) else { continue };
        let Some((plugin, namespace)) = by.get(&connection.name).cloned() else { continue };
        let name = connection.name.clone();
        let spec = ConnectionSpec::read(connection).map_err(refused)?;
        ways.push(way(name, spec, narrowed, Through { plugin, namespace }, ready));
    }
    let imports = plugin.manifest.get("imports").and_then(serde_json::Value::as_array).into_iter().flatten();
    let imports = imports
        .filter_map(serde_json::Value::as_str)
        .map(|name| ImportItem { name: name.to_owned(), class: imported(name).class });
    let own_mib = u64::try_from(app.engine.nodes().memory_bytes_max() >> 20).unwrap_or_default();
    Ok(Json(ReachItem {
        imports: imports.collect(),
        plugin: plugin.name,
        version: plugin.version,
        digest: plugin.digest,
        namespace,
        effect: plugin.effect,
        connections: ways,
        records,
        memory_mib: memory_mib.map_or(own_mib, u64::from),
        time_ms,
        reuse: reuse.unwrap_or(1),
    }))
}

fn way(
    name: String,
    spec: ConnectionSpec,
    narrowed: &Narrowed,
    granted_by: Through,
    ready: impl Fn(&str) -> bool,
) -> WayItem {
    let secrets = spec.secrets().into_iter().map(|secret| SecretWay {
        name: secret.to_owned(),
        placeholder: format!("$secret:{}", local_name(secret)),
        ready: ready(secret),
    });
    let secrets = secrets.collect();
    let connection = spec.resolve(|_| None);
    // Both must allow what is sent.
    let methods = match (connection.methods.is_empty(), narrowed.methods.is_empty()) {
        (true, _) => narrowed.methods.clone(),
        (false, true) => connection.methods,
        (false, false) => connection.methods.into_iter().filter(|method| narrowed.methods.contains(method)).collect(),
    };
    let least = |one: Option<u32>, other: Option<u32>| one.into_iter().chain(other).min();
    WayItem {
        name,
        scheme: connection.scheme.name().to_owned(),
        host: connection.host,
        port: connection.port,
        path_prefix: connection.path_prefix,
        allow_private: connection.allow_private,
        methods,
        paths: narrowed.paths.clone(),
        rate_per_second: least(connection.rate_per_second, narrowed.rate_per_second),
        concurrency: least(connection.concurrency, narrowed.concurrency),
        secrets,
        granted_by,
    }
}
