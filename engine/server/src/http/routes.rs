//! `/api/v1/routes`: which flow a path below `/t/` starts, by rules over the body.
//!
//! Invariants:
//! - A route is written only over the revision its writer has seen, and only without a problem.
//! - A path belongs to one route or one flow.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepwell_core::bind::{Route, RouteChoice, Skipped};
use stepwell_core::flow::is_trigger_path;
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_store::{Act, Rules, RulesSaved, SaveRules};

use super::bindings::{PREVIEW_MAX, RulesSavedBody, SkippedRule, saved, skipped};
use super::body::{self, not_too_deep};
use super::caller::Caller;
use super::choose::Wish;
use super::drafts::{expectation, tagged};
use super::extract::Path;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, shapes};
use crate::table::Known;

/// A route.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RouteItem {
    path: String,
    #[schema(value_type = shapes::Route)]
    route: Arc<Value>,
    /// The text of the `ETag`.
    revision: String,
    updated_at: String,
    updated_by: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RouteList {
    /// By path.
    items: Vec<RouteItem>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveRouteBody {
    #[schema(value_type = shapes::Route)]
    route: Value,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoutePreviewBody {
    /// In place of the one that is kept: to try it before.
    #[serde(default)]
    #[schema(value_type = Option<shapes::Route>)]
    route: Option<Value>,
    /// Bodies that would be sent to the path.
    inputs: Vec<Value>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RoutePreviewed {
    /// In the order that was asked.
    items: Vec<Led>,
}

/// Where a body would lead.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Led {
    /// The body as the rules saw it, where the route asks a table first.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<Value>,
    /// None: no rule matches.
    rule: Option<String>,
    flow: Option<String>,
    /// None: no rule matches, or everything that could be chosen is switched off.
    version: Option<u32>,
    /// As it would stand on the instance; none where the flow has no binding.
    by: Option<String>,
    /// Rules whose expression has no value for this body.
    skipped: Vec<SkippedRule>,
}

fn shown(rules: Rules) -> RouteItem {
    RouteItem {
        path: rules.name,
        route: rules.spec,
        revision: rules.revision.to_string(),
        updated_at: rfc3339(rules.updated_ms),
        updated_by: rules.updated_by,
    }
}

/// List routes
#[utoipa::path(get, path = "/api/v1/routes", tag = "routes", responses((status = 200, body = RouteList)))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<RouteList>> {
    let items = app.engine.journal().routes().await?.into_iter().map(shown).collect();
    Ok(Json(RouteList { items }))
}

/// Show a route
#[utoipa::path(get, path = "/api/v1/routes/{path}", tag = "routes",
    params(("path" = String, Path, description = "Below `/t/`; a slash in it is written `%2F`")),
    responses((status = 200, body = RouteItem), (status = 404, body = RefusalBody)))]
pub(super) async fn show(State(app): State<App>, Path(path): Path<String>) -> Answer<Response> {
    let found = app.engine.journal().route(&path).await?.ok_or_else(|| missing(&path))?;
    Ok(tagged(found.revision, Json(shown(found)).into_response()))
}

fn missing(path: &str) -> Refusal {
    Refusal::say(Code::RouteNotFound, format!("no route {path}"))
}

/// Set which flow a path starts
#[utoipa::path(put, path = "/api/v1/routes/{path}", tag = "routes",
    params(("path" = String, Path, description = "Below `/t/`; a slash in it is written `%2F`"),
           ("If-Match" = Option<String>, Header, description = "The revision that is replaced"),
           ("If-None-Match" = Option<String>, Header, description = "`*` for a new route")),
    request_body = SaveRouteBody,
    responses((status = 200, body = RulesSavedBody),
              (status = 409, body = RefusalBody, description = "With the route as it is, in `current`"),
              (status = 422, body = RefusalBody, description = "With all problems"), (status = 428, body = RefusalBody)))]
pub(super) async fn save(
    State(app): State<App>,
    Path(path): Path<String>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body::Json(asked): body::Json<SaveRouteBody>,
) -> Answer<Response> {
    let expect = expectation(&headers)?;
    if !is_trigger_path(&path) {
        let message = format!("`{path}` is no path: letters, digits, `_`, `-`, `.` and `/`, no leading slash");
        return Err(Refusal::say(Code::PathInvalid, message));
    }
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    let save = SaveRules { name: path, spec: Arc::new(asked.route), expect, act };
    match app.engine.journal().put_route(save).await? {
        RulesSaved::Saved(rules, problems) => saved(&app, &rules, problems).await,
        RulesSaved::Conflict(current) => {
            let current = current.map_or(Value::Null, |rules| serde_json::to_value(shown(rules)).unwrap_or_default());
            Err(Refusal::new(Code::RouteConflict).and("current", current))
        }
        RulesSaved::Refused(problems) => Err(Refusal::with(Code::RouteHasProblems, problems)),
    }
}

