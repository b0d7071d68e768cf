//! One way to talk to a shop from tests: scripts of requests, and a receiver of callbacks.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(dead_code, reason = "each test program uses its part")]

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::sync::mpsc;

/// Nothing that is waited for takes longer, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What came back: nothing if the connection was closed without an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) replayed: bool,
}

/// Sends one line, `METHOD path [key=…] [order=…] [forward=…] [body]`.
pub(crate) async fn send(base: &str, line: &str) -> Option<Reply> {
    let (head, body) = line.find('{').map_or((line, ""), |at| line.split_at(at));
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut request =
        Request::builder().method(method).uri(format!("{base}{path}")).header("content-type", "application/json");
    for word in words {
        let (name, value) = word.split_once('=').unwrap();
        let header = match name {
            "key" => "idempotency-key",
            "order" => "stepwell-business-key",
            "forward" => "stepwell-forward-key",
            "trace" => "traceparent",
            _ => panic!("no such word: {word}"),
        };
        request = request.header(header, value);
    }
    // A connection per request: what a lost reply does to the next one is not the matter here.
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http::<Full<Bytes>>();
    let request = request.body(Full::from(body.to_owned())).unwrap();
    let response = tokio::time::timeout(PATIENCE, client.request(request)).await.unwrap().ok()?;
    let status = response.status().as_u16();
    let replayed = response.headers().contains_key("idempotent-replayed");
    let body = response.into_body().collect().await.ok()?.to_bytes();
    Some(Reply { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null), replayed })
}

/// Plays lines of `request -> expectation`, where the expectation is `lost` or `STATUS [replayed] [part of the body]`.
pub(crate) async fn play(base: &str, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (request, expected) = line.split_once(" -> ").unwrap();
        let reply = send(base, request).await;
        if expected == "lost" {
            assert_eq!(reply, None, "{line}");
            continue;
        }
        let reply = reply.unwrap_or_else(|| panic!("{line}\nno answer"));
        let (words, body) = expected.find('{').map_or((expected, ""), |at| expected.split_at(at));
        let words = words.split_whitespace().collect::<Vec<_>>();
        assert_eq!(reply.status.to_string(), words[0], "{line}\n{reply:?}");
        assert_eq!(reply.replayed, words.get(1) == Some(&"replayed"), "{line}\n{reply:?}");
        if !body.is_empty() {
            let part = serde_json::from_str::<Value>(body).unwrap_or_else(|error| panic!("{line}\n{error}"));
            assert!(has(&reply.body, &part), "{line}\n{}", reply.body);
        }
    }
}

/// Whether `whole` has everything that `part` names; lists must have the same length.
fn has(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|found| has(found, value)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| has(whole, part))
        }
        _ => whole == part,
    }
}

/// Asks `path` until its answer has `part`; the answer then.
pub(crate) async fn until(base: &str, path: &str, part: &Value) -> Value {
    let asked = tokio::time::Instant::now();
    loop {
        let found = send(base, &format!("GET {path}")).await.map_or(Value::Null, |reply| reply.body);
        if has(&found, part) {
            return found;
        }
        assert!(asked.elapsed() < PATIENCE, "{path}: {found}\nnever had {part}");
        // Sleeps between two looks only; nothing depends on how long.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A callback as it came in.
#[derive(Debug)]
pub(crate) struct Callback {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) raw: Bytes,
    pub(crate) body: Value,
}

/// A stand-in for Stepwell: it hands out what it gets and answers with `statuses`, then 202.
pub(crate) struct Receiver {
    pub(crate) url: String,
    came: mpsc::UnboundedReceiver<Callback>,
}

impl Receiver {
    pub(crate) async fn start(statuses: &[u16]) -> Self {
        let (tell, came) = mpsc::unbounded_channel();
        let statuses = std::sync::Mutex::new(statuses.iter().rev().copied().collect::<Vec<_>>());
        let take = move |uri: axum::http::Uri, headers: HeaderMap, raw: Bytes| {
            let status = statuses.lock().unwrap().pop().unwrap_or(202);
            let body = serde_json::from_slice(&raw).unwrap();
            tell.send(Callback { path: uri.path().into(), headers, raw, body }).unwrap();
            std::future::ready(StatusCode::from_u16(status).unwrap())
        };
        let take = std::sync::Arc::new(take);
        let app = axum::Router::new().fallback(move |uri, headers, raw| take(uri, headers, raw));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, came }
    }

    /// The next callback, waited for.
    pub(crate) async fn next(&mut self) -> Callback {
        tokio::time::timeout(PATIENCE, self.came.recv()).await.unwrap().unwrap()
    }

    /// What is here already.
    pub(crate) fn here(&mut self) -> Vec<Callback> {
        std::iter::from_fn(|| self.came.try_recv().ok()).collect()
    }
}
