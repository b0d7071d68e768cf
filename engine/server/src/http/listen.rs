//! The port: takes connections, bounds what one may cost, and closes them in order.
//!
//! Invariants:
//! - A connection that sends no whole request head within [`HEAD_WITHIN`] is closed, idle ones too.
//! - Beyond the configured number of connections, one is answered 503 and closed.
//! - [`serve`] returns once `stop` says so and every answer under way was sent, or the time is up.
//!
//! Not here: what is answered (`gate`).

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::limits::Slot;
use super::{App, gate};

const HEAD_WITHIN: Duration = Duration::from_secs(30);
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 64;
/// A failing accept (out of file handles) is not tried again at once.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
content-type: application/problem+json\r\ncontent-length: 122\r\n\r\n\
{\"type\":\"/docs#OVERLOADED\",\"title\":\"Too much is under way\",\"status\":503,\"code\":\"OVERLOADED\",\"detail\":\"no free connection\"}";

/// Serves until `stop` turns true, then lets answers under way finish for at most `grace`.
pub(crate) async fn serve(
    listener: TcpListener,
    app: App,
    router: Router,
    mut stop: watch::Receiver<bool>,
    grace: Duration,
) {
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stop) => break,
            Some(_) = open.join_next() => continue,
        };
        match accepted {
            Ok((stream, from)) => match app.limits.connections.take() {
                Some(slot) => {
                    let from = from.ip();
                    open.spawn(connection(stream, from, slot, app.clone(), router.clone(), stop.clone()));
                }
                None => {
                    open.spawn(refuse(stream));
                }
            },
            Err(error) => pause(&error).await,
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(grace, async { while open.join_next().await.is_some() {} }).await;
}

/// Returns once we are to stop (or nobody is left to say so).
pub(crate) async fn told(stop: &mut watch::Receiver<bool>) {
    // The guard inside must not live across an await of the caller.
    let _ = stop.wait_for(|stop| *stop).await.map(drop);
}

async fn pause(error: &io::Error) {
    // The peer gave up while it queued: nothing of ours is short.
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!(%error, "a connection could not be taken");
        tokio::time::sleep(ACCEPT_AGAIN).await;
    }
}

async fn refuse(mut stream: TcpStream) {
    let _ = tokio::time::timeout(ACCEPT_AGAIN, stream.write_all(FULL)).await;
}

async fn connection(
    stream: TcpStream,
    from: IpAddr,
    _slot: Slot,
    app: App,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let service = service_fn(|request| {
        let (app, mut router) = (app.clone(), router.clone());
        async move { Ok::<_, Infallible>(gate::answer(&app, &mut router, from, request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = told(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn the_answer_of_a_full_house_is_whole() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{}", body.len());
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["code"], "OVERLOADED");
    }
}
