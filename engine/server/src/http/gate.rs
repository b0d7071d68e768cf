//! The way of every request from the port to its handler and back: slot, handler, headers, figures.
//!
//! Invariants:
//! - Every answer carries the security headers.
//! - A handler that panics costs its own request a 500, never the connection of others.
//!
//! Not here: the routes, and who may ask for which (`access`).

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures::FutureExt;
use http::{HeaderName, HeaderValue, Method, Request, header};
use hyper::body::Incoming;
use tower_service::Service;

use super::App;
use super::limits::Door;
use super::problem::{Code, Refusal};
use super::session::Peer;

/// Scripts and styles come from the engine alone; WebAssembly may be compiled (the checker).
/// Inline styles are allowed: the canvas and the code editor place things with them.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; \
     manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Answers one request.
pub(super) async fn answer(app: &App, router: &mut Router, from: IpAddr, mut request: Request<Incoming>) -> Response {
    let started = Instant::now();
    let door = Door::of(request.uri().path(), request.method() == Method::POST);
    let mut response = match app.limits.enter(door) {
        Err(refusal) => refusal.response(),
        Ok(_slot) => {
            request.extensions_mut().insert(Peer(from));
            run(router, request.map(Body::new)).await
        }
    };
    headers(door, &mut response);
    let status = response.status().as_u16();
    app.limits.count(door, status, started.elapsed());
    tracing::debug!(
        door = door.name(),
        status,
        us = u64::try_from(started.elapsed().as_micros()).unwrap_or(0),
        "answered"
    );
    response
}

async fn run(router: &mut Router, request: Request<Body>) -> Response {
    // A panic leaves nothing behind here: the router is stateless and shared state guards itself.
    match AssertUnwindSafe(router.call(request)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Err(_) => Refusal::new(Code::Internal).response(),
    }
}

fn headers(door: Door, response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if door == Door::Console {
        headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        let same_origin = HeaderValue::from_static("same-origin");
        headers.insert(HeaderName::from_static("cross-origin-opener-policy"), same_origin.clone());
        headers.insert(HeaderName::from_static("cross-origin-resource-policy"), same_origin);
    } else if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
