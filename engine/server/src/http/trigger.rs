//! `POST /t/{path}`: a flow's own door. Each path says who may ask there, whether a request starts an
//! instance or is a message, and what makes two requests the same.
//!
//! Invariants:
//! - A signed path is verified over the body as it came, before any of it is understood.
//! - What costs most comes last: headers and time, then the body up to its limit, then one hash per
//!   secret, then JSON.
//! - A refused signature is audited without the body, and at most once a minute for each path and reason.
//!
//! Not here: whether a signature fits (`signature`); how an instance is started (`start`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use stepwell_core::bind::Route;
use stepwell_core::expr::{Expr, Root, Scope};
use stepwell_core::flow::trigger::{Dedupe, Signed, Trigger, TriggerAuth, TriggerMessage};
use stepwell_core::machine::{MESSAGE_KEY_BYTES_MAX, fits_message};
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock as _;
use stepwell_runtime::journal::{Idempotency, Message, Posted};
use stepwell_store::{Act, Role};

use super::App;
use super::body;
use super::caller::Caller;
use super::choose::Wish;
use super::extract::Path;
use super::messages::{ID_BYTES_MAX, TTL_MS};
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::routes;
use super::signature::{self, Claim, Unsigned};
use super::start::{self, Start, StartedBody};
use crate::table::{Known, TriggerSpec, Way};

/// Who asks by an open path.
const ANYONE: &str = "anyone";
/// Between two audit rows about the same path and reason; what comes between is counted.
const AUDITED_EVERY_MS: u64 = 60_000;

/// Start an instance, or post a message, by a trigger's path
#[utoipa::path(post, path = "/t/{path}", tag = "flows",
    params(("path" = String, Path, description = "A trigger's or route's path, or a flow's key")),
    request_body(content = Value, description = "The bare input, or the message's payload"),
    responses((status = 200, body = Value, description = "The bare output"),
              (status = 202, body = StartedBody, description = "It goes on; see Location. Of a message: its id"),
              (status = 401, body = RefusalBody), (status = 404, body = RefusalBody),
              (status = 409, body = RefusalBody), (status = 422, body = RefusalBody),
              (status = 429, body = RefusalBody), (status = 503, body = RefusalBody)))]
pub(super) async fn take(
    State(app): State<App>,
    Path(path): Path<String>,
    method: http::Method,
    headers: HeaderMap,
    request: axum::extract::Request,
) -> Answer<Response> {
    let way = app.library.table().way(&path);
    let spec = way.as_ref().map(Way::spec);
    let signed = spec.is_some_and(|spec| spec.signed);
    let (by, caller) = asking(&app, &path, spec, &method, &headers).await?;
    let way = way.ok_or_else(|| Refusal::new(Code::TriggerNotFound))?;
    match (&caller, &way) {
        (Some(caller), Way::Flow(known, _)) => may_start(caller, Some(&known.key))?,
        (Some(caller), Way::Route(_)) => may_start(caller, None)?,
        (None, _) => {}
    }
    let wait = Some(Duration::from_millis(way.spec().wait_ms));
    let flow = match &way {
        // What is said there is said by the newest version, whichever is started.
        Way::Flow(known, _) => Some(app.engine.flow(&known.key, known.newest).await?),
        Way::Route(_) => None,
    };
    let trigger = flow.as_ref().and_then(|flow| flow.triggers.iter().find(|trigger| trigger.path == path));
    let signed = match trigger.map(|trigger| &trigger.auth) {
        Some(TriggerAuth::Signed(signed)) => Some(&**signed),
        _ if signed => return Err(Refusal::new(Code::Internal)),
        _ => None,
    };
    let (bytes, claim) = match signed {
        Some(signed) => verified(&app, &path, signed, &headers, request).await?,
        None => (body::read(request.into_body(), app.config.body_bytes_max).await?, None),
    };
    let input = if bytes.is_empty() { Value::Null } else { body::parse(&bytes)? };
    let delivery = delivery(trigger, claim, &headers, &input)?;
    if let Some((trigger, message)) = trigger.and_then(|trigger| Some((trigger, trigger.message.as_ref()?))) {
        return post(&app, message, trigger.answer.as_ref(), delivery, input, &by).await;
    }
    let idempotency = match delivery {
        // The id says that it is the same, whatever else the sender changed in between.
        Some(id) => Some(Idempotency { key: format!("/t/{path} {id}"), request: String::new() }),
        None => start::idempotency(&headers, &bytes)?,
    };
    let (known, wish, input) = match way {
        Way::Flow(known, _) => (known, Wish::Any, input),
        Way::Route(route) => led(&app, &path, &route, input, &by, caller.as_ref()).await?,
    };
    let redeliver = trigger.is_some_and(|trigger| trigger.redeliver);
    let start = Start {
        known,
        wish,
        input,
        input_at: "",
        business_key: None,
        priority: None,
        wait,
        by,
        idempotency,
        redeliver,
    };
    let ended = start.run(&app, &headers).await?;
    if redeliver && ended.goes_on() {
        return Err(Refusal::new(Code::NotDoneYet).and("id", &*ended.id));
    }
    ended.bare()
}

