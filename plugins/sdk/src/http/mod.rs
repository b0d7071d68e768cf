//! Requests to granted connections.
//!
//! A guest knows names only: `http://shop.connection/stock` goes to whatever target an operator has
//! granted under `shop`. The host adds `Idempotency-Key`, `traceparent`, `Stepwell-Business-Key` and,
//! in an undo, `Stepwell-Forward-Key`; secrets are put in there, too.
//!
//! What became of a request is told by [`Error`]: `transient` if it did not get through, or only
//! reads; `unknown` if it may have been carried out; `permanent` if the host refuses to send it.
//!
//! Not here: retries. The engine makes them, with the same key.

#[cfg(not(target_arch = "wasm32"))]
pub mod tape;
#[cfg(target_arch = "wasm32")]
mod wasi;

#[cfg(not(target_arch = "wasm32"))]
use tape as transport;
#[cfg(target_arch = "wasm32")]
use wasi as transport;

use crate::error::{Error, permanent, rejected, transient, unknown};
use serde::{Deserialize, Serialize};

/// What a server may say in `Retry-After` at most; more is cut down to it.
const RETRY_AFTER_MS_MAX: u64 = 24 * 3_600_000;

/// A request in the making.
#[derive(Debug)]
pub struct Request {
    method: String,
    connection: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// In the order they came; names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
enum SendError {
    /// Nothing left, or nobody took it.
    NotSent(String),
    /// The host will not send it: not granted, or no proper request.
    Refused(String),
    /// It left, and the answer did not come whole.
    Lost(String),
}

impl Request {
    /// `path` begins with `/` and may have a query; both are already percent-encoded.
    pub fn new(method: &str, connection: &str, path: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            connection: connection.to_owned(),
            path: path.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A body with a type of its own.
    #[must_use]
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }

    /// A JSON body with its content type.
    pub fn json<T: Serialize + ?Sized>(self, body: &T) -> Result<Self, Error> {
        Ok(self.header("content-type", "application/json").body(crate::write(body)?.into_bytes()))
    }

    /// Sends and waits for the whole answer.
    pub fn send(self) -> Result<Response, Error> {
        let only_reads = matches!(&*self.method, "GET" | "HEAD" | "OPTIONS");
        let to = format!("{} {}{}", self.method, self.connection, self.path.split('?').next().unwrap_or_default());
        transport::send(&self).map_err(|error| match error {
            SendError::NotSent(why) => transient(format!("{to}: {why}")),
            SendError::Refused(why) => permanent(format!("{to}: {why}")),
            SendError::Lost(why) if only_reads => transient(format!("{to}: {why}")),
            SendError::Lost(why) => unknown(format!("{to}: {why}")),
        })
    }
}

/// How services of our kind say no.
#[derive(Deserialize)]
struct Refusal {
    code: String,
    #[serde(default)]
    message: String,
}

impl Response {
    /// The first header of that name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        core::str::from_utf8(value).ok()
    }

    /// Overload and server faults as `transient`, with `Retry-After` where it is given in seconds.
    pub fn overload(&self) -> Option<Error> {
        if !matches!(self.status, 408 | 425 | 429 | 500..=599) {
            return None;
        }
        let retry_after_ms = self
            .header("retry-after")
            .and_then(|text| text.trim().parse::<u64>().ok())
            .map(|seconds| seconds.saturating_mul(1000).min(RETRY_AFTER_MS_MAX));
        Some(Error::Transient { message: format!("the other side answered {}", self.status), retry_after_ms })
    }

    /// The JSON body of a 2xx answer. Else the failure: see [`Self::overload`]; 401, 403 and 407 are
    /// `permanent`; any other status is rejected with the body's `code`, or as `HTTP_<status>`.
    pub fn accepted<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        if (200..300).contains(&self.status) {
            // It was done; only what came back is not clear.
            return serde_json::from_slice(&self.body)
                .map_err(|error| unknown(format!("the answer to a request that was accepted does not read: {error}")));
        }
        if let Some(error) = self.overload() {
            return Err(error);
        }
        if matches!(self.status, 401 | 403 | 407) {
            return Err(permanent(format!(
                "the other side answered {}: is the connection's secret right?",
                self.status
            )));
        }
        let refusal = serde_json::from_slice::<Refusal>(&self.body).ok().filter(|refusal| is_code(&refusal.code));
        Err(match refusal {
            Some(Refusal { code, message }) => rejected(code, message),
            None => rejected(format!("HTTP_{}", self.status), format!("the other side answered {}", self.status)),
        })
    }
}

fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Percent-encodes text for one segment of a path, or one name or value of a query.
pub fn encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}
