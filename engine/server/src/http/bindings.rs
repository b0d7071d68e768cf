//! `/api/v1/flows/{key}/bindings`: the rules that pick a version at start.
//!
//! Invariants:
//! - A binding is written only over the revision its writer has seen, and only without a problem.
//! - A change holds for the starts that follow; no instance that was started is touched.
//! - A preview starts nothing and keeps nothing.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_core::bind::{Binding, Choice};
use stepwell_core::machine::State as InstanceState;
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_store::{Act, Counts, Rules, RulesSaved, SaveRules};

use super::body::{self, not_too_deep};
use super::caller::Caller;
use super::drafts::{expectation, tagged};
use super::extract::Path;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, choose, shapes};
use crate::table::Known;

/// Starts that one preview tells of.
pub(super) const PREVIEW_MAX: usize = 1_000;

/// A flow's binding.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BindingBody {
    #[schema(value_type = shapes::Binding)]
    binding: Arc<Value>,
    /// The text of the `ETag`.
    revision: String,
    updated_at: String,
    updated_by: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveBindingBody {
    #[schema(value_type = shapes::Binding)]
    binding: Value,
}

/// Rules that were kept.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RulesSavedBody {
    revision: String,
    updated_at: String,
    /// Warnings alone: with an error nothing is kept.
    #[schema(value_type = Vec<shapes::Problem>)]
    problems: Vec<Problem>,
}

/// What would be started.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewBody {
    /// In place of the one that is kept: to try it before.
    #[serde(default)]
    #[schema(value_type = Option<shapes::Binding>)]
    binding: Option<Value>,
    /// Business keys, each a start without an input.
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    items: Vec<PreviewItem>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PreviewItem {
    #[serde(default)]
    business_key: Option<String>,
    #[serde(default)]
    input: Value,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Previewed {
    /// In the order that was asked: keys, then items.
    items: Vec<Foreseen>,
}

/// What a start would get.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Foreseen {
    /// The caller's, or the one that the newest version makes of the input.
    business_key: Option<String>,
    /// None: everything that could be chosen is switched off.
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// As it would stand on the instance: `rule/pilot`, `split/b`, `default`, `fallback`, `newest`.
    by: Option<String>,
    /// What was chosen first, and is switched off or gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead_of: Option<InsteadOf>,
    /// A split chose by chance, because there is no business key: another start may get another version.
    by_chance: bool,
    /// Rules whose expression has no value for this input.
    skipped: Vec<SkippedRule>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct InsteadOf {
    by: String,
    version: Option<u32>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SkippedRule {
    pub(super) rule: String,
    pub(super) message: String,
}

/// How a flow's starts fared, by what chose their version and by version.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Figures {
    /// Starts that a binding or a route chose the version of.
    items: Vec<ChoiceFigures>,
    /// All starts.
    versions: Vec<VersionFigures>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ChoiceFigures {
    by: String,
    version: u32,
    #[serde(flatten)]
    figures: Fared,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct VersionFigures {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(flatten)]
    figures: Fared,
}

/// Counts of instances; those that stand in an incident now are counted as live, too.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Fared {
    started: u64,
    /// Not ended yet.
    live: u64,
    /// Standing in an incident now.
    incidents: u64,
    completed: u64,
    failed: u64,
    compensated: u64,
    cancelled: u64,
}

impl Fared {
    fn new(counts: &Counts) -> Self {
        let ended = |state: InstanceState| state.ended();
        Self {
            started: counts.iter().map(|(_, instances)| instances).sum(),
            live: counts.iter().filter(|&(state, _)| !ended(state)).map(|(_, instances)| instances).sum(),
            incidents: counts.get(InstanceState::Incident),
            completed: counts.get(InstanceState::Completed),
            failed: counts.get(InstanceState::Failed),
            compensated: counts.get(InstanceState::Compensated),
            cancelled: counts.get(InstanceState::Cancelled),
        }
    }
}

/// Show a flow's binding
#[utoipa::path(get, path = "/api/v1/flows/{key}/bindings", tag = "bindings", params(("key" = String, Path)),
    responses((status = 200, body = BindingBody), (status = 404, body = RefusalBody)))]
pub(super) async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Response> {
    published(&app, &key).await?;
    let found = app.engine.journal().binding(&key).await?.ok_or_else(|| Refusal::new(Code::BindingNotFound))?;
    Ok(tagged(found.revision, Json(shown(found)).into_response()))
}

/// Set which version a start of the flow runs
#[utoipa::path(put, path = "/api/v1/flows/{key}/bindings", tag = "bindings",
    params(("key" = String, Path),
           ("If-Match" = Option<String>, Header, description = "The revision that is replaced"),
           ("If-None-Match" = Option<String>, Header, description = "`*` for a first binding")),
    request_body = SaveBindingBody,
    responses((status = 200, body = RulesSavedBody), (status = 404, body = RefusalBody),
              (status = 409, body = RefusalBody, description = "With the binding as it is, in `current`"),
              (status = 422, body = RefusalBody, description = "With all problems"), (status = 428, body = RefusalBody)))]
pub(super) async fn save(
    State(app): State<App>,
    Path(key): Path<String>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body::Json(asked): body::Json<SaveBindingBody>,
) -> Answer<Response> {
    let expect = expectation(&headers)?;
    published(&app, &key).await?;
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let save = SaveRules { name: key, spec: Arc::new(asked.binding), expect, act };
    match app.engine.journal().put_binding(save).await? {
        RulesSaved::Saved(rules, problems) => saved(&app, &rules, problems).await,
        RulesSaved::Conflict(current) => {
            let current = current.map_or(Value::Null, |rules| serde_json::to_value(shown(rules)).unwrap_or_default());
            Err(Refusal::new(Code::BindingConflict).and("current", current))
        }
        RulesSaved::Refused(problems) => Err(Refusal::with(Code::BindingHasProblems, problems)),
    }
}

