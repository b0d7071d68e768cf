//! What becomes of orders when their engines do.

use std::time::Duration;

use postgres::{Client, NoTls};
use serde_json::json;
use stepwell_tests::orders::{community_order, every_order_ended, prove_effects, prove_ends, start_orders};
use stepwell_tests::{Stepwell, until};

use crate::{Engines, LEASE_SECONDS};

const ORDERS: usize = 150;
const ALL_ENDED_WITHIN: Duration = Duration::from_mins(2);

/// Slow enough that a loss finds calls under way, quick enough that none is cut off.
async fn slow(engines: &Engines) {
    for path in ["/stock", "/lockers", "/logistics", "/gateway/payments"] {
        let rule = json!({
            "path_prefix": path, "latency_ms": 60, "reply_latency_ms": 120,
            "duplicate_callbacks": 1, "callback_delay_ms": 150,
        });
        engines.orders.fault(&rule).await;
    }
    engines.orders.settings(&json!({ "auto_settle": "paid", "settle_after_ms": 200 })).await;
}

/// Cuts every connection of an engine to its database. Returns how many there were.
async fn cut(engine: &Stepwell) -> usize {
    let url = engine.database().unwrap().to_owned();
    let cutting = tokio::task::spawn_blocking(move || {
        let (server, name) = url.split_once("&application_name=").unwrap();
        let mut client = Client::connect(server, NoTls).unwrap();
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1";
        client.query(sql, &[&name]).unwrap().len()
    });
    cutting.await.unwrap()
}

async fn lose_and_go_on(further: &[&str]) {
    let Some(mut engines) = Engines::start(further).await else { return };
    slow(&engines).await;
    let mut ids = vec![None; ORDERS];
    let all = [&*engines.orders.engine, &*engines.second, &*engines.third];
    start_orders(&all, &mut ids[..ORDERS * 2 / 3]).await;
    assert!(ids[..ORDERS * 2 / 3].iter().all(Option::is_some), "all three take orders");

    // In the middle of it all: one is gone, one sleeps, and the third loses its connections.
    engines.second.kill9().await;
    engines.third.signal("STOP").await;
    assert!(cut(&engines.orders.engine).await > 0, "there are connections to cut");
    until("the first engine takes orders again", Duration::from_secs(20), || async {
        let ready = engines.orders.engine.get("/readyz").await;
        (ready.status == 200).then_some(())
    })
    .await;
    while ids.iter().any(Option::is_none) {
        start_orders(&[&engines.orders.engine], &mut ids).await;
    }
    // What the two drove goes on while one is dead and the other still asleep.
    every_order_ended(&engines.orders.engine, ALL_ENDED_WITHIN).await;

    engines.third.signal("CONT").await;
    // What it wrote before it knew is refused; then it begins anew, and is of use again.
    ids.push(None);
    while ids[ORDERS].is_none() {
        start_orders(&[&engines.third], &mut ids).await;
    }
    until("a write of the sleeper is refused", Duration::from_secs(20), || async {
        engines.third.log().contains("this engine's lease is over").then_some(())
    })
    .await;
    engines.second.restart().await;
    every_order_ended(&engines.second, ALL_ENDED_WITHIN).await;
    prove_ends(&engines.second, &ids).await;
    prove_effects(&engines.orders, ids.len()).await;
    engines.orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_go_on_without_their_engines() {
    lose_and_go_on(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_go_on_without_hints() {
    lose_and_go_on(&["--database-poll=true"]).await;
}

/// After its lease an engine is taken for dead; then others must look, take and call. What is over that is
/// for a machine that has other things to do.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(LEASE_SECONDS + 6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_engine_drove_goes_on_soon_after_its_lease() {
    let Some(mut engines) = Engines::start(&[]).await else { return };
    // Longer than the engine that makes the call has left.
    engines.orders.fault(&json!({ "path_prefix": "/stock", "reply_latency_ms": 2_900 })).await;
    let body = json!({ "input": community_order("LOST-1") });
    let started = engines.second.post("/api/v1/flows/community_order/instances", &body).await.expect(202).json();
    until("its call is under way", Duration::from_secs(20), || async {
        (!engines.orders.effects("LOST-1").await.is_empty()).then_some(())
    })
    .await;
    engines.orders.fault(&json!({ "path_prefix": "/stock", "reply_latency_ms": 0 })).await;
    engines.second.kill9().await;
    let path = format!("/api/v1/instances/{}", started["id"].as_str().unwrap());
    until("it goes on elsewhere", TAKEN_OVER_WITHIN, || async {
        let shown = engines.orders.engine.get(&path).await.expect(200).json();
        (shown["tokens"][0]["node"] == "paid").then_some(())
    })
    .await;
    assert_eq!(engines.orders.effects("LOST-1").await.len(), 3, "stock, locker and payment, once each");
    engines.orders.stop().await;
}
