//! The way out: what stands between a guest's `wasi:http` request and the network.
//!
//! A guest asks for `http://<connection>.connection/<path>`; the host finds the grant, puts scheme,
//! host and path prefix of the connection in their place, adds its headers, and sends.
//!
//! Invariants:
//! - Without a grant nothing leaves, and the call ends as `NOT_GRANTED`, whatever the guest answers.
//! - Nothing is sent after the call's deadline or its engine's lease, nor to a connection that is paused; nor anything more
//!   by a call that such a connection held back.
//! - The n-th unsafe request of a call always carries the same key, on every attempt.
//! - A secret is put into headers of a request to a connection it belongs to, and nowhere else: a guest that
//!   follows a redirect names another connection, or none.
//! - A call that waits for its turn at a bound when its time is over has sent nothing of what it waits for.
//! - Bodies are bounded in both directions before they are held in memory.
//!
//! Not here: retrying (the engine retries the whole attempt), redirects (the guest sees them).

pub(crate) mod address;
pub(crate) mod client;
pub(crate) mod connections;
pub(crate) mod tape;
pub(crate) mod throttle;

use std::error::Error as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use stepwell_runtime::lease::Hold;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use self::client::{Client, Prohibited};
use self::connections::{PLACEHOLDER, Target, fill};
use self::tape::Tape;
use self::throttle::Turn;
use crate::call::CallContext;
use crate::limits::Limits;
use crate::pause::{Gates, Probe};
use crate::reach::{Caller, InForce, May, Way};

/// The top-level name under which guests address connections.
const SUFFIX: &str = ".connection";

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const BUSINESS_KEY: HeaderName = HeaderName::from_static("stepwell-business-key");
const FORWARD_KEY: HeaderName = HeaderName::from_static("stepwell-forward-key");

/// Something that the host forbade and that decides how the call ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// A call's way out; closed for components that import no `wasi:http`.
#[derive(Clone, Default)]
pub(crate) struct Outgoing(Option<Arc<Exit>>);

/// A call that was kept from a connection that is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// By what.
    pub(crate) key: String,
    /// Something had been sent before, to another connection.
    pub(crate) sent: bool,
}

/// What a call has done so far.
#[derive(Debug, Default)]
struct Done {
    sent: bool,
    held: Option<Held>,
    /// Requests that were sent and not answered yet.
    under_way: u32,
    /// Requests that wait for their turn.
    waiting: u32,
    /// At what.
    waits_at: String,
}

struct Exit {
    route: Route,
    context: CallContext,
    deadline: Instant,
    request_bytes_max: usize,
    response_bytes_max: usize,
    unsafe_requests: AtomicU32,
    denied: Mutex<Option<Denial>>,
    done: Mutex<Done>,
}

enum Route {
    Network(Network),
    Tape(Mutex<Tape>),
}

/// What a request needs to leave.
pub(crate) struct Network {
    pub(crate) client: Arc<Client>,
    pub(crate) reach: Arc<InForce>,
    /// Whom grants are for.
    pub(crate) caller: Caller,
    pub(crate) gates: Arc<Gates>,
    /// What the engine held when the call began.
    pub(crate) hold: Hold,
}

