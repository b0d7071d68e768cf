//! `/api/v1/flows`: lists, checks, publishes, and shows versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepwell_core::catalog::Catalog;
use stepwell_core::flow::extend;
use stepwell_core::problem::{Problem, Severity};
use stepwell_runtime::Clock;
use stepwell_runtime::journal::Unavailable;
use stepwell_store::{Act, Counts, EVERYWHERE, FlowSummary, Role};

use super::caller::{self, Caller};
use super::extract::{Path, Query};
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::shapes::{self, Page, limit};
use super::time::rfc3339;
use super::{App, body, drafts};
use crate::library::{Publication, PublishError, Request};

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// 50 unless given, at most 500.
    limit: Option<u32>,
}

/// A flow in a list.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FlowItem {
    key: String,
    /// A text, or one per language.
    title: Value,
    kind: String,
    latest_version: Option<u32>,
    has_draft: bool,
    /// Publishing the draft would make a new version.
    draft_differs: bool,
    /// Rules pick the version of its starts.
    has_binding: bool,
    updated_at: String,
    #[schema(value_type = BTreeMap<String, u64>)]
    counts: BTreeMap<&'static str, u64>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FlowDetail {
    #[serde(flatten)]
    flow: FlowItem,
    /// The newest first.
    versions: Vec<VersionItem>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionItem {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    hash: String,
    published_at: String,
    published_by: String,
    /// Nothing is started on it any more since.
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_at: Option<String>,
    #[schema(value_type = BTreeMap<String, u64>)]
    counts: BTreeMap<&'static str, u64>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionDetail {
    key: String,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    hash: String,
    published_at: String,
    published_by: String,
    #[schema(value_type = Object)]
    document: Arc<Value>,
    /// By `uses`: the plugin and digest it is pinned to.
    digests: BTreeMap<String, Pin>,
    /// By the name that its calls give: the version they are pinned to.
    calls: BTreeMap<String, u32>,
    /// The same of its decisions' tables.
    tables: BTreeMap<String, u32>,
    /// What runs, of a document that extends a template: a graph whose slots are filled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    resolved: Option<Value>,
    /// How that differs from the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::Comparison>)]
    comparison: Option<extend::Comparison>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Pin {
    plugin: String,
    digest: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckBody {
    #[schema(value_type = Object)]
    document: Value,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Checked {
    #[schema(value_type = Vec<shapes::Problem>)]
    problems: Vec<Problem>,
    /// Of the version it would be published as; absent while there are errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    /// What would run, of a document that has slots or extends a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    resolved: Option<Value>,
    /// How that differs from the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::Comparison>)]
    comparison: Option<extend::Comparison>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishBody {
    /// The draft's revision that is meant; the draft as it stands where neither this nor a document is given.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    revision: Option<drafts::Revision>,
    #[serde(default)]
    label: Option<String>,
    /// Published without a draft.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    document: Option<Value>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PublishedBody {
    key: String,
    version: u32,
    hash: String,
    #[schema(value_type = Vec<shapes::Problem>)]
    warnings: Vec<Problem>,
}

const LABEL_CHARS_MAX: usize = 64;

pub(super) fn counts_json(counts: &Counts) -> BTreeMap<&'static str, u64> {
    counts.iter().map(|(state, instances)| (state.name(), instances)).collect()
}

fn item(flow: FlowSummary) -> FlowItem {
    FlowItem {
        key: flow.key,
        title: flow.title,
        kind: flow.kind,
        latest_version: flow.latest_version,
        has_draft: flow.has_draft,
        draft_differs: flow.draft_differs,
        has_binding: flow.has_binding,
        updated_at: rfc3339(flow.updated_ms),
        counts: counts_json(&flow.counts),
    }
}

/// List flows
#[utoipa::path(get, path = "/api/v1/flows", tag = "flows", params(ListQuery),
    responses((status = 200, body = Page<FlowItem>)))]
pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ListQuery>,
) -> Answer<Json<Page<FlowItem>>> {
    let limit = limit(query.limit);
    let within = caller.within(Role::Viewer);
    let mut flows = app.engine.journal().flows_within(within, query.cursor, limit + 1).await?;
    let more = flows.len() > limit as usize;
    flows.truncate(limit as usize);
    let next = if more { flows.last().map(|flow| flow.key.clone()) } else { None };
    Ok(Json(Page { items: flows.into_iter().map(item).collect(), next }))
}

/// Show a flow and its versions
#[utoipa::path(get, path = "/api/v1/flows/{key}", tag = "flows", params(("key" = String, Path)),
    responses((status = 200, body = FlowDetail), (status = 404, body = RefusalBody)))]
pub(super) async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Json<FlowDetail>> {
    let found = app.engine.journal().flow(&key).await?;
    let detail = found.ok_or_else(|| Refusal::say(Code::FlowNotFound, format!("no flow {key}")))?;
    let versions = detail.versions.into_iter().map(|version| VersionItem {
        version: version.version,
        label: version.label,
        hash: version.hash,
        published_at: rfc3339(version.published_ms),
        published_by: version.published_by,
        retired_at: version.retired_ms.map(rfc3339),
        counts: counts_json(&version.counts),
    });
    Ok(Json(FlowDetail { flow: item(detail.summary), versions: versions.collect() }))
}

/// Show a version
#[utoipa::path(get, path = "/api/v1/flows/{key}/versions/{version}", tag = "flows",
    params(("key" = String, Path), ("version" = u32, Path)),
    responses((status = 200, body = VersionDetail), (status = 404, body = RefusalBody)))]
