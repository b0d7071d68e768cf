//! `/api/v1/session`: a browser's way in and out, and one's own password. `/api/v1/setup`: the first administrator.
//!
//! Invariants:
//! - A name that nobody has is answered as a wrong password is, after the same work.
//! - Whoever logs in sends `Stepwell-Csrf`: a foreign page can log nobody in as somebody else.
//! - A log-in that failed leaves no row: anyone may try, and must not fill the disk.

use std::net::IpAddr;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_store::{Act, Bought, NewUser, Role, Roles, UserAdded, UserChanged};

use super::auth::{COOKIE, CSRF_HEADER, SESSION_MS};
use super::caller::{Caller, ENGINE_TOKEN, Kind};
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::users::{RoleGiven, change, name_fits, shown};
use super::{App, body, passwords};

/// Where a request comes from, as far as the connection tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub IpAddr);

/// A name and a password; or the engine's own token.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogIn {
    name: Option<String>,
    password: Option<String>,
    /// The engine's own token; others buy no session.
    token: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    /// A user's name, or `token:` and a token's name.
    user: String,
    /// `user`, `token`, or `engine`: the engine's own token.
    kind: &'static str,
    roles: Vec<RoleGiven>,
    /// A password of one's own must be chosen before anything else.
    must_change: bool,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnPassword {
    /// The one of now.
    current: String,
    /// At least 12 characters.
    password: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FirstAdmin {
    /// What the printed link carries.
    link: String,
    name: String,
    /// At least 12 characters.
    password: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Setup {
    /// Somebody administers this engine; nobody can be made the first any more.
    administered: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Link {
    /// To be opened as `/?setup=<link>`.
    link: String,
}

fn of(caller: &Caller) -> Session {
    let kind = match caller.kind {
        Kind::Engine => "engine",
        Kind::User { .. } => "user",
        Kind::Token { .. } => "token",
    };
    Session { user: caller.user.clone(), kind, roles: shown(caller.reach.roles()), must_change: caller.must_change() }
}

/// Log in
///
/// By name and password. Five tries, then one every 30 s, for each name and address.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = LogIn, security(()),
    params(("Stepwell-Csrf" = String, Header, description = "Anything")),
    responses((status = 200, body = Session, description = "Logged in; the cookie is set"),
              (status = 403, body = RefusalBody, description = "Without `Stepwell-Csrf`"),
              (status = 401, body = RefusalBody, description = "Name and password do not fit"),
              (status = 429, body = RefusalBody, description = "Too many tries; see Retry-After")))]
pub(super) async fn log_in(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body::Json(asked): body::Json<LogIn>,
) -> Answer<Response> {
    if !headers.contains_key(CSRF_HEADER) {
        return Err(Refusal::new(Code::CsrfMissing));
    }
    // Without an address all count as one.
    let address = peer.map_or(IpAddr::from([0; 4]), |peer| peer.0.0);
    match asked {
        LogIn { token: Some(token), name: None, password: None } => {
            slowed(&app, ENGINE_TOKEN, address)?;
            if !app.auth.is_engine_token(&token) {
                return Err(Refusal::say(Code::Unauthenticated, "the token is not valid"));
            }
            app.auth.tries.give_back(ENGINE_TOKEN, address);
            begin(&app, Caller::engine(), Bought::ByToken).await
        }
        LogIn { token: None, name: Some(name), password: Some(password) } => {
            let name = name.trim().to_lowercase();
            slowed(&app, &name, address)?;
            let (caller, kept) = known(&app, &name, password).await?;
            app.auth.tries.give_back(&name, address);
            begin(&app, caller, Bought::ByPassword { name, password: kept }).await
        }
        _ => {
            let problem = Problem::error("LOGIN", "", "send name and password, or token");
            Err(Refusal::with(Code::BodyInvalid, vec![problem]))
        }
    }
}

fn slowed(app: &App, name: &str, address: IpAddr) -> Answer<()> {
    let wait_ms = match app.auth.tries.take(name, address, app.clock.now_ms()) {
        Ok(()) => return Ok(()),
        Err(wait_ms) => wait_ms,
    };
    let mut refusal = Refusal::new(Code::TooManyTries);
    refusal.retry_after_s = wait_ms.div_ceil(1000);
    Err(refusal)
}

/// The user of this name and password, and the hash it was compared with.
async fn known(app: &App, name: &str, password: String) -> Answer<(Caller, String)> {
    let kept = if name_fits(name) { app.engine.journal().password(name).await? } else { None };
    let fits = app.auth.passwords.matches(password, kept.as_deref()).await?;
    if !fits {
        return Err(Refusal::new(Code::LoginFailed));
    }
    let mut caller = app.auth.book.user(name).await?;
    if caller.is_none() {
        // Made at another engine a moment ago; or disabled.
        app.auth.book.refresh().await?;
        caller = app.auth.book.user(name).await?;
    }
    caller.zip(kept).ok_or_else(|| Refusal::new(Code::LoginFailed))
}

/// Begins a session, and has the browser keep it.
async fn begin(app: &App, caller: Caller, bought: Bought) -> Answer<Response> {
    let now_ms = app.clock.now_ms();
    let (cookie, digest) = app.auth.new_session(bought == Bought::ByToken);
    let act = Act { by: caller.user.clone(), at_ms: now_ms };
    let digest = hex::encode(digest);
    if !app.engine.journal().begin_session(act, &digest, bought, now_ms + SESSION_MS).await? {
        return Err(Refusal::new(Code::LoginFailed));
    }
    let mut response = Json(of(&caller)).into_response();
    set_cookie(app, &mut response, &cookie, SESSION_MS / 1000)?;
    Ok(response)
}

fn set_cookie(app: &App, response: &mut Response, value: &str, seconds: u64) -> Answer<()> {
    let secure = if app.config.secure_cookies { "; Secure" } else { "" };
    let line = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let line = HeaderValue::from_str(&line).map_err(|_| Refusal::new(Code::Internal))?;
    response.headers_mut().insert(header::SET_COOKIE, line);
    Ok(())
}

/// Who am I, and what may I do
#[utoipa::path(get, path = "/api/v1/session", tag = "session",
    responses((status = 200, body = Session, description = "The caller")))]
