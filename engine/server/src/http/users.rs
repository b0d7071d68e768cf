//! `/api/v1/users`: who may log in, and what they may do where.
//!
//! Invariant: a change is in force at this engine before it is acknowledged, whoever asked for it and however long they
//! waited for the answer.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use stepwell_core::bind::NAMESPACE_DEFAULT;
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_runtime::journal::Unavailable;
use stepwell_store::{Act, EVERYWHERE, NewUser, Role, Roles, Store, USERS_MAX, User, UserAdded, UserChanged};

use super::caller::Caller;
use super::extract::Path;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, body, passwords};

const NAME_BYTES_MAX: usize = 64;
/// Roles of one user or token; each is a namespace.
const ROLES_MAX: usize = 100;
/// Stand in the audit for what is no user.
const RESERVED: [&str; 5] = ["anyone", "engine", "probe", "system", "bootstrap"];

/// A role in a namespace.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleGiven {
    /// `*`: in all of them.
    namespace: String,
    /// `viewer`, `operator`, `designer` or `admin`; each may do what those before it may.
    #[schema(value_type = String)]
    role: Role,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserItem {
    name: String,
    disabled: bool,
    /// They choose a password of their own at their next log-in.
    must_change: bool,
    roles: Vec<RoleGiven>,
    created_at: String,
    created_by: String,
    /// When a session of theirs was used last, some minutes more or less, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_at: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct UserList {
    /// By name.
    items: Vec<UserItem>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct AddUser {
    /// Small letters, digits, `.`, `_`, `-` and `@`.
    name: String,
    /// At least 12 characters.
    password: String,
    #[serde(default)]
    roles: Vec<RoleGiven>,
    /// They choose their own at their first log-in: true unless given.
    #[serde(default = "yes")]
    must_change: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetRoles {
    roles: Vec<RoleGiven>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SetPassword {
    /// At least 12 characters.
    password: String,
    /// They choose their own at their next log-in: true unless given.
    #[serde(default = "yes")]
    must_change: bool,
}

pub(super) fn shown(roles: &Roles) -> Vec<RoleGiven> {
    roles.iter().map(|(namespace, role)| RoleGiven { namespace: namespace.clone(), role: *role }).collect()
}

fn item(user: User) -> UserItem {
    UserItem {
        roles: shown(&user.roles),
        name: user.name,
        disabled: user.disabled,
        must_change: user.must_change,
        created_at: rfc3339(user.created_ms),
        created_by: user.created_by,
        seen_at: user.seen_ms.map(rfc3339),
    }
}

/// Could there be a user of this name?
pub(super) fn name_fits(name: &str) -> bool {
    let letters = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"._-@".contains(&letter);
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(letters)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !RESERVED.contains(&name)
}

pub(super) fn check_name(name: &str, at: &str) -> Vec<Problem> {
    if name_fits(name) {
        return Vec::new();
    }
    let message =
        format!("small letters, digits, `.`, `_`, `-` and `@`, at most {NAME_BYTES_MAX}, a letter or digit first");
    let mut problem = Problem::error("NAME", at, message);
    if RESERVED.contains(&name) {
        problem = Problem::error("NAME", at, format!("`{name}` stands for something else"));
    }
    vec![problem]
}

/// Could flows have this namespace?
fn namespace_fits(name: &str) -> bool {
    let letters = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_-".contains(&letter);
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(letters)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

/// Roles as they are kept.
pub(super) fn roles(given: &[RoleGiven], problems: &mut Vec<Problem>) -> Roles {
    let mut roles = Roles::new();
    if given.len() > ROLES_MAX {
        problems.push(Problem::error("TOO_MANY", "/roles", format!("at most {ROLES_MAX} roles")));
    }
    for (place, one) in given.iter().enumerate() {
        let at = format!("/roles/{place}/namespace");
        if one.namespace != EVERYWHERE && !namespace_fits(&one.namespace) {
            let message = format!(
                "`{}` is no namespace: `*`, `{NAMESPACE_DEFAULT}`, or what a flow's key has before its first `.`",
                one.namespace
            );
            problems.push(Problem::error("NAMESPACE", at, message));
        } else if roles.insert(one.namespace.clone(), one.role).is_some() {
            problems.push(Problem::error("NAMESPACE", at, "the namespace stands here twice"));
        }
    }
    roles
}

/// Changes who may do what, and has it in force here. Goes on to its end though nobody waits for it any more.
pub(super) async fn change<T, F>(app: &App, work: impl FnOnce(Store) -> F) -> Answer<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Unavailable>> + Send + 'static,
{
    let working = work(app.engine.journal().clone());
    let app = app.clone();
    let done = tokio::spawn(async move {
        let done = working.await;
        // Also where it is not known whether it was done.
        let read = app.auth.book.refresh().await;
        done.and_then(|done| read.map(|()| done))
    });
    Ok(done.await.map_err(|_| Refusal::new(Code::Internal))??)
}

fn outcome(changed: UserChanged, name: &str) -> Answer<()> {
    match changed {
        UserChanged::Done => Ok(()),
        UserChanged::Unknown => Err(missing(name)),
        UserChanged::LastAdmin => Err(Refusal::new(Code::LastAdmin)),
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::say(Code::UserNotFound, format!("no user {name}"))
}

async fn find(app: &App, name: &str) -> Answer<Json<UserItem>> {
    let users = app.engine.journal().directory().await?.users;
    users.into_iter().find(|user| user.name == name).map(|user| Json(item(user))).ok_or_else(|| missing(name))
}

fn act(app: &App, caller: Caller) -> Act {
    Act { by: caller.user, at_ms: app.clock.now_ms() }
}

/// List users
#[utoipa::path(get, path = "/api/v1/users", tag = "users", responses((status = 200, body = UserList)))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<UserList>> {
    let users = app.engine.journal().directory().await?.users;
    Ok(Json(UserList { items: users.into_iter().map(item).collect() }))
}

/// Show a user
#[utoipa::path(get, path = "/api/v1/users/{name}", tag = "users", params(("name" = String, Path)),
    responses((status = 200, body = UserItem), (status = 404, body = RefusalBody)))]
pub(super) async fn show(State(app): State<App>, Path(name): Path<String>) -> Answer<Json<UserItem>> {
    find(&app, &name).await
}

/// Make a user
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = AddUser,
    responses((status = 201, body = UserItem), (status = 409, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn add(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<AddUser>,
) -> Answer<Response> {
    let mut problems = check_name(&asked.name, "/name");
    passwords::check(&asked.password, "/password", &mut problems);
    let roles = roles(&asked.roles, &mut problems);
    if !problems.is_empty() {
        return Err(Refusal::with(Code::BodyInvalid, problems));
    }
    let password = app.auth.passwords.hash(asked.password).await?;
    let user = NewUser { name: asked.name.clone(), password, must_change: asked.must_change, roles };
    let act = act(&app, caller);
    match change(&app, |store| async move { store.add_user(act, user).await }).await? {
        UserAdded::Added => Ok((StatusCode::CREATED, find(&app, &asked.name).await?).into_response()),
        UserAdded::Exists | UserAdded::NotFirst => Err(Refusal::new(Code::UserExists)),
        UserAdded::Full => {
            let problem = Problem::error("TOO_MANY", "", format!("at most {USERS_MAX} users"));
            Err(Refusal::with(Code::BodyInvalid, vec![problem]))
        }
    }
}

/// Set what a user may do
#[utoipa::path(put, path = "/api/v1/users/{name}/roles", tag = "users", params(("name" = String, Path)),
    request_body = SetRoles,
    responses((status = 200, body = UserItem), (status = 404, body = RefusalBody),
              (status = 409, body = RefusalBody, description = "Nobody would administer"), (status = 422, body = RefusalBody)))]
pub(super) async fn set_roles(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<SetRoles>,
) -> Answer<Json<UserItem>> {
    let mut problems = Vec::new();
    let roles = roles(&asked.roles, &mut problems);
    if !problems.is_empty() {
        return Err(Refusal::with(Code::BodyInvalid, problems));
    }
    let (act, whose) = (act(&app, caller), name.clone());
    outcome(change(&app, |store| async move { store.set_roles(act, &whose, roles).await }).await?, &name)?;
    find(&app, &name).await
}

/// Set a user's password
///
/// Ends their sessions.
#[utoipa::path(put, path = "/api/v1/users/{name}/password", tag = "users", params(("name" = String, Path)),
    request_body = SetPassword,
    responses((status = 204), (status = 404, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn set_password(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<SetPassword>,
) -> Answer<StatusCode> {
    let mut problems = Vec::new();
    passwords::check(&asked.password, "/password", &mut problems);
    if !problems.is_empty() {
        return Err(Refusal::with(Code::BodyInvalid, problems));
    }
    let hash = app.auth.passwords.hash(asked.password).await?;
    let (act, whose) = (act(&app, caller), name.clone());
    let setting = change(&app, |store| async move { store.set_password(act, &whose, hash, asked.must_change).await });
    outcome(setting.await?, &name)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Disable a user
///
/// Ends their sessions; their tokens are good for nothing until they are enabled again.
#[utoipa::path(post, path = "/api/v1/users/{name}/disable", tag = "users", params(("name" = String, Path)),
    responses((status = 200, body = UserItem), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn disable(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<Json<UserItem>> {
    set_disabled(&app, name, caller, true).await
}

/// Enable a user again
#[utoipa::path(post, path = "/api/v1/users/{name}/enable", tag = "users", params(("name" = String, Path)),
    responses((status = 200, body = UserItem), (status = 404, body = RefusalBody)))]
pub(super) async fn enable(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<Json<UserItem>> {
    set_disabled(&app, name, caller, false).await
}

async fn set_disabled(app: &App, name: String, caller: Caller, disabled: bool) -> Answer<Json<UserItem>> {
    let (act, whose) = (act(app, caller), name.clone());
    outcome(change(app, |store| async move { store.set_disabled(act, &whose, disabled).await }).await?, &name)?;
    find(app, &name).await
}

/// End all sessions of a user
#[utoipa::path(delete, path = "/api/v1/users/{name}/sessions", tag = "users", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn end_sessions(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let (act, whose) = (act(&app, caller), name.clone());
    outcome(change(&app, |store| async move { store.end_sessions(act, &whose).await }).await?, &name)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete a user, with their sessions and tokens
#[utoipa::path(delete, path = "/api/v1/users/{name}", tag = "users", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn remove(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let (act, whose) = (act(&app, caller), name.clone());
    outcome(change(&app, |store| async move { store.delete_user(act, &whose).await }).await?, &name)?;
    Ok(StatusCode::NO_CONTENT)
}
