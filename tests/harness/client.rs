//! A small HTTP client: one method, and short forms of it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

const ANSWERS_WITHIN: Duration = Duration::from_mins(1);

/// Speaks to one engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    url: String,
    token: Option<String>,
    inner: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; null when it is empty.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's text, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The problem's `code`, or nothing.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The pointer of the problem's first finding, or nothing.
    pub fn pointer(&self) -> String {
        self.json()["problems"][0]["pointer"].as_str().unwrap_or_default().to_owned()
    }

    /// Fails the test unless the status is this one.
    #[allow(clippy::return_self_not_must_use, reason = "often the status is all a test asks for")]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Client {
    /// `url` has no slash at its end.
    pub fn new(url: &str, token: Option<&str>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let inner = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        Self { url: url.to_owned(), token: token.map(str::to_owned), inner }
    }

    /// The same engine, asked with another token, or none.
    #[must_use]
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends one request. `Err`: no whole answer came.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Reply> {
        let whole = async {
            let response = self.open(method, path, headers, body.into()).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Reply { status: head.status.as_u16(), headers: head.headers, body })
        };
        tokio::time::timeout(ANSWERS_WITHIN, whole).await?
    }

    /// Sends one request and returns once the answer's head is there.
    pub async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Response<Incoming>> {
        let mut request =
            Request::builder().method(Method::from_bytes(method.as_bytes())?).uri(self.url.clone() + path);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(self.inner.request(request.body(Full::new(body))?).await?)
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await.expect("an answer")
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[], body.to_string()).await.expect("an answer")
    }

    pub async fn put(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        self.send("PUT", path, headers, body.to_string()).await.expect("an answer")
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], "").await.expect("an answer")
    }

    /// Saves a draft and publishes it; fails the test on any problem. Returns the version's number.
    pub async fn publish(&self, document: &Value) -> u64 {
        let key = document["key"].as_str().expect("a key");
        let body = serde_json::json!({ "document": document });
        let reply = self.post(&format!("/api/v1/flows/{key}/publish"), &body).await;
        assert!(reply.status == StatusCode::CREATED.as_u16() || reply.status == 200, "{}", reply.text());
        reply.json()["version"].as_u64().expect("a version")
    }
}
