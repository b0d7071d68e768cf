//! The API's description, made from the handlers: served, printed by `stepwell print openapi`,
//! and checked in beside this crate.
//!
//! Invariant: a handler that is routed is listed here; `tests/http` asks for every path listed.

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::OnceLock;
use utoipa::OpenApi;
use utoipa::openapi::PathItem;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::access::{Of, Rule};
use super::problem::Code;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Stepwell",
        description = "Durable flows of sandboxed WebAssembly steps. Refusals are problem+json with a stable `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        super::flows::list, super::flows::show, super::flows::version, super::flows::check, super::import::read,
        super::flows::publish,
        super::drafts::show, super::drafts::save, super::drafts::drop_draft,
        super::start::start, super::trigger::take,
        super::bindings::show, super::bindings::save, super::bindings::drop_binding, super::bindings::preview,
        super::bindings::figures,
        super::routes::list, super::routes::show, super::routes::save, super::routes::drop_route, super::routes::preview,
        super::needs::flow, super::needs::delete_version, super::needs::plugin, super::needs::delete_plugin,
        super::needs::collect,
        super::instances::list, super::instances::show, super::instances::journal, super::instances::cancel,
        super::instances::retry, super::instances::compensate, super::instances::erase,
        super::commands::suspend, super::commands::resume, super::commands::move_token, super::commands::skip,
        super::commands::migrate, super::replay::run,
        super::bulk::run,
        super::machines::show, super::machines::actions, super::machines::plug, super::machines::unplug,
        super::machines::states, super::machines::save_states, super::machines::act, super::machines::evaluate,
        super::messages::post,
        super::tasks::list, super::tasks::show, super::tasks::claim, super::tasks::assign, super::tasks::complete,
        super::tasks::fail,
        super::external_tasks::list, super::external_tasks::fetch, super::external_tasks::extend,
        super::external_tasks::complete, super::external_tasks::fail,
        super::plugins::list, super::plugins::show, super::plugins::reset_breaker, super::plugins::node_types,
        super::aliases::list, super::aliases::put, super::aliases::delete,
        super::uploads::upload, super::uploads::list, super::uploads::show,
        super::old_code::list, super::old_code::revoke, super::old_code::take_back, super::old_code::roll_forward,
        super::connections::list, super::connections::show, super::connections::put,
        super::connections::delete, super::connections::probe,
        super::secrets::list, super::secrets::put, super::secrets::delete,
        super::grants::list, super::grants::put, super::grants::delete,
        super::grants::put_connection, super::grants::delete_connection,
        super::grants::put_records, super::grants::delete_records, super::reach::show,
        super::records::types, super::records::show_type, super::records::publish_type, super::records::list,
        super::records::show, super::records::put,
        super::tables::list, super::tables::show, super::tables::publish, super::tables::version, super::tables::evaluate,
        super::needs::table,
        super::pauses::list, super::pauses::show_node_type, super::pauses::pause_node_type,
        super::pauses::resume_node_type, super::pauses::probe_node_type, super::pauses::show_connection,
        super::pauses::pause_connection, super::pauses::resume_connection, super::pauses::probe_connection,
        super::schedules::list, super::schedules::show, super::schedules::pause, super::schedules::resume,
        super::schedules::run,
        super::events::follow,
        super::session::log_in, super::session::show, super::session::log_out, super::session::set_password,
        super::session::setup, super::session::first_admin, super::session::new_link,
        super::users::list, super::users::add, super::users::show, super::users::remove, super::users::set_roles,
        super::users::set_password, super::users::disable, super::users::enable, super::users::end_sessions,
        super::tokens::list, super::tokens::add, super::tokens::revoke,
        super::backup::make,
        super::ops::audit, super::ops::status, super::ops::healthz, super::ops::readyz, super::ops::metrics,
    ),
    components(schemas(super::shapes::NodeType)),
    modifiers(&Schemes),
    security(("token" = []), ("session" = []))
)]
struct Api;

struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        let cookie = ApiKeyValue::with_description(super::auth::COOKIE, "Unsafe methods also need Stepwell-Csrf: 1");
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        for rule in super::table().rules {
            let Some(item) = openapi.paths.paths.get_mut(&path_of(&rule)) else { continue };
            if let Some(operation) = operation_of(item, rule.method).as_mut() {
                // One member: several would stand in any order.
                let needs = match rule.of {
                    Of::Open | Of::Oneself => json!({ "in": rule.of.name() }),
                    _ => json!({ "in": rule.of.name(), "role": rule.need.name() }),
                };
                operation.extensions = Some([(NEEDS, needs)].into_iter().collect());
            }
        }
    }
}

