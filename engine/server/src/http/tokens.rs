//! `/api/v1/tokens`: what programs show to be let in.
//!
//! Invariants:
//! - A token is shown once, when it is made; its digest is kept.
//! - It reaches no further than whoever made it did then, nor than they do now; of somebody who is disabled it is good
//!   for nothing.
//! - A token makes none and takes none back: one that leaked is ended by revoking it. The engine's own, which can do
//!   anything, can do this as well.
//! - Everybody sees and takes back their own; who administers everything, all.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use stepwell_core::flow::duration;
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_store::{Act, ApiToken, Role, TOKENS_MAX, TokenAdded};

use super::auth::{digest, random_token};
use super::caller::{Caller, Kind, Reach};
use super::extract::Path;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::users::{RoleGiven, change, name_fits, roles, shown};
use super::{App, body};

const SECRET_BYTES: usize = 32;
/// Says at a glance, and to whoever searches for lost secrets, what it is.
const PREFIX: &str = "stw_";
const EXPIRES_DAYS_MAX: u64 = 3_650;

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenItem {
    id: String,
    name: String,
    /// Whose rights it has no more than; none: made with the engine's own token.
    owner: Option<String>,
    roles: Vec<RoleGiven>,
    created_at: String,
    expires_at: Option<String>,
    /// Some minutes more or less.
    used_at: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TokenList {
    /// The oldest first.
    items: Vec<TokenItem>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct NewToken {
    #[serde(flatten)]
    item: TokenItem,
    /// What is to be sent as `Authorization: Bearer`. It is not shown again.
    token: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct AddToken {
    /// Stands in the audit as `token:<name>`: small letters, digits, `.`, `_`, `-` and `@`.
    name: String,
    roles: Vec<RoleGiven>,
    /// `30d`; unless given, it does not expire.
    #[serde(default)]
    expires_in: Option<String>,
}

fn item(token: ApiToken) -> TokenItem {
    TokenItem {
        id: token.id,
        name: token.name,
        owner: token.owner,
        roles: shown(&token.roles),
        created_at: rfc3339(token.created_ms),
        expires_at: token.expires_ms.map(rfc3339),
        used_at: token.used_ms.map(rfc3339),
    }
}

/// Whether a token is the caller's to see and to take back.
fn theirs(caller: &Caller, token: &ApiToken) -> bool {
    caller.reach.everywhere() == Some(Role::Admin)
        || (token.owner.is_some() && token.owner.as_deref() == caller.owner())
}

fn no_token(caller: &Caller) -> Answer<()> {
    match caller.kind {
        Kind::Token { .. } => {
            Err(Refusal::say(Code::Forbidden, "a token neither makes tokens nor takes them back: log in as a user"))
        }
        Kind::Engine | Kind::User { .. } => Ok(()),
    }
}

/// List API tokens
///
/// One's own; all, for who administers everything.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "users", responses((status = 200, body = TokenList)))]
pub(super) async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> Answer<Json<TokenList>> {
    let tokens = app.engine.journal().directory().await?.tokens;
    let items = tokens.into_iter().filter(|token| theirs(&caller, token)).map(item).collect();
    Ok(Json(TokenList { items }))
}

/// Make an API token
///
/// It is shown in this answer and never again.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "users", request_body = AddToken,
    responses((status = 201, body = NewToken), (status = 403, body = RefusalBody, description = "It would reach further than the caller, or the caller is a token"),
              (status = 422, body = RefusalBody)))]
pub(super) async fn add(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<AddToken>,
) -> Answer<Response> {
    no_token(&caller)?;
    let now_ms = app.clock.now_ms();
    let mut problems = Vec::new();
    if !name_fits(&asked.name) {
        let message = "small letters, digits, `.`, `_`, `-` and `@`, at most 64, a letter or digit first";
        problems.push(Problem::error("NAME", "/name", message));
    }
    let roles = roles(&asked.roles, &mut problems);
    if roles.is_empty() && problems.is_empty() {
        problems.push(Problem::error("ROLES", "/roles", "a token without a role is good for nothing"));
    }
    let expires_ms = asked.expires_in.as_deref().and_then(|text| match duration::parse_ms(text) {
        Ok(ms) if (1..=EXPIRES_DAYS_MAX * 24 * 60 * 60 * 1000).contains(&ms) => Some(now_ms + ms),
        Ok(_) => {
            problems.push(Problem::error("DURATION", "/expiresIn", format!("at most {EXPIRES_DAYS_MAX}d")));
            None
        }
        Err(error) => {
            problems.push(Problem::error("DURATION", "/expiresIn", error));
            None
        }
    });
    if !problems.is_empty() {
        return Err(Refusal::with(Code::BodyInvalid, problems));
    }
    if !caller.reach.covers(&Reach::new(roles.clone())) {
        return Err(Refusal::say(Code::Forbidden, "a token reaches no further than who makes it"));
    }
    let secret = format!("{PREFIX}{}", random_token(SECRET_BYTES));
    let token = ApiToken {
        id: uuid::Uuid::now_v7().to_string(),
        name: asked.name,
        digest: hex::encode(digest(secret.as_bytes())),
        owner: caller.owner().map(str::to_owned),
        created_ms: now_ms,
        expires_ms,
        used_ms: None,
        roles,
    };
    let (act, kept) = (Act { by: caller.user, at_ms: now_ms }, token.clone());
    match change(&app, |store| async move { store.add_token(act, kept).await }).await? {
        TokenAdded::Added => {
            let body = Json(NewToken { item: item(token), token: secret });
            Ok((StatusCode::CREATED, body).into_response())
        }
        TokenAdded::NoOwner => Err(Refusal::new(Code::Unauthenticated)),
        TokenAdded::Full => {
            let problem = Problem::error("TOO_MANY", "", format!("at most {TOKENS_MAX} tokens"));
            Err(Refusal::with(Code::BodyInvalid, vec![problem]))
        }
    }
}

/// Take an API token back
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "users", params(("id" = String, Path)),
    responses((status = 204), (status = 403, body = RefusalBody, description = "The caller is a token"),
              (status = 404, body = RefusalBody)))]
pub(super) async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let missing = || Refusal::say(Code::TokenNotFound, format!("no token {id}"));
    let tokens = app.engine.journal().directory().await?.tokens;
    tokens.iter().find(|token| token.id == id && theirs(&caller, token)).ok_or_else(missing)?;
    no_token(&caller)?;
    let (act, which) = (Act { by: caller.user, at_ms: app.clock.now_ms() }, id.clone());
    let gone = change(&app, |store| async move { store.revoke_token(act, &which).await }).await?;
    if gone { Ok(StatusCode::NO_CONTENT) } else { Err(missing()) }
}