/// Where a route leads, if the caller may start that.
async fn led(
    app: &App,
    path: &str,
    route: &Route,
    input: Value,
    by: &str,
    caller: Option<&Caller>,
) -> Answer<(Arc<Known>, Wish, Value)> {
    body::not_too_deep(&input, "")?;
    let (known, wish, input) = routes::lead(app, path, route, input, by).await?;
    if let Some(caller) = caller {
        may_start(caller, Some(&known.key))?;
    }
    Ok((known, wish, input))
}

/// Who asks, and, where not anyone may, who must have a role for it.
async fn asking(
    app: &App,
    path: &str,
    spec: Option<TriggerSpec>,
    method: &http::Method,
    headers: &HeaderMap,
) -> Answer<(Arc<str>, Option<Caller>)> {
    if spec.is_some_and(|spec| spec.signed) {
        return Ok((format!("trigger:{path}").into(), None));
    }
    let open = spec.is_some_and(|spec| spec.open);
    match app.auth.caller(method, headers, app.clock.now_ms()).await {
        Ok(caller) => Ok((caller.user.as_str().into(), (!open).then_some(caller))),
        Err(_) if open => Ok((ANYONE.into(), None)),
        // Who may not ask is not told which paths there are.
        Err(refusal) => Err(refusal),
    }
}

/// A path of a flow in somebody else's namespaces is not there. Before it is known which flow, any will do.
fn may_start(caller: &Caller, flow: Option<&str>) -> Answer<()> {
    if caller.must_change() {
        return Err(Refusal::new(Code::PasswordMustChange));
    }
    match flow {
        Some(flow) => caller.needs(Role::Operator, flow, || Refusal::new(Code::TriggerNotFound)),
        None => caller.needs_somewhere(Role::Operator),
    }
}

/// What an expression of the flow makes of a body: a text, or nothing.
fn text_of(expression: &Expr, input: &Value) -> Result<Option<String>, String> {
    let scope = Scope { roots: &[("input", Root::Value(input))] };
    match expression.eval(&scope) {
        Ok(Value::String(text)) => Ok(Some(text)),
        Ok(Value::Number(number)) => Ok(Some(number.to_string())),
        Ok(Value::Null) => Ok(None),
        Ok(other) => Err(format!("the flow makes no text of it: {other}")),
        Err(error) => Err(error.message),
    }
}

/// The body of a request whose signature holds, and what it said of itself.
async fn verified(
    app: &App,
    path: &str,
    signed: &Signed,
    headers: &HeaderMap,
    request: axum::extract::Request,
) -> Answer<(bytes::Bytes, Option<Claim>)> {
    let claim = match signature::announced(signed, headers, app.clock.now_ms()) {
        Ok(claim) => claim,
        Err(Unsigned::Missing(name)) => {
            let refusal = Refusal::say(Code::SignatureMissing, format!("{name} is missing or cannot be read"));
            return Err(note(app, path, refusal).await);
        }
        Err(Unsigned::Expired) => return Err(note(app, path, Refusal::new(Code::SignatureExpired)).await),
    };
    let secrets = app.granting.secrets(&signed.connection, &signed.secrets);
    let keys: Vec<_> = secrets.iter().filter_map(|secret| signature::key(&signed.scheme, &secret.0)).collect();
    if keys.is_empty() {
        return Err(note(app, path, Refusal::new(Code::TriggerNotReady)).await);
    }
    let bytes = body::read(request.into_body(), app.config.body_bytes_max).await?;
    if claim.holds(&keys, &bytes) {
        Ok((bytes, Some(claim)))
    } else {
        Err(note(app, path, Refusal::new(Code::SignatureInvalid)).await)
    }
}

