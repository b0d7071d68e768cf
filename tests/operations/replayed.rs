//! An ended instance's pure calls are made again: they answer as they did, and a journal that says otherwise is told.

use rusqlite::Connection;
use serde_json::{Value, json};
use std::time::Duration;
use stepwell_tests::orders::{Orders, community_order, every_order_ended};
use stepwell_tests::{Client, Options};

async fn replayed(engine: &Client, id: &str) -> Value {
    engine.post(&format!("/api/v1/instances/{id}/replay"), &json!({})).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_compares_what_follows_from_its_input_and_touches_nothing() {
    let mut orders = Orders::start_with(Options { database: None, ..Options::default() }).await;
    orders.settings(&json!({ "auto_settle": "paid", "settle_after_ms": 10 })).await;
    let order = json!({
        "order_id": "A-1", "type": "physical", "region": "north", "customer": { "id": "c", "tier": "gold" },
        "items": [{ "sku": "A", "qty": 2, "unit_cents": 1500, "weight_g": 100 }],
    });
    let started = orders.engine.post("/api/v1/flows/order-5/instances?wait=10s", &json!({ "input": order })).await;
    let pure = started.expect(200).json()["id"].as_str().unwrap().to_owned();
    let body = json!({ "input": community_order("O-1") });
    let started = orders.engine.post("/api/v1/flows/community_order/instances", &body).await.expect(202);
    let external = started.json()["id"].as_str().unwrap().to_owned();
    let running = orders.engine.post(&format!("/api/v1/instances/{external}/replay"), &json!({})).await;
    assert!(running.status == 200 || running.code() == "INSTANCE_NOT_ENDED", "{}", running.text());
    every_order_ended(&orders.engine, Duration::from_secs(30)).await;

    assert_eq!(replayed(&orders.engine, &pure).await, json!({ "compared": 3, "passedOver": 0, "whole": true }));
    let asked = orders.paths("O-1").await;
    let seen = orders.engine.get(&format!("/api/v1/instances/{external}")).await.expect(200).json();
    assert_eq!(replayed(&orders.engine, &external).await, json!({ "compared": 0, "passedOver": 4, "whole": true }));
    assert_eq!(orders.paths("O-1").await, asked, "nothing was sent");
    assert_eq!(orders.engine.get(&format!("/api/v1/instances/{external}")).await.expect(200).json(), seen);

    // A journal that somebody changed.
    orders.engine.kill9().await;
    let file = Connection::open(orders.engine.data().join("stepwell.db")).unwrap();
    let changed = file
        .execute(
            "update journal set entries = replace(entries, '\"subtotal_cents\":3000', '\"subtotal_cents\":2999')
             where entries like '%\"subtotal_cents\":3000%'",
            [],
        )
        .unwrap();
    assert!(changed > 0, "the journal holds what the node answered");
    drop(file);
    orders.engine.restart().await;
    let told = replayed(&orders.engine, &pure).await;
    let difference = &told["difference"];
    assert_eq!(
        (&difference["node"], &difference["pointer"], &difference["kept"], &difference["now"], &told["whole"]),
        (&json!("price"), &json!("/output/subtotal_cents"), &json!(2999), &json!(3000), &json!(false)),
        "{told:#}"
    );
}
