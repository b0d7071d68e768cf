//! `/api/v1/machines`: what the actions of a machine are now, plugging one in, taking one out, the state pool; and
//! `/api/v1/instances/{id}/actions`: one action of one machine, by name.
//!
//! Invariants:
//! - An action is plugged in only if the machine with it has no error in it; its node types and flows are pinned then,
//!   to what the version is pinned to already, else to what is at hand.
//! - What is asked of an instance is tried on it as it stands, and refused with a code where it would not be run.
//!
//! Not here: what an evaluation does (`core`); how revisions are kept (`store`).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepwell_core::catalog::Catalog;
use stepwell_core::flow::check;
use stepwell_core::flow::evaluate::Plugged;
use stepwell_core::flow::pool;
use stepwell_core::machine::{CannotAct, Command, TokenId, can_act};
use stepwell_core::problem::{Problem, Severity};
use stepwell_runtime::journal::Unavailable;
use stepwell_runtime::{Clock as _, CommandError};
use stepwell_store::{Act, DraftSaved, Expect, Filter, Plug, PlugKept, PluggedBy, SaveDraft, Stands, Version};

use super::body::{self, Raw};
use super::caller::Caller;
use super::extract::{Path, Query};
use super::instances::{Commanded, replay, send};
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, drafts, shapes};

/// Instances that are told to look again when an action is plugged in.
const TOLD_MAX: u32 = 10_000;
const TOLD_AT_ONCE: u32 = 500;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct VersionQuery {
    /// The newest, unless given.
    version: Option<u32>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatesQuery {
    /// `json` (unless given) or `csv`.
    format: Option<String>,
}

/// A machine's version as it is now.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MachineBody {
    key: String,
    version: u32,
    /// How often its actions were changed since it was published.
    revision: u32,
    /// The document with what was plugged in, without what was taken out.
    #[schema(value_type = Object)]
    document: Value,
    actions: Vec<ActionItem>,
    /// Live instances, of all versions, by state.
    standing: Vec<StandingItem>,
}

