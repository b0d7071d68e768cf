//! Starting an instance and answering its caller.
//!
//! Invariants:
//! - Nothing is answered before the start is on disk.
//! - The same Idempotency-Key with the same body gives the first instance's answer again; with
//!   another body it is refused. While its first request is still here it is refused as running.
//! - A caller that goes away changes nothing for its instance.
//!
//! Not here: which version a start runs (`choose`); a trigger's path and who may ask there (`trigger`);
//! what happens between start and answer (`runtime`).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use stepwell_core::flow::duration;
use stepwell_core::machine::{Command, Error, State as InstanceState};
use stepwell_runtime::journal::Idempotency;
use stepwell_runtime::{Answer as EngineAnswer, Clock as _, CommandError, FlowError, StartError, StartRequest};

use super::App;
use super::body::{self, Raw};
use super::caller::Caller;
use super::choose::{self, Wish};
use super::extract::{Path, Query};
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::shapes;
use super::{listen, old_code};
use crate::revocations;
use crate::table::Known;

/// A caller is kept at most this long.
const WAIT_MS_MAX: u64 = 60_000;
/// How often a waiting caller's instance is looked up, in case another engine went on with it.
const LOOKS_ELSEWHERE_EVERY: Duration = Duration::from_secs(1);
const IDEMPOTENCY_KEY_CHARS_MAX: usize = 256;
/// Length of a W3C traceparent of version 00.
const TRACEPARENT_CHARS: usize = 55;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct StartBody {
    /// What the flow works on; checked against its `input` schema.
    #[serde(default)]
    input: Value,
    /// The caller's name for the instance, such as an order number.
    #[serde(default)]
    business_key: Option<String>,
    /// Where none is given, the flow's binding chooses; without one it is the newest version.
    #[serde(default)]
    version: Option<u32>,
    /// Smaller is more urgent. Where none is given, the flow's own `priority`, or 0.
    #[serde(default)]
    priority: Option<i32>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StartQuery {
    /// How long to wait for the reply or the end: `500ms`, `10s`, at most `60s`. Without it the answer is 202.
    wait: Option<String>,
}

/// A started instance; `output` once it has replied or completed.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct StartedBody<'a> {
    id: &'a str,
    #[schema(value_type = shapes::InstanceState)]
    state: InstanceState,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    output: Option<&'a Value>,
}

/// Start an instance
#[utoipa::path(post, path = "/api/v1/flows/{key}/instances", tag = "flows",
    params(("key" = String, Path), StartQuery,
           ("Idempotency-Key" = Option<String>, Header, description = "The same key and body again give the same answer")),
    request_body = StartBody,
    responses((status = 200, body = StartedBody, description = "It has replied or completed"),
              (status = 202, body = StartedBody, description = "It goes on; see Location"),
              (status = 404, body = RefusalBody), (status = 409, body = RefusalBody, description = "It was undone or cancelled"),
              (status = 422, body = RefusalBody, description = "The input does not match, or the flow rejected it")))]
pub(super) async fn start(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(query): Query<StartQuery>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Raw(bytes): Raw,
) -> Answer<Response> {
    let asked: StartBody = body::parse(&bytes)?;
    let Some(known) = app.library.table().flow(&key) else { return Err(unpublished(&app, &key).await) };
    let start = Start {
        wish: asked.version.map_or(Wish::Any, Wish::Version),
        input: asked.input,
        input_at: "/input",
        business_key: asked.business_key,
        priority: asked.priority,
        wait: query.wait.as_deref().map(wait).transpose()?,
        by: caller.user.into(),
        idempotency: idempotency(&headers, &bytes)?,
        redeliver: false,
        known,
    };
    let ended = start.run(&app, &headers).await?;
    ended.whole()
}

/// Why a key starts nothing.
pub(super) async fn unpublished(app: &App, key: &str) -> Refusal {
    match app.engine.journal().flow(key).await {
        Ok(Some(found)) if !found.versions.is_empty() && ["template", "table"].contains(&&*found.summary.kind) => {
            Refusal::say(Code::FlowNotPublished, format!("{key} is a {}: nothing is started on it", found.summary.kind))
        }
        Ok(Some(_)) => Refusal::say(Code::FlowNotPublished, format!("flow {key} has only a draft")),
        Ok(None) => Refusal::say(Code::FlowNotFound, format!("no flow {key}")),
        Err(error) => error.into(),
    }
}

