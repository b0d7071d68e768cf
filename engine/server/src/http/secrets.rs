//! `/api/v1/secrets`: what the host puts into requests and nobody is shown.
//!
//! Invariant: a value goes in and never comes out.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_sandbox::Secret;
use stepwell_store::{Act, KeptSecret};

use super::caller::Caller;
use super::connections::{change, dropped, refused};
use super::extract::Path;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, body};
use crate::secrets::{ConnectionSpec, SecretsError, name_problem, value_problem};

/// A secret without its value.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretItem {
    name: String,
    /// Counts the values it has had.
    version: u64,
    changed_at: String,
    changed_by: String,
    /// The name of the key it is sealed with.
    key_id: String,
    /// False: this engine was not given that key, so what needs the secret fails.
    readable: bool,
    /// Connections that put it in.
    used_by: Vec<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Secrets {
    items: Vec<SecretItem>,
    /// The name of the key that seals; none: this engine was given no key, and no secret can be kept.
    key_id: Option<String>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretBody {
    /// 1 to 8192 bytes that a header can carry.
    #[schema(value_type = String)]
    value: Secret,
}

async fn all(app: &App) -> Answer<Vec<SecretItem>> {
    let store = app.engine.journal();
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for connection in store.connections().await? {
        let name = connection.name.clone();
        for secret in ConnectionSpec::read(connection).map_err(refused)?.secrets() {
            users.entry(secret.to_owned()).or_default().push(name.clone());
        }
    }
    let item = |kept: KeptSecret| SecretItem {
        readable: app.granting.keys.open(&kept.name, &kept.sealed).is_some(),
        used_by: users.get(&kept.name).cloned().unwrap_or_default(),
        name: kept.name,
        version: kept.version,
        changed_at: rfc3339(kept.changed_ms),
        changed_by: kept.changed_by,
        key_id: kept.sealed.key_id,
    };
    Ok(store.secrets().await?.into_iter().map(item).collect())
}

/// List secrets, without their values
#[utoipa::path(get, path = "/api/v1/secrets", tag = "grants", responses((status = 200, body = Secrets)))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<Secrets>> {
    let key_id = app.granting.keys.id().map(str::to_owned);
    Ok(Json(Secrets { items: all(&app).await?, key_id }))
}

/// Set a secret
///
/// The next request here carries the new value, and at other engines a moment later.
#[utoipa::path(put, path = "/api/v1/secrets/{name}", tag = "grants", params(("name" = String, Path)),
    request_body = SecretBody,
    responses((status = 200, body = SecretItem), (status = 409, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn put(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(SecretBody { value }): body::Json<SecretBody>,
) -> Answer<Json<SecretItem>> {
    let wrong =
        |at, message: String| Refusal::with(Code::BodyInvalid, vec![Problem::error("SECRET_INVALID", at, message)]);
    if let Some(message) = name_problem(&name) {
        return Err(Refusal::say(Code::PathInvalid, message));
    }
    if let Some(message) = value_problem(&value.0) {
        return Err(wrong("/value", message.to_owned()));
    }
    let sealed = app.granting.keys.seal(&name, &value).map_err(|error| refused(SecretsError::NoKey(error)))?;
    let act = Act { by: caller.user, at_ms: app.clock.now_ms() };
    let kept = name.clone();
    change(&app, |app| async move { Ok(app.engine.journal().put_secret(act, &kept, sealed).await?) }).await?;
    all(&app).await?.into_iter().find(|one| one.name == name).map(Json).ok_or_else(|| missing(&name))
}

/// Take a secret away that no connection puts in
#[utoipa::path(delete, path = "/api/v1/secrets/{name}", tag = "grants", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody),
              (status = 409, body = RefusalBody, description = "With the connections that name it, in `neededBy`")))]
pub(super) async fn delete(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user, at_ms: app.clock.now_ms() };
    let which = name.clone();
    let gone = change(&app, |app| async move { Ok(app.engine.journal().delete_secret(act, &which).await?) }).await?;
    dropped(gone, || missing(&name))?;
    Ok(StatusCode::NO_CONTENT)
}

fn missing(name: &str) -> Refusal {
    Refusal::say(Code::SecretNotFound, format!("no secret {name}"))
}