type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl Outgoing {
    pub(crate) fn network(network: Network, context: &CallContext, deadline: Instant, limits: &Limits) -> Self {
        Self::open(Route::Network(network), context, deadline, limits)
    }

    pub(crate) fn tape(tape: Tape, context: &CallContext, deadline: Instant, limits: &Limits) -> Self {
        Self::open(Route::Tape(Mutex::new(tape)), context, deadline, limits)
    }

    fn open(route: Route, context: &CallContext, deadline: Instant, limits: &Limits) -> Self {
        Self(Some(Arc::new(Exit {
            route,
            context: context.clone(),
            deadline,
            request_bytes_max: limits.request_bytes_max,
            response_bytes_max: limits.response_bytes_max,
            unsafe_requests: AtomicU32::new(0),
            denied: Mutex::new(None),
            done: Mutex::default(),
        })))
    }

    /// The first thing that was forbidden, if any was.
    pub(crate) fn denied(&self) -> Option<Denial> {
        let exit = self.0.as_ref()?;
        exit.denied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What kept the call from a connection, if anything did.
    pub(crate) fn held(&self) -> Option<Held> {
        let exit = self.0.as_ref()?;
        exit.done().held.clone()
    }

    /// What the call waits for, if that is all it does: no request is on its way.
    pub(crate) fn waits(&self) -> Option<String> {
        let exit = self.0.as_ref()?;
        let done = exit.done();
        (done.waiting > 0 && done.under_way == 0).then(|| done.waits_at.clone())
    }

    /// Requests that an example's tape holds and the guest did not send.
    pub(crate) fn tape_left(&self) -> usize {
        match self.0.as_deref() {
            Some(Exit { route: Route::Tape(tape), .. }) => tape.lock().unwrap_or_else(PoisonError::into_inner).left(),
            _ => 0,
        }
    }
}

impl WasiHttpHooks for Outgoing {
    fn p2_error_from_connect(&mut self, error: &std::io::Error) -> ErrorCode {
        tracing::debug!(%error, "no connection");
        ErrorCode::ConnectionRefused
    }

    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> ErrorCode {
        tracing::debug!(%error, "an answer broke off");
        ErrorCode::ConnectionTerminated
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let Some(exit) = self.0.clone() else { return Box::new(async { Err(Error::HttpRequestDenied) }) };
        // Counted here, not where the request is sent: the order in which a guest asks is its own.
        let key = exit.key_for(request.method(), request.headers());
        Box::new(async move {
            let timeout = options.and_then(|options| options.first_byte_timeout);
            let send = exit.send(request, key);
            match timeout {
                None => send.await,
                Some(timeout) => tokio::time::timeout(timeout, send).await.unwrap_or(Err(Error::ConnectionReadTimeout)),
            }
        })
    }
}

impl Exit {
    /// The idempotency key of a request, where it needs one.
    fn key_for(&self, method: &Method, headers: &HeaderMap) -> Option<String> {
        if method.is_safe() {
            return None;
        }
        let nth = self.unsafe_requests.fetch_add(1, Ordering::Relaxed) + 1;
        let key = &self.context.key;
        let own = headers.contains_key(IDEMPOTENCY_KEY) || key.is_empty();
        (!own).then(|| if nth == 1 { key.clone() } else { format!("{key}.{nth}") })
    }

    async fn send(&self, request: Request<WasiBody>, key: Option<String>) -> Result<Sent, Error> {
        let (parts, body) = request.into_parts();
        let body = self.collect(body).await?;
        let connection = parts.uri.host().and_then(|host| host.strip_suffix(SUFFIX)).unwrap_or_default();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let network = match &self.route {
            Route::Tape(tape) => return self.play(tape, &parts.method, connection, path, &body),
            Route::Network(network) => network,
        };
        let may = network.caller.may(&network.reach.now());
        let way = self.granted(&may, &network.caller, &parts.method, &parts.uri, connection)?;
        let target = &way.target;
        let mut request = Request::new(Full::new(body));
        *request.uri_mut() = target.uri(path).map_err(|_| Error::HttpRequestUriInvalid)?;
        *request.headers_mut() = self.headers(parts.headers, target, key.as_deref())?;
        *request.method_mut() = parts.method;
        let turns = self.turns(way, connection).await;
        let now = Instant::now();
        if now >= self.deadline || !network.hold.holds(now) {
            return Err(Error::ConnectionTimeout);
        }
        let probing = self.admitted(&network.gates, connection)?;
        let sent = {
            let _under_way = self.counted(|done| &mut done.under_way);
            network.client.send(request, target.allow_private).await
        };
        if let Some(probe) = probing {
            let (well, message) = judged(&sent);
            probe.came_to(well, message);
        }
        let response = sent.map_err(|error| self.explain(&error))?;
        let limit = self.response_bytes_max;
        if response.body().size_hint().lower() > limit as u64 {
            return Err(Error::HttpResponseBodySize(Some(response.body().size_hint().lower())));
        }
        let response = response.map(|incoming| Capped { incoming, left: limit, limit, _turns: turns }.boxed_unsync());
        Ok((response, Box::new(async { Ok(()) })))
    }

    /// Waits until both the grant's and the connection's bounds have room.
    async fn turns(&self, way: &Way, connection: &str) -> [Turn; 2] {
        let bounds = [&way.throttle, &way.target.throttle];
        let waiting = self.counted(|done| &mut done.waiting);
        let mut turns = [Turn::default(), Turn::default()];
        for (turn, bound) in turns.iter_mut().zip(bounds) {
            self.done().waits_at = format!("a turn at the connection `{connection}`, which takes {}", bound.said());
            *turn = bound.turn(self.deadline).await;
        }
        drop(waiting);
        turns
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more until the guard is dropped.
    fn counted(&self, which: fn(&mut Done) -> &mut u32) -> Counted<'_> {
        *which(&mut self.done()) += 1;
        Counted { exit: self, which }
    }

    /// Lets a request pass if its connection is not paused, or if it is the one that is let through.
    fn admitted(&self, gates: &Arc<Gates>, connection: &str) -> Result<Option<Probe>, Error> {
        let mut done = self.done();
        // What was held back is to have done nothing: it will be called again from its beginning.
        if done.held.is_some() {
            return Err(Error::HttpRequestDenied);
        }
        let probing = match gates.of_connection(connection) {
            None => None,
            Some((key, gate)) if gate.admits() => Some(Probe::new(Arc::clone(gates), key)),
            Some((key, _)) => {
                let sent = done.sent;
                done.held = Some(Held { key, sent });
                return Err(Error::HttpRequestDenied);
            }
        };
        done.sent = true;
        Ok(probing)
    }

    /// The way to the connection, if this plugin may send this there.
    fn granted<'a>(
        &self,
        may: &'a May,
        caller: &Caller,
        method: &Method,
        uri: &Uri,
        connection: &str,
    ) -> Result<&'a Way, Error> {
        let Caller { name, version, namespace, .. } = caller;
        if connection.is_empty() {
            let host = uri.host().unwrap_or_default();
            return Err(self.deny(format!(
                "the plugin `{name}` may not reach `{host}`: it must ask for `http://<connection>{SUFFIX}/`"
            )));
        }
        let Some(way) = may.way(connection) else {
            return Err(self.deny(format!(
                "the plugin `{name}` has no grant for the connection `{connection}` in the namespace `{namespace}`: \
                 an administrator grants it to {name}@{version} on the page of connections, or with \
                 `PUT /api/v1/grants/{name}/{connection}?namespace={namespace}`"
            )));
        };
        if !way.allows(method) {
            let whose = if way.target.allows(method) { "grant of the connection" } else { "connection" };
            return Err(self.deny(format!("the {whose} `{connection}` does not allow {method}")));
        }
        if climbs(uri.path()) {
            return Err(self.deny(format!("`{}` leaves the path of the connection `{connection}`", uri.path())));
        }
        if !way.leads_to(uri.path()) {
            return Err(
                self.deny(format!("the grant of the connection `{connection}` does not lead to `{}`", uri.path()))
            );
        }
        if let Some(secret) = &way.target.lacks {
            return Err(self.lacks(secret));
        }
        Ok(way)
    }

    fn lacks(&self, secret: &str) -> Error {
        self.deny_as("SECRET_UNKNOWN", format!("the connection has no secret `{secret}`"))
    }

    /// The guest's headers, with secrets put in, under what host and connection set.
    fn headers(&self, guest: HeaderMap, target: &Target, key: Option<&str>) -> Result<HeaderMap, Error> {
        let mut headers = guest;
        // Both are made anew for the real target and the collected body.
        headers.remove(HOST);
        headers.remove(CONTENT_LENGTH);
        // What these say, the host says: a guest must not speak for another step.
        let ours: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(OURS)).cloned().collect();
        for name in ours {
            headers.remove(name);
        }
        for value in headers.values_mut() {
            if let Some(text) = value.to_str().ok().filter(|text| text.contains(PLACEHOLDER)) {
                *value = self.with_secrets(text, target)?;
            }
        }
        let context = &self.context;
        for (name, value) in [
            (IDEMPOTENCY_KEY, key),
            (TRACEPARENT, context.traceparent.as_deref()),
            (BUSINESS_KEY, context.business_key.as_deref()),
            (FORWARD_KEY, context.forward_key.as_deref()),
        ] {
            // A business key is a caller's text; one that no header can carry is left out.
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
        for (name, value) in &target.headers {
            headers.insert(name, value.clone());
        }
        Ok(headers)
    }

    fn with_secrets(&self, text: &str, target: &Target) -> Result<HeaderValue, Error> {
        let filled = fill(text, &target.secrets).map_err(|missing| self.lacks(&missing))?;
        let mut value = HeaderValue::from_str(&filled.0).map_err(|_| Error::ConfigurationError)?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn collect(&self, body: WasiBody) -> Result<Bytes, Error> {
        match Limited::new(body, self.request_bytes_max).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(Error::HttpRequestBodySize(Some(self.request_bytes_max as u64)))
            }
            Err(error) => Err(error.downcast::<Error>().map_or(Error::HttpProtocolError, |error| *error)),
        }
    }

    fn play(
        &self,
        tape: &Mutex<Tape>,
        method: &Method,
        connection: &str,
        path: &str,
        body: &[u8],
    ) -> Result<Sent, Error> {
        let mut tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = tape.play(method, connection, path, body).map_err(|message| self.deny_as("TAPE", message))?;
        let mut response = Response::builder().status(answer.status);
        let mut bytes = Bytes::new();
        if let Some(body) = answer.body {
            response = response.header(CONTENT_TYPE, "application/json");
            bytes = body.to_string().into();
        }
        for (name, value) in answer.headers {
            response = response.header(name, value);
        }
        let body = Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
        let response = response.body(body).map_err(|error| self.deny_as("TAPE", error.to_string()))?;
        Ok((response, Box::new(async { Ok(()) })))
    }

    /// What a guest learns of a failure to send. The difference that counts to it: whether the
    /// request can have reached anyone.
    fn explain(&self, error: &hyper_util::client::legacy::Error) -> Error {
        if !error.is_connect() {
            return Error::ConnectionTerminated;
        }
        if let Some(prohibited) = prohibited(error) {
            self.deny(prohibited.to_string());
            return Error::DestinationIpProhibited;
        }
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(io) = cause.downcast_ref::<std::io::Error>() {
                return Error::Connect(std::io::Error::new(io.kind(), io.to_string()));
            }
            source = cause.source();
        }
        Error::ConnectionRefused
    }

    fn deny(&self, message: String) -> Error {
        self.deny_as("NOT_GRANTED", message)
    }

    fn deny_as(&self, code: &'static str, message: String) -> Error {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.get_or_insert(Denial { code, message });
        Error::HttpRequestDenied
    }
}

