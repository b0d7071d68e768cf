//! `/api/v1/flows/{key}/draft`: the one mutable form of a flow.
//!
//! Invariants:
//! - A draft is written only over the revision its writer has seen (`If-Match`), or as the first
//!   one (`If-None-Match: *`).
//! - A draft may hold any number of problems; only what is not JSON is refused.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_store::{Act, Draft, DraftSaved, Expect, SaveDraft};

use super::caller::Caller;
use super::extract::Path;
use super::flows::draft_json;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, body, shapes};

const KEY_CHARS_MAX: usize = 100;

/// A draft's number, written as text or as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Revision(pub u64);

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(number) => Ok(Self(number)),
            Form::Text(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

/// A flow's draft.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct DraftBody {
    #[schema(value_type = Object)]
    document: Value,
    /// The text of the `ETag`.
    revision: String,
    updated_at: String,
    /// The version it was last published as, or made from.
    base_version: Option<u32>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveBody {
    #[schema(value_type = Object)]
    document: Value,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SavedBody {
    revision: String,
    updated_at: String,
    #[schema(value_type = Vec<shapes::Problem>)]
    problems: Vec<Problem>,
}

/// Show the draft
#[utoipa::path(get, path = "/api/v1/flows/{key}/draft", tag = "drafts", params(("key" = String, Path)),
    responses((status = 200, body = DraftBody, description = "With its revision as ETag"), (status = 404, body = RefusalBody)))]
pub(super) async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Response> {
    let draft = app.engine.journal().draft(&key).await?.ok_or_else(|| Refusal::new(Code::NoDraft))?;
    Ok(tagged(draft.revision, Json(draft_json(&draft)).into_response()))
}

/// Save the draft
#[utoipa::path(put, path = "/api/v1/flows/{key}/draft", tag = "drafts",
    params(("key" = String, Path),
           ("If-Match" = Option<String>, Header, description = "The revision that is replaced"),
           ("If-None-Match" = Option<String>, Header, description = "`*` for a first draft")),
    request_body = SaveBody,
    responses((status = 200, body = SavedBody), (status = 409, body = RefusalBody, description = "With the draft as it is, in `current`"),
              (status = 428, body = RefusalBody)))]
pub(super) async fn save(
    State(app): State<App>,
    Path(key): Path<String>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body::Json(asked): body::Json<SaveBody>,
) -> Answer<Response> {
    let expect = expectation(&headers)?;
    if key.is_empty() || key.chars().count() > KEY_CHARS_MAX {
        return Err(Refusal::say(Code::PathInvalid, format!("a flow's key has 1 to {KEY_CHARS_MAX} characters")));
    }
    let checked = app.library.check(&asked.document).await;
    let mut problems = checked.problems;
    problems.extend(super::flows::key_mismatch(&asked.document, &key));
    let save = SaveDraft {
        flow: key,
        document: Arc::new(asked.document),
        hash: checked.flow.map(|flow| flow.hash),
        expect,
        act: Act { by: caller.user.clone(), at_ms: app.clock.now_ms() },
    };
    match app.engine.journal().save_draft(save).await? {
        DraftSaved::Saved(draft) => {
            let saved = saved(&draft, problems);
            Ok(tagged(draft.revision, Json(saved).into_response()))
        }
        DraftSaved::Conflict(current) => Err(conflict(current.as_ref())),
    }
}

pub(super) fn saved(draft: &Draft, problems: Vec<Problem>) -> SavedBody {
    SavedBody { revision: draft.revision.to_string(), updated_at: rfc3339(draft.updated_ms), problems }
}

/// Drop the draft
#[utoipa::path(delete, path = "/api/v1/flows/{key}/draft", tag = "drafts", params(("key" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn drop_draft(
    State(app): State<App>,
    Path(key): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    if app.engine.journal().delete_draft(act, &key).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal::new(Code::NoDraft))
    }
}

/// Says what stands there instead of what the caller has seen.
pub(super) fn conflict(current: Option<&Draft>) -> Refusal {
    Refusal::new(Code::DraftConflict).and("current", current.map_or(Value::Null, draft_json))
}

pub(super) fn expectation(headers: &HeaderMap) -> Answer<Expect> {
    if let Some(value) = headers.get(header::IF_MATCH) {
        let text = value.to_str().unwrap_or_default().trim();
        let revision = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).parse();
        return revision
            .map(Expect::Revision)
            .map_err(|_| Refusal::say(Code::HeaderInvalid, "If-Match: the revision as the ETag gave it"));
    }
    match headers.get(header::IF_NONE_MATCH) {
        Some(value) if value == "*" => Ok(Expect::None),
        Some(_) => Err(Refusal::say(Code::HeaderInvalid, "If-None-Match: only *")),
        None => Err(Refusal::say(Code::PreconditionRequired, "send If-Match, or If-None-Match: * for a first draft")),
    }
}

pub(super) fn tagged(revision: u64, mut response: Response) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{revision}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
