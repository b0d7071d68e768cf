//! What is asked of one engine about an instance that another one drives.

use std::time::Duration;

use serde_json::json;
use stepwell_tests::orders::community_order;
use stepwell_tests::until;

use crate::Three;

/// An instance stands in a slow call at one engine; another is told to cancel it.
async fn cancelled_from_elsewhere(further: &[&str]) {
    let Some(three) = Three::start(further).await else { return };
    // Longer than the test takes, so that only the command can end the wait for the call.
    three.orders.fault(&json!({ "path_prefix": "/stock", "latency_ms": 2_500 })).await;
    let body = json!({ "input": community_order("CANCEL-1") });
    let started = three.two.post("/api/v1/flows/community_order/instances", &body).await.expect(202).json();
    let id = started["id"].as_str().unwrap();
    three
        .three
        .post(&format!("/api/v1/instances/{id}/cancel"), &json!({ "reason": "changed my mind" }))
        .await
        .expect(202);
    until("the instance is cancelled", Duration::from_secs(20), || async {
        let shown = three.orders.engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
        (shown["state"] == "cancelled").then_some(())
    })
    .await;
    three.orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_reaches_the_owner() {
    cancelled_from_elsewhere(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_reaches_the_owner_without_hints() {
    cancelled_from_elsewhere(&["--database-poll=true"]).await;
}
