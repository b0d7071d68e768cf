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
//! - Bodies are bounded in both directions before they are held in memory.
//!
//! Not here: retrying (the engine retries the whole attempt), redirects (the guest sees them).

pub(crate) mod address;
pub(crate) mod client;
pub(crate) mod grants;
pub(crate) mod tape;

use std::error::Error as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use stepwell_runtime::lease::Hold;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use self::client::{Client, Prohibited};
use self::grants::{Reach, Target};
use self::tape::Tape;
use crate::call::CallContext;
use crate::limits::Limits;
use crate::pause::{Gates, Probe};

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
}

struct Exit {
    route: Route,
    /// Package name of the plugin, which grants are for.
    plugin: String,
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
    pub(crate) reach: Arc<Reach>,
    pub(crate) gates: Arc<Gates>,
    /// What the engine held when the call began.
    pub(crate) hold: Hold,
}

type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl Outgoing {
    pub(crate) fn network(
        network: Network,
        plugin: &str,
        context: &CallContext,
        deadline: Instant,
        limits: &Limits,
    ) -> Self {
        Self::open(Route::Network(network), plugin, context, deadline, limits)
    }

    pub(crate) fn tape(tape: Tape, plugin: &str, context: &CallContext, deadline: Instant, limits: &Limits) -> Self {
        Self::open(Route::Tape(Mutex::new(tape)), plugin, context, deadline, limits)
    }

    fn open(route: Route, plugin: &str, context: &CallContext, deadline: Instant, limits: &Limits) -> Self {
        Self(Some(Arc::new(Exit {
            route,
            plugin: plugin.to_owned(),
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
        exit.done.lock().unwrap_or_else(PoisonError::into_inner).held.clone()
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
        let target = self.granted(&network.reach, &parts.method, &parts.uri, connection)?;
        let mut request = Request::new(Full::new(body));
        *request.uri_mut() = Uri::builder()
            .scheme(target.scheme.clone())
            .authority(target.authority.clone())
            .path_and_query(format!("{}{path}", target.path_prefix))
            .build()
            .map_err(|_| Error::HttpRequestUriInvalid)?;
        *request.headers_mut() = self.headers(parts.headers, target, key.as_deref())?;
        *request.method_mut() = parts.method;
        let now = Instant::now();
        if now >= self.deadline || !network.hold.holds(now) {
            return Err(Error::ConnectionTimeout);
        }
        let probing = self.admitted(&network.gates, connection)?;
        let sent = network.client.send(request, target.allow_private).await;
        if let Some(probe) = probing {
            let (well, message) = judged(&sent);
            probe.came_to(well, message);
        }
        let response = sent.map_err(|error| self.explain(&error))?;
        let limit = self.response_bytes_max;
        if response.body().size_hint().lower() > limit as u64 {
            return Err(Error::HttpResponseBodySize(Some(response.body().size_hint().lower())));
        }
        let response = response.map(|incoming| Capped { incoming, left: limit, limit }.boxed_unsync());
        Ok((response, Box::new(async { Ok(()) })))
    }

    /// Lets a request pass if its connection is not paused, or if it is the one that is let through.
    fn admitted(&self, gates: &Arc<Gates>, connection: &str) -> Result<Option<Probe>, Error> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// The connection's target, if this plugin may send this there.
    fn granted<'a>(&self, reach: &'a Reach, method: &Method, uri: &Uri, connection: &str) -> Result<&'a Target, Error> {
        let plugin = &self.plugin;
        if connection.is_empty() {
            let host = uri.host().unwrap_or_default();
            return Err(self.deny(format!(
                "the plugin `{plugin}` may not reach `{host}`: it must ask for `http://<connection>{SUFFIX}/`"
            )));
        }
        let Some(target) = reach.target(plugin, connection) else {
            return Err(self.deny(format!("the plugin `{plugin}` has no grant for the connection `{connection}`")));
        };
        if !target.allows(method) {
            return Err(self.deny(format!("the connection `{connection}` does not allow {method}")));
        }
        if climbs(uri.path()) {
            return Err(self.deny(format!("`{}` leaves the path of the connection `{connection}`", uri.path())));
        }
        Ok(target)
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
            if let Some(text) = value.to_str().ok().filter(|text| text.contains(SECRET)) {
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
        let mut parts = text.split(SECRET);
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            let Some(secret) = target.secrets.get(name) else {
                return Err(self.deny_as("SECRET_UNKNOWN", format!("the connection has no secret `{name}`")));
            };
            filled.push_str(&secret.0);
            filled.push_str(rest);
        }
        let mut value = HeaderValue::from_str(&filled).map_err(|_| Error::ConfigurationError)?;
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
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(prohibited) = cause.downcast_ref::<Prohibited>() {
                self.deny(prohibited.to_string());
                return Error::DestinationIpProhibited;
            }
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

/// How a guest's header names a secret of the connection.
const SECRET: &str = "$secret:";

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