/// An action, and how it came to be.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActionItem {
    name: String,
    #[schema(value_type = Object)]
    document: Value,
    /// Of the revision it came with; 0: it was published with the version.
    revision: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    added_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    added_by: Option<String>,
    /// The revision it was taken out with.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_revision: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_by: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StandingItem {
    state: String,
    instances: u64,
    /// Since when the one is there that has been there longest.
    oldest_since: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlugBody {
    /// As an entry of `actions` in the document.
    #[schema(value_type = Object)]
    action: Value,
    /// The newest, unless given.
    #[serde(default)]
    version: Option<u32>,
    /// The instances that rest are told to look again now; otherwise each does when something comes for it.
    #[serde(default)]
    evaluate: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PlugBodyDone {
    key: String,
    version: u32,
    /// From this revision on it counts.
    revision: u32,
    #[schema(value_type = Vec<shapes::Problem>)]
    warnings: Vec<Problem>,
    /// Instances that were told to look again, at most 10,000.
    told: u32,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ActBody {
    action: String,
    /// What the guard and the action see as `machine.context`.
    #[serde(default)]
    #[schema(value_type = Value)]
    context: Value,
    /// Of a machine that the instance runs: the token that rests there.
    #[serde(default)]
    token: Option<TokenId>,
}

/// A version, its changes, and what both together are pinned to.
struct Found {
    version: Version,
    changes: Vec<PluggedBy>,
    catalog: Catalog,
}

impl Found {
    fn plugged(&self) -> Vec<Plugged> {
        self.changes.iter().map(|one| one.change.clone()).collect()
    }

    fn revision(&self) -> u32 {
        self.changes.last().map_or(0, |one| one.change.revision)
    }
}

async fn find(app: &App, key: &str, version: Option<u32>) -> Answer<Found> {
    let store = app.engine.journal();
    let found = store.version(key, version).await?;
    let missing = || match version {
        Some(version) => Refusal::say(Code::VersionNotFound, format!("flow {key} has no version {version}")),
        None => Refusal::say(Code::FlowNotFound, format!("no flow {key} is published")),
    };
    let version = found.filter(|found| found.retired_ms.is_none()).ok_or_else(missing)?;
    if version.definition.document.get("kind").and_then(Value::as_str) != Some("machine") {
        return Err(Refusal::new(Code::NotAMachine));
    }
    let changes = store.plugged(&version.flow, version.version).await?;
    let catalog: Catalog = serde_json::from_value((*version.definition.catalog).clone())
        .map_err(|error| Unavailable(format!("the version's node types cannot be read: {error}")))?;
    let plugged: Vec<Plugged> = changes.iter().map(|one| one.change.clone()).collect();
    let catalog = check::with_plugged(&catalog, &plugged);
    Ok(Found { version, changes, catalog })
}

/// Show a machine
///
/// Its actions as they are now, and where its live instances stand.
#[utoipa::path(get, path = "/api/v1/machines/{key}", tag = "machines", params(("key" = String, Path), VersionQuery),
    responses((status = 200, body = MachineBody), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Answer<Json<MachineBody>> {
    let found = find(&app, &key, query.version).await?;
    let standing = app.engine.journal().standings(Some(&key)).await?;
    let standing = standing.into_iter().map(|one| StandingItem {
        state: one.state,
        instances: one.instances,
        oldest_since: rfc3339(one.oldest_ms),
    });
    Ok(Json(MachineBody {
        key,
        version: found.version.version,
        revision: found.revision(),
        document: stepwell_core::flow::evaluate::settled(&found.version.definition.document, &found.plugged()),
        actions: items(&found),
        standing: standing.collect(),
    }))
}

/// List a machine's actions
///
/// Those it was published with, those that were plugged in, and those that were taken out.
#[utoipa::path(get, path = "/api/v1/machines/{key}/actions", tag = "machines",
    params(("key" = String, Path), VersionQuery),
    responses((status = 200, body = [ActionItem]), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn actions(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Answer<Json<Vec<ActionItem>>> {
    Ok(Json(items(&find(&app, &key, query.version).await?)))
}

fn items(found: &Found) -> Vec<ActionItem> {
    let own = found.version.definition.document.get("actions").and_then(Value::as_array);
    let own = own.into_iter().flatten().map(|action| (action.clone(), None));
    let later = found.changes.iter();
    let later = later.filter_map(|one| Some(((**one.change.document.as_ref()?).clone(), Some(one))));
    let all = own.chain(later).map(|(document, change)| {
        let name = document.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let gone = found.changes.iter().find(|one| one.change.document.is_none() && one.change.action == name);
        ActionItem {
            document,
            revision: change.map_or(0, |one| one.change.revision),
            added_at: change.map(|one| rfc3339(one.at_ms)),
            added_by: change.map(|one| one.who.clone()),
            removed_revision: gone.map(|one| one.change.revision),
            removed_at: gone.map(|one| rfc3339(one.at_ms)),
            removed_by: gone.map(|one| one.who.clone()),
            name,
        }
    });
    all.collect()
}

/// Plug an action into a machine
///
/// It counts from the next evaluation of each instance on, of those that run already as well. Nothing is published and
/// nothing restarts.
#[utoipa::path(post, path = "/api/v1/machines/{key}/actions", tag = "machines", params(("key" = String, Path)),
    request_body = PlugBody,
    responses((status = 201, body = PlugBodyDone), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody),
              (status = 422, body = RefusalBody, description = "What is wrong with it, with pointers into `action`")))]
pub(super) async fn plug(
    State(app): State<App>,
    Path(key): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<PlugBody>,
) -> Answer<Response> {
    let found = find(&app, &key, asked.version).await?;
    let name = asked.action.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (new, warnings) = try_out(&app, &found, &name, &asked.action).await?;
    let catalog =
        serde_json::to_value(new).map_err(|error| Unavailable(format!("the node types have no JSON form: {error}")))?;
    let change = Plug {
        flow: key.clone(),
        version: found.version.version,
        after: found.revision(),
        action: name,
        document: Some(asked.action),
        catalog,
    };
    let revision = keep(&app, &caller, change).await?;
    let told = if asked.evaluate { tell(&app, &caller, &key, found.version.version).await? } else { 0 };
    let done = PlugBodyDone { key, version: found.version.version, revision, warnings, told };
    Ok((StatusCode::CREATED, Json(done)).into_response())
}

/// Checks the machine with the action in it: what it is pinned to beyond the version, and warnings.
async fn try_out(app: &App, found: &Found, name: &str, action: &Value) -> Answer<(Catalog, Vec<Problem>)> {
    let alone = json!({ "actions": [action] });
    let at_hand = app.library.with_published(&alone, app.engine.nodes().catalog()).await;
    // What the version is pinned to stays: one machine does not run two builds of one node type.
    let mut new = Catalog::default();
    for uses in check::node_types_used(&alone).into_iter().filter(|uses| found.catalog.get(uses).is_none()) {
        new.node_types.extend(at_hand.get(uses).map(|one| (uses.to_owned(), one.clone())));
    }
    for flow in check::flows_called(&alone).into_iter().filter(|flow| !found.catalog.flows.contains_key(*flow)) {
        new.flows.extend(at_hand.flows.get(flow).map(|one| (flow.to_owned(), one.clone())));
    }
    for table in check::tables_used(&alone).into_iter().filter(|table| !found.catalog.tables.contains_key(*table)) {
        new.tables.extend(at_hand.tables.get(table).map(|one| (table.to_owned(), one.clone())));
    }
    let mut plugged = found.plugged();
    let catalog = serde_json::to_value(&new).unwrap_or_default();
    let (action, document) = (name.to_owned(), Some(Arc::new(action.clone())));
    plugged.push(Plugged { revision: found.revision() + 1, action, document, catalog: Arc::new(catalog) });
    let document = &*found.version.definition.document;
    let checked = check::check_plugged(document, &found.catalog, &plugged);
    let mut problems = checked.problems;
    if let Some(flow) = &checked.flow {
        let whole = stepwell_core::flow::evaluate::settled(document, &plugged);
        let found = app.library.ask_plugins(flow, &whole).await;
        problems.extend(found.into_iter().filter(|problem| problem.node.as_deref() == Some(name)).map(
            |mut problem| {
                let rest = problem.pointer.splitn(4, '/').nth(3).unwrap_or_default();
                problem.pointer = format!("/action/{rest}");
                problem
            },
        ));
    }
    // Where it stands among all that were ever there.
    let own = document.get("actions").and_then(Value::as_array).map_or(0, Vec::len);
    let place = own + plugged.iter().filter(|one| one.document.is_some()).count() - 1;
    let at = format!("/actions/{place}");
    let theirs = problems.into_iter().filter_map(|mut problem| {
        if let Some(rest) = problem.pointer.strip_prefix(&at).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            problem.pointer = format!("/action{rest}");
            return Some(problem);
        }
        // What was there before is as good as it was when it was published.
        (problem.severity == Severity::Error || problem.pointer.starts_with("/action/")).then_some(problem)
    });
    let problems: Vec<Problem> = theirs.collect();
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Refusal::with(Code::FlowHasProblems, problems));
    }
    Ok((new, problems))
}

