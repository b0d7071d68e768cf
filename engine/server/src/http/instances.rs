//! `/api/v1/instances`: lists, one instance, its journal, and commands for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use stepwell_core::catalog::Catalog;
use stepwell_core::flow::{duration, evaluate, extend};
use stepwell_core::machine::{Command, EVENTS_MAX, Entry, Error, Event, Instance, State as InstanceState, TokenId};
use stepwell_core::problem::Problem;
use stepwell_runtime::journal::{Definition, Unavailable};
use stepwell_runtime::{Clock, CommandError};
use stepwell_store::{Act, Cursor, Erased, Filter, InstanceDetail as Stored, InstanceSummary as Row, Role, Stands};

use super::App;
use super::body::{self, Raw};
use super::caller::Caller;
use super::extract::{Path, Query};
use super::instance_view::{History, NodeRun, Replay, TokenItem, Undoable};
use super::machine_view::MachineItem;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::shapes::{self, Page, limit};
use super::time::rfc3339;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct ListQuery {
    flow: Option<String>,
    version: Option<u32>,
    /// One of the states.
    #[param(value_type = Option<shapes::InstanceState>)]
    state: Option<InstanceState>,
    business_key: Option<String>,
    /// A node where it stands. Only live instances stand anywhere.
    node: Option<String>,
    /// The state a live machine is in.
    machine_state: Option<String>,
    /// For at least so long, such as `30m`: a live machine that has not left its state.
    stuck_for: Option<String>,
    /// An id, or a part of a business key.
    q: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// 50 unless given, at most 500.
    limit: Option<u32>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JournalQuery {
    /// The last `seq` that is known already.
    after: Option<u64>,
    /// 50 unless given, at most 500.
    limit: Option<u32>,
}

/// An instance in a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstanceItem {
    #[schema(value_type = String)]
    id: Arc<str>,
    #[schema(value_type = String)]
    flow: Arc<str>,
    version: u32,
    business_key: Option<String>,
    #[schema(value_type = shapes::InstanceState)]
    state: InstanceState,
    priority: i32,
    started_at: String,
    updated_at: String,
    ended_at: Option<String>,
    /// `{code, message, class, node?, data?}`
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    /// What chose its version, where the flow has a binding or a route did: `rule/pilot`, `split/b`, `default`, `fallback`,
    /// `newest`, `route/flash`, or `asked` for the caller itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_by: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstanceDetail {
    #[serde(flatten)]
    instance: InstanceItem,
    #[schema(value_type = Value)]
    input: Arc<Value>,
    #[schema(value_type = Value)]
    output: Option<Arc<Value>>,
    #[schema(value_type = Value)]
    reply: Option<Arc<Value>>,
    #[schema(value_type = Object)]
    vars: Map<String, Value>,
    tokens: Vec<TokenItem>,
    #[schema(value_type = BTreeMap<String, NodeRun>)]
    nodes: BTreeMap<Arc<str>, NodeRun>,
    /// The document of the version it runs on; of one that extends a template, what came of it.
    #[schema(value_type = Object)]
    document: Arc<Value>,
    /// What a compensation would undo, in its order.
    undo_plan: Vec<Undoable>,
    /// How a machine stands, and what its evaluations thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<MachineItem>,
    seq: u64,
    /// Its journal, input, reply and output were taken away then.
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_at: Option<String>,
}

/// One entry of a journal.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct JournalItem {
    seq: u64,
    at: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u64>,
    #[schema(value_type = Object)]
    data: Map<String, Value>,
}

const REASON_CHARS_MAX: usize = 1_000;
/// An instance at its limit of events may still be undone, which adds some.
pub(super) const JOURNAL_ENTRIES_MAX: u32 = 2 * EVENTS_MAX;

#[derive(Deserialize, Default, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReasonBody {
    /// At most 1,000 characters.
    reason: Option<String>,
}

#[derive(Deserialize, Default, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetryBody {
    /// Only what stands at this node.
    node: Option<String>,
    /// Only this token.
    token: Option<TokenId>,
    /// Under a new visit and key: what was done under the old key may be done twice.
    #[serde(rename = "newKey")]
    new_key: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Commanded {
    id: String,
}

