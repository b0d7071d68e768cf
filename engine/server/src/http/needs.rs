//! Who uses a flow or a plugin, and taking away what nobody needs.
//!
//! Invariant: whether something is needed is decided by the store, in the transaction that takes it away.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepwell_core::flow::duration;
use stepwell_runtime::Clock;
use stepwell_store::{Act, Need, Removed, Role, Unneeded, UnneededPlugin, UsedBy, WhereUsed};

use super::App;
use super::caller::Caller;
use super::extract::{Path, Query};
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::shapes;
use crate::packages;

/// What is not needed only lately is not collected, unless asked otherwise.
const OLDER_THAN: &str = "7d";

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct CollectQuery {
    /// `false` takes away what is listed; unless given, nothing is.
    dry_run: Option<bool>,
    /// Versions that have not been the newest, and plugins that were loaded, for at least that long: `7d` unless given.
    older_than: Option<String>,
}

/// A version that could go, or went.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnneededVersion {
    flow: String,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// `deleted`, or `retired`: nothing is started on it any more, and its drawing stays for the instances that ran on it.
    outcome: &'static str,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct UnneededBuild {
    digest: String,
    name: String,
    version: String,
    bytes: u64,
}

/// What nobody needs.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Collected {
    /// Nothing was done.
    dry_run: bool,
    versions: Vec<UnneededVersion>,
    plugins: Vec<UnneededBuild>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct VersionRemoved {
    /// `deleted`, or `retired`: nothing is started on it any more, and its drawing stays for the instances that ran on it.
    outcome: &'static str,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PluginUsers {
    /// Versions that are pinned to it.
    #[schema(value_type = Vec<shapes::UsedByVersion>)]
    versions: Vec<UsedBy>,
    /// Flows whose draft names one of its node types.
    drafts: Vec<String>,
}

/// Tell who uses a flow
#[utoipa::path(get, path = "/api/v1/flows/{key}/where-used", tag = "flows", params(("key" = String, Path)),
    responses((status = 200, body = shapes::WhereUsed), (status = 404, body = RefusalBody)))]
pub(super) async fn flow(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
) -> Answer<Json<WhereUsed>> {
    let mut used = app.engine.journal().flow_used(&key).await?;
    if let Some(used) = &mut used {
        let within = caller.within(Role::Viewer);
        used.called_by.retain(|user| within.holds(&user.flow));
        used.drafts.retain(|flow| within.holds(flow));
    }
    used.map(Json).ok_or_else(|| Refusal::say(Code::FlowNotFound, format!("no flow {key}")))
}

/// Tell who uses a table
#[utoipa::path(get, path = "/api/v1/tables/{key}/where-used", tag = "tables", params(("key" = String, Path)),
    responses((status = 200, body = shapes::WhereUsed), (status = 404, body = RefusalBody)))]
pub(super) async fn table(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
) -> Answer<Json<WhereUsed>> {
    super::tables::known(&app, &key).await?;
    flow(State(app), Extension(caller), Path(key)).await
}

/// Delete a version that nobody needs
///
/// Where ended instances ran on it, it is retired: nothing is started on it any more, and it stays to be looked at.
#[utoipa::path(delete, path = "/api/v1/flows/{key}/versions/{version}", tag = "flows",
    params(("key" = String, Path), ("version" = u32, Path)),
    responses((status = 200, body = VersionRemoved), (status = 404, body = RefusalBody),
              (status = 409, body = RefusalBody, description = "With those who need it, in `neededBy`, as far as one may see them")))]
pub(super) async fn delete_version(
    State(app): State<App>,
    Path((key, version)): Path<(String, u32)>,
    Extension(caller): Extension<Caller>,
) -> Answer<Json<VersionRemoved>> {
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let mut removed = app.engine.journal().remove_version(act, &key, version).await?;
    app.library.read_all().await?;
    if let Removed::Needed(needs) = &mut removed {
        // Also where all who need it are not the caller's to see, it stays.
        let (within, routes) = (caller.within(Role::Viewer), caller.reach.everywhere() >= Some(Role::Viewer));
        needs.retain(|need| within.holds(need.flow()) && (routes || !matches!(need, Need::Route { .. })));
    }
    let missing = || Refusal::say(Code::VersionNotFound, format!("flow {key} has no version {version}"));
    outcome(&removed)?.map(|outcome| Json(VersionRemoved { outcome })).ok_or_else(missing)
}