async fn keep(app: &App, caller: &Caller, change: Plug) -> Answer<u32> {
    let key = change.flow.clone();
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let plugin = |code: &str, digest: &str, what: &str| {
        let message = format!("the plugin with digest {digest} {what}");
        Refusal::with(Code::FlowHasProblems, vec![Problem::error(code, "/action", message)])
    };
    match app.engine.journal().plug(act, change).await? {
        PlugKept::Kept(revision) => Ok(revision),
        PlugKept::Moved => Err(Refusal::new(Code::ActionsMoved)),
        PlugKept::Full => Err(Refusal::new(Code::ActionsFull)),
        PlugKept::Unknown => Err(Refusal::say(Code::VersionNotFound, format!("{key} has no such version any more"))),
        PlugKept::PluginGone(digest) => Err(plugin("UNKNOWN_NODE_TYPE", &digest, "was removed meanwhile")),
        PlugKept::PluginRevoked(digest) => Err(plugin("PLUGIN_REVOKED", &digest, "is revoked")),
    }
}

/// Tells the instances that rest to look again.
async fn tell(app: &App, caller: &Caller, flow: &str, version: u32) -> Answer<u32> {
    let filter = Filter {
        flow: Some(flow.to_owned()),
        version: Some(version),
        live: true,
        standing: Some(Stands::default()),
        ..Filter::default()
    };
    let (mut cursor, mut told) = (None, 0);
    while told < TOLD_MAX {
        let page = app.engine.journal().instances(filter.clone(), cursor, TOLD_AT_ONCE).await?;
        for one in &page.items {
            match app.engine.command(&one.id, Command::Evaluate { token: None }, &caller.user).await {
                Ok(()) => told += 1,
                Err(CommandError::Unknown | CommandError::Ended | CommandError::Full) => {}
                Err(CommandError::Unavailable(error)) => return Err(error.into()),
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(told)
}

/// Take an action out of a machine
///
/// From the next evaluation of each instance on it is not run any more. What it does just now it finishes.
#[utoipa::path(delete, path = "/api/v1/machines/{key}/actions/{name}", tag = "machines",
    params(("key" = String, Path), ("name" = String, Path), VersionQuery),
    responses((status = 200, body = PlugBodyDone), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn unplug(
    State(app): State<App>,
    Path((key, name)): Path<(String, String)>,
    Query(query): Query<VersionQuery>,
    Extension(caller): Extension<Caller>,
) -> Answer<Json<PlugBodyDone>> {
    let found = find(&app, &key, query.version).await?;
    let there = items(&found).into_iter().any(|one| one.name == name && one.removed_revision.is_none());
    if !there {
        return Err(Refusal::say(Code::ActionNotFound, format!("{key} has no action {name}")));
    }
    let version = found.version.version;
    let change = Plug {
        flow: key.clone(),
        version,
        after: found.revision(),
        action: name,
        document: None,
        catalog: json!({ "nodeTypes": {} }),
    };
    let revision = keep(&app, &caller, change).await?;
    Ok(Json(PlugBodyDone { key, version, revision, warnings: Vec::new(), told: 0 }))
}

/// Export the state pool
///
/// Of the draft, or of the newest version where there is none.
#[utoipa::path(get, path = "/api/v1/machines/{key}/states", tag = "machines", params(("key" = String, Path), StatesQuery),
    responses((status = 200, body = [Object], description = "As JSON, or as a table with `format=csv`"),
              (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn states(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(query): Query<StatesQuery>,
) -> Answer<Response> {
    let (document, _) = editable(&app, &key).await?;
    let states = document.get("states").cloned().unwrap_or_else(|| json!([]));
    match query.format.as_deref() {
        None | Some("json") => Ok(Json(states).into_response()),
        Some("csv") => {
            let mut response = pool::to_csv(&states).into_response();
            let kind = HeaderValue::from_static("text/csv; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            Ok(response)
        }
        Some(other) => Err(Refusal::say(Code::QueryInvalid, format!("format: json or csv, not {other}"))),
    }
}

/// Import the state pool
///
/// Into the draft, which is made of the newest version where there is none. A list of states as JSON, or a table with
/// `Content-Type: text/csv`. What is wrong with the machine then is said with the answer, and keeps nothing from being
/// saved.
#[utoipa::path(put, path = "/api/v1/machines/{key}/states", tag = "machines", params(("key" = String, Path)),
    request_body(content = [Object]),
    responses((status = 200, body = drafts::SavedBody), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody),
              (status = 422, body = RefusalBody)))]
pub(super) async fn save_states(
    State(app): State<App>,
    Path(key): Path<String>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Raw(bytes): Raw,
) -> Answer<Response> {
    let csv = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let states = if csv.is_some_and(|kind| kind.trim_start().starts_with("text/csv")) {
        let text = std::str::from_utf8(&bytes).map_err(|_| Refusal::say(Code::BodyInvalid, "the table is no UTF-8"))?;
        pool::from_csv(text).map_err(|problems| Refusal::with(Code::BodyInvalid, problems))?
    } else {
        body::parse::<Vec<Value>>(&bytes)?.into()
    };
    let (document, expect) = editable(&app, &key).await?;
    let mut document = (*document).clone();
    document["states"] = states;
    let checked = app.library.check(&document).await;
    let save = SaveDraft {
        flow: key,
        document: Arc::new(document),
        hash: checked.flow.map(|flow| flow.hash),
        expect,
        act: Act { by: caller.user.clone(), at_ms: app.clock.now_ms() },
    };
    match app.engine.journal().save_draft(save).await? {
        DraftSaved::Saved(draft) => {
            let saved = drafts::saved(&draft, checked.problems);
            Ok(drafts::tagged(draft.revision, Json(saved).into_response()))
        }
        DraftSaved::Conflict(current) => Err(drafts::conflict(current.as_ref())),
    }
}

/// The machine's draft, or its newest version where there is none; and what a save of it expects.
async fn editable(app: &App, key: &str) -> Answer<(Arc<Value>, Expect)> {
    let (document, expect) = if let Some(draft) = app.engine.journal().draft(key).await? {
        (draft.document, Expect::Revision(draft.revision))
    } else {
        let missing = || Refusal::say(Code::FlowNotFound, format!("no flow {key}"));
        let version = app.engine.journal().version(key, None).await?.ok_or_else(missing)?;
        (version.definition.document, Expect::None)
    };
    if document.get("kind").and_then(Value::as_str) != Some("machine") {
        return Err(Refusal::new(Code::NotAMachine));
    }
    Ok((document, expect))
}

/// Run one action of a machine
///
/// That one and no other, if the instance rests in one of the action's states and its guard holds.
#[utoipa::path(post, path = "/api/v1/instances/{id}/actions", tag = "instances", params(("id" = String, Path)),
    request_body = ActBody,
    responses((status = 202, body = Commanded, description = "Kept; carried out soon after"), (status = 404, body = RefusalBody),
              (status = 409, body = RefusalBody)))]
pub(super) async fn act(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<ActBody>,
) -> Answer<Response> {
    let (_, replay) = replay(&app, &id).await?;
    let Some(it) = replay.instance().filter(|it| it.end.is_none()) else {
        return Err(Refusal::new(Code::InstanceEnded));
    };
    let ActBody { action, context, token } = asked;
    if token.is_none() {
        let machine = replay.flow().machine().ok_or_else(|| Refusal::new(Code::NotAMachine))?;
        let kept = it.root().machine.as_ref().filter(|one| machine.frozen && one.evaluated);
        let revision = kept.map_or(machine.revision, |one| one.revision);
        can_act(replay.flow(), it, &action, &context, revision).map_err(|why| refused(&why, &action))?;
    }
    send(&app, &id, Command::Act { action, context: Arc::new(context), token }, caller).await
}

fn refused(why: &CannotAct, action: &str) -> Refusal {
    match why {
        CannotAct::Unknown => Refusal::say(Code::ActionNotFound, format!("the machine has no action {action}")),
        CannotAct::Busy => Refusal::new(Code::MachineBusy),
        CannotAct::OtherState(state) => {
            Refusal::say(Code::ActionOtherState, format!("{action} is not an action of {state}"))
        }
        CannotAct::GuardFalse => Refusal::say(Code::ActionGuarded, format!("the guard of {action} does not hold")),
        CannotAct::Guard(error) => Refusal::say(Code::ActionGuarded, format!("the guard of {action}: {error}")),
    }
}

/// Evaluate a machine that rests
///
/// It looks again at what it can run, with the actions as they are now.
#[utoipa::path(post, path = "/api/v1/instances/{id}/evaluate", tag = "instances", params(("id" = String, Path)),
    responses((status = 202, body = Commanded), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn evaluate(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<Response> {
    super::commands::ask(&app, &id, Command::Evaluate { token: None }, caller).await
}
