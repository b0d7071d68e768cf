//! Golden flows against the real engine and the stand-in shop: what a user would see.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod community;
mod delivery;
mod grants;
mod machines;
mod pauses;
mod payments;
mod placing;

use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::orders::{Orders, community_order};
use stepwell_tests::{Options, Stepwell, until};

const SOON: Duration = Duration::from_secs(30);

/// Starts a community order and returns its instance.
async fn start(orders: &Orders, input: &Value) -> String {
    let reply = orders.engine.post("/api/v1/flows/community_order/instances", &json!({ "input": input })).await;
    let reply = reply.expect(202);
    reply.json()["id"].as_str().expect("an id").to_owned()
}

async fn instance(orders: &Orders, id: &str) -> Value {
    orders.engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json()
}

/// Waits until the instance is in this state and returns it.
async fn reaches(orders: &Orders, id: &str, state: &str) -> Value {
    until(&format!("{id} is {state}"), SOON, || async {
        let shown = instance(orders, id).await;
        (shown["state"] == state).then_some(shown)
    })
    .await
}

/// Waits until the order waits for its payment.
async fn stands_at(orders: &Orders, id: &str, node: &str) {
    until(&format!("{id} stands at {node}"), SOON, || async {
        let shown = instance(orders, id).await;
        let tokens = shown["tokens"].as_array().cloned().unwrap_or_default();
        tokens.iter().any(|token| token["node"] == node && token["state"] == "waiting").then_some(())
    })
    .await;
}

async fn settle(orders: &Orders, order: &str, status: &str) {
    let reply = orders.shop.post(&format!("/gateway/payments/{order}/settle"), &json!({ "status": status })).await;
    assert!(reply.status < 300, "{}", reply.text());
}