pub(super) async fn version(
    State(app): State<App>,
    Path((key, number)): Path<(String, u32)>,
) -> Answer<Json<VersionDetail>> {
    let found = app.engine.journal().version(&key, Some(number)).await?;
    let missing = || Refusal::say(Code::VersionNotFound, format!("flow {key} has no version {number}"));
    let version = found.ok_or_else(missing)?;
    let catalog: Catalog = serde_json::from_value((*version.definition.catalog).clone())
        .map_err(|error| Unavailable(format!("the version's node types cannot be read: {error}")))?;
    let document = &version.definition.document;
    let resolved = extend::has_slots(document).then(|| extend::resolve(document, &catalog).document);
    let comparison = extend::compare(document, &catalog);
    let pin = |one: stepwell_core::catalog::NodeType| (one.uses, Pin { plugin: one.plugin, digest: one.digest });
    Ok(Json(VersionDetail {
        key: version.flow,
        version: version.version,
        label: version.label,
        hash: version.hash,
        published_at: rfc3339(version.published_ms),
        published_by: version.published_by,
        document: version.definition.document,
        digests: catalog.node_types.into_values().map(pin).collect(),
        calls: catalog.flows.into_iter().map(|(name, called)| (name, called.version)).collect(),
        tables: catalog.tables.into_iter().map(|(name, table)| (name, table.version)).collect(),
        resolved,
        comparison,
    }))
}

/// Check a document
#[utoipa::path(post, path = "/api/v1/flows/check", tag = "flows", request_body = CheckBody,
    responses((status = 200, body = Checked), (status = 400, body = RefusalBody)))]
pub(super) async fn check(State(app): State<App>, body::Json(asked): body::Json<CheckBody>) -> Json<Checked> {
    let checked = app.library.check(&asked.document).await;
    let sound = checked.problems.iter().all(|problem| problem.severity == Severity::Warning);
    let (resolved, comparison) = app.library.resolve(&asked.document).await.unzip();
    let comparison = comparison.flatten();
    Json(Checked { hash: sound.then_some(checked.hash), problems: checked.problems, resolved, comparison })
}

/// Publish a version
#[utoipa::path(post, path = "/api/v1/flows/{key}/publish", tag = "flows", params(("key" = String, Path)),
    request_body = PublishBody,
    responses((status = 201, body = PublishedBody), (status = 200, body = PublishedBody, description = "It was published before"),
              (status = 403, body = RefusalBody, description = "It has a trigger that reaches beyond its namespace"),
              (status = 404, body = RefusalBody), (status = 409, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn publish(
    State(app): State<App>,
    Path(key): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<PublishBody>,
) -> Answer<Response> {
    if asked.label.as_ref().is_some_and(|label| label.is_empty() || label.chars().count() > LABEL_CHARS_MAX) {
        let problem = Problem::error("TEXT_LENGTH", "/label", format!("1 to {LABEL_CHARS_MAX} characters"));
        return Err(Refusal::with(Code::BodyInvalid, vec![problem]));
    }
    let (document, revision) = if let Some(document) = asked.document {
        (Arc::new(document), asked.revision.map(|revision| revision.0))
    } else {
        let draft = app.engine.journal().draft(&key).await?.ok_or_else(|| Refusal::new(Code::NoDraft))?;
        (draft.document, Some(asked.revision.map_or(draft.revision, |revision| revision.0)))
    };
    if let Some(problem) = key_mismatch(&document, &key) {
        return Err(Refusal::with(Code::FlowHasProblems, vec![problem]));
    }
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let everywhere = caller.reach.everywhere() >= Some(Role::Designer);
    let request = Request { document, label: asked.label, revision, file: None, node_types: None, everywhere, act };
    let Publication { key, version, hash, warnings, known } = app.library.publish(request).await.map_err(refused)?;
    let status = if known { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(PublishedBody { key, version, hash, warnings })).into_response())
}

/// A document is published under its own key.
pub(super) fn key_mismatch(document: &Value, key: &str) -> Option<Problem> {
    let own = document.get("key")?.as_str().filter(|own| *own != key)?;
    let message = format!("the document's key is {own}, the path's is {key}");
    Some(Problem::error("KEY_MISMATCH", "/key", message).fix("use one key in both"))
}

pub(super) fn refused(error: PublishError) -> Refusal {
    match error {
        PublishError::Problems(problems) => Refusal::with(Code::FlowHasProblems, problems),
        PublishError::DraftMoved(draft) => drafts::conflict(draft.as_deref()),
        PublishError::Everywhere(reason) => caller::forbidden_for(Role::Designer, EVERYWHERE, &reason),
        // Only a watched file has a mark to be seen by.
        PublishError::FileSeen => Refusal::new(Code::Internal),
        PublishError::Unavailable(error) => error.into(),
    }
}

impl From<Unavailable> for Refusal {
    fn from(error: Unavailable) -> Self {
        tracing::error!(%error, "the store refused");
        Refusal::say(Code::StoreUnavailable, "nothing was acknowledged; try again")
    }
}

/// `"revision"` of a document in JSON.
pub(super) fn draft_json(draft: &stepwell_store::Draft) -> Value {
    json!({
        "document": draft.document, "revision": draft.revision.to_string(),
        "updatedAt": rfc3339(draft.updated_ms), "baseVersion": draft.base_version,
    })
}
