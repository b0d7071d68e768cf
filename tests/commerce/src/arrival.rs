//! A request as it came in, and the record kept of it.
//!
//! Not here: what becomes of it (`door`).

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{RawPathParams, Request};
use axum::http::HeaderMap;
use http_body_util::{BodyExt, Limited};
use rusqlite::{Connection, params};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::door::{Answer, NAME_BYTES_MAX};
use crate::effect;
use crate::ledger::LedgerError;

/// Bytes of a request body; more is answered 413.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// A body must have come within this; more time is answered 408.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A request as it was read.
pub(crate) struct Arrival {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) key: Option<String>,
    pub(crate) order: Option<String>,
    /// From the header alone; undo routes fall back on it.
    pub(crate) forward_key: Option<String>,
    traceparent: Option<String>,
    body: Bytes,
    pub(crate) json: Option<Value>,
    pub(crate) sha256: [u8; 32],
}

/// Reads a request to its end; the answer to one that cannot be read.
pub(crate) async fn read(params: Option<RawPathParams>, request: Request) -> Result<Arrival, Answer> {
    let (head, body) = request.into_parts();
    let body = match tokio::time::timeout(BODY_WITHIN, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return Err(Answer::refused(413, "TOO_LARGE", format!("at most {BODY_BYTES_MAX} bytes, all of them")));
        }
        Err(_) => return Err(Answer::refused(408, "TOO_SLOW", "the body did not come in time")),
    };
    let json = serde_json::from_slice::<Value>(&body).ok();
    let in_body = |field: &str| json.as_ref()?.get(field)?.as_str().map(ToOwned::to_owned);
    let arrival = Arrival {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(ToOwned::to_owned),
        params: params.iter().flatten().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        key: header(&head.headers, "idempotency-key"),
        order: header(&head.headers, "stepwell-business-key").or_else(|| in_body("order")),
        forward_key: header(&head.headers, "stepwell-forward-key"),
        traceparent: header(&head.headers, "traceparent"),
        sha256: Sha256::digest(&body).into(),
        body,
        json,
    };
    let long = [&arrival.key, &arrival.order, &arrival.forward_key, &arrival.traceparent];
    if long.into_iter().flatten().any(|text| text.len() > NAME_BYTES_MAX) {
        return Err(Answer::refused(400, "BAD_REQUEST", format!("keys have at most {NAME_BYTES_MAX} bytes")));
    }
    Ok(arrival)
}

/// Header values may hold any bytes; order numbers are not always ASCII.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.as_bytes();
    (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned())
}

/// How many requests are in the file.
pub(crate) fn recorded(db: &Connection) -> Result<u64, LedgerError> {
    Ok(db.query_row("select count(*) from request", [], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

/// Keeps the request, as pending; the number is its own.
pub(crate) fn record(db: &Connection, arrival: &Arrival, now_ms: i64) -> rusqlite::Result<i64> {
    let in_body = arrival.json.as_ref().and_then(effect::forward_key_in);
    db.prepare_cached(
        "insert into request (arrived_ms, method, path, query, key, order_key, forward_key, traceparent, body, outcome) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'pending')",
    )?
    .insert(params![
        now_ms,
        arrival.method,
        arrival.path,
        arrival.query,
        arrival.key,
        arrival.order,
        arrival.forward_key.as_deref().or(in_body),
        arrival.traceparent,
        String::from_utf8_lossy(&arrival.body),
    ])
}
