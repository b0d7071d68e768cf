//! The designer and console, embedded at build time from `designer/dist`.
//!
//! Invariants:
//! - A file whose name holds its hash is immutable to caches; the page itself is always asked for.
//! - A path that is no file is a place inside the console: it gets the page.
//! - Built without the designer, the engine says how to build it.
//!
//! Not here: the content policy (`gate` puts it on everything outside the API).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use rust_embed::RustEmbed;

use super::problem::{Code, Refusal};

#[derive(RustEmbed)]
#[folder = "../../designer/dist"]
#[allow_missing = true]
struct Dist;

const PAGE: &str = "index.html";
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Stepwell</title>\
<body><h1>Stepwell is running</h1><p>This binary was built without the console. To have it, run \
<code>cargo xtask run</code>, or build <code>designer/</code> with <code>npm ci &amp;&amp; npm run build</code> and then \
the engine.</p><p>The API is described at <a href=\"/docs\">/docs</a>.</p></body></html>";

/// Answers every path that no route has.
pub(super) fn fallback(method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") || path.starts_with("t/") {
        return Refusal::new(Code::NotFound).response();
    }
    if !method.is_safe() {
        return Refusal::new(Code::MethodNotAllowed).response();
    }
    let name = if path.is_empty() { PAGE } else { path };
    match file(name, headers) {
        Some(response) => response,
        // A missing script must not be answered with a page: the browser would run HTML.
        None if name.starts_with("assets/") => Refusal::new(Code::NotFound).response(),
        None => file(PAGE, headers).unwrap_or_else(not_built),
    }
}

fn file(name: &str, asked: &HeaderMap) -> Option<Response> {
    let whole = Dist::get(name)?;
    let etag = HeaderValue::from_str(&format!("\"{}\"", hex::encode(&whole.metadata.sha256_hash()[..16]))).ok()?;
    let known = asked.get_all(header::IF_NONE_MATCH).iter().any(|given| given == etag);
    let gzip = asked.get(header::ACCEPT_ENCODING).is_some_and(|value| accepts_gzip(value.as_bytes()));
    let packed = if gzip { Dist::get(&format!("{name}.gz")) } else { None };
    let is_packed = packed.is_some();
    let body = if known { Body::empty() } else { Body::from(packed.unwrap_or(whole).data.into_owned()) };
    let mut response = body.into_response();
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(name)));
    headers.insert(header::ETAG, etag);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_packed && !known {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let caching = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    Some(response)
}

fn accepts_gzip(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|one| {
        let one = one.trim_ascii();
        one == b"gzip" || (one.starts_with(b"gzip;") && !one.ends_with(b"q=0"))
    })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn not_built() -> Response {
    let mut response = axum::response::Html(NOT_BUILT).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