/// Drop a route
#[utoipa::path(delete, path = "/api/v1/routes/{path}", tag = "routes",
    params(("path" = String, Path, description = "Below `/t/`; a slash in it is written `%2F`")),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn drop_route(
    State(app): State<App>,
    Path(path): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    if !app.engine.journal().delete_route(act, &path).await? {
        return Err(missing(&path));
    }
    app.library.read_all().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tell which flow and version bodies would start, and by which rule
///
/// Nothing is started and nothing kept. At most 1,000 bodies at once.
#[utoipa::path(post, path = "/api/v1/routes/{path}/preview", tag = "routes",
    params(("path" = String, Path, description = "Below `/t/`; a slash in it is written `%2F`")),
    request_body = RoutePreviewBody,
    responses((status = 200, body = RoutePreviewed), (status = 404, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn preview(
    State(app): State<App>,
    Path(path): Path<String>,
    body::Json(asked): body::Json<RoutePreviewBody>,
) -> Answer<Json<RoutePreviewed>> {
    let spec = match asked.route {
        Some(tried) => Arc::new(tried),
        None => app.engine.journal().route(&path).await?.ok_or_else(|| missing(&path))?.spec,
    };
    let checked = app.library.table().check_route(&spec);
    let Some(route) = checked.rules else {
        return Err(Refusal::with(Code::RouteHasProblems, checked.problems));
    };
    if asked.inputs.len() > PREVIEW_MAX {
        let problem = Problem::error("TOO_MANY", "/inputs", format!("at most {PREVIEW_MAX} bodies at once"));
        return Err(Refusal::with(Code::BodyInvalid, vec![problem]));
    }
    let mut items = Vec::with_capacity(asked.inputs.len());
    for input in &asked.inputs {
        not_too_deep(input, "/inputs")?;
        items.push(foresee(&app, &route, input).await?);
    }
    Ok(Json(RoutePreviewed { items }))
}

async fn foresee(app: &App, route: &Route, input: &Value) -> Answer<Led> {
    let answered = match resolved(app, route, input.clone()) {
        Ok(input) => input,
        Err(failed) => {
            let skipped = skipped(vec![failed]);
            return Ok(Led { resolved: None, rule: None, flow: None, version: None, by: None, skipped });
        }
    };
    let (input, resolved) = (&answered, route.resolve.as_ref().map(|_| answered.clone()));
    let choice = route.choose(input);
    let mut led = Led { resolved, rule: None, flow: None, version: None, by: None, skipped: skipped(choice.skipped) };
    let Some(to) = choice.chosen else { return Ok(led) };
    led.rule = Some(to.rule.to_string());
    led.flow = Some(to.flow.to_string());
    let Some(known) = app.library.table().flow(&to.flow) else { return Ok(led) };
    let wish = to.version.map_or(Wish::Any, |version| Wish::Route(to.rule, version));
    match wish.choose(app, &known, None, input).await {
        Ok((version, by)) => {
            led.version = Some(version);
            led.by = by.map(|by| by.to_string());
            Ok(led)
        }
        Err(refusal) if matches!(refusal.code, Code::VersionsOff | Code::VersionNotFound) => Ok(led),
        Err(refusal) => Err(refusal),
    }
}

/// The body with the answer of the table that the route asks, in its newest version.
fn resolved(app: &App, route: &Route, input: Value) -> Result<Value, Skipped> {
    let Some(resolve) = &route.resolve else { return Ok(input) };
    let answer = match app.library.table().asked(&resolve.table) {
        Some((version, table)) => resolve.ask(&table, version, input),
        None => Err(format!("no table {} is at hand", resolve.table)),
    };
    answer.map_err(|message| Skipped { rule: "resolve".into(), message })
}

/// Where a body leads that was sent to a route's path, and the body as the route's table has completed it. One that
/// leads nowhere is written down.
pub(super) async fn lead(
    app: &App,
    path: &str,
    route: &Route,
    input: Value,
    by: &str,
) -> Answer<(Arc<Known>, Wish, Value)> {
    let (choice, input) = match resolved(app, route, input) {
        Ok(input) => (route.choose(&input), input),
        Err(failed) => (RouteChoice { chosen: None, skipped: vec![failed] }, Value::Null),
    };
    let Some(to) = choice.chosen else {
        let act = Act { by: by.to_owned(), at_ms: app.clock.now_ms() };
        let skipped = serde_json::to_value(skipped(choice.skipped)).unwrap_or_default();
        let mut detail = json!({ "skipped": skipped });
        if let Some(answer) = route.resolve.as_ref().and_then(|resolve| resolve.answer_in(&input)) {
            detail["resolved"] = answer.clone();
        }
        app.engine.journal().audit(act, "route.no-match", path, detail).await?;
        return Err(
            Refusal::say(Code::NoMatchingFlow, format!("no rule of route {path} matches")).and("skipped", skipped)
        );
    };
    match app.library.table().flow(&to.flow) {
        Some(known) => Ok((known, to.version.map_or(Wish::Any, |version| Wish::Route(to.rule, version)), input)),
        None => Err(super::start::unpublished(app, &to.flow).await),
    }
}