/// What makes this request the same as another: the sender's id for it.
fn delivery(
    trigger: Option<&Trigger>,
    claim: Option<Claim>,
    headers: &HeaderMap,
    input: &Value,
) -> Answer<Option<String>> {
    let Some(trigger) = trigger else { return Ok(None) };
    let own = trigger.message.as_ref().and_then(|message| message.id.as_ref());
    let (what, id) = match (own, &trigger.dedupe) {
        (Some(id), _) => ("id", text_of(id, input)),
        (None, Some(Dedupe::By(id))) => ("dedupe", text_of(id, input)),
        (None, Some(Dedupe::Header(name))) => {
            let value = headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            (name.as_str(), Ok(value))
        }
        (None, None) => return Ok(claim.and_then(|claim| claim.id)),
    };
    match id {
        Ok(Some(id)) if fits_message(&id, ID_BYTES_MAX) => Ok(Some(id)),
        Ok(_) => Err(not_a_delivery(&format!("{what}: 1 to {ID_BYTES_MAX} bytes are asked for"))),
        Err(message) => Err(not_a_delivery(&format!("{what}: {message}"))),
    }
}

fn not_a_delivery(message: &str) -> Refusal {
    Refusal::with(Code::InputInvalid, vec![Problem::error("DELIVERY", "", message)])
}

/// Posts the message that a request is. The same delivery is answered alike each time.
async fn post(
    app: &App,
    message: &TriggerMessage,
    answer: Option<&Value>,
    delivery: Option<String>,
    input: Value,
    by: &str,
) -> Answer<Response> {
    body::not_too_deep(&input, "")?;
    let key = match text_of(&message.key, &input) {
        Ok(Some(key)) if fits_message(&key, MESSAGE_KEY_BYTES_MAX) => key,
        Ok(_) => return Err(not_a_delivery(&format!("key: 1 to {MESSAGE_KEY_BYTES_MAX} bytes are asked for"))),
        Err(problem) => return Err(not_a_delivery(&format!("key: {problem}"))),
    };
    let id = delivery.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let posted = Message {
        name: message.name.as_str().into(),
        key,
        id: id.clone(),
        payload: Arc::new(input),
        at_ms: app.clock.now_ms(),
        ttl_ms: message.ttl_ms.unwrap_or(TTL_MS),
        by: by.to_owned(),
    };
    if app.engine.post(posted).await? == Posted::Full {
        return Err(Refusal::say(Code::QueueFull, "nobody takes the messages of this name and key"));
    }
    Ok(match answer {
        None => (StatusCode::ACCEPTED, axum::Json(json!({ "id": id }))).into_response(),
        Some(Value::String(text)) => text.clone().into_response(),
        Some(answer) => {
            let mut response = answer.to_string().into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
    })
}

/// Refused requests of signed paths since they were last audited, by path and code.
#[derive(Debug, Default)]
pub(crate) struct Unverified(Mutex<HashMap<(String, &'static str), Since>>);

#[derive(Debug, Clone, Copy, Default)]
struct Since {
    audited_ms: u64,
    more: u64,
}

impl Unverified {
    /// How many came since the last row, where a row is due now. Paths are those of flows, so they are few.
    fn count(&self, path: &str, code: &'static str, now_ms: u64) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = all.entry((path.to_owned(), code)).or_default();
        if since.audited_ms != 0 && now_ms < since.audited_ms.saturating_add(AUDITED_EVERY_MS) {
            since.more += 1;
            return None;
        }
        let more = since.more;
        *since = Since { audited_ms: now_ms, more: 0 };
        Some(more)
    }
}

/// Keeps a row about a refused request, now and then.
async fn note(app: &App, path: &str, refusal: Refusal) -> Refusal {
    let now_ms = app.clock.now_ms();
    let code = refusal.code.text();
    if let Some(more) = app.unverified.count(path, code, now_ms) {
        tracing::warn!(path, code, more, "a signed path refused a request");
        let act = Act { by: ANYONE.to_owned(), at_ms: now_ms };
        let kept = app.engine.journal().audit(act, "trigger.refuse", path, json!({ "code": code, "more": more })).await;
        if let Err(error) = kept {
            tracing::warn!(%error, "a refused request was not audited");
        }
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_of_once_a_minute() {
        let unverified = Unverified::default();
        for (now_ms, path, code, told) in [
            (1, "a", "X", Some(0)),
            (2, "a", "X", None),
            (3, "a", "Y", Some(0)),
            (4, "b", "X", Some(0)),
            (60_000, "a", "X", None),
            (60_001, "a", "X", Some(2)),
            (60_002, "a", "X", None),
        ] {
            assert_eq!(unverified.count(path, code, now_ms), told, "{now_ms} {path} {code}");
        }
    }
}