/// What went wrong, as the API writes it.
pub(super) fn error_json(error: &Error) -> Value {
    serde_json::to_value(error).unwrap_or_default()
}

fn item(row: Row) -> InstanceItem {
    InstanceItem {
        ended_at: row.ended_ms().map(rfc3339),
        id: row.id,
        flow: row.flow,
        version: row.version,
        business_key: row.business_key,
        state: row.state,
        priority: row.priority,
        started_at: rfc3339(row.started_ms),
        updated_at: rfc3339(row.updated_ms),
        error: row.error.as_ref().map(error_json),
        bound_by: row.bound_by,
    }
}

/// List instances
#[utoipa::path(get, path = "/api/v1/instances", tag = "instances", params(ListQuery),
    responses((status = 200, body = Page<InstanceItem>, description = "The newest first")))]
pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ListQuery>,
) -> Answer<Json<Page<InstanceItem>>> {
    let cursor = cursor(query.cursor.as_deref())?;
    let standing = standing(query.machine_state, query.stuck_for.as_deref(), app.clock.now_ms())?;
    let filter = Filter {
        standing,
        flow: query.flow,
        version: query.version,
        state: query.state,
        live: false,
        business_key: query.business_key,
        text: query.q,
        within: caller.within(Role::Viewer),
    };
    let page = app.engine.journal().instances(filter, cursor, limit(query.limit)).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        let stands = match &query.node {
            Some(node) => !row.state.ended() && stands_at(&app, &row.id, node).await?,
            None => true,
        };
        if stands {
            items.push(item(row));
        }
    }
    Ok(Json(Page { items, next: page.next.map(|cursor| cursor.to_string()) }))
}

fn standing(state: Option<String>, stuck_for: Option<&str>, now_ms: u64) -> Answer<Option<Stands>> {
    let wrong = |error| Refusal::say(Code::QueryInvalid, format!("stuckFor: {error}"));
    let ms = stuck_for.map(|text| duration::parse_ms(text).map_err(wrong)).transpose()?;
    let since_ms = ms.map(|ms| now_ms.saturating_sub(ms));
    Ok((state.is_some() || since_ms.is_some()).then_some(Stands { state, since_ms }))
}

pub(super) fn cursor(text: Option<&str>) -> Answer<Option<Cursor>> {
    let parse = |text: &str| text.parse().map_err(|_| Refusal::say(Code::QueryInvalid, "cursor: `next` of a page"));
    text.map(parse).transpose()
}

async fn stands_at(app: &App, id: &str, node: &str) -> Answer<bool> {
    let (_, replay) = replay(app, id).await?;
    Ok(replay.tokens().iter().any(|token| token.node == node))
}

/// An instance as it is stored, and as its journal makes it.
pub(super) async fn replay(app: &App, id: &str) -> Answer<(Stored, Replay)> {
    let store = app.engine.journal();
    let stored =
        store.instance(id).await?.ok_or_else(|| Refusal::say(Code::InstanceNotFound, format!("no instance {id}")))?;
    let entries = store.journal(id, 0, JOURNAL_ENTRIES_MAX).await?;
    let replay = Replay::of(history(app, &stored, &entries).await?, id, &entries);
    Ok((stored, replay))
}

/// The versions an instance ran, from the first.
pub(super) async fn history(app: &App, stored: &Stored, entries: &[Entry]) -> Answer<History> {
    let (flow, now) = (&stored.summary.flow, stored.summary.version);
    let moves = entries.iter().filter_map(|entry| match &entry.event {
        Event::Commanded { command: Command::Migrate { version, from, .. }, .. } => Some((*version, *from)),
        _ => None,
    });
    let (mut first, mut versions) = (None, BTreeMap::new());
    for (version, from) in moves {
        first = first.or(from);
        versions.insert(version, app.engine.newest_flow(flow, version).await?);
    }
    let first = first.unwrap_or(now);
    versions.insert(first, app.engine.newest_flow(flow, first).await?);
    Ok(History { first, versions })
}

