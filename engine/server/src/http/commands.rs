//! `/api/v1/instances/{id}/…`: what operators ask of an instance beside ending, undoing and retrying it.
//!
//! A command is tried on the instance as it stands, so that one that cannot be carried out is refused at once. It
//! is carried out a moment later, by whoever drives the instance; if it stands elsewhere by then, nothing happens.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepwell_core::machine::{self, Command, Event, TokenId, Unfit};

use super::App;
use super::body::{self, Raw};
use super::caller::Caller;
use super::extract::Path;
use super::instances::{ReasonBody, reason, replay, send};
use super::problem::{Answer, Code, Refusal, RefusalBody};

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveBody {
    /// The token to take away; with `node`, it must stand there.
    token: Option<TokenId>,
    /// The node it stands on; enough where one token does.
    node: Option<String>,
    /// The node it is put on, of the same flow or container.
    to: String,
}

/// At least one of the two, where more than one token stands.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SkipBody {
    token: Option<TokenId>,
    node: Option<String>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct MigrateBody {
    version: u32,
    /// New node ids by old ones, where they differ.
    #[serde(default)]
    nodes: BTreeMap<String, String>,
    /// Only say whether it could.
    #[serde(default)]
    dry_run: bool,
}

/// Whether an instance can go on with another version.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Compatibility {
    fits: bool,
    /// Everything that stands in the way: `{node, code, message}`.
    #[schema(value_type = Vec<Object>)]
    unfit: Vec<Value>,
}

/// Suspend an instance
///
/// It begins nothing new until it is resumed; what is under way comes back, messages are kept for it.
#[utoipa::path(post, path = "/api/v1/instances/{id}/suspend", tag = "instances", params(("id" = String, Path)),
    request_body = ReasonBody,
    responses((status = 202, body = super::instances::Commanded), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn suspend(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    Raw(bytes): Raw,
) -> Answer<Response> {
    ask(&app, &id, Command::Suspend { reason: reason(&bytes)? }, caller).await
}

/// Resume a suspended instance
#[utoipa::path(post, path = "/api/v1/instances/{id}/resume", tag = "instances", params(("id" = String, Path)),
    responses((status = 202, body = super::instances::Commanded), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn resume(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<Response> {
    ask(&app, &id, Command::Resume, caller).await
}

/// Move a token
///
/// Takes it away and puts one on another node, under a new visit and key. To retry from an earlier node, move
/// there. What a call under way did all the same is remembered, and undone if the flow is compensated.
#[utoipa::path(post, path = "/api/v1/instances/{id}/move", tag = "instances", params(("id" = String, Path)),
    request_body = MoveBody,
    responses((status = 202, body = super::instances::Commanded), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn move_token(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<MoveBody>,
) -> Answer<Response> {
    let token = standing(&app, &id, asked.token, asked.node.as_ref()).await?;
    ask(&app, &id, Command::Move { token, to: asked.to }, caller).await
}

/// Skip an undo or a listener that is an incident
///
/// It is given up: the earlier undos go on, or the flow does. What it should have taken back stays.
#[utoipa::path(post, path = "/api/v1/instances/{id}/skip", tag = "instances", params(("id" = String, Path)),
    request_body = SkipBody,
    responses((status = 202, body = super::instances::Commanded), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn skip(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<SkipBody>,
) -> Answer<Response> {
    let token = standing(&app, &id, asked.token, asked.node.as_ref()).await?;
    ask(&app, &id, Command::SkipUndo { token }, caller).await
}

/// The one token that is meant.
async fn standing(app: &App, id: &str, token: Option<TokenId>, node: Option<&String>) -> Answer<TokenId> {
    let (_, replay) = replay(app, id).await?;
    let stands = |one: &super::instance_view::TokenItem| {
        token.is_none_or(|id| one.token == id) && node.is_none_or(|node| one.node == *node)
    };
    let found: Vec<TokenId> = replay.tokens().iter().filter(|one| stands(one)).map(|one| one.token).collect();
    let [token] = found[..] else {
        let text = format!("{} tokens stand there; name one by `token`", found.len());
        return Err(Refusal::say(Code::CommandDoesNotFit, text));
    };
    Ok(token)
}

/// Migrate an instance to another version of its flow
///
/// Possible where every node it stands on, and every step it may have to undo, is there as well, by id or by
/// `nodes`. With `dryRun` nothing is done, and the answer is the report.
#[utoipa::path(post, path = "/api/v1/instances/{id}/migrate", tag = "instances", params(("id" = String, Path)),
    request_body = MigrateBody,
    responses((status = 202, body = super::instances::Commanded), (status = 200, body = Compatibility, description = "`dryRun`"),
              (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn migrate(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<MigrateBody>,
) -> Answer<Response> {
    let (stored, replay) = replay(&app, &id).await?;
    let Some(it) = replay.instance().filter(|it| it.end.is_none()) else {
        return Err(Refusal::new(Code::InstanceEnded));
    };
    let key = &stored.summary.flow;
    match app.engine.journal().version(key, Some(asked.version)).await? {
        Some(version) if version.retired_ms.is_none() => {}
        Some(_) => return Err(Refusal::say(Code::VersionNotFound, format!("version {} is retired", asked.version))),
        None => return Err(Refusal::say(Code::VersionNotFound, format!("{key} has no version {}", asked.version))),
    }
    let to = app.engine.newest_flow(key, asked.version).await?;
    let unfit = match machine::migrate(replay.flow(), &to, it, &asked.nodes) {
        Ok(_) => Vec::new(),
        Err(unfit) => unfit.iter().map(said).collect(),
    };
    if asked.dry_run {
        return Ok(Json(Compatibility { fits: unfit.is_empty(), unfit }).into_response());
    }
    if !unfit.is_empty() {
        return Err(Refusal::new(Code::MigrationUnfit).and("unfit", unfit));
    }
    send(&app, &id, Command::Migrate { version: asked.version, from: None, nodes: asked.nodes }, caller).await
}

fn said(unfit: &Unfit) -> Value {
    json!({ "node": &*unfit.node, "code": unfit.code, "message": unfit.message })
}

/// Tries a command on the instance as it stands, and keeps it if it fits.
pub(super) async fn ask(app: &App, id: &str, command: Command, caller: Caller) -> Answer<Response> {
    let (_, replay) = replay(app, id).await?;
    let Some(it) = replay.instance().filter(|it| it.end.is_none()) else {
        return Err(Refusal::new(Code::InstanceEnded));
    };
    let event = Event::Commanded { command: command.clone(), by: caller.user.clone() };
    let (_, tried) = machine::step(replay.flow(), it.clone(), it.now_ms, &event);
    if tried.is_err() {
        return Err(Refusal::new(Code::CommandDoesNotFit));
    }
    send(app, id, command, caller).await
}
