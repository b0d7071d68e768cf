//! The doors: one module per resource, each from the request to the engine or the store and back.
//!
//! Invariants:
//! - Nothing is served that is not a row of [`table`].
//! - A handler answers from the store, the engine or the sandbox; none calls another handler.
//! - Nothing is kept here that a restart may not lose.
//!
//! Not here: connections and limits (`listen`, `gate`, `limits`), what the commands do (`runtime`).

mod access;
mod aliases;
pub(crate) mod auth;
pub(crate) mod backup;
mod bindings;
mod body;
mod book;
mod bulk;
mod caller;
mod choose;
mod commands;
mod connections;
mod console;
mod drafts;
mod events;
mod external_tasks;
mod extract;
mod flows;
mod gate;
mod grants;
mod import;
mod instance_view;
mod instances;
pub(crate) mod limits;
pub(crate) mod listen;
mod machine_view;
mod machines;
mod messages;
mod needs;
mod old_code;
pub(crate) mod openapi;
mod ops;
mod passwords;
mod pauses;
mod plugins;
pub(crate) mod problem;
mod reach;
mod records;
mod replay;
mod routes;
mod schedules;
mod secrets;
mod session;
mod shapes;
mod signature;
mod start;
mod tables;
mod tasks;
pub(crate) mod time;
mod tokens;
mod tries;
mod trigger;
mod uploads;
mod users;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method, Uri};
use stepwell_runtime::Clock as _;
use stepwell_runtime::clock::SystemClock;
use stepwell_store::Role::{Admin, Designer, Operator, Viewer};
use tokio::sync::watch;

use crate::Engine;
use crate::config::Config;
use crate::granting::Granting;
use crate::library::Library;
use crate::pauses::Pausing;
use crate::records::RecordTypes;
use crate::uploads::Uploading;
use access::{Of, Table};
use auth::Auth;
pub(crate) use choose::Wish;
use limits::Limits;
pub(crate) use start::{Start, Underway};
pub(crate) use trigger::Unverified;

/// What every handler can reach.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub config: Config,
    pub auth: Auth,
    pub limits: Limits,
    pub clock: SystemClock,
    pub engine: Engine,
    pub library: Library,
    pub record_types: Arc<RecordTypes>,
    /// This store's name in event ids.
    pub engine_id: Arc<str>,
    pub started_ms: u64,
    pub underway: Underway,
    /// Held while a plugin is kept and put in force.
    pub loading: tokio::sync::Mutex<()>,
    pub uploading: Uploading,
    /// Held while the database is copied and the copy sent.
    pub copying: Arc<tokio::sync::Mutex<()>>,
    pub granting: Granting,
    pub pausing: Pausing,
    pub unverified: Unverified,
    /// Turns true when connections are to be closed.
    pub stop: watch::Receiver<bool>,
}