/// How a connection was found when it was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// None: there was no answer.
    pub status: Option<u16>,
    /// For people.
    pub message: String,
    pub duration_ms: u64,
}

/// The longest time to wait for an answer when a connection is tried.
const TRIED_WITHIN: Duration = Duration::from_secs(10);

/// Sends one request, bounds and pauses aside: somebody asked for just this one.
pub(crate) async fn try_out(client: &Client, target: &Target, method: &str, path: &str) -> Tried {
    let began = Instant::now();
    let (status, message) = match tried(client, target, method, path).await {
        Ok(status) => (Some(status.as_u16()), format!("it answered {status}")),
        Err(message) => (None, message),
    };
    Tried { status, message, duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) }
}

async fn tried(client: &Client, target: &Target, method: &str, path: &str) -> Result<StatusCode, String> {
    if let Some(secret) = &target.lacks {
        return Err(format!("the connection has no secret `{secret}`"));
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
    if !target.allows(&method) {
        return Err(format!("the connection does not allow {method}"));
    }
    if climbs(path) {
        return Err(format!("`{path}` leaves the path of the connection"));
    }
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = target.uri(path).map_err(|error| error.to_string())?;
    *request.method_mut() = method;
    *request.headers_mut() = target.headers.clone();
    match tokio::time::timeout(TRIED_WITHIN, client.send(request, target.allow_private)).await {
        Ok(Ok(response)) => Ok(response.status()),
        Ok(Err(error)) => Err(prohibited(&error).map_or_else(|| told(&error), ToString::to_string)),
        Err(_) => Err(format!("no answer within {TRIED_WITHIN:?}")),
    }
}

/// The refusal of an address, where that is what went wrong.
fn prohibited<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Prohibited> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        source = cause.source();
    }
    None
}