/// What an instance runs, as it is drawn: of a document that extends a template, the graph with its slots filled; of a
/// machine, with what was plugged in since.
fn drawn(definition: Definition) -> Answer<Arc<Value>> {
    let Definition { document, catalog, plugged, .. } = definition;
    if !plugged.is_empty() {
        return Ok(Arc::new(evaluate::settled(&document, &plugged)));
    }
    if !extend::has_slots(&document) {
        return Ok(document);
    }
    let catalog: Catalog = serde_json::from_value((*catalog).clone())
        .map_err(|error| Unavailable(format!("the version's node types cannot be read: {error}")))?;
    Ok(Arc::new(extend::resolve(&document, &catalog).document))
}

/// Show an instance
#[utoipa::path(get, path = "/api/v1/instances/{id}", tag = "instances", params(("id" = String, Path)),
    responses((status = 200, body = InstanceDetail), (status = 404, body = RefusalBody)))]
pub(super) async fn show(State(app): State<App>, Path(id): Path<String>) -> Answer<Json<InstanceDetail>> {
    let (stored, replay) = replay(&app, &id).await?;
    let (flow, version) = (&stored.summary.flow, stored.summary.version);
    let published = app.engine.journal().version(flow, Some(version)).await?;
    let document = published.map(|version| drawn(version.definition)).transpose()?.unwrap_or_default();
    let it = replay.instance();
    Ok(Json(InstanceDetail {
        input: it.and_then(|it| it.root().input.as_ref()).map(|held| held.value.clone()).unwrap_or_default(),
        vars: it.map(vars).unwrap_or_default(),
        tokens: replay.tokens(),
        nodes: replay.nodes(),
        undo_plan: replay.undo_plan(),
        machine: replay.machine(),
        seq: replay.seq().max(stored.seq),
        erased_at: stored.erased_ms.map(rfc3339),
        output: stored.output,
        reply: stored.reply,
        instance: item(stored.summary),
        document,
    }))
}

/// Erase an ended instance's payloads
///
/// Its journal, input, reply, output and what was said of its error are taken away for good; that it was, under which
/// business key, and how it ended, stays.
#[utoipa::path(delete, path = "/api/v1/instances/{id}", tag = "instances", params(("id" = String, Path)),
    responses((status = 204, description = "Gone, now or since before"), (status = 404, body = RefusalBody),
              (status = 409, body = RefusalBody)))]
pub(super) async fn erase(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    match app.engine.journal().erase(act, &id).await? {
        Erased::Gone => Ok(StatusCode::NO_CONTENT),
        Erased::Live => Err(Refusal::new(Code::InstanceNotEnded)),
        Erased::Unknown => Err(Refusal::say(Code::InstanceNotFound, format!("no instance {id}"))),
    }
}

fn vars(it: &Instance) -> Map<String, Value> {
    it.root().vars.iter().map(|(name, held)| (name.to_string(), (*held.value).clone())).collect()
}

/// Show an instance's journal
#[utoipa::path(get, path = "/api/v1/instances/{id}/journal", tag = "instances",
    params(("id" = String, Path), JournalQuery),
    responses((status = 200, body = Page<JournalItem>, description = "`next` is the `after` of the following page"),
              (status = 404, body = RefusalBody)))]
pub(super) async fn journal(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<JournalQuery>,
) -> Answer<Json<Page<JournalItem>>> {
    let store = app.engine.journal();
    let stored =
        store.instance(&id).await?.ok_or_else(|| Refusal::say(Code::InstanceNotFound, format!("no instance {id}")))?;
    let (after, limit) = (query.after.unwrap_or(0), limit(query.limit));
    // From the start: which node an entry is about shows only by what came before it.
    let until = u32::try_from(after).unwrap_or(u32::MAX).saturating_add(limit);
    let entries = store.journal(&id, 0, until).await?;
    let mut replay = Replay::new(history(&app, &stored, &entries).await?, &id);
    let mut items = Vec::new();
    for entry in &entries {
        let subject = replay.take(entry);
        if entry.seq > after {
            items.push(journal_item(entry, subject));
        }
    }
    let last = entries.last().map_or(after, |entry| entry.seq);
    // Of one that was erased there are none.
    let next = (last < stored.seq && !entries.is_empty()).then(|| last.to_string());
    Ok(Json(Page { items, next }))
}

