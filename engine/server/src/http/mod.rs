//! The doors: one module per resource, each from the request to the engine or the store and back.
//!
//! Invariants:
//! - A handler answers from the store, the engine or the sandbox; none calls another handler.
//! - Nothing is kept here that a restart may not lose.
//!
//! Not here: connections and limits (`listen`, `gate`, `limits`), what the commands do (`runtime`).

pub mod auth;
mod body;
mod console;
mod extract;
mod gate;
pub mod limits;
pub mod listen;
pub mod openapi;
pub mod problem;
mod session;
mod shapes;
mod time;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use stepwell_runtime::clock::SystemClock;

use crate::config::Config;
use auth::Auth;
use limits::Limits;

/// What every handler can reach.
#[derive(Clone)]
pub struct App(Arc<Shared>);

pub struct Shared {
    pub config: Config,
    pub auth: Auth,
    pub limits: Limits,
    pub clock: SystemClock,
}

impl App {
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

pub fn router(app: App) -> Router {
    Router::new()
        .route("/api/v1/session", post(session::log_in).get(session::show).delete(session::log_out))
        .route("/openapi.json", get(openapi::serve))
        .route("/docs", get(openapi::docs))
        .fallback(console::fallback)
        .method_not_allowed_fallback(|| async { problem::Refusal::new(problem::Code::MethodNotAllowed) })
        .with_state(app)
}
