//! `/api/v1/messages`: what the world tells waiting instances.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_core::machine::{MESSAGE_KEY_BYTES_MAX, MESSAGE_NAME_BYTES_MAX, fits_message};
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_runtime::journal::{Message, Posted};

use super::caller::Caller;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::{App, body};

pub(super) const TTL_MS: u64 = 24 * 60 * 60 * 1000;
const TTL_MS_MAX: u64 = 30 * TTL_MS;
pub(super) const ID_BYTES_MAX: usize = 256;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageBody {
    /// What a flow waits for by this name.
    name: String,
    /// Whom it concerns, such as an order number.
    key: String,
    /// The sender's own id: the same (name, id) is taken once.
    #[serde(default)]
    id: Option<String>,
    /// How long it is kept without a taker: `24h` unless given, at most 30 days. With `0s` it is for those alone who
    /// wait when it comes.
    #[serde(default)]
    ttl: Option<String>,
    #[serde(default)]
    payload: Value,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct MessageTaken {
    id: String,
    /// `true`: an instance waits for it. `"buffered"`: nobody does yet. `"dropped"`: nobody does, and its `ttl` is `0s`.
    /// `"duplicate"`: it came before.
    #[schema(value_type = Value)]
    delivered: Value,
}

/// Post a message
#[utoipa::path(post, path = "/api/v1/messages", tag = "messages", request_body = MessageBody,
    responses((status = 202, body = MessageTaken, description = "Kept; on disk"),
              (status = 200, body = MessageTaken, description = "The same id came before; or nobody waits, and it was dropped"),
              (status = 422, body = RefusalBody), (status = 429, body = RefusalBody)))]
pub(super) async fn post(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<MessageBody>,
) -> Answer<Response> {
    let (id, ttl_ms) = check(&asked)?;
    body::not_too_deep(&asked.payload, "/payload")?;
    let message = Message {
        name: asked.name.into(),
        key: asked.key,
        id: id.clone(),
        payload: Arc::new(asked.payload),
        at_ms: app.clock.now_ms(),
        ttl_ms,
        by: caller.user.clone(),
    };
    let (status, delivered) = match app.engine.post(message).await? {
        Posted::Awaited(_) => (StatusCode::ACCEPTED, Value::Bool(true)),
        Posted::Buffered => (StatusCode::ACCEPTED, "buffered".into()),
        Posted::Dropped => (StatusCode::OK, "dropped".into()),
        Posted::Duplicate => (StatusCode::OK, "duplicate".into()),
        Posted::Full => return Err(Refusal::say(Code::QueueFull, "nobody takes the messages of this name and key")),
    };
    Ok((status, Json(MessageTaken { id, delivered })).into_response())
}

/// The message's id and its time to live.
fn check(asked: &MessageBody) -> Answer<(String, u64)> {
    let id = asked.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let mut problems = Vec::new();
    let texts = [
        ("/name", &asked.name, MESSAGE_NAME_BYTES_MAX),
        ("/key", &asked.key, MESSAGE_KEY_BYTES_MAX),
        ("/id", &id, ID_BYTES_MAX),
    ];
    for (at, text, most) in texts {
        if !fits_message(text, most) {
            problems.push(Problem::error("TEXT_LENGTH", at, format!("1 to {most} bytes, none of them NUL")));
        }
    }
    let ttl_ms = body::duration_ms(asked.ttl.as_deref(), "/ttl", TTL_MS, TTL_MS_MAX, &mut problems);
    if problems.is_empty() { Ok((id, ttl_ms)) } else { Err(Refusal::with(Code::BodyInvalid, problems)) }
}