/// `?wait=10s`.
pub(super) fn wait(text: &str) -> Answer<Duration> {
    let ms = duration::parse_ms(text).map_err(|error| Refusal::say(Code::QueryInvalid, format!("wait: {error}")))?;
    if ms > WAIT_MS_MAX {
        return Err(Refusal::say(Code::QueryInvalid, format!("wait: at most {} s", WAIT_MS_MAX / 1000)));
    }
    Ok(Duration::from_millis(ms))
}

/// One request to start.
pub(crate) struct Start {
    pub(crate) known: Arc<Known>,
    pub(crate) wish: Wish,
    pub(crate) input: Value,
    /// Where the input stands in the request's body.
    pub(crate) input_at: &'static str,
    pub(crate) business_key: Option<String>,
    pub(crate) priority: Option<i32>,
    pub(crate) wait: Option<Duration>,
    pub(crate) by: Arc<str>,
    pub(crate) idempotency: Option<Idempotency>,
    /// The same request again tries again what stands in an incident.
    pub(crate) redeliver: bool,
}

impl Start {
    pub(crate) async fn run(self, app: &App, headers: &HeaderMap) -> Answer<Ended> {
        let named = matches!(self.wish, Wish::Version(_));
        match self.begin(app, headers).await {
            // Taken back by another engine since the table was read: the next time it is not chosen.
            Err(refusal) if refusal.code == Code::VersionNotFound && !named => {
                app.library.read_all().await?;
                Err(Refusal::say(Code::Overloaded, "the version was taken back while it was chosen; ask again"))
            }
            ended => ended,
        }
    }

    async fn begin(self, app: &App, headers: &HeaderMap) -> Answer<Ended> {
        let _underway = match &self.idempotency {
            None => None,
            Some(idempotency) => {
                let mark = app.underway.enter(&self.known.key, &idempotency.key)?;
                let known = app.engine.journal().idempotent(&self.known.key, &idempotency.key).await?;
                if let Some((id, request)) = known {
                    let anew = self.redeliver && retry(app, &id, &self.by).await?;
                    return again(app, &id, request != idempotency.request, self.wait, anew).await;
                }
                Some(mark)
            }
        };
        let (input, at) = (&self.input, self.input_at);
        body::not_too_deep(input, at)?;
        let (version, bound_by) = self.wish.choose(app, &self.known, self.business_key.as_deref(), input).await?;
        let flow = app.engine.flow(&self.known.key, version).await?;
        if let Some(needed) = revocations::needed(app.engine.nodes(), &flow) {
            return Err(old_code::refuse_start(needed));
        }
        choose::fits(&flow, input, at)?;
        let priority = choose::priority(&flow, input, at, self.priority)?;
        let request = StartRequest {
            business_key: choose::business_key(&flow, input, at, self.business_key)?,
            flow,
            version,
            input: self.input,
            priority,
            idempotency: self.idempotency,
            traceparent: traceparent(headers),
            bound_by,
            by: self.by,
            wait: self.wait.is_some(),
        };
        let mut started = match app.engine.start(request) {
            Ok(started) => started,
            Err(error) => return refused(app, error, self.wait).await,
        };
        let id = started.id.clone();
        let Some(wait) = self.wait else {
            return match started.committed().await {
                Ok(state) => Ok(Ended::going_on(id, state)),
                Err(error) => refused(app, error, None).await,
            };
        };
        let answered = tokio::select! {
            biased;
            answered = started.answer(patience(app, wait)) => answered,
            elsewhere = answered_elsewhere(app, &id) => Ok(Some(elsewhere)),
        };
        match answered {
            Ok(Some(answer)) => Ok(Ended::told(id, answer)),
            Ok(None) => stored(app, &id).await.map(|answer| Ended::told(id, answer)),
            Err(error) => refused(app, error, Some(wait)).await,
        }
    }
}

/// As long as a caller is kept: its wait, or until the engine has parked everything and stops.
async fn patience(app: &App, wait: Duration) {
    let mut stop = app.stop.clone();
    let _ = tokio::time::timeout(wait, listen::told(&mut stop)).await;
}

