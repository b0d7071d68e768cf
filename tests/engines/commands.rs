//! What is asked of one engine about what another one does.

use std::time::Duration;

use serde_json::json;
use stepwell_tests::orders::community_order;
use stepwell_tests::until;

use crate::Engines;

/// An instance stands in a slow call at one engine; another is told to cancel it.
async fn cancelled_from_elsewhere(further: &[&str]) {
    let Some(engines) = Engines::start(further).await else { return };
    // Longer than the test takes, so that only the command can end the wait for the call.
    engines.orders.fault(&json!({ "path_prefix": "/stock", "latency_ms": 2_500 })).await;
    let body = json!({ "input": community_order("CANCEL-1") });
    let started = engines.second.post("/api/v1/flows/community_order/instances", &body).await.expect(202).json();
    let id = started["id"].as_str().unwrap();
    engines
        .third
        .post(&format!("/api/v1/instances/{id}/cancel"), &json!({ "reason": "changed my mind" }))
        .await
        .expect(202);
    until("the instance is cancelled", Duration::from_secs(20), || async {
        let shown = engines.orders.engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
        (shown["state"] == "cancelled").then_some(())
    })
    .await;
    engines.orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_reaches_the_owner() {
    cancelled_from_elsewhere(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_reaches_the_owner_without_hints() {
    cancelled_from_elsewhere(&["--database-poll=true"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_answered_whoever_goes_on() {
    let Some(mut engines) = Engines::start(&[]).await else { return };
    engines.orders.settings(&json!({ "auto_settle": "paid", "settle_after_ms": 3_000 })).await;
    let body = json!({ "input": community_order("MOVED-1") });
    let headers = [("idempotency-key", "moved")];
    let path = "/api/v1/flows/community_order/instances";
    let started = engines.second.send("POST", path, &headers, body.to_string()).await.unwrap().expect(202).json();
    // Asked again at another engine, which waits for an end that it does not bring about.
    let third_waits =
        engines.third.send("POST", "/api/v1/flows/community_order/instances?wait=30s", &headers, body.to_string());
    let (answer, ()) = tokio::join!(third_waits, engines.second.kill9());
    let answer = answer.unwrap().expect(200).json();
    assert_eq!((&answer["id"], &answer["state"]), (&started["id"], &json!("completed")));
    engines.orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_engine_tells_what_all_do() {
    let Some(engines) = Engines::start(&[]).await else { return };
    let mut events = engines.third.events("", None).await;
    let flow = json!({
        "stepwell": 1, "kind": "graph", "key": "told", "title": "Told",
        "nodes": { "start": { "type": "start" }, "end": { "type": "end", "output": 1 } },
        "edges": [{ "from": "start", "to": "end" }],
    });
    engines.second.publish(&flow).await;
    let published = json!({ "key": "told", "kind": "published", "version": 1 });
    let first = events.until(|event| event.name == "flow" && event.data == published).await;
    // Told of it, the third takes a start of it; the first tells of that.
    let ended = until("the flow is known elsewhere", Duration::from_secs(20), || async {
        let started = engines.third.post("/api/v1/flows/told/instances?wait=10s", &json!({ "input": {} })).await;
        (started.status == 200).then(|| started.json())
    })
    .await;
    let is_it = |event: &stepwell_tests::Event| event.data["id"] == ended["id"] && event.data["state"] == "completed";
    let told = events.until(is_it).await;
    // A reader goes on at another engine where it was cut off, and misses nothing.
    let mut elsewhere = engines.orders.engine.events("", Some(&first.id)).await;
    let told_again = elsewhere.until(is_it).await;
    assert_eq!(told_again.data, told.data);
    engines.orders.stop().await;
}
