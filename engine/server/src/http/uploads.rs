//! `/api/v1/plugins` and `/api/v1/plugins/uploads`: bringing a component, and how far those that were brought have come.
//!
//! Not here: the stages (`crate::uploads`).

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_runtime::journal::Unavailable;
use stepwell_store::{Act, PluginKept, Upload, UploadState};
use tokio::task::JoinHandle;

use super::caller::Caller;
use super::extract::{Path, Query};
use super::plugins::{self, PluginItem};
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, body, shapes, start};
use crate::config::PLUGIN_BYTES_MAX;
use crate::uploads::{self, Came, Wanted};

const FILE_CHARS_MAX: usize = 200;
/// One that says nothing for so long has lost its engine.
const LOST_AFTER_MS: u64 = 10 * 60 * 1_000;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct UploadQuery {
    /// Everything but putting it in force; the answer is the upload with its report.
    #[serde(default, alias = "dry-run")]
    dry_run: bool,
    /// The digest of the build that it is compared with; the newest of its name unless given.
    against: Option<String>,
    /// How its author calls the file, to be told by.
    file: Option<String>,
    /// How long to wait for its end (`10s`, at most `60s`); then the answer is 202. Without it, to the end.
    wait: Option<String>,
}

/// A component that was brought.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UploadItem {
    id: String,
    at: String,
    by: String,
    /// `running`, `live`, `tried` (a dry run that could be live), `refused`, or `lost`: its engine ended before it did
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    bytes: u64,
    digest: String,
    dry_run: bool,
    /// That it has come to, in their order: of `size`, `imports`, `compile` (left out where its machine code is known),
    /// `describe`, `schemas`, `examples`, `compatibility`, `live`.
    #[schema(value_type = Vec<UploadStage>)]
    stages: Value,
    /// The stage that it did not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_at: Option<String>,
    #[schema(value_type = Vec<shapes::Problem>)]
    problems: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::Effect>)]
    effect: Option<String>,
    /// What it changes for flows; none where there is nothing that it replaces.
    #[schema(value_type = Option<shapes::Compatibility>)]
    compatibility: Option<Value>,
}

#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct UploadStage {
    stage: String,
    /// When it began.
    at: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Uploads {
    /// The newest first, at most a hundred.
    items: Vec<UploadItem>,
}

/// A plugin that is live now, and what that changed.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Uploaded {
    #[serde(flatten)]
    plugin: PluginItem,
    /// Under which the upload can be asked about.
    upload: String,
    /// What it changes for flows; none where there is nothing that it replaces.
    #[schema(value_type = Option<shapes::Compatibility>)]
    compatibility: Value,
}

fn item(upload: Upload, now_ms: u64) -> UploadItem {
    let Upload { id, act, state, mut body } = upload;
    let lost = state == UploadState::Running && now_ms.saturating_sub(act.at_ms) > LOST_AFTER_MS;
    let mut part = |name: &str| body.get_mut(name).map(Value::take).filter(|value| !value.is_null());
    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    UploadItem {
        id,
        at: rfc3339(act.at_ms),
        by: act.by,
        state: if lost { "lost" } else { state.name() },
        file: text(part("file")),
        bytes: part("bytes").and_then(|bytes| bytes.as_u64()).unwrap_or_default(),
        digest: text(part("digest")).unwrap_or_default(),
        dry_run: part("dryRun").and_then(|dry_run| dry_run.as_bool()).unwrap_or_default(),
        stages: part("stages").unwrap_or_else(|| Value::Array(Vec::new())),
        failed_at: text(part("failedAt")),
        problems: part("problems").unwrap_or_else(|| Value::Array(Vec::new())),
        name: text(part("name")),
        version: text(part("version")),
        effect: text(part("effect")),
        compatibility: part("compatibility"),
    }
}

/// Load a plugin
///
/// It is live at once; calls under way and instances pinned to an older build keep that. With `Prefer: respond-async`,
/// or once `wait` is over, the answer is 202: ask its `Location`, or follow the events `upload`.
#[utoipa::path(post, path = "/api/v1/plugins", tag = "plugins",
    params(UploadQuery, ("Prefer" = Option<String>, Header, description = "`respond-async`: do not wait for its end")),
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "A component, at most 32 MiB"),
    responses((status = 201, body = Uploaded),
              (status = 200, body = Uploaded, description = "These bytes were loaded before; of a dry run, the upload"),
              (status = 202, body = UploadItem, description = "It goes on; see Location"),
              (status = 413, body = RefusalBody),
              (status = 422, body = RefusalBody, description = "With the `stage` it did not pass, and its `upload`"),
              (status = 429, body = RefusalBody)))]
