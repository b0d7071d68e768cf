//! The API's description, made from the handlers: served, printed by `stepwell print openapi`,
//! and checked in beside this crate.
//!
//! Invariant: a handler that is routed is listed here; `tests/http` asks for every path listed.

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, header};
use std::fmt::Write as _;
use std::sync::OnceLock;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::problem::Code;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Stepwell",
        description = "Durable flows of sandboxed WebAssembly steps. Refusals are problem+json with a stable `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        super::flows::list, super::flows::show, super::flows::version, super::flows::check, super::flows::publish,
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
        super::messages::post,
        super::tasks::list, super::tasks::show, super::tasks::claim, super::tasks::assign, super::tasks::complete,
        super::tasks::fail,
        super::external_tasks::list, super::external_tasks::fetch, super::external_tasks::extend,
        super::external_tasks::complete, super::external_tasks::fail,
        super::plugins::list, super::plugins::show, super::plugins::reset_breaker, super::plugins::node_types,
        super::uploads::upload, super::uploads::list, super::uploads::show,
        super::old_code::list, super::old_code::revoke, super::old_code::take_back, super::old_code::roll_forward,
        super::connections::list, super::connections::show, super::connections::put,
        super::connections::grants, super::connections::grant, super::connections::ungrant,
        super::connections::grant_records, super::connections::ungrant_records,
        super::records::types, super::records::show_type, super::records::publish_type, super::records::list,
        super::records::show, super::records::put,
        super::pauses::list, super::pauses::show_node_type, super::pauses::pause_node_type,
        super::pauses::resume_node_type, super::pauses::probe_node_type, super::pauses::show_connection,
        super::pauses::pause_connection, super::pauses::resume_connection, super::pauses::probe_connection,
        super::schedules::list, super::schedules::show, super::schedules::pause, super::schedules::resume,
        super::schedules::run,
        super::events::follow,
        super::session::log_in, super::session::show, super::session::log_out,
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
         Send <code>Authorization: Bearer &lt;token&gt;</code>.</p><h2>Operations</h2><table>",
    );
    for (path, item) in &api.paths.paths {
        for (method, operation) in
            [("GET", &item.get), ("POST", &item.post), ("PUT", &item.put), ("DELETE", &item.delete)]
        {
            let Some(operation) = operation else { continue };
            let summary = escape(operation.summary.as_deref().unwrap_or_default());
            let detail = escape(operation.description.as_deref().unwrap_or_default());
            let _ = write!(page, "<tr><td><code>{method}&nbsp;{}</code><td>{summary}<br>{detail}", escape(path));
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