/// Tell who uses a plugin's build
#[utoipa::path(get, path = "/api/v1/plugins/{digest}/where-used", tag = "plugins", params(("digest" = String, Path)),
    responses((status = 200, body = PluginUsers), (status = 404, body = RefusalBody)))]
pub(super) async fn plugin(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
) -> Answer<Json<PluginUsers>> {
    let used = app.engine.journal().plugin_used(&digest).await?.ok_or_else(|| unknown(&digest))?;
    let ((mut versions, mut drafts), within) = (used, caller.within(Role::Viewer));
    versions.retain(|user| within.holds(&user.flow));
    drafts.retain(|flow| within.holds(flow));
    Ok(Json(PluginUsers { versions, drafts }))
}

fn unknown(digest: &str) -> Refusal {
    Refusal::say(Code::PluginNotFound, format!("no plugin with digest {digest}"))
}

/// Delete a plugin's build that nobody needs
#[utoipa::path(delete, path = "/api/v1/plugins/{digest}", tag = "plugins", params(("digest" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody),
              (status = 409, body = RefusalBody, description = "With all who need it, in `neededBy`")))]
pub(super) async fn delete_plugin(
    State(app): State<App>,
    Path(digest): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let removed = remove_plugin(&app, act, &digest).await?;
    outcome(&removed)?.map(|_| StatusCode::NO_CONTENT).ok_or_else(|| unknown(&digest))
}

/// Removes a build here as well, so that no new version is pinned to it.
async fn remove_plugin(app: &App, act: Act, digest: &str) -> Answer<Removed> {
    // In turn with what is loaded: the same bytes may be on their way.
    let _turn = app.loading.lock().await;
    let removed = app.engine.journal().remove_plugin(act, digest).await?;
    if removed == Removed::Gone {
        packages::forget(app.engine.nodes(), digest);
    }
    Ok(removed)
}

/// What was done; `None`: there is no such thing.
fn outcome(removed: &Removed) -> Answer<Option<&'static str>> {
    match removed {
        Removed::Gone => Ok(Some("deleted")),
        Removed::Retired => Ok(Some("retired")),
        Removed::Unknown => Ok(None),
        Removed::Needed(needs) => {
            let needs: Value = json!(needs);
            Err(Refusal::new(Code::StillNeeded).and("neededBy", needs))
        }
    }
}

/// List what nobody needs, or take it away
///
/// Versions that are neither the newest nor named by a binding or a route, and on which nothing runs; and plugin builds
/// that nothing is pinned to and that no new version would be pinned to. At most 1,000 of each at once.
#[utoipa::path(post, path = "/api/v1/gc", tag = "plugins", params(CollectQuery),
    responses((status = 200, body = Collected), (status = 400, body = RefusalBody)))]
pub(super) async fn collect(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<CollectQuery>,
) -> Answer<Json<Collected>> {
    let dry_run = query.dry_run.unwrap_or(true);
    let age_ms = duration::parse_ms(query.older_than.as_deref().unwrap_or(OLDER_THAN))
        .map_err(|error| Refusal::say(Code::QueryInvalid, format!("olderThan: {error}")))?;
    // What happened in this very millisecond is older than 0 ms.
    let before_ms = (app.clock.now_ms() + 1).saturating_sub(age_ms);
    let in_force: BTreeSet<String> =
        app.engine.nodes().catalog().node_types.into_values().map(|one| one.digest).collect();
    let found = app.engine.journal().garbage(before_ms, in_force).await?;
    let mut collected = Collected { dry_run, versions: Vec::new(), plugins: Vec::new() };
    for one in found.versions {
        let outcome = if dry_run {
            Some(if one.kept > 0 { "retired" } else { "deleted" })
        } else {
            let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
            // Somebody may need it since; then it stays, and is not listed.
            let removed = app.engine.journal().remove_version(act, &one.flow, one.version).await?;
            outcome(&removed).unwrap_or_default()
        };
        let Unneeded { flow, version, label, .. } = one;
        collected.versions.extend(outcome.map(|outcome| UnneededVersion { flow, version, label, outcome }));
    }
    for one in found.plugins {
        let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
        if dry_run || remove_plugin(&app, act, &one.digest).await? == Removed::Gone {
            let UnneededPlugin { digest, name, version, bytes } = one;
            collected.plugins.push(UnneededBuild { digest, name, version, bytes });
        }
    }
    if !dry_run {
        app.library.read_all().await?;
    }
    Ok(Json(collected))
}