/// The answer of an instance that runs already, here or elsewhere. `None`: not in time, or it has ended.
async fn watched(app: &App, id: &Arc<str>, wait: Duration) -> Option<EngineAnswer> {
    let here = app.engine.watch(id, patience(app, wait));
    if !app.engine.journal().is_shared() {
        return here.await;
    }
    tokio::select! {
        biased;
        Some(answer) = here => Some(answer),
        elsewhere = answered_elsewhere(app, id) => Some(elsewhere),
        () = patience(app, wait) => None,
    }
}

/// Completes when an instance that another engine went on with has an answer. Never where this engine is alone.
async fn answered_elsewhere(app: &App, id: &Arc<str>) -> EngineAnswer {
    if !app.engine.journal().is_shared() {
        return std::future::pending().await;
    }
    loop {
        app.clock.sleep(LOOKS_ELSEWHERE_EVERY).await;
        if let Ok(now) = stored(app, id).await
            && (now.replied || settled(now.state))
        {
            return now;
        }
    }
}

/// An instance as it is on disk.
async fn stored(app: &App, id: &Arc<str>) -> Answer<EngineAnswer> {
    let found = app.engine.journal().instance(id).await?.ok_or_else(|| Refusal::new(Code::InstanceNotFound))?;
    let replied = found.reply.is_some();
    let output = found.reply.or(found.output);
    Ok(EngineAnswer { state: found.summary.state, output, error: found.summary.error, replied })
}

/// Answers for a start that did not take place, or had already.
async fn refused(app: &App, error: StartError, wait: Option<Duration>) -> Answer<Ended> {
    match error {
        StartError::Duplicate { instance, other_request } => again(app, &instance, other_request, wait, false).await,
        StartError::KeyTaken { instance } => {
            let message = format!("the business key is that of instance {instance}");
            Err(Refusal::say(Code::BusinessKeyTaken, message).and("id", &*instance))
        }
        StartError::Retired => Err(Refusal::say(Code::VersionNotFound, "nothing is started on this version any more")),
        StartError::Overloaded if app.limits.closing() => Err(Refusal::new(Code::ShuttingDown)),
        StartError::Overloaded => Err(Refusal::say(Code::Overloaded, "too many instances are driven just now")),
        StartError::Unavailable(error) => Err(error.into()),
    }
}

/// Tries again what stands in an incident. `false`: nothing does, or nobody can be told of it.
async fn retry(app: &App, id: &Arc<str>, by: &str) -> Answer<bool> {
    let now = stored(app, id).await?;
    if now.replied || now.state != InstanceState::Incident {
        return Ok(false);
    }
    match app.engine.command(id, Command::Retry { token: None, new_key: false }, by).await {
        Ok(()) => Ok(true),
        Err(CommandError::Ended | CommandError::Unknown | CommandError::Full) => Ok(false),
        Err(CommandError::Unavailable(error)) => Err(error.into()),
    }
}

/// Answers as the instance that was started under the same key; `anew`: it was just told to try again, so that the incident
/// it stands in is not the answer.
async fn again(app: &App, id: &Arc<str>, other_request: bool, wait: Option<Duration>, anew: bool) -> Answer<Ended> {
    if other_request {
        return Err(Refusal::new(Code::IdempotencyMismatch).and("id", &**id));
    }
    let now = stored(app, id).await?;
    let id = id.clone();
    match wait {
        // Who does not wait is told the same each time: it was started.
        None => Ok(Ended::going_on(id, now.state)),
        Some(_) if now.replied || now.state.ended() || (settled(now.state) && !anew) => Ok(Ended::told(id, now)),
        Some(wait) => match watched(app, &id, wait).await {
            Some(answer) => Ok(Ended::told(id, answer)),
            // It may have ended between the two looks.
            None => stored(app, &id).await.map(|answer| Ended::told(id, answer)),
        },
    }
}

fn settled(state: InstanceState) -> bool {
    state.ended() || state == InstanceState::Incident
}

pub(super) fn idempotency(headers: &HeaderMap, bytes: &Bytes) -> Answer<Option<Idempotency>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_CHARS_MAX {
        let message = format!("Idempotency-Key: 1 to {IDEMPOTENCY_KEY_CHARS_MAX} visible ASCII characters");
        return Err(Refusal::say(Code::HeaderInvalid, message));
    }
    Ok(Some(Idempotency { key: key.to_owned(), request: hex::encode(Sha256::digest(bytes)) }))
}

/// The caller's trace context; one that is malformed is left out, as the standard asks.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let fits = text.len() == TRACEPARENT_CHARS && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    fits.then(|| text.to_owned())
}