pub(super) async fn show(Extension(caller): Extension<Caller>) -> Json<Session> {
    Json(of(&caller))
}

/// Log out
#[utoipa::path(delete, path = "/api/v1/session", tag = "session",
    responses((status = 204, description = "Logged out")))]
pub(super) async fn log_out(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Answer<Response> {
    if let Some(digest) = app.auth.session(&headers) {
        let act = Act { by: caller.user, at_ms: app.clock.now_ms() };
        change(&app, |store| async move { store.end_session(act, &hex::encode(digest)).await }).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&app, &mut response, "", 0)?;
    Ok(response)
}

/// Choose another password
///
/// Ends every session of the user, and begins a new one for this browser.
#[utoipa::path(put, path = "/api/v1/session/password", tag = "session", request_body = OwnPassword,
    responses((status = 200, body = Session, description = "Changed; the cookie is set anew"),
              (status = 401, body = RefusalBody, description = "The password of now is another one"),
              (status = 403, body = RefusalBody, description = "Not a user"), (status = 422, body = RefusalBody),
              (status = 429, body = RefusalBody)))]
pub(super) async fn set_password(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    peer: Option<Extension<Peer>>,
    body::Json(asked): body::Json<OwnPassword>,
) -> Answer<Response> {
    if !matches!(caller.kind, Kind::User { .. }) {
        return Err(Refusal::say(Code::Forbidden, "only a user who is logged in has a password"));
    }
    let mut problems = Vec::new();
    passwords::check(&asked.password, "/password", &mut problems);
    if asked.password == asked.current {
        problems.push(Problem::error("PASSWORD_SAME", "/password", "it is the one of now"));
    }
    if !problems.is_empty() {
        return Err(Refusal::with(Code::BodyInvalid, problems));
    }
    let address = peer.map_or(IpAddr::from([0; 4]), |peer| peer.0.0);
    slowed(&app, &caller.user, address)?;
    known(&app, &caller.user, asked.current).await?;
    app.auth.tries.give_back(&caller.user, address);
    let hash = app.auth.passwords.hash(asked.password).await?;
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let (name, kept) = (caller.user.clone(), hash.clone());
    let done = change(&app, |store| async move { store.set_password(act, &name, kept, false).await }).await?;
    if done != UserChanged::Done {
        return Err(Refusal::new(Code::LoginFailed));
    }
    let bought = Bought::ByPassword { name: caller.user.clone(), password: hash };
    begin(&app, Caller { kind: Kind::User { must_change: false }, ..caller }, bought).await
}