impl App {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

pub(crate) fn router(app: App) -> Router {
    table().router.fallback(unknown).method_not_allowed_fallback(not_allowed).with_state(app)
}

/// What no row has: a place in the console, or nothing. Of the API nobody is told who is not known.
async fn unknown(State(app): State<App>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if (uri.path() == "/api" || uri.path().starts_with("/api/"))
        && let Err(refusal) = app.auth.caller(&method, &headers, app.clock.now_ms()).await
    {
        return refusal.response();
    }
    console::fallback(&method, &uri, &headers)
}

async fn not_allowed(State(app): State<App>, method: Method, uri: Uri, headers: HeaderMap) -> problem::Refusal {
    let mut refused = None;
    if uri.path().starts_with("/api/") {
        refused = app.auth.caller(&method, &headers, app.clock.now_ms()).await.err();
    }
    refused.unwrap_or_else(|| problem::Refusal::new(problem::Code::MethodNotAllowed))
}

/// Everything that is served, who may ask for it, and where.
pub(crate) fn table() -> Table {
    Table::default()
        .with(people)
        .with(flow_routes)
        .with(machine_routes)
        .with(instance_routes)
        .with(task_routes)
        .with(plugin_routes)
        .with(pause_routes)
        .with(door_routes)
        .with(record_routes)
        .with(table_routes)
        .with(operation)
}

fn people(table: Table) -> Table {
    table
        .post("/api/v1/session", Viewer, Of::Open, session::log_in)
        .get("/api/v1/session", Viewer, Of::Oneself, session::show)
        .delete("/api/v1/session", Viewer, Of::Oneself, session::log_out)
        .put("/api/v1/session/password", Viewer, Of::Oneself, session::set_password)
        .get("/api/v1/setup", Viewer, Of::Open, session::setup)
        .post("/api/v1/setup", Viewer, Of::Open, session::first_admin)
        .post("/api/v1/setup/link", Admin, Of::Everywhere, session::new_link)
        .get("/api/v1/users", Admin, Of::Everywhere, users::list)
        .post("/api/v1/users", Admin, Of::Everywhere, users::add)
        .get("/api/v1/users/{name}", Admin, Of::Everywhere, users::show)
        .delete("/api/v1/users/{name}", Admin, Of::Everywhere, users::remove)
        .put("/api/v1/users/{name}/roles", Admin, Of::Everywhere, users::set_roles)
        .put("/api/v1/users/{name}/password", Admin, Of::Everywhere, users::set_password)
        .post("/api/v1/users/{name}/disable", Admin, Of::Everywhere, users::disable)
        .post("/api/v1/users/{name}/enable", Admin, Of::Everywhere, users::enable)
        .delete("/api/v1/users/{name}/sessions", Admin, Of::Everywhere, users::end_sessions)
        .get("/api/v1/tokens", Viewer, Of::Any, tokens::list)
        .post("/api/v1/tokens", Viewer, Of::Any, tokens::add)
        .delete("/api/v1/tokens/{id}", Viewer, Of::Any, tokens::revoke)
}

fn flow_routes(table: Table) -> Table {
    table
        .post("/t/{*path}", Operator, Of::Trigger, trigger::take)
        .get("/api/v1/flows", Viewer, Of::Any, flows::list)
        .post("/api/v1/flows/check", Viewer, Of::Any, flows::check)
        .post("/api/v1/flows/import", Designer, Of::Any, import::read)
        .get("/api/v1/flows/{key}", Viewer, Of::Flow, flows::show)
        .get("/api/v1/flows/{key}/draft", Viewer, Of::Flow, drafts::show)
        .put("/api/v1/flows/{key}/draft", Designer, Of::Flow, drafts::save)
        .delete("/api/v1/flows/{key}/draft", Designer, Of::Flow, drafts::drop_draft)
        .post("/api/v1/flows/{key}/publish", Designer, Of::Flow, flows::publish)
        .get("/api/v1/flows/{key}/versions/{version}", Viewer, Of::Flow, flows::version)
        .delete("/api/v1/flows/{key}/versions/{version}", Designer, Of::Flow, needs::delete_version)
        .get("/api/v1/flows/{key}/where-used", Viewer, Of::Flow, needs::flow)
        .post("/api/v1/flows/{key}/instances", Operator, Of::Flow, start::start)
        .get("/api/v1/flows/{key}/bindings", Viewer, Of::Flow, bindings::show)
        .put("/api/v1/flows/{key}/bindings", Designer, Of::Flow, bindings::save)
        .delete("/api/v1/flows/{key}/bindings", Designer, Of::Flow, bindings::drop_binding)
        .post("/api/v1/flows/{key}/bindings/preview", Viewer, Of::Flow, bindings::preview)
        .get("/api/v1/flows/{key}/bindings/figures", Viewer, Of::Flow, bindings::figures)
}

/// Paths below `/t/` lead to flows of any namespace, and messages reach whoever waits for them.
fn door_routes(table: Table) -> Table {
    table
        .get("/api/v1/routes", Viewer, Of::Everywhere, routes::list)
        .get("/api/v1/routes/{path}", Viewer, Of::Everywhere, routes::show)
        .put("/api/v1/routes/{path}", Designer, Of::Everywhere, routes::save)
        .delete("/api/v1/routes/{path}", Designer, Of::Everywhere, routes::drop_route)
        .post("/api/v1/routes/{path}/preview", Viewer, Of::Everywhere, routes::preview)
        .post("/api/v1/messages", Operator, Of::Everywhere, messages::post)
        .get("/api/v1/schedules", Viewer, Of::Any, schedules::list)
        .get("/api/v1/schedules/{id}", Viewer, Of::Schedule, schedules::show)
        .post("/api/v1/schedules/{id}/pause", Operator, Of::Schedule, schedules::pause)
        .post("/api/v1/schedules/{id}/resume", Operator, Of::Schedule, schedules::resume)
        .post("/api/v1/schedules/{id}/run", Operator, Of::Schedule, schedules::run)
}

/// Machines are flows: what is said of those holds for them as well.
fn machine_routes(table: Table) -> Table {
    table
        .get("/api/v1/machines/{key}", Viewer, Of::Flow, machines::show)
        .get("/api/v1/machines/{key}/actions", Viewer, Of::Flow, machines::actions)
        .post("/api/v1/machines/{key}/actions", Designer, Of::Flow, machines::plug)
        .delete("/api/v1/machines/{key}/actions/{name}", Designer, Of::Flow, machines::unplug)
        .get("/api/v1/machines/{key}/states", Viewer, Of::Flow, machines::states)
        .put("/api/v1/machines/{key}/states", Designer, Of::Flow, machines::save_states)
        .post("/api/v1/instances/{id}/actions", Operator, Of::Instance, machines::act)
        .post("/api/v1/instances/{id}/evaluate", Operator, Of::Instance, machines::evaluate)
}

fn instance_routes(table: Table) -> Table {
    table
        .get("/api/v1/instances", Viewer, Of::Any, instances::list)
        .get("/api/v1/instances/{id}", Viewer, Of::Instance, instances::show)
        .delete("/api/v1/instances/{id}", Admin, Of::Instance, instances::erase)
        .get("/api/v1/instances/{id}/journal", Viewer, Of::Instance, instances::journal)
        .post("/api/v1/instances/{id}/cancel", Operator, Of::Instance, instances::cancel)
        .post("/api/v1/instances/{id}/compensate", Operator, Of::Instance, instances::compensate)
        .post("/api/v1/instances/{id}/retry", Operator, Of::Instance, instances::retry)
        .post("/api/v1/instances/{id}/suspend", Operator, Of::Instance, commands::suspend)
        .post("/api/v1/instances/{id}/resume", Operator, Of::Instance, commands::resume)
        .post("/api/v1/instances/{id}/move", Operator, Of::Instance, commands::move_token)
        .post("/api/v1/instances/{id}/skip", Operator, Of::Instance, commands::skip)
        .post("/api/v1/instances/{id}/migrate", Operator, Of::Instance, commands::migrate)
        .post("/api/v1/instances/{id}/replay", Operator, Of::Instance, replay::run)
        .post("/api/v1/bulk", Operator, Of::Any, bulk::run)
}

fn task_routes(table: Table) -> Table {
    table
        .get("/api/v1/tasks", Viewer, Of::Any, tasks::list)
        .get("/api/v1/tasks/{id}", Viewer, Of::Task, tasks::show)
        .post("/api/v1/tasks/{id}/claim", Operator, Of::Task, tasks::claim)
        .post("/api/v1/tasks/{id}/assign", Operator, Of::Task, tasks::assign)
        .post("/api/v1/tasks/{id}/complete", Operator, Of::Task, tasks::complete)
        .post("/api/v1/tasks/{id}/fail", Operator, Of::Task, tasks::fail)
        .get("/api/v1/external-tasks", Viewer, Of::Any, external_tasks::list)
        .post("/api/v1/external-tasks/fetch", Operator, Of::Any, external_tasks::fetch)
        .post("/api/v1/external-tasks/{id}/extend", Operator, Of::Task, external_tasks::extend)
        .post("/api/v1/external-tasks/{id}/complete", Operator, Of::Task, external_tasks::complete)
        .post("/api/v1/external-tasks/{id}/fail", Operator, Of::Task, external_tasks::fail)
}

fn plugin_routes(table: Table) -> Table {
    table
        .get("/api/v1/plugins", Viewer, Of::Any, plugins::list)
        .post("/api/v1/plugins", Admin, Of::Everywhere, uploads::upload)
        .get("/api/v1/plugins/uploads", Admin, Of::Everywhere, uploads::list)
        .get("/api/v1/plugins/uploads/{id}", Admin, Of::Everywhere, uploads::show)
        .get("/api/v1/plugins/revoked", Viewer, Of::Any, old_code::list)
        .post("/api/v1/plugins/{digest}/revoke", Admin, Of::Everywhere, old_code::revoke)
        .delete("/api/v1/plugins/{digest}/revoke", Admin, Of::Everywhere, old_code::take_back)
        .post("/api/v1/plugins/{digest}/roll-forward", Designer, Of::Everywhere, old_code::roll_forward)
        .get("/api/v1/plugins/{name}/{version}", Viewer, Of::Any, plugins::show)
        .delete("/api/v1/plugins/{name}/{version}/breaker", Operator, Of::Everywhere, plugins::reset_breaker)
        .delete("/api/v1/plugins/{digest}", Admin, Of::Everywhere, needs::delete_plugin)
        .get("/api/v1/plugins/{digest}/where-used", Viewer, Of::Any, needs::plugin)
        .get("/api/v1/node-types", Viewer, Of::Any, plugins::node_types)
        .get("/api/v1/aliases", Viewer, Of::Any, aliases::list)
        .put("/api/v1/aliases/{name}", Designer, Of::Everywhere, aliases::put)
        .delete("/api/v1/aliases/{name}", Designer, Of::Everywhere, aliases::delete)
        .post("/api/v1/gc", Admin, Of::Everywhere, needs::collect)
        .get("/api/v1/connections", Designer, Of::Any, connections::list)
        .get("/api/v1/connections/{name}", Designer, Of::Any, connections::show)
        .put("/api/v1/connections/{name}", Admin, Of::Everywhere, connections::put)
        .delete("/api/v1/connections/{name}", Admin, Of::Everywhere, connections::delete)
        .post("/api/v1/connections/{name}/probe", Admin, Of::Everywhere, connections::probe)
        .get("/api/v1/secrets", Admin, Of::Everywhere, secrets::list)
        .put("/api/v1/secrets/{name}", Admin, Of::Everywhere, secrets::put)
        .delete("/api/v1/secrets/{name}", Admin, Of::Everywhere, secrets::delete)
        .get("/api/v1/grants", Designer, Of::Any, grants::list)
        .put("/api/v1/grants/{plugin}", Admin, Of::Everywhere, grants::put)
        .delete("/api/v1/grants/{plugin}", Admin, Of::Everywhere, grants::delete)
        .put("/api/v1/grants/{plugin}/{connection}", Admin, Of::Everywhere, grants::put_connection)
        .delete("/api/v1/grants/{plugin}/{connection}", Admin, Of::Everywhere, grants::delete_connection)
        .put("/api/v1/grants/{plugin}/records/{type}", Admin, Of::Everywhere, grants::put_records)
        .delete("/api/v1/grants/{plugin}/records/{type}", Admin, Of::Everywhere, grants::delete_records)
        .get("/api/v1/plugins/{name}/{version}/reach", Designer, Of::Any, reach::show)
}

/// Records belong to no namespace: flows of several work on them.
fn record_routes(table: Table) -> Table {
    table
        .get("/api/v1/record-types", Viewer, Of::Any, records::types)
        .get("/api/v1/record-types/{key}", Viewer, Of::Any, records::show_type)
        .put("/api/v1/record-types/{key}", Designer, Of::Everywhere, records::publish_type)
        .get("/api/v1/records/{type}", Viewer, Of::Everywhere, records::list)
        .get("/api/v1/records/{type}/{id}", Viewer, Of::Everywhere, records::show)
        .put("/api/v1/records/{type}/{id}", Operator, Of::Everywhere, records::put)
}

/// A table belongs to the namespace of its key, as a flow does.
fn table_routes(table: Table) -> Table {
    table
        .get("/api/v1/tables", Viewer, Of::Any, tables::list)
        .get("/api/v1/tables/{key}", Viewer, Of::Flow, tables::show)
        .put("/api/v1/tables/{key}", Designer, Of::Flow, tables::publish)
        .get("/api/v1/tables/{key}/versions/{version}", Viewer, Of::Flow, tables::version)
        .post("/api/v1/tables/{key}/evaluate", Viewer, Of::Flow, tables::evaluate)
        .get("/api/v1/tables/{key}/where-used", Viewer, Of::Flow, needs::table)
}

/// What is paused is paused for every namespace.
fn pause_routes(table: Table) -> Table {
    let (node_type, connection) = ("/api/v1/pauses/node-types/{plugin}/{type}", "/api/v1/pauses/connections/{name}");
    table
        .get("/api/v1/pauses", Viewer, Of::Any, pauses::list)
        .get(node_type, Viewer, Of::Any, pauses::show_node_type)
        .put(node_type, Operator, Of::Everywhere, pauses::pause_node_type)
        .delete(node_type, Operator, Of::Everywhere, pauses::resume_node_type)
        .post("/api/v1/pauses/node-types/{plugin}/{type}/probe", Operator, Of::Everywhere, pauses::probe_node_type)
        .get(connection, Viewer, Of::Any, pauses::show_connection)
        .put(connection, Operator, Of::Everywhere, pauses::pause_connection)
        .delete(connection, Operator, Of::Everywhere, pauses::resume_connection)
        .post("/api/v1/pauses/connections/{name}/probe", Operator, Of::Everywhere, pauses::probe_connection)
}

fn operation(table: Table) -> Table {
    table
        .get("/api/v1/events", Viewer, Of::Any, events::follow)
        .get("/api/v1/audit", Admin, Of::Any, ops::audit)
        .post("/api/v1/backup", Admin, Of::Everywhere, backup::make)
        .get("/api/v1/status", Viewer, Of::Any, ops::status)
        .get("/healthz", Viewer, Of::Open, ops::healthz)
        .get("/readyz", Viewer, Of::Open, ops::readyz)
        .get("/metrics", Viewer, Of::Everywhere, ops::metrics)
        .get("/openapi.json", Viewer, Of::Open, openapi::serve)
        .get("/docs", Viewer, Of::Open, openapi::docs)
}