pub(super) async fn upload(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    request: Request,
) -> Answer<Response> {
    if query.file.as_ref().is_some_and(|file| file.chars().count() > FILE_CHARS_MAX || file.contains('\0')) {
        return Err(Refusal::say(Code::QueryInvalid, format!("file: at most {FILE_CHARS_MAX} characters, no NUL")));
    }
    let wait = match (&query.wait, asynchronous(&headers)) {
        (_, true) => Some(Duration::ZERO),
        (Some(wait), false) => Some(start::wait(wait)?),
        (None, false) => None,
    };
    let full = || Refusal::say(Code::QueueFull, format!("{} uploads are under way", uploads::AT_ONCE));
    // Before its bytes are read: they are what is short.
    drop(app.uploading.enter().ok_or_else(full)?);
    let wasm = body::read_large(request.into_body(), PLUGIN_BYTES_MAX).await?.to_vec();
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let (file, against, dry_run) = (query.file, query.against, query.dry_run);
    let wanted = Wanted { wasm, file, dry_run, against, act };
    let id = uuid::Uuid::now_v7().to_string();
    let mut running: JoinHandle<Option<Result<Came, Unavailable>>> = tokio::spawn({
        let (app, id) = (app.clone(), id.clone());
        async move {
            let _place = app.uploading.enter()?;
            Some(Box::pin(uploads::run(app.clone(), id, wanted)).await)
        }
    });
    let ended = match wait {
        None => running.await,
        Some(wait) => match tokio::time::timeout(wait, &mut running).await {
            Ok(ended) => ended,
            Err(_) => return under_way(&app, &id, asynchronous(&headers)).await,
        },
    };
    let came = ended.map_err(|_| Refusal::new(Code::Internal))?.ok_or_else(full)??;
    answer(&app, &caller, &id, came).await
}

/// `Prefer: respond-async`, RFC 7240.
fn asynchronous(headers: &HeaderMap) -> bool {
    let prefers = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    prefers.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case("respond-async"))
}

async fn under_way(app: &App, id: &str, preferred: bool) -> Answer<Response> {
    let now_ms = app.clock.now_ms();
    // It may have begun, and not have been kept yet.
    let upload = match app.engine.journal().upload(id).await? {
        Some(upload) => serde_json::to_value(item(upload, now_ms)).unwrap_or_default(),
        None => {
            serde_json::json!({ "id": id, "state": "running", "at": rfc3339(now_ms), "stages": [], "problems": [] })
        }
    };
    let mut response = (StatusCode::ACCEPTED, Json(upload)).into_response();
    let location = HeaderValue::try_from(format!("/api/v1/plugins/uploads/{id}"));
    response.headers_mut().extend(location.ok().map(|location| (header::LOCATION, location)));
    if preferred {
        response.headers_mut().insert("preference-applied", HeaderValue::from_static("respond-async"));
    }
    Ok(response)
}

async fn answer(app: &App, caller: &Caller, id: &str, came: Came) -> Answer<Response> {
    match came {
        Came::Live(info, kept, compatibility) => {
            let plugin = plugins::of_digest(app, caller, &info.digest.to_string()).await?;
            let compatibility = serde_json::to_value(compatibility).unwrap_or_default();
            let status = if kept == PluginKept::New { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, Json(Uploaded { plugin, upload: id.to_owned(), compatibility })).into_response())
        }
        Came::Tried(..) => Ok(Json(find(app, id).await?).into_response()),
        Came::Refused(stage, problems) => Err(refused(id, stage, problems)),
    }
}

fn refused(id: &str, stage: &str, problems: Vec<Problem>) -> Refusal {
    Refusal::with(Code::PluginRefused, problems).and("stage", stage).and("upload", id)
}

async fn find(app: &App, id: &str) -> Answer<UploadItem> {
    let found = app.engine.journal().upload(id).await?;
    let found =
        found.ok_or_else(|| Refusal::say(Code::UploadNotFound, format!("no upload {id} among the last hundred")))?;
    Ok(item(found, app.clock.now_ms()))
}

/// List the components that were brought last, and what came of them
#[utoipa::path(get, path = "/api/v1/plugins/uploads", tag = "plugins", responses((status = 200, body = Uploads)))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<Uploads>> {
    let now_ms = app.clock.now_ms();
    let items = app.engine.journal().uploads().await?.into_iter().map(|upload| item(upload, now_ms)).collect();
    Ok(Json(Uploads { items }))
}

/// Show how far a component that was brought has come
#[utoipa::path(get, path = "/api/v1/plugins/uploads/{id}", tag = "plugins", params(("id" = String, Path)),
    responses((status = 200, body = UploadItem), (status = 404, body = RefusalBody)))]
pub(super) async fn show(State(app): State<App>, Path(id): Path<String>) -> Answer<Json<UploadItem>> {
    find(&app, &id).await.map(Json)
}