/// An error with what led to it.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// What an answer says of the other side. That it says no is its business; that it says so is a sign of life.
fn judged(sent: &Result<Response<Incoming>, hyper_util::client::legacy::Error>) -> (bool, String) {
    match sent {
        Ok(response) => {
            let status = response.status();
            let well = !status.is_server_error() && status != http::StatusCode::TOO_MANY_REQUESTS;
            (well, format!("it answered {}", status.as_u16()))
        }
        Err(error) => (false, error.to_string()),
    }
}

/// Headers that begin so are the host's alone.
const OURS: &str = "stepwell-";

/// Counts a request while it is held.
struct Counted<'a> {
    exit: &'a Exit,
    which: fn(&mut Done) -> &mut u32,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut done = self.exit.done();
        let count = (self.which)(&mut done);
        *count = count.saturating_sub(1);
    }
}

/// Whether a path could end above its prefix, plainly or encoded.
fn climbs(path: &str) -> bool {
    let decoded = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    // Some servers cut `;parameters` off a segment before they look at it.
    decoded.split(['/', '\\']).any(|segment| segment.split([';', '%']).next() == Some(".."))
}

/// A response body that ends in an error where it grows too large.
struct Capped {
    incoming: Incoming,
    left: usize,
    limit: usize,
    /// Given back when the answer was read, or dropped.
    _turns: [Turn; 2],
}

impl Body for Capped {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = match std::task::ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            Some(Ok(frame)) => frame,
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            None => Poll::Ready(Some(Err(Error::HttpResponseBodySize(Some(self.limit as u64))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::climbs;

    #[test]
    fn paths_stay_below_their_prefix() {
        for (path, expected) in [
            ("/a/b", false),
            ("/a..b/...", false),
            ("/../admin", true),
            ("/a/%2E%2e/b", true),
            ("/a%2f..%2fb", true),
            ("/a\\..\\b", true),
            ("/a/..;/b", true),
            ("/a/..;x=1/b", true),
            ("/a/..%3bx/b", true),
            ("/a/..%20/b", true),
            ("/a/x;../b", false),
        ] {
            assert_eq!(climbs(path), expected, "{path}");
        }
    }
}
