//! `/api/v1/record-types` and `/api/v1/records`: business entities, and what they are held to.
//!
//! Invariants:
//! - A type is published only without a problem, as a new version unless the newest says the same.
//! - A record is written by hand only over the revision its writer has seen, and only as its type allows. Whoever
//!   reads it is told when.
//!
//! Not here: how nodes write records (`runtime`, `sandbox`).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_core::problem::Problem;
use stepwell_core::record::{self, RECORD_BODY_BYTES_MAX, RecordType, is_record_id};
use stepwell_runtime::Clock;
use stepwell_store::{Act, PublishRecordType, PutRecord, Record, RecordFilter, RecordPut, RecordTypeVersion};

use super::caller::Caller;
use super::drafts::{expectation, tagged};
use super::extract::{Path, Query};
use super::flows::key_mismatch;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::shapes::{Page, limit};
use super::time::rfc3339;
use super::{App, body};

/// A record type, in the version that is in force.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecordTypeItem {
    key: String,
    version: u32,
    #[schema(value_type = Object)]
    document: Arc<Value>,
    hash: String,
    published_at: String,
    published_by: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RecordTypeList {
    /// By key.
    items: Vec<RecordTypeItem>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordTypeBody {
    #[schema(value_type = Object)]
    document: Value,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RecordQuery {
    status: Option<String>,
    /// The smallest code of a status.
    min: Option<i32>,
    /// The largest.
    max: Option<i32>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// 50 unless given, at most 500; fewer come where bodies are long.
    limit: Option<u32>,
}

/// A business entity.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecordItem {
    id: String,
    status: String,
    /// By which intervals of statuses compare; as of the write.
    status_code: i32,
    /// Counts writes, from 1. The text of the `ETag`.
    revision: String,
    body: Value,
    updated_at: String,
    /// When this was read: it may have changed since.
    read_at: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordPutBody {
    status: String,
    body: Value,
}

fn shown_type(found: RecordTypeVersion) -> RecordTypeItem {
    RecordTypeItem {
        key: found.key,
        version: found.version,
        document: found.document,
        hash: found.hash,
        published_at: rfc3339(found.published_ms),
        published_by: found.published_by,
    }
}

fn shown(app: &App, record: Record) -> Answer<RecordItem> {
    Ok(RecordItem {
        id: record.id,
        status: record.status,
        status_code: record.status_code,
        revision: record.revision.to_string(),
        body: serde_json::from_str(&record.body).map_err(|_| Refusal::new(Code::Internal))?,
        updated_at: rfc3339(record.updated_ms),
        read_at: rfc3339(app.clock.now_ms()),
    })
}

fn no_type(key: &str) -> Refusal {
    Refusal::say(Code::RecordTypeNotFound, format!("no record type {key}"))
}

async fn in_force(app: &App, key: &str) -> Answer<Arc<RecordType>> {
    app.record_types.get(key).await?.ok_or_else(|| no_type(key))
}

/// List record types
#[utoipa::path(get, path = "/api/v1/record-types", tag = "records", responses((status = 200, body = RecordTypeList)))]
pub(super) async fn types(State(app): State<App>) -> Answer<Json<RecordTypeList>> {
    let items = app.engine.journal().record_types().await?.into_iter().map(shown_type).collect();
    Ok(Json(RecordTypeList { items }))
}

/// Show a record type
#[utoipa::path(get, path = "/api/v1/record-types/{key}", tag = "records", params(("key" = String, Path)),
    responses((status = 200, body = RecordTypeItem), (status = 404, body = RefusalBody)))]
pub(super) async fn show_type(State(app): State<App>, Path(key): Path<String>) -> Answer<Json<RecordTypeItem>> {
    let found = app.engine.journal().record_type(&key).await?.ok_or_else(|| no_type(&key))?;
    Ok(Json(shown_type(found)))
}

/// Publish a record type
///
/// The newest version is in force at once. What the newest says already is no new version.
#[utoipa::path(put, path = "/api/v1/record-types/{key}", tag = "records", params(("key" = String, Path)),
    request_body = RecordTypeBody,
    responses((status = 200, body = RecordTypeItem), (status = 422, body = RefusalBody, description = "With all problems")))]
pub(super) async fn publish_type(
    State(app): State<App>,
    Path(key): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<RecordTypeBody>,
) -> Answer<Json<RecordTypeItem>> {
    let checked = record::check(&asked.document);
    let mut problems = checked.problems;
    problems.extend(key_mismatch(&asked.document, &key));
    let Some(record_type) = checked.record.filter(|_| problems.is_empty()) else {
        return Err(Refusal::with(Code::RecordTypeHasProblems, problems));
    };
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let publish =
        PublishRecordType { key, document: Arc::new(asked.document), hash: record_type.hash, file: None, act };
    let (found, _) = app.engine.journal().publish_record_type(publish).await?;
    Ok(Json(shown_type(found)))
}

