//! The database goes away, and comes back: a door between engine and server is closed for a while.

use std::time::Duration;

use serde_json::json;
use stepwell_tests::orders::{Orders, every_order_ended, prove_effects, prove_ends, start_orders};
use stepwell_tests::{Client, Door, Options, until};

const ORDERS: usize = 60;
const SOON: Duration = Duration::from_secs(30);
const ALL_ENDED_WITHIN: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_and_comes_back_loses_nothing_and_needs_no_restart() {
    let options = Options::default();
    let Some(url) = &options.database else {
        println!("NOT TRIED: no server is named in STEPWELL_TEST_POSTGRES; the suite runs again where there is one");
        return;
    };
    let door = Door::default();
    let through = door.before(url).await;
    let orders = Orders::start_with(Options { database: Some(through), ..options.clone() }).await;
    prove_nothing_is_lost(orders, || door.shut(), || door.open()).await;
}

/// Under a load of orders the database goes away, and comes back: whatever was acknowledged ends as it should, nothing
/// is acknowledged between, and the engine is not started again.
pub(crate) async fn prove_nothing_is_lost(orders: Orders, goes: impl Fn(), comes: impl Fn()) {
    orders.settings(&json!({ "auto_settle": "paid", "settle_after_ms": 100 })).await;
    let mut ids = vec![None; ORDERS];
    start_orders(&[&orders.engine], &mut ids[..ORDERS / 2]).await;
    assert!(ids.iter().any(Option::is_some), "some orders were taken");
    // More of them are on their way when it goes.
    let engines: [&Client; 1] = [&orders.engine];
    tokio::join!(start_orders(&engines, &mut ids), async { goes() });
    let order = json!({ "input": stepwell_tests::orders::community_order("WHILE-AWAY") });
    let reply = orders.engine.post("/api/v1/flows/community_order/instances", &order).await;
    assert_eq!(reply.status, 503, "nothing is acknowledged while the database is away: {}", reply.text());
    comes();
    until("orders are taken again", SOON, || async {
        (orders.engine.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    while ids.iter().any(Option::is_none) {
        start_orders(&[&orders.engine], &mut ids).await;
    }
    every_order_ended(&orders.engine, ALL_ENDED_WITHIN).await;
    prove_ends(&orders.engine, &ids).await;
    prove_effects(&orders, ids.len()).await;
    orders.stop().await;
}
