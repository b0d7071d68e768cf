//! The order to end, under load.

use std::time::{Duration, Instant};

use serde_json::json;
use stepwell_tests::orders::{Orders, every_order_ended, prove_effects, prove_ends, start_orders};

const ORDERS: usize = 200;
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const ALL_ENDED_WITHIN: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_parks_in_time_and_loses_nothing() {
    let mut orders = Orders::start().await;
    for path in ["/stock", "/lockers", "/logistics", "/gateway/payments"] {
        orders.fault(&json!({ "path_prefix": path, "latency_ms": 200, "reply_latency_ms": 300 })).await;
    }
    orders.settings(&json!({ "auto_settle": "paid", "settle_after_ms": 300 })).await;
    let mut ids = vec![None; ORDERS];
    // Some are in calls, some wait, and some are about to be asked for when the order comes.
    start_orders(&[&orders.engine], &mut ids[..ORDERS / 2]).await;
    let client = (*orders.engine).clone();
    let mut rest = ids.split_off(ORDERS / 2);
    let asking = tokio::spawn(async move {
        start_orders(&[&client], &mut rest).await;
        rest
    });
    let begun = Instant::now();
    let status = orders.engine.sigterm().await;
    let took = begun.elapsed();
    assert!(status.success(), "{status}");
    assert!(took < ENDS_WITHIN, "it took {took:?}");
    let acknowledged = asking.await.unwrap();
    orders.engine.restart().await;
    // Whatever was acknowledged before and during the end is there, under its id.
    for id in ids.iter().chain(&acknowledged).flatten() {
        orders.engine.get(&format!("/api/v1/instances/{id}")).await.expect(200);
    }
    ids.resize(ORDERS, None);
    while ids.iter().any(Option::is_none) {
        start_orders(&[&orders.engine], &mut ids).await;
    }
    every_order_ended(&orders.engine, ALL_ENDED_WITHIN).await;
    prove_ends(&orders.engine, &ids).await;
    prove_effects(&orders, ids.len()).await;
    orders.stop().await;
}