fn kinds(effects: &[(String, bool)], undone: bool) -> usize {
    effects.iter().filter(|(_, was)| *was == undone).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paid_order_ships() {
    let orders = Orders::start().await;
    let id = start(&orders, &community_order("A-1")).await;
    stands_at(&orders, &id, "paid").await;
    settle(&orders, "A-1", "PAID").await;
    let shown = reaches(&orders, &id, "completed").await;
    assert_eq!(shown["output"]["status"], "SHIPPED");
    assert!(shown["output"]["parcel"].is_string(), "{shown:#}");
    assert_eq!(shown["businessKey"], "A-1");
    let effects = orders.effects("A-1").await;
    assert_eq!((kinds(&effects, false), kinds(&effects, true)), (4, 0), "{effects:?}");
    let journal = orders.engine.get(&format!("/api/v1/instances/{id}/journal")).await.expect(200).json();
    let types: Vec<&str> =
        journal["items"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        ["started", "node-returned", "node-returned", "node-returned", "message-arrived", "node-returned"],
        "{journal:#}"
    );
    orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_payment_releases_everything_in_reverse() {
    let orders = Orders::start().await;
    let id = start(&orders, &community_order("B-1")).await;
    stands_at(&orders, &id, "paid").await;
    settle(&orders, "B-1", "FAILED").await;
    let shown = reaches(&orders, &id, "completed").await;
    assert_eq!(shown["output"]["status"], "CANCELLED");
    let effects = orders.effects("B-1").await;
    assert_eq!((kinds(&effects, false), kinds(&effects, true)), (0, 3), "{effects:?}");
    let undone: Vec<String> = orders
        .paths("B-1")
        .await
        .into_iter()
        .filter(|path| path.ends_with("release") || path.ends_with("cancel"))
        .collect();
    assert_eq!(undone, ["/gateway/payments/cancel", "/lockers/locks/release", "/stock/reservations/release"]);
    for node in ["validate_stock", "lock_pickup", "create_payment"] {
        assert_eq!(shown["nodes"][node]["state"], "undone", "{node}: {shown:#}");
    }
    orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_call_is_cut_and_undone() {
    let orders = Orders::start().await;
    orders.fault(&json!({ "path_prefix": "/lockers/locks", "latency_ms": 4_500 })).await;
    orders.fault(&json!({ "path_prefix": "/lockers/locks/release", "latency_ms": 0 })).await;
    let id = start(&orders, &community_order("C-1")).await;
    let shown = reaches(&orders, &id, "compensated").await;
    assert_eq!(shown["error"]["code"], "TIMEOUT");
    assert_eq!(shown["error"]["node"], "lock_pickup");
    let undone: Vec<String> = orders.paths("C-1").await.into_iter().filter(|path| path.ends_with("release")).collect();
    assert_eq!(undone, ["/lockers/locks/release", "/stock/reservations/release"]);
    // The forward call was still under way at the shop: it must not take a locker after its undo.
    until("nothing is kept", SOON, || async {
        let effects = orders.effects("C-1").await;
        (kinds(&effects, false) == 0).then_some(())
    })
    .await;
    orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_step_undoes_the_ones_before() {
    let orders = Orders::start().await;
    let mut full = community_order("D-1");
    full["communityId"] = json!("FULL-9");
    let id = start(&orders, &full).await;
    let shown = reaches(&orders, &id, "compensated").await;
    assert_eq!(shown["error"]["code"], "NO_LOCKER");
    let effects = orders.effects("D-1").await;
    assert_eq!((kinds(&effects, false), kinds(&effects, true)), (0, 1), "{effects:?}");
    orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_from_inside_the_reply_is_not_lost() {
    let orders = Orders::start().await;
    orders
        .fault(&json!({ "path_prefix": "/gateway/payments", "callback_inside_reply": true, "duplicate_callbacks": 1 }))
        .await;
    orders.settings(&json!({ "auto_settle": "paid" })).await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(start(&orders, &community_order(&format!("E-{number}"))).await);
    }
    for id in &ids {
        let shown = reaches(&orders, id, "completed").await;
        assert_eq!(shown["output"]["status"], "SHIPPED");
    }
    orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_5_gives_the_totals_of_the_benchmark() {
    let orders = Orders::start().await;
    let folder = stepwell_tests::repository().join("tests/bench/bodies");
    for (file, total, fulfilment) in
        [("order-physical.json", 35_484, "warehouse"), ("order-virtual.json", 33_984, "email")]
    {
        let body = std::fs::read_to_string(folder.join(file)).expect("a body").replace("__ID__", file);
        let input: Value = serde_json::from_str(&body).expect("JSON");
        let reply = orders
            .engine
            .post("/api/v1/flows/order-5/instances?wait=10s", &json!({ "input": input }))
            .await
            .expect(200);
        let output = reply.json()["output"].clone();
        assert_eq!(output["total_cents"], total, "{output:#}");
        assert_eq!(output["fulfilment"], fulfilment, "{output:#}");
        assert_eq!(output["status"], "accepted", "{output:#}");
        let reply = orders.engine.post("/t/order-5", &input).await.expect(200);
        assert_eq!(reply.json(), output, "the trigger answers with the bare output");
    }
    let bad = json!({ "input": { "order_id": "", "type": "physical", "items": [] } });
    let reply = orders.engine.post("/api/v1/flows/order-5/instances?wait=10s", &bad).await;
    assert_eq!(reply.status, 422, "{}", reply.text());
    orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_nobody_needs_can_go_and_come_back() {
    // With one flow alone: the samples together need every plugin.
    let options = Options { plugins: Some(stepwell_tests::orders::plugins()), ..Options::default() };
    let engine = Stepwell::start(options).await;
    let flow = std::fs::read_to_string(stepwell_tests::repository().join("flows/community_order.json")).unwrap();
    engine.publish(&serde_json::from_str(&flow).unwrap()).await;
    let plugins = engine.get("/api/v1/plugins").await.expect(200).json();
    let digest = |name: &str| {
        let mut all = plugins["items"].as_array().unwrap().iter();
        all.find(|one| one["name"] == name).unwrap()["digest"].as_str().unwrap().to_owned()
    };
    let of = |name: &str| format!("/api/v1/plugins/{}", digest(name));
    let used = engine.get(&format!("{}/where-used", of("commerce"))).await.expect(200).json();
    assert_eq!(
        (&used["versions"][0]["flow"], &used["versions"][0]["neededBy"][0]["kind"]),
        (&json!("community_order"), &json!("newest"))
    );
    let refused = engine.delete(&of("commerce")).await.expect(409);
    assert_eq!(
        (refused.code().as_str(), &refused.json()["neededBy"][0]["flow"]),
        ("STILL_NEEDED", &json!("community_order"))
    );
    // It is live, so it is no garbage, though no flow uses it yet.
    let found = engine.post("/api/v1/gc?olderThan=0s", &json!({})).await.expect(200).json();
    assert_eq!(found["plugins"], json!([]));
    assert_eq!(engine.delete(&of("http")).await.status, 204);
    let offers = async || engine.get("/api/v1/node-types").await.expect(200).text().contains("\"http/");
    assert!(!offers().await, "flows are no longer offered it");
    assert_eq!(engine.delete(&of("http")).await.expect(404).code(), "PLUGIN_NOT_FOUND");
    let file = std::fs::read_dir(stepwell_tests::orders::plugins()).unwrap().map(|entry| entry.unwrap().path());
    let file = file
        .into_iter()
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("http")))
        .unwrap();
    let wasm = std::fs::read(file).unwrap();
    let loaded = engine.send("POST", "/api/v1/plugins", &[("content-type", "application/wasm")], wasm).await.unwrap();
    assert_eq!((loaded.status, loaded.json()["digest"].as_str()), (201, Some(digest("http").as_str())));
    assert!(offers().await);
}
