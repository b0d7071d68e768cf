//! Commands for a running engine, over its HTTP API.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::token;

const ANSWERS_WITHIN: Duration = Duration::from_secs(90);
/// What is handed over at once of a large body.
const PART_BYTES: usize = 64 * 1024;

/// Where the engine is, and who asks.
#[derive(Args)]
pub(super) struct At {
    /// The engine's address
    #[arg(long, env = "STEPWELL_URL", default_value = "http://127.0.0.1:7070", value_name = "URL")]
    url: String,
    /// API token [default: the one in the data folder]
    #[arg(long, env = "STEPWELL_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The engine's data folder, to find its token
    #[arg(long, env = "STEPWELL_DATA", default_value = "./stepwell-data", value_name = "DIR")]
    data: PathBuf,
}

#[derive(Args)]
pub(super) struct Start {
    /// The flow's key
    flow: String,
    /// File of the input; - reads standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// How long to wait for the answer
    #[arg(long, default_value = "10s", value_name = "DURATION")]
    wait: String,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
pub(super) struct Instances {
    /// Only of this flow
    #[arg(long)]
    flow: Option<String>,
    /// Only in this state
    #[arg(long)]
    state: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    limit: u32,
    #[command(flatten)]
    at: At,
}

pub(super) fn start(asked: &Start) -> anyhow::Result<()> {
    let input = asked.input.as_deref().map(read).transpose()?.unwrap_or_default();
    let path = format!("/api/v1/flows/{}/instances?wait={}", escape(&asked.flow), escape(&asked.wait));
    let answer = asked.at.ask("POST", &path, Some(&json!({ "input": input })))?;
    super::result(&(serde_json::to_string_pretty(&answer)? + "\n"));
    Ok(())
}

pub(super) fn instances(asked: &Instances) -> anyhow::Result<()> {
    let mut path = format!("/api/v1/instances?limit={}", asked.limit);
    for (name, value) in [("flow", &asked.flow), ("state", &asked.state)] {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", escape(value));
        }
    }
    let answer = asked.at.ask("GET", &path, None)?;
    for one in answer["items"].as_array().into_iter().flatten() {
        let text = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
        let flow = format!("{}@{}", text("flow"), one["version"]);
        super::result(&format!(
            "{}  {:<12}  {flow}  {}  {}\n",
            text("id"),
            text("state"),
            text("businessKey"),
            text("startedAt")
        ));
    }
    Ok(())
}

impl At {
    /// The engine's address, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// The answer's JSON; a refusal is an error that says what the engine said.
    pub(super) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let body = Bytes::from(body.map(Value::to_string).unwrap_or_default());
        self.answer(method, path, "application/json", Full::new(body))
    }

    /// As [`Self::ask`], with a large body; `told` hears how many bytes of it have been taken, and of how many.
    pub(super) fn upload(
        &self,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
        told: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> anyhow::Result<Value> {
        self.answer("POST", path, content_type, Told { left: body.into(), hears: Box::new(told), of: None })
    }

    #[tokio::main(flavor = "current_thread")]
    async fn answer<B>(&self, method: &str, path: &str, content_type: &str, body: B) -> anyhow::Result<Value>
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let answered = async {
            let response = self.send(method, path, content_type, body).await?;
            let status = response.status();
            Ok::<_, anyhow::Error>((status, response.into_body().collect().await?.to_bytes()))
        };
        let (status, bytes) = tokio::time::timeout(ANSWERS_WITHIN, answered).await.context("no answer in time")??;
        anyhow::ensure!(status.is_success(), "{}", refused(status, &bytes));
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Returns once the answer's head is there.
    pub(super) async fn send<B>(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: B,
    ) -> anyhow::Result<Response<Incoming>>
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let token = match &self.token {
            Some(token) => token.clone(),
            None => token::read(&self.data)?.with_context(|| {
                format!(
                    "no token in {}\nhint: give --token, or the engine's data folder with --data",
                    self.data.display()
                )
            })?,
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base()))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", content_type)
            .body(body)?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        client.request(request).await.with_context(|| format!("no engine answers at {}", self.url))
    }
}

/// What a refusal lists, a line for each.
pub(super) fn problems(answer: &Value) -> String {
    let mut lines = String::new();
    for problem in answer["problems"].as_array().into_iter().flatten() {
        let text = |name: &str| problem[name].as_str().unwrap_or_default();
        let fix = problem["fix"].as_str().map(|fix| format!("\n  hint: {fix}")).unwrap_or_default();
        let _ = write!(lines, "\n{} {}: {}{fix}", text("code"), text("pointer"), text("message"));
    }
    lines
}

/// A body in parts, so that somebody can be told how far it is.
struct Told {
    left: Bytes,
    hears: Box<dyn Fn(u64, u64) + Send + Sync>,
    of: Option<u64>,
}

impl Body for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = self.left.len() as u64;
        let of = *self.of.get_or_insert(left);
        (self.hears)(of - left, of);
        let bytes = self.left.len().min(PART_BYTES);
        let part = self.left.split_to(bytes);
        Poll::Ready((!part.is_empty()).then(|| Ok(Frame::data(part))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }

    // Not over while nothing is left, but once that was asked: whoever is told hears of the end.
    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.of.is_none()
    }
}

/// What an engine said that did not do what it was asked.
pub(super) fn refused(status: StatusCode, body: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = |name: &str| answer[name].as_str().unwrap_or_default();
    let problems = problems(&answer);
    format!("{} {}: {} {}{problems}", status.as_u16(), said("code"), said("title"), said("detail"))
}

/// A file of JSON; `-` is standard input.
pub(super) fn read(path: &Path) -> anyhow::Result<Value> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(path).with_context(|| path.display().to_string())?
    };
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// A part of a URL, percent-encoded.
pub(super) fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