/// What became of an instance, as far as its caller is told.
pub(crate) struct Ended {
    pub(crate) id: Arc<str>,
    answer: EngineAnswer,
    /// The caller asked for no more than that it is started.
    started_only: bool,
}

impl Ended {
    /// An instance that was started a moment ago.
    pub(super) async fn of(app: &App, id: &Arc<str>) -> Answer<Self> {
        Ok(Self::going_on(id.clone(), stored(app, id).await?.state))
    }

    fn told(id: Arc<str>, answer: EngineAnswer) -> Self {
        Self { id, answer, started_only: false }
    }

    /// A start that is on disk, whatever becomes of it: 202.
    fn going_on(id: Arc<str>, state: InstanceState) -> Self {
        let answer = EngineAnswer { state, output: None, error: None, replied: false };
        Self { id, answer, started_only: true }
    }

    /// It has neither replied nor ended.
    pub(super) fn goes_on(&self) -> bool {
        self.started_only || !(self.answer.replied || self.answer.state.ended())
    }

    /// `{id, state, output}`.
    pub(super) fn whole(self) -> Answer<Response> {
        let status = self.status()?;
        let output =
            if status == StatusCode::OK { Some(self.answer.output.as_deref().unwrap_or(&Value::Null)) } else { None };
        let body = StartedBody { id: &self.id, state: self.answer.state, output };
        Ok(self.respond(status, serde_json::to_vec(&body)))
    }

    /// The bare output.
    pub(super) fn bare(self) -> Answer<Response> {
        if self.status()? != StatusCode::OK {
            return self.whole();
        }
        let body = serde_json::to_vec(self.answer.output.as_deref().unwrap_or(&Value::Null));
        Ok(self.respond(StatusCode::OK, body))
    }

    /// 200 or 202; otherwise why there is no output.
    fn status(&self) -> Answer<StatusCode> {
        let EngineAnswer { state, error, replied, .. } = &self.answer;
        match state {
            _ if self.started_only => Ok(StatusCode::ACCEPTED),
            _ if *replied => Ok(StatusCode::OK),
            InstanceState::Completed => Ok(StatusCode::OK),
            InstanceState::Failed => Err(self.said_no(Code::InstanceFailed, error.as_ref(), true)),
            InstanceState::Compensated => Err(self.said_no(Code::Compensated, error.as_ref(), false)),
            InstanceState::Cancelled => Err(self.said_no(Code::Cancelled, error.as_ref(), false)),
            InstanceState::Running
            | InstanceState::Waiting
            | InstanceState::Incident
            | InstanceState::Suspended
            | InstanceState::Compensating => Ok(StatusCode::ACCEPTED),
        }
    }

    fn said_no(&self, code: Code, error: Option<&Error>, by_its_code: bool) -> Refusal {
        let mut refusal = Refusal::new(code).and("id", &*self.id).and("state", self.answer.state.name());
        if let Some(error) = error {
            refusal.detail = Some(error.message.clone());
            if by_its_code {
                refusal.business = Some(error.code.clone());
            }
            refusal = refusal.and("error", super::instances::error_json(error));
        }
        refusal
    }

    fn respond(&self, status: StatusCode, body: Result<Vec<u8>, serde_json::Error>) -> Response {
        let Ok(body) = body else { return Refusal::new(Code::Internal).response() };
        let mut response = (status, Body::from(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/instances/{}", self.id)) {
            headers.insert(header::LOCATION, location);
        }
        response
    }
}

/// Idempotency keys whose first request is still here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Underway(Arc<Mutex<HashSet<Name>>>);

/// A flow's key and an Idempotency-Key.
type Name = (Arc<str>, String);

/// Taken out again when dropped.
struct Mark(Underway, Name);

impl Underway {
    fn enter(&self, flow: &Arc<str>, key: &str) -> Answer<Mark> {
        let name = (flow.clone(), key.to_owned());
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
            Ok(Mark(self.clone(), name))
        } else {
            Err(Refusal::new(Code::IdempotencyRunning))
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl From<FlowError> for Refusal {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Unknown(flow, version) => {
                Refusal::say(Code::VersionNotFound, format!("flow {flow} has no version {version}"))
            }
            FlowError::Broken { .. } => {
                tracing::error!(%error, "a published version does not compile");
                Refusal::say(Code::Internal, error.to_string())
            }
            FlowError::Unavailable(error) => error.into(),
        }
    }
}
