//! Connections, and which path leads to which work.
//!
//! The service around the router answers with an error where a reply is to be lost: that makes the connection
//! close without a byte, which no handler can do by itself.
//!
//! Not here: what is common to all requests (`door`).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::door::{Deed, Lost, at, heard, nowhere};
use crate::effect::Kind;
use crate::{Shop, control, facts, gateway, lockers, logistics, orders, property, stock};

/// Open connections; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;
/// A client must have sent its request line and headers within this.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// The pause after a failed accept.
const ACCEPT_AGAIN: Duration = Duration::from_millis(20);

/// Answers where a connection is closed instead of a reply being sent.
#[derive(Debug, thiserror::Error)]
#[error("the reply was lost on purpose")]
struct ReplyLost;

fn router(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/health", get(async || "ok\n"))
        .route("/stock/reservations", post(at(Deed::Forward(Kind::Stock, stock::reserve))))
        .route("/stock/reservations/release", post(at(Deed::Undo(Kind::Stock))))
        .route("/stock/{sku}", get(at(Deed::Other(stock::show))).post(at(Deed::Other(stock::set))))
        .route("/lockers/locks", post(at(Deed::Forward(Kind::Locker, lockers::lock))))
        .route("/lockers/locks/release", post(at(Deed::Undo(Kind::Locker))))
        .route("/logistics/shipments", post(at(Deed::Forward(Kind::Shipment, logistics::ship))))
        .route("/logistics/shipments/cancel", post(at(Deed::Undo(Kind::Shipment))))
        .route("/logistics/assignments", post(at(Deed::Forward(Kind::Assignment, logistics::assign))))
        .route("/logistics/assignments/cancel", post(at(Deed::Undo(Kind::Assignment))))
        .route("/logistics/parcels/{parcel}", get(at(Deed::Other(logistics::track))))
        .route(
            "/gateway/payments",
            post(at(Deed::Forward(Kind::Payment, gateway::begin))).get(at(Deed::Other(gateway::query))),
        )
        .route("/gateway/payments/cancel", post(at(Deed::Undo(Kind::Payment))))
        .route("/gateway/payments/{order}/settle", post(at(Deed::Other(gateway::settle_by_hand))))
        .route("/property/accounts/{id}", get(at(Deed::Other(property::show))))
        .route("/property/payments", post(at(Deed::Forward(Kind::PropertyPayment, property::pay))))
        .route("/property/payments/cancel", post(at(Deed::Undo(Kind::PropertyPayment))))
        .route("/events/{name}", post(at(Deed::Other(heard))))
        .route("/coupons/redemptions", post(at(Deed::Forward(Kind::Coupon, orders::redeem))))
        .route("/coupons/redemptions/release", post(at(Deed::Undo(Kind::Coupon))))
        .route("/points/uses", post(at(Deed::Forward(Kind::Points, orders::use_points))))
        .route("/points/uses/release", post(at(Deed::Undo(Kind::Points))))
        .route("/orders", post(at(Deed::Forward(Kind::Order, orders::save))))
        .route("/orders/cancel", post(at(Deed::Undo(Kind::Order))))
        .route("/catalog/products/{id}", get(at(Deed::Other(facts::product))))
        .route("/catalog/promotions/{id}", get(at(Deed::Other(facts::promotion))))
        .route("/catalog/shops/{id}", get(at(Deed::Other(facts::shop))))
        .route("/catalog/coupons/{id}", get(at(Deed::Other(facts::coupon))))
        .route("/customers/{id}/address", get(at(Deed::Other(facts::address))))
        .route("/customers/{id}/account", get(at(Deed::Other(facts::account))))
        .route("/customers/{id}/membership", get(at(Deed::Other(facts::membership))))
        .route("/customers/{id}/risk", get(at(Deed::Other(facts::risk))))
        .route("/control/faults", put(control::put_faults).get(control::show_faults).delete(control::clear_faults))
        .route("/control/settings", put(control::put_settings).get(control::show_settings))
        .route("/control/requests", get(control::requests))
        .route("/control/effects", get(control::effects))
        .route("/control/tombstones", get(control::tombstones))
        .route("/control/callbacks", get(control::callbacks))
        .route("/control/summary", get(control::summary))
        .route("/control/data", axum::routing::delete(control::wipe))
        .fallback(at(Deed::Other(nowhere)))
        .layer(DefaultBodyLimit::max(crate::arrival::BODY_BYTES_MAX))
        .with_state(shop)
}

/// Accepts connections until the shop is stopped.
pub(crate) async fn accept(listener: TcpListener, shop: Arc<Shop>) {
    let mut ending = shop.ending.clone();
    let router = router(shop);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            // The semaphore is never closed.
            let permit = Arc::clone(&room).acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        tokio::select! {
            _ = ending.changed() => return,
            (permit, accepted) = next => {
                // An accept fails when the client is gone already or descriptors are short; both pass.
                let Ok((stream, _)) = accepted else { tokio::time::sleep(ACCEPT_AGAIN).await; continue };
                let (router, mut ending) = (router.clone(), ending.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = ending.changed() => {}
                        () = converse(stream, router) => {}
                    }
                    drop(permit);
                });
            }
        }
    }
}

async fn converse(stream: TcpStream, router: Router) {
    // A missed setting costs speed only.
    let _ = stream.set_nodelay(true);
    let inner = TowerToHyperService::new(router);
    let service = service_fn(move |request: axum::http::Request<hyper::body::Incoming>| {
        let answer = inner.call(request);
        async move {
            let Ok(response) = answer.await;
            if response.extensions().get::<Lost>().is_some() { Err(ReplyLost) } else { Ok(response) }
        }
    });
    // Errors here are broken or deliberately closed connections; the ledger has what matters.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
