//! `/api/v1/aliases`: other names of node types, which flows may say in `uses`.
//!
//! Not here: what becomes of an alias when a flow is published (`library`).

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_store::Act;

use super::caller::Caller;
use super::extract::Path;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::{App, body};

/// As long as names of Java classes with their package come.
const NAME_CHARS_MAX: usize = 200;

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Aliases {
    /// By name.
    items: Vec<Alias>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Alias {
    name: String,
    /// The node type: `plugin/type@major`.
    uses: String,
    /// That node type is loaded.
    loaded: bool,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AliasBody {
    /// The node type: `plugin/type@major`. It need not be loaded yet.
    uses: String,
}

/// List aliases
#[utoipa::path(get, path = "/api/v1/aliases", tag = "plugins", responses((status = 200, body = Aliases)))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<Aliases>> {
    let catalog = app.engine.nodes().catalog();
    let all = app.engine.journal().aliases().await?;
    let items = all.into_iter().map(|(name, uses)| Alias { loaded: catalog.get(&uses).is_some(), name, uses });
    Ok(Json(Aliases { items: items.collect() }))
}

/// Give a node type another name
///
/// Flows that are published from then on mean it by that name; what is published stays as it is.
#[utoipa::path(put, path = "/api/v1/aliases/{name}", tag = "plugins", params(("name" = String, Path)),
    request_body = AliasBody, responses((status = 200, body = Alias), (status = 422, body = RefusalBody)))]
pub(super) async fn put(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(given): body::Json<AliasBody>,
) -> Answer<Json<Alias>> {
    let plain = |one: char| one.is_ascii_alphanumeric() || "._-$".contains(one);
    let mut problems = Vec::new();
    if name.len() > NAME_CHARS_MAX
        || !name.starts_with(|one: char| one.is_ascii_alphabetic())
        || !name.chars().all(plain)
    {
        let message = format!("a letter, then letters, digits, `.`, `_`, `-` and `$`, at most {NAME_CHARS_MAX}");
        problems.push(Problem::error("NAME_FORM", "/name", message));
    }
    let parts = given.uses.split_once('/').and_then(|(_, rest)| rest.split_once('@'));
    if parts.is_none_or(|(_, major)| major.parse::<u32>().is_err()) {
        let problem = Problem::error("USES_FORM", "/uses", format!("`{}` names no node type", given.uses));
        problems.push(problem.fix("write plugin/type@major, for example http/request@1"));
    }
    if !problems.is_empty() {
        return Err(Refusal::with(Code::BodyInvalid, problems));
    }
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    app.engine.journal().put_alias(act, &name, Some(&given.uses)).await?;
    let loaded = app.engine.nodes().catalog().get(&given.uses).is_some();
    Ok(Json(Alias { name, uses: given.uses, loaded }))
}

/// Take an alias away
///
/// What was published by it stays as it is.
#[utoipa::path(delete, path = "/api/v1/aliases/{name}", tag = "plugins", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn delete(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    if app.engine.journal().put_alias(act, &name, None).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Refusal::say(Code::AliasNotFound, format!("no alias {name}")))
}
