//! `/api/v1/tables`: decision tables of their own, asked here, by decisions and by routes.
//!
//! Invariants:
//! - A table is published only without a problem, as a new version unless the newest says the same.
//! - Asking changes nothing.
//!
//! Not here: how a document becomes a version (`library`), how a route asks (`routes`).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_core::problem::Problem;
use stepwell_core::table::{self, Published};
use stepwell_runtime::Clock;
use stepwell_store::{Act, Role, TableVersion};

use super::caller::Caller;
use super::extract::Path;
use super::flows::{key_mismatch, refused};
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, body, shapes};
use crate::library::Request;

/// A table in a list.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TableItem {
    key: String,
    /// A text, or one per language.
    title: Value,
    /// The newest.
    version: u32,
    rules: usize,
    published_at: String,
    published_by: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TableList {
    /// By key.
    items: Vec<TableItem>,
}

/// A version of a table.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TableDetail {
    key: String,
    version: u32,
    #[schema(value_type = Object)]
    document: Arc<Value>,
    hash: String,
    published_at: String,
    published_by: String,
    /// All versions, the newest first.
    versions: Vec<u32>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishTableBody {
    #[schema(value_type = Object)]
    document: Value,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TablePublished {
    key: String,
    version: u32,
    hash: String,
    #[schema(value_type = Vec<shapes::Problem>)]
    warnings: Vec<Problem>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EvaluateBody {
    /// What the columns see, by name.
    #[schema(value_type = Object)]
    input: Value,
    /// The newest unless given.
    #[serde(default)]
    version: Option<u32>,
    /// In place of what is published: to try it before.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    document: Option<Value>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Evaluated {
    /// An object of the outputs; null where no rule hit; a list under `collect`.
    output: Value,
    /// The rules that hit, counted from 0.
    hits: Vec<usize>,
    /// Which version said so; none of a document that was tried.
    version: Option<u32>,
}

fn missing(key: &str) -> Refusal {
    Refusal::say(Code::TableNotFound, format!("no table {key}"))
}

/// The newest version of a table, or this one.
pub(super) async fn found(app: &App, key: &str, version: Option<u32>) -> Answer<TableVersion> {
    app.engine.journal().table(key, version).await?.ok_or_else(|| match version {
        None => missing(key),
        Some(version) => Refusal::say(Code::VersionNotFound, format!("table {key} has no version {version}")),
    })
}

pub(super) async fn known(app: &App, key: &str) -> Answer<()> {
    found(app, key, None).await.map(|_| ())
}

async fn detail(app: &App, found: TableVersion) -> Answer<TableDetail> {
    let flow = app.engine.journal().flow(&found.key).await?.ok_or_else(|| missing(&found.key))?;
    Ok(TableDetail {
        key: found.key,
        version: found.version,
        document: found.document,
        hash: found.hash,
        published_at: rfc3339(found.published_ms),
        published_by: found.published_by,
        versions: flow.versions.iter().map(|version| version.version).collect(),
    })
}

/// List tables
#[utoipa::path(get, path = "/api/v1/tables", tag = "tables", responses((status = 200, body = TableList)))]
pub(super) async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> Answer<Json<TableList>> {
    let found = app.engine.journal().tables_within(caller.within(Role::Viewer)).await?;
    let item = |one: TableVersion| TableItem {
        title: one.document.get("title").cloned().unwrap_or_else(|| Value::from(one.key.as_str())),
        rules: one.document.pointer("/table/rules").and_then(Value::as_array).map_or(0, Vec::len),
        key: one.key,
        version: one.version,
        published_at: rfc3339(one.published_ms),
        published_by: one.published_by,
    };
    Ok(Json(TableList { items: found.into_iter().map(item).collect() }))
}

/// Show a table in its newest version
#[utoipa::path(get, path = "/api/v1/tables/{key}", tag = "tables", params(("key" = String, Path)),
    responses((status = 200, body = TableDetail), (status = 404, body = RefusalBody)))]
pub(super) async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Json<TableDetail>> {
    let found = found(&app, &key, None).await?;
    Ok(Json(detail(&app, found).await?))
}

/// Show a version of a table
#[utoipa::path(get, path = "/api/v1/tables/{key}/versions/{version}", tag = "tables",
    params(("key" = String, Path), ("version" = u32, Path)),
    responses((status = 200, body = TableDetail), (status = 404, body = RefusalBody)))]
pub(super) async fn version(
    State(app): State<App>,
    Path((key, number)): Path<(String, u32)>,
) -> Answer<Json<TableDetail>> {
    let found = found(&app, &key, Some(number)).await?;
    Ok(Json(detail(&app, found).await?))
}

/// Publish a table
///
/// Routes ask the newest version at once. Flows keep the version they were published with.
#[utoipa::path(put, path = "/api/v1/tables/{key}", tag = "tables", params(("key" = String, Path)),
    request_body = PublishTableBody,
    responses((status = 201, body = TablePublished), (status = 200, body = TablePublished, description = "It was published before"),
              (status = 422, body = RefusalBody, description = "With all problems")))]
pub(super) async fn publish(
    State(app): State<App>,
    Path(key): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<PublishTableBody>,
) -> Answer<Response> {
    let mut problems: Vec<Problem> = key_mismatch(&asked.document, &key).into_iter().collect();
    if !table::is_table(&asked.document) {
        let problem = Problem::error("UNKNOWN_VALUE", "/kind", "the document is no table");
        problems.push(problem.fix("write \"kind\": \"table\""));
    }
    if !problems.is_empty() {
        return Err(Refusal::with(Code::FlowHasProblems, problems));
    }
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let document = Arc::new(asked.document);
    // A table has no doors: nothing in it reaches beyond its namespace.
    let everywhere = false;
    let request = Request { document, label: None, revision: None, file: None, node_types: None, everywhere, act };
    let done = app.library.publish(request).await.map_err(refused)?;
    let status = if done.known { StatusCode::OK } else { StatusCode::CREATED };
    let published = TablePublished { key: done.key, version: done.version, hash: done.hash, warnings: done.warnings };
    Ok((status, Json(published)).into_response())
}

/// Ask a table
///
/// Nothing is kept of it.
#[utoipa::path(post, path = "/api/v1/tables/{key}/evaluate", tag = "tables", params(("key" = String, Path)),
    request_body = EvaluateBody,
    responses((status = 200, body = Evaluated), (status = 404, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn evaluate(
    State(app): State<App>,
    Path(key): Path<String>,
    body::Json(asked): body::Json<EvaluateBody>,
) -> Answer<Json<Evaluated>> {
    let EvaluateBody { input, version, document } = asked;
    body::not_too_deep(&input, "/input")?;
    let (document, version) = if let Some(tried) = document {
        (Arc::new(tried), None)
    } else {
        let found = found(&app, &key, version).await?;
        (found.document, Some(found.version))
    };
    let checked = table::check(&document);
    let Some(table) = checked.table else { return Err(Refusal::with(Code::FlowHasProblems, checked.problems)) };
    fits(&table, &input)?;
    let answer = table.ask(&input).map_err(|error| Refusal::say(Code::TableFailed, error.message))?;
    Ok(Json(Evaluated { output: answer.output, hits: answer.hits, version }))
}

fn fits(table: &Published, input: &Value) -> Answer<()> {
    let mut problems = table.misfits(input);
    for problem in &mut problems {
        problem.pointer.insert_str(0, "/input");
    }
    if problems.is_empty() { Ok(()) } else { Err(Refusal::with(Code::InputInvalid, problems)) }
}