/// Which role an operation needs, and in which namespace.
const NEEDS: &str = "x-stepwell-needs";

/// A row's path as the description has it.
fn path_of(rule: &Rule) -> String {
    rule.path.replace("{*", "{")
}

fn operation_of<'a>(item: &'a mut PathItem, method: &str) -> &'a mut Option<Operation> {
    match method {
        "GET" => &mut item.get,
        "POST" => &mut item.post,
        "PUT" => &mut item.put,
        _ => &mut item.delete,
    }
}

/// For people: `operator`, and whose.
fn needs(operation: &Operation) -> String {
    let needs = operation.extensions.as_ref().and_then(|all| all.get(NEEDS));
    let text = |name: &str| needs.and_then(|needs| needs.get(name)).and_then(Value::as_str).unwrap_or_default();
    match (text("role"), text("in")) {
        ("", "oneself") => "a token or session".to_owned(),
        ("", _) => "nothing".to_owned(),
        (role, "any") => format!("{role} in any namespace"),
        (role, "*") => format!("{role} in <code>*</code>"),
        (role, whose) => format!("{role} of the {whose}"),
    }
}

/// The document as checked in: pretty, with a newline at its end.
pub(crate) fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| match Api::openapi().to_pretty_json() {
        Ok(text) => text + "\n",
        Err(error) => unreachable!("the description is plain data: {error}"),
    })
}

pub(crate) async fn serve() -> Response {
    let mut response = text().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// One page, no scripts: every operation and every error code.
pub(crate) async fn docs() -> Html<&'static str> {
    static PAGE: OnceLock<String> = OnceLock::new();
    Html(PAGE.get_or_init(|| page(&Api::openapi())))
}

fn page(api: &utoipa::openapi::OpenApi) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>Stepwell API</title><style>body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}\
         td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0}</style><body><h1>Stepwell API</h1>\
         <p>The machine-readable description is <a href=\"/openapi.json\">/openapi.json</a> (OpenAPI 3.1). \
         Send <code>Authorization: Bearer &lt;token&gt;</code>.</p><h2>Operations</h2><table><tr><th>operation<th>what it does<th>needs",
    );
    for (path, item) in &api.paths.paths {
        for (method, operation) in
            [("GET", &item.get), ("POST", &item.post), ("PUT", &item.put), ("DELETE", &item.delete)]
        {
            let Some(operation) = operation else { continue };
            let summary = escape(operation.summary.as_deref().unwrap_or_default());
            let detail = escape(operation.description.as_deref().unwrap_or_default());
            let (path, needs) = (escape(path), needs(operation));
            let _ = write!(page, "<tr><td><code>{method}&nbsp;{path}</code><td>{summary}<br>{detail}<td>{needs}");
        }
    }
    page.push_str("</table><h2>Error codes</h2><table><tr><th>code<th>status<th>meaning");
    for code in Code::ALL {
        let (text, status, title) = (code.text(), code.status().as_u16(), code.title());
        let _ = write!(page, "<tr id=\"{text}\"><td><code>{text}</code><td>{status}<td>{title}");
    }
    page.push_str("</table></body></html>");
    page
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_described_is_what_is_served() {
        let unlisted = ["/openapi.json", "/docs"];
        let rules = crate::http::table().rules;
        let served = rules.iter().filter(|rule| !unlisted.contains(&rule.path));
        let served: BTreeSet<(String, String)> =
            served.map(|rule| (path_of(rule), rule.method.to_lowercase())).collect();
        let api = serde_json::to_value(Api::openapi()).unwrap_or_default();
        let mut described = BTreeSet::new();
        for (path, item) in api["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                described.insert((path.clone(), method.clone()));
                let open = operation["security"].as_array().is_some_and(|any| any.iter().any(|one| *one == json!({})));
                let whose = operation[NEEDS]["in"].as_str().unwrap_or_default();
                assert_eq!(open, whose == "open", "{method} {path}");
            }
        }
        assert_eq!(described, served);
        // A row that takes its namespace from the path has that part in its path.
        for rule in rules {
            let part = match rule.of {
                Of::Flow => "{key}",
                Of::Instance | Of::Task | Of::Schedule => "{id}",
                Of::Open | Of::Trigger | Of::Oneself | Of::Any | Of::Everywhere => "",
            };
            assert!(rule.path.contains(part), "{} {}", rule.method, rule.path);
        }
    }
}
