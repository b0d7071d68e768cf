//! The outside world of an example: recorded requests and their answers, played in order.
//!
//! Not here: what else an example must satisfy (`examples`).

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::Value;

/// See `example.http-tape` in `wit/types.wit`.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    left: VecDeque<Exchange>,
    played: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    request: Asked,
    response: Answered,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    method: String,
    connection: String,
    path: String,
    #[serde(default)]
    body: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: Option<Value>,
}

impl Tape {
    pub(crate) fn read(text: &str) -> Result<Self, serde_json::Error> {
        Ok(Self { left: serde_json::from_str(text)?, played: 0 })
    }

    /// The next answer, if the request is the one that was recorded.
    pub(crate) fn play(
        &mut self,
        method: &http::Method,
        connection: &str,
        path: &str,
        body: &[u8],
    ) -> Result<Answered, String> {
        let Some(Exchange { request, response }) = self.left.pop_front() else {
            return Err(format!("sends {method} {connection} {path}, but the tape holds {} requests", self.played));
        };
        self.played += 1;
        let nth = self.played;
        if request.method != method.as_str() || request.connection != connection || request.path != path {
            let Asked { method: asked, connection: to, path: at, .. } = request;
            return Err(format!("request {nth} is {method} {connection} {path}, the tape has {asked} {to} {at}"));
        }
        match request.body {
            Some(expected) if serde_json::from_slice::<Value>(body).ok().as_ref() != Some(&expected) => {
                Err(format!("request {nth} carries {}, the tape has {expected}", String::from_utf8_lossy(body)))
            }
            _ => Ok(response),
        }
    }

    pub(crate) fn left(&self) -> usize {
        self.left.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_tape_is_played_in_order_and_to_its_end() {
        let tape = r#"[{ "request": { "method": "POST", "connection": "shop", "path": "/a?b=1", "body": { "n": 1 } },
                         "response": { "status": 201, "body": { "id": "r1" } } }]"#;
        for (method, connection, path, body, expected) in [
            (http::Method::POST, "shop", "/a?b=1", r#"{"n":1}"#, "201"),
            (http::Method::POST, "shop", "/a?b=1", r#"{ "n" : 1 }"#, "201"), // Compared as JSON.
            (http::Method::GET, "shop", "/a?b=1", r#"{"n":1}"#, "request 1 is GET"),
            (http::Method::POST, "bank", "/a?b=1", r#"{"n":1}"#, "request 1 is POST bank"),
            (http::Method::POST, "shop", "/a", r#"{"n":1}"#, "request 1 is POST shop /a,"),
            (http::Method::POST, "shop", "/a?b=1", "{}", "request 1 carries {}"),
        ] {
            let mut tape = Tape::read(tape).unwrap();
            let shown = match tape.play(&method, connection, path, body.as_bytes()) {
                Ok(answer) => answer.status.to_string(),
                Err(mismatch) => mismatch,
            };
            assert!(shown.starts_with(expected), "{shown}");
            assert!(tape.play(&method, connection, path, body.as_bytes()).is_err(), "one request, one answer");
        }
    }
}
