//! The doors: one module per resource, each from the request to the engine or the store and back.
//!
//! Invariants:
//! - A handler answers from the store, the engine or the sandbox; none calls another handler.
//! - Nothing is kept here that a restart may not lose.
//!
//! Not here: connections and limits (`listen`, `gate`, `limits`), what the commands do (`runtime`).

pub(crate) mod auth;
pub(crate) mod backup;
mod bindings;
mod body;
mod bulk;
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
mod instance_view;
mod instances;
pub(crate) mod limits;
pub(crate) mod listen;
mod messages;
mod needs;
mod old_code;
pub(crate) mod openapi;
mod ops;
mod pauses;
mod plugins;
pub(crate) mod problem;
mod records;
mod replay;
mod routes;
mod schedules;
mod session;
mod shapes;
mod signature;
mod start;
mod tasks;
pub(crate) mod time;
mod trigger;
mod uploads;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post, put};
use stepwell_runtime::clock::SystemClock;
use tokio::sync::watch;

use crate::Engine;
use crate::config::Config;
use crate::library::Library;
use crate::packages::Granting;
use crate::pauses::Pausing;
use crate::records::RecordTypes;
use crate::uploads::Uploading;
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
    Router::new()
        .merge(flow_routes())
        .merge(instance_routes())
        .merge(plugin_routes())
        .merge(door_routes())
        .route("/api/v1/session", post(session::log_in).get(session::show).delete(session::log_out))
        .route("/api/v1/schedules", get(schedules::list))
        .route("/api/v1/schedules/{id}", get(schedules::show))
        .route("/api/v1/schedules/{id}/pause", post(schedules::pause))
        .route("/api/v1/schedules/{id}/resume", post(schedules::resume))
        .route("/api/v1/schedules/{id}/run", post(schedules::run))
        .route("/api/v1/events", get(events::follow))
        .route("/api/v1/audit", get(ops::audit))
        .route("/api/v1/backup", post(backup::make))
        .route("/api/v1/status", get(ops::status))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
        .route("/openapi.json", get(openapi::serve))
        .route("/docs", get(openapi::docs))
        .fallback(console::fallback)
        .method_not_allowed_fallback(async || problem::Refusal::new(problem::Code::MethodNotAllowed))
        .with_state(app)
}

fn flow_routes() -> Router<App> {
    Router::new()
        .route("/t/{*path}", post(trigger::take))
        .route("/api/v1/flows", get(flows::list))
        .route("/api/v1/flows/check", post(flows::check))
        .route("/api/v1/flows/{key}", get(flows::show))
        .route("/api/v1/flows/{key}/draft", get(drafts::show).put(drafts::save).delete(drafts::drop_draft))
        .route("/api/v1/flows/{key}/publish", post(flows::publish))
        .route("/api/v1/flows/{key}/versions/{version}", get(flows::version).delete(needs::delete_version))
        .route("/api/v1/flows/{key}/where-used", get(needs::flow))
        .route("/api/v1/flows/{key}/instances", post(start::start))
}

fn door_routes() -> Router<App> {
    Router::new()
        .route("/api/v1/flows/{key}/bindings", get(bindings::show).put(bindings::save).delete(bindings::drop_binding))
        .route("/api/v1/flows/{key}/bindings/preview", post(bindings::preview))
        .route("/api/v1/flows/{key}/bindings/figures", get(bindings::figures))
        .route("/api/v1/routes", get(routes::list))
        .route("/api/v1/routes/{path}", get(routes::show).put(routes::save).delete(routes::drop_route))
        .route("/api/v1/routes/{path}/preview", post(routes::preview))
        .route("/api/v1/gc", post(needs::collect))
        .route("/api/v1/record-types", get(records::types))
        .route("/api/v1/record-types/{key}", get(records::show_type).put(records::publish_type))
        .route("/api/v1/records/{type}", get(records::list))
        .route("/api/v1/records/{type}/{id}", get(records::show).put(records::put))
}