/// Tell whether somebody administers this engine
#[utoipa::path(get, path = "/api/v1/setup", tag = "session", security(()),
    responses((status = 200, body = Setup)))]
pub(super) async fn setup(State(app): State<App>) -> Answer<Json<Setup>> {
    Ok(Json(Setup { administered: app.auth.book.is_administered().await? }))
}

/// Become the first administrator
///
/// By the link that the engine prints at its start as long as nobody administers it. It works once.
#[utoipa::path(post, path = "/api/v1/setup", tag = "session", request_body = FirstAdmin, security(()),
    responses((status = 200, body = Session, description = "Made, and logged in; the cookie is set"),
              (status = 401, body = RefusalBody, description = "The link is not, or no longer, good"),
              (status = 409, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn first_admin(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    body::Json(asked): body::Json<FirstAdmin>,
) -> Answer<Response> {
    let address = peer.map_or(IpAddr::from([0; 4]), |peer| peer.0.0);
    slowed(&app, "link:", address)?;
    if app.auth.book.is_administered().await? {
        return Err(Refusal::new(Code::Administered));
    }
    if !app.auth.is_link(&asked.link) {
        return Err(Refusal::say(
            Code::Unauthenticated,
            "the link is not good any more; start the engine again, or ask it for another",
        ));
    }
    app.auth.tries.give_back("link:", address);
    let mut problems = super::users::check_name(&asked.name, "/name");
    passwords::check(&asked.password, "/password", &mut problems);
    if !problems.is_empty() {
        return Err(Refusal::with(Code::BodyInvalid, problems));
    }
    let password = app.auth.passwords.hash(asked.password).await?;
    let user =
        NewUser { name: asked.name.clone(), password: password.clone(), must_change: false, roles: Roles::new() };
    let now_ms = app.clock.now_ms();
    match change(&app, |store| async move { store.add_first_admin(now_ms, user).await }).await? {
        UserAdded::Added => app.auth.spend_link(),
        UserAdded::Exists => return Err(Refusal::new(Code::UserExists)),
        UserAdded::NotFirst | UserAdded::Full => {
            app.auth.spend_link();
            return Err(Refusal::new(Code::Administered));
        }
    }
    let found = app.auth.book.user(&asked.name).await?;
    let caller = found.filter(|caller| caller.reach.everywhere() == Some(Role::Admin));
    let caller = caller.ok_or_else(|| Refusal::new(Code::LoginFailed))?;
    begin(&app, caller, Bought::ByPassword { name: asked.name, password }).await
}

/// Make a link for the first administrator
///
/// In place of the one that was printed; as long as nobody administers this engine.
#[utoipa::path(post, path = "/api/v1/setup/link", tag = "session",
    responses((status = 200, body = Link), (status = 409, body = RefusalBody)))]
pub(super) async fn new_link(State(app): State<App>, Extension(caller): Extension<Caller>) -> Answer<Json<Link>> {
    if app.auth.book.is_administered().await? {
        return Err(Refusal::new(Code::Administered));
    }
    let act = Act { by: caller.user, at_ms: app.clock.now_ms() };
    app.engine.journal().audit(act, "setup.link", "setup", serde_json::Value::Null).await?;
    Ok(Json(Link { link: app.auth.new_link() }))
}