/// Drop a flow's binding: its starts get the newest version
#[utoipa::path(delete, path = "/api/v1/flows/{key}/bindings", tag = "bindings", params(("key" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn drop_binding(
    State(app): State<App>,
    Path(key): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    if !app.engine.journal().delete_binding(act, &key).await? {
        return Err(Refusal::new(Code::BindingNotFound));
    }
    app.library.read_all().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tell which version starts would get, and by which rule
///
/// Nothing is started and nothing kept. At most 1,000 starts at once.
#[utoipa::path(post, path = "/api/v1/flows/{key}/bindings/preview", tag = "bindings", params(("key" = String, Path)),
    request_body = PreviewBody,
    responses((status = 200, body = Previewed), (status = 404, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn preview(
    State(app): State<App>,
    Path(key): Path<String>,
    body::Json(asked): body::Json<PreviewBody>,
) -> Answer<Json<Previewed>> {
    let known = published(&app, &key).await?;
    let binding = match (&asked.binding, &known.binding) {
        (None, Some(kept)) => kept.clone(),
        (None, None) => Binding::none(&known.versions),
        (Some(tried), _) => {
            let checked = Binding::check(tried, &known.versions);
            let sound = checked.is_sound();
            match checked.rules.filter(|_| sound) {
                Some(tried) => tried,
                None => return Err(Refusal::with(Code::BindingHasProblems, checked.problems)),
            }
        }
    };
    if asked.keys.len() + asked.items.len() > PREVIEW_MAX {
        let problem = Problem::error("TOO_MANY", "/items", format!("at most {PREVIEW_MAX} starts at once"));
        return Err(Refusal::with(Code::BodyInvalid, vec![problem]));
    }
    let keys = asked.keys.into_iter().map(|key| PreviewItem { business_key: Some(key), input: Value::Null });
    let mut items = Vec::new();
    for item in keys.chain(asked.items) {
        not_too_deep(&item.input, "/items")?;
        let asks = binding.asks_for_a_key();
        let (choice, key) = choose::bound(&app, &known, &binding, item.business_key.as_deref(), &item.input).await?;
        items.push(Foreseen::new(&known, choice, key, asks));
    }
    Ok(Json(Previewed { items }))
}

/// How starts fared, by what chose their version
#[utoipa::path(get, path = "/api/v1/flows/{key}/bindings/figures", tag = "bindings", params(("key" = String, Path)),
    responses((status = 200, body = Figures), (status = 404, body = RefusalBody)))]
pub(super) async fn figures(State(app): State<App>, Path(key): Path<String>) -> Answer<Json<Figures>> {
    let store = app.engine.journal();
    let flow = store.flow(&key).await?.ok_or_else(|| Refusal::say(Code::FlowNotFound, format!("no flow {key}")))?;
    let items = store.choice_counts(&key).await?.into_iter().map(|one| ChoiceFigures {
        by: one.bound_by,
        version: one.version,
        figures: Fared::new(&one.counts),
    });
    let versions = flow.versions.into_iter().map(|one| VersionFigures {
        version: one.version,
        label: one.label,
        figures: Fared::new(&one.counts),
    });
    Ok(Json(Figures { items: items.collect(), versions: versions.collect() }))
}

impl Foreseen {
    fn new(known: &Known, choice: Choice, business_key: Option<String>, asks: bool) -> Self {
        let by = choice.chosen.as_ref().map(|(by, _)| by.to_string());
        let version = choice.chosen.as_ref().map(|&(_, version)| version);
        let first = choice.instead_of.as_ref().map(|passed| passed.by.to_string()).or_else(|| by.clone());
        Self {
            by_chance: asks && business_key.is_none() && first.is_some_and(|by| by.starts_with("split/")),
            label: version.and_then(|version| known.versions.label(version)).map(ToString::to_string),
            business_key,
            version,
            by,
            instead_of: choice.instead_of.map(|one| InsteadOf { by: one.by.to_string(), version: one.version }),
            skipped: skipped(choice.skipped),
        }
    }
}

pub(super) fn skipped(skipped: Vec<stepwell_core::bind::Skipped>) -> Vec<SkippedRule> {
    let one = |one: stepwell_core::bind::Skipped| SkippedRule { rule: one.rule.to_string(), message: one.message };
    skipped.into_iter().map(one).collect()
}

/// The flow, if it is published.
async fn published(app: &App, key: &str) -> Answer<Arc<Known>> {
    match app.library.table().flow(key) {
        Some(known) => Ok(known),
        None => Err(super::start::unpublished(app, key).await),
    }
}

/// Rules that were kept, and are in force here when this returns.
pub(super) async fn saved(app: &App, rules: &Rules, problems: Vec<Problem>) -> Answer<Response> {
    app.library.read_all().await?;
    let body = RulesSavedBody { revision: rules.revision.to_string(), updated_at: rfc3339(rules.updated_ms), problems };
    Ok(tagged(rules.revision, Json(body).into_response()))
}

fn shown(rules: Rules) -> BindingBody {
    BindingBody {
        binding: rules.spec,
        revision: rules.revision.to_string(),
        updated_at: rfc3339(rules.updated_ms),
        updated_by: rules.updated_by,
    }
}