/// List records
#[utoipa::path(get, path = "/api/v1/records/{type}", tag = "records", params(("type" = String, Path), RecordQuery),
    responses((status = 200, body = Page<RecordItem>, description = "By id, in byte order"), (status = 404, body = RefusalBody)))]
pub(super) async fn list(
    State(app): State<App>,
    Path(kind): Path<String>,
    Query(query): Query<RecordQuery>,
) -> Answer<Json<Page<RecordItem>>> {
    in_force(&app, &kind).await?;
    let RecordQuery { status, min, max, cursor, limit: asked } = query;
    let filter = RecordFilter { status, min, max, after: cursor.unwrap_or_default() };
    let (found, more) = app.engine.journal().records(&kind, filter, limit(asked)).await?;
    let next = found.last().map(|last| last.id.clone()).filter(|_| more);
    let items = found.into_iter().map(|one| shown(&app, one)).collect::<Answer<_>>()?;
    Ok(Json(Page { items, next }))
}

/// Show a record
#[utoipa::path(get, path = "/api/v1/records/{type}/{id}", tag = "records",
    params(("type" = String, Path), ("id" = String, Path, description = "A slash in it is written `%2F`")),
    responses((status = 200, body = RecordItem, description = "With its revision as ETag"), (status = 404, body = RefusalBody)))]
pub(super) async fn show(State(app): State<App>, Path((kind, id)): Path<(String, String)>) -> Answer<Response> {
    in_force(&app, &kind).await?;
    let missing = || Refusal::say(Code::RecordNotFound, format!("no record {id} of type {kind}"));
    let found = app.engine.journal().record(&kind, &id).await?.ok_or_else(missing)?;
    Ok(tagged(found.revision, Json(shown(&app, found)?).into_response()))
}

/// Write a record by hand
///
/// To bring records in, and to repair one. Whatever instances do with it meanwhile is seen by its revision.
#[utoipa::path(put, path = "/api/v1/records/{type}/{id}", tag = "records",
    params(("type" = String, Path), ("id" = String, Path, description = "A slash in it is written `%2F`"),
           ("If-Match" = Option<String>, Header, description = "The revision that is replaced"),
           ("If-None-Match" = Option<String>, Header, description = "`*` for a new record")),
    request_body = RecordPutBody,
    responses((status = 200, body = RecordItem), (status = 404, body = RefusalBody),
              (status = 412, body = RefusalBody, description = "With the record as it is, in `current`"),
              (status = 422, body = RefusalBody), (status = 428, body = RefusalBody)))]
pub(super) async fn put(
    State(app): State<App>,
    Path((kind, id)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body::Json(asked): body::Json<RecordPutBody>,
) -> Answer<Response> {
    let expect = expectation(&headers)?;
    if !is_record_id(&id) {
        return Err(Refusal::say(Code::PathInvalid, "a record's id has 1 to 500 bytes, none of them NUL"));
    }
    let record_type = in_force(&app, &kind).await?;
    let status_code = fits(&record_type, &asked)?;
    let body = asked.body.to_string();
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let put = PutRecord { kind, id, status: asked.status, status_code, body, expect, act };
    match app.engine.journal().put_record(put).await? {
        RecordPut::Put(record) => Ok(tagged(record.revision, Json(shown(&app, record)?).into_response())),
        RecordPut::Moved(current) => {
            let current = current.map(|current| shown(&app, current)).transpose()?;
            let current = serde_json::to_value(current).map_err(|_| Refusal::new(Code::Internal))?;
            Err(Refusal::new(Code::RecordMoved).and("current", current))
        }
    }
}

/// The status's code, if the type allows what is written.
fn fits(record_type: &RecordType, asked: &RecordPutBody) -> Answer<i32> {
    let mut problems = Vec::new();
    let status = record_type.status(&asked.status);
    if status.is_none() {
        let message = format!("{} has no status `{}`", record_type.key, asked.status);
        let names: Vec<&str> = record_type.statuses.iter().map(|status| status.name.as_str()).collect();
        let problem = Problem::error("UNKNOWN_VALUE", "/status", message);
        problems.push(problem.fix(format!("use one of {}", names.join(", "))));
    }
    if asked.body.to_string().len() > RECORD_BODY_BYTES_MAX {
        problems.push(Problem::error("TOO_LARGE", "/body", format!("at most {RECORD_BODY_BYTES_MAX} bytes")));
    }
    problems.extend(record_type.misfits(&asked.body).into_iter().map(|mut problem| {
        problem.pointer.insert_str(0, "/body");
        problem
    }));
    match status.filter(|_| problems.is_empty()) {
        Some(status) => Ok(status.code),
        None => Err(Refusal::with(Code::BodyInvalid, problems)),
    }
}