fn journal_item(entry: &Entry, subject: Option<super::instance_view::Subject>) -> JournalItem {
    let mut data = match serde_json::to_value(&entry.event) {
        Ok(Value::Object(data)) => data,
        Ok(_) | Err(_) => Map::new(),
    };
    let kind = data.remove("type").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
    let attempt = data.get("attempt").and_then(Value::as_u64);
    let (node, visit) = subject.map(|subject| (subject.node, subject.visit)).unzip();
    JournalItem { seq: entry.seq, at: rfc3339(entry.at_ms), kind, node, visit, attempt, data }
}

/// A command's body may be left out.
fn optional<T: DeserializeOwned + Default>(bytes: &Bytes) -> Answer<T> {
    if bytes.is_empty() { Ok(T::default()) } else { body::parse(bytes) }
}

pub(super) async fn send(app: &App, id: &str, command: Command, caller: Caller) -> Answer<Response> {
    match app.engine.command(id, command, &caller.user).await {
        Ok(()) => Ok((StatusCode::ACCEPTED, Json(json!({ "id": id }))).into_response()),
        Err(CommandError::Unknown) => Err(Refusal::say(Code::InstanceNotFound, format!("no instance {id}"))),
        Err(CommandError::Full) => Err(Refusal::say(Code::QueueFull, "too many commands wait for the instance")),
        Err(CommandError::Ended) => Err(Refusal::new(Code::InstanceEnded)),
        Err(CommandError::Unavailable(error)) => Err(error.into()),
    }
}

/// Cancel an instance
///
/// It ends as it stands; nothing is undone.
#[utoipa::path(post, path = "/api/v1/instances/{id}/cancel", tag = "instances", params(("id" = String, Path)),
    request_body = ReasonBody,
    responses((status = 202, body = Commanded, description = "Kept; carried out soon after"),
              (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    Raw(bytes): Raw,
) -> Answer<Response> {
    send(&app, &id, Command::Cancel { reason: reason(&bytes)? }, caller).await
}

/// Compensate an instance
///
/// Everything is stopped, and what was completed is undone in reverse order.
#[utoipa::path(post, path = "/api/v1/instances/{id}/compensate", tag = "instances", params(("id" = String, Path)),
    request_body = ReasonBody,
    responses((status = 202, body = Commanded), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn compensate(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    Raw(bytes): Raw,
) -> Answer<Response> {
    send(&app, &id, Command::Compensate { reason: reason(&bytes)? }, caller).await
}

/// Why somebody asks: shown in every list, so it is kept short.
pub(super) fn reason(bytes: &Bytes) -> Answer<String> {
    let asked: ReasonBody = optional(bytes)?;
    let text = asked.reason.unwrap_or_default();
    if text.chars().count() > REASON_CHARS_MAX {
        let problem = Problem::error("TEXT_LENGTH", "/reason", format!("at most {REASON_CHARS_MAX} characters"));
        return Err(Refusal::with(Code::BodyInvalid, vec![problem]));
    }
    Ok(text)
}

/// Retry what stands in an incident
///
/// The same visit under the same key.
#[utoipa::path(post, path = "/api/v1/instances/{id}/retry", tag = "instances", params(("id" = String, Path)),
    request_body = RetryBody,
    responses((status = 202, body = Commanded), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn retry(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    Raw(bytes): Raw,
) -> Answer<Response> {
    let asked: RetryBody = optional(&bytes)?;
    let (stored, replay) = replay(&app, &id).await?;
    if stored.summary.state.ended() {
        return Err(Refusal::new(Code::InstanceEnded));
    }
    let wanted = |token: &&TokenItem| {
        asked.node.as_ref().is_none_or(|node| token.node == *node) && asked.token.is_none_or(|id| token.token == id)
    };
    let stuck: Vec<TokenItem> =
        replay.tokens().into_iter().filter(|token| token.state == "incident").filter(|token| wanted(&token)).collect();
    let token = match (&stuck[..], asked.node.is_some() || asked.token.is_some()) {
        ([], _) => return Err(Refusal::new(Code::NothingToRetry)),
        (_, false) => None,
        ([one, ..], true) => Some(one.token),
    };
    send(&app, &id, Command::Retry { token, new_key: asked.new_key }, caller).await
}
