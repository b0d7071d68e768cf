//! The outside world on the host: a list of requests that are expected, and what answers them.
//!
//! The format is that of `example.http-tape` in `wit/types.wit`. Tests may also answer with
//! `"fault": "not-sent"`, `"refused"` or `"lost"` in place of a `"response"`.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::{Request, Response, SendError};
use serde::Deserialize;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    request: Expected,
    response: Option<Answer>,
    fault: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    method: String,
    connection: String,
    path: String,
    body: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
}

thread_local! {
    static TAPE: RefCell<VecDeque<Entry>> = const { RefCell::new(VecDeque::new()) };
}

/// Puts a tape in; what was left of the one before is gone.
///
/// # Panics
///
/// If it does not read.
pub fn put(tape: &str) {
    let entries: VecDeque<Entry> = serde_json::from_str(tape).unwrap_or_else(|error| panic!("{error} in tape {tape}"));
    TAPE.with_borrow_mut(|tape| *tape = entries);
}

/// # Panics
///
/// If a request of the tape was never sent.
pub fn assert_played(who: &str) {
    TAPE.with_borrow(|tape| assert!(tape.is_empty(), "{who} did not send {tape:?}"));
}

pub(super) fn send(request: &Request) -> Result<Response, SendError> {
    let entry = TAPE.with_borrow_mut(VecDeque::pop_front);
    let entry = entry.unwrap_or_else(|| panic!("not on the tape: {request:?}"));
    let Expected { method, connection, path, body } = &entry.request;
    assert_eq!((&request.method, &request.connection, &request.path), (method, connection, path));
    if body.is_some() {
        let sent: Option<Value> = request.body.as_ref().map(|body| serde_json::from_slice(body).unwrap());
        assert_eq!(&sent, body, "{method} {path}");
    }
    match (entry.response, entry.fault.as_deref()) {
        (Some(answer), None) => Ok(response(answer)),
        (None, Some("not-sent")) => Err(SendError::NotSent("connection refused".to_owned())),
        (None, Some("refused")) => Err(SendError::Refused("NOT_GRANTED".to_owned())),
        (None, Some("lost")) => Err(SendError::Lost("connection closed".to_owned())),
        (_, fault) => panic!("a response or a fault, not {fault:?}"),
    }
}

fn response(Answer { status, headers, body }: Answer) -> Response {
    let mut headers: Vec<_> = headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    if body.is_some() && !headers.iter().any(|(name, _)| name == "content-type") {
        headers.push(("content-type".to_owned(), b"application/json".to_vec()));
    }
    let body = match body {
        Some(Value::String(text))
            if headers.iter().any(|(name, value)| name == "content-type" && value != b"application/json") =>
        {
            text.into_bytes()
        }
        Some(value) => value.to_string().into_bytes(),
        None => Vec::new(),
    };
    Response { status, headers, body }
}