fn instance_routes() -> Router<App> {
    Router::new()
        .route("/api/v1/instances", get(instances::list))
        .route("/api/v1/instances/{id}", get(instances::show).delete(instances::erase))
        .route("/api/v1/instances/{id}/journal", get(instances::journal))
        .route("/api/v1/instances/{id}/cancel", post(instances::cancel))
        .route("/api/v1/instances/{id}/compensate", post(instances::compensate))
        .route("/api/v1/instances/{id}/retry", post(instances::retry))
        .route("/api/v1/instances/{id}/suspend", post(commands::suspend))
        .route("/api/v1/instances/{id}/resume", post(commands::resume))
        .route("/api/v1/instances/{id}/move", post(commands::move_token))
        .route("/api/v1/instances/{id}/skip", post(commands::skip))
        .route("/api/v1/instances/{id}/migrate", post(commands::migrate))
        .route("/api/v1/instances/{id}/replay", post(replay::run))
        .route("/api/v1/bulk", post(bulk::run))
        .route("/api/v1/messages", post(messages::post))
        .route("/api/v1/tasks", get(tasks::list))
        .route("/api/v1/tasks/{id}", get(tasks::show))
        .route("/api/v1/tasks/{id}/claim", post(tasks::claim))
        .route("/api/v1/tasks/{id}/assign", post(tasks::assign))
        .route("/api/v1/tasks/{id}/complete", post(tasks::complete))
        .route("/api/v1/tasks/{id}/fail", post(tasks::fail))
        .route("/api/v1/external-tasks", get(external_tasks::list))
        .route("/api/v1/external-tasks/fetch", post(external_tasks::fetch))
        .route("/api/v1/external-tasks/{id}/extend", post(external_tasks::extend))
        .route("/api/v1/external-tasks/{id}/complete", post(external_tasks::complete))
        .route("/api/v1/external-tasks/{id}/fail", post(external_tasks::fail))
}

fn plugin_routes() -> Router<App> {
    Router::new()
        .route("/api/v1/plugins", get(plugins::list).post(uploads::upload))
        .route("/api/v1/plugins/uploads", get(uploads::list))
        .route("/api/v1/plugins/uploads/{id}", get(uploads::show))
        .route("/api/v1/plugins/revoked", get(old_code::list))
        .route("/api/v1/plugins/{name}/{version}", get(plugins::show))
        .route("/api/v1/plugins/{name}/{version}/breaker", delete(plugins::reset_breaker))
        .route("/api/v1/plugins/{digest}", delete(needs::delete_plugin))
        .route("/api/v1/plugins/{digest}/where-used", get(needs::plugin))
        .route("/api/v1/plugins/{digest}/revoke", post(old_code::revoke).delete(old_code::take_back))
        .route("/api/v1/plugins/{digest}/roll-forward", post(old_code::roll_forward))
        .route("/api/v1/node-types", get(plugins::node_types))
        .route("/api/v1/connections", get(connections::list))
        .route("/api/v1/connections/{name}", get(connections::show).put(connections::put))
        .route("/api/v1/pauses", get(pauses::list))
        .route(
            "/api/v1/pauses/node-types/{plugin}/{type}",
            get(pauses::show_node_type).put(pauses::pause_node_type).delete(pauses::resume_node_type),
        )
        .route("/api/v1/pauses/node-types/{plugin}/{type}/probe", post(pauses::probe_node_type))
        .route(
            "/api/v1/pauses/connections/{name}",
            get(pauses::show_connection).put(pauses::pause_connection).delete(pauses::resume_connection),
        )
        .route("/api/v1/pauses/connections/{name}/probe", post(pauses::probe_connection))
        .route("/api/v1/grants", get(connections::grants))
        .route("/api/v1/grants/{plugin}/{connection}", put(connections::grant).delete(connections::ungrant))
        .route(
            "/api/v1/grants/{plugin}/records/{type}",
            put(connections::grant_records).delete(connections::ungrant_records),
        )
}
