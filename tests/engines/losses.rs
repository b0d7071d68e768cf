//! What becomes of orders when their engines do.

use std::time::Duration;

use postgres::{Client, NoTls};
use serde_json::json;
use stepwell_tests::orders::{every_order_ended, prove_effects, prove_ends, start_orders};
use stepwell_tests::{Stepwell, until};

use crate::Three;

const ORDERS: usize = 150;
const ALL_ENDED_WITHIN: Duration = Duration::from_mins(2);

/// Slow enough that a loss finds calls under way, quick enough that none is cut off.
async fn slow(three: &Three) {
    for path in ["/stock", "/lockers", "/logistics", "/gateway/payments"] {
        let rule = json!({
            "path_prefix": path, "latency_ms": 60, "reply_latency_ms": 120,
            "duplicate_callbacks": 1, "callback_delay_ms": 150,
        });
        three.orders.fault(&rule).await;
    }
    three.orders.settings(&json!({ "auto_settle": "paid", "settle_after_ms": 200 })).await;
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
    let Some(mut three) = Three::start(further).await else { return };
    slow(&three).await;
    let mut ids = vec![None; ORDERS];
    let all = [&*three.orders.engine, &*three.two, &*three.three];
    start_orders(&all, &mut ids[..ORDERS * 2 / 3]).await;
    assert!(ids[..ORDERS * 2 / 3].iter().all(Option::is_some), "all three take orders");

    // In the middle of it all: one is gone, one sleeps, and the third loses its connections.
    three.two.kill9().await;
    three.three.signal("STOP").await;
    assert!(cut(&three.orders.engine).await > 0, "there are connections to cut");
    until("the first engine takes orders again", Duration::from_secs(20), || async {
        let ready = three.orders.engine.get("/readyz").await;
        (ready.status == 200).then_some(())
    })
    .await;
    while ids.iter().any(Option::is_none) {
        start_orders(&[&three.orders.engine], &mut ids).await;
    }
    // What the two drove goes on while one is dead and the other still asleep.
    every_order_ended(&three.orders.engine, ALL_ENDED_WITHIN).await;

    three.three.signal("CONT").await;
    // What it wrote before it knew is refused; then it begins anew, and is of use again.
    ids.push(None);
    while ids[ORDERS].is_none() {
        start_orders(&[&three.three], &mut ids).await;
    }
    until("a write of the sleeper is refused", Duration::from_secs(20), || async {
        three.three.log().contains("this engine's lease is over").then_some(())
    })
    .await;
    three.two.restart().await;
    every_order_ended(&three.two, ALL_ENDED_WITHIN).await;
    prove_ends(&three.two, &ids).await;
    prove_effects(&three.orders, ids.len()).await;
    three.orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_go_on_without_their_engines() {
    lose_and_go_on(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_go_on_without_hints() {
    lose_and_go_on(&["--database-poll=true"]).await;
}
