//! `/api/v1/session`: a browser's way in and out.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_runtime::Clock;
use stepwell_store::Act;

use super::auth::{ADMIN, COOKIE, Caller, SESSION_MS};
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::{App, body};

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogIn {
    /// An API token, or the one of a login link.
    token: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Session {
    user: &'static str,
    roles: &'static [&'static str],
}

/// Log in
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = LogIn, security(()),
    responses((status = 200, body = Session, description = "Logged in; the cookie is set"),
              (status = 401, body = RefusalBody, description = "The token is not valid")))]
pub(super) async fn log_in(State(app): State<App>, body::Json(asked): body::Json<LogIn>) -> Answer<Response> {
    let now_ms = app.clock.now_ms();
    // A refused one leaves no row: anyone may try, and must not fill the disk. The row comes before the
    // login, so that a link is not used up when the row cannot be written.
    app.auth.admits(&asked.token)?;
    let act = Act { by: ADMIN.user.to_owned(), at_ms: now_ms };
    app.engine.journal().audit(act, "session.login", "session", Value::Null).await?;
    let cookie = app.auth.log_in(&asked.token, now_ms)?;
    let line = format!("{COOKIE}={cookie}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict", SESSION_MS / 1000);
    let line = HeaderValue::from_str(&line).map_err(|_| Refusal::new(Code::Internal))?;
    let mut response = Json(Session { user: "admin", roles: ADMIN.roles }).into_response();
    response.headers_mut().insert(header::SET_COOKIE, line);
    Ok(response)
}

/// Who am I
#[utoipa::path(get, path = "/api/v1/session", tag = "session",
    responses((status = 200, body = Session, description = "The caller")))]
pub(super) async fn show(Extension(caller): Extension<Caller>) -> Json<Session> {
    Json(Session { user: caller.user, roles: caller.roles })
}

/// Log out
#[utoipa::path(delete, path = "/api/v1/session", tag = "session",
    responses((status = 204, description = "Logged out")))]
pub(super) async fn log_out(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Answer<Response> {
    let now_ms = app.clock.now_ms();
    app.auth.log_out(&headers, now_ms);
    let act = Act { by: caller.user.to_owned(), at_ms: now_ms };
    app.engine.journal().audit(act, "session.logout", "session", Value::Null).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let line = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    if let Ok(line) = HeaderValue::from_str(&line) {
        response.headers_mut().insert(header::SET_COOKIE, line);
    }
    Ok(response)
}
