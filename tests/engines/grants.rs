//! A grant or a secret that is changed at one engine is in force at all of them.

use std::time::Duration;

use serde_json::json;
use stepwell_tests::orders::community_order;
use stepwell_tests::{Client, until};

use crate::Engines;

const SOON: Duration = Duration::from_secs(20);

/// Starts an order and tells the state that it comes to stand in.
async fn stands(engine: &Client, order: &str) -> String {
    let body = json!({ "input": community_order(order) });
    let started = engine.post("/api/v1/flows/community_order/instances", &body).await.expect(202).json();
    let path = format!("/api/v1/instances/{}", started["id"].as_str().unwrap());
    until("the order stands somewhere", SOON, || async {
        let shown = engine.get(&path).await.expect(200).json();
        let state = shown["state"].as_str().unwrap().to_owned();
        let waits = state == "waiting" && shown["tokens"][0]["node"] == "paid";
        (waits || state == "incident").then_some(state)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_and_secrets_are_in_force_everywhere_without_a_restart() {
    let Some(engines) = Engines::start(&[]).await else { return };
    let all = [&*engines.orders.engine, &*engines.second, &*engines.third];
    let lacks = json!({ "scheme": "http", "host": "127.0.0.1", "port": 1, "allowPrivate": true,
                        "headers": { "authorization": "Bearer $secret:TOKEN" }, "secrets": ["TOKEN"] });
    all[0].put("/api/v1/connections/kept", &[], &lacks).await.expect(200);
    for (round, at) in [(1, 0), (2, 1)] {
        all[at].delete("/api/v1/grants/commerce").await.expect(204);
        for (n, engine) in all.into_iter().enumerate() {
            let mut tries = 0..;
            until("no engine lets it through", SOON, || {
                let order = format!("TAKEN-{round}-{n}-{}", tries.next().unwrap_or_default());
                async move { (stands(engine, &order).await == "incident").then_some(()) }
            })
            .await;
        }
        all[at].put("/api/v1/grants/commerce/shop?namespace=default", &[], &json!({})).await.expect(204);
        for (n, engine) in all.into_iter().enumerate() {
            let mut tries = 0..;
            until("every engine lets it through", SOON, || {
                let order = format!("GIVEN-{round}-{n}-{}", tries.next().unwrap_or_default());
                async move { (stands(engine, &order).await == "waiting").then_some(()) }
            })
            .await;
        }
        all[at].delete("/api/v1/grants/commerce?namespace=default").await.expect(204);
        all[at].put("/api/v1/grants/commerce/shop", &[], &json!({})).await.expect(204);
    }
    // Where the secret is there, the request goes as far as a port that nobody listens on.
    all[2].put("/api/v1/secrets/TOKEN", &[], &json!({ "value": "hush" })).await.expect(200);
    for engine in all {
        until("every engine has the secret", SOON, || async {
            let tried = engine.post("/api/v1/connections/kept/probe", &json!({})).await.expect(200).json();
            (!tried["message"].as_str().unwrap().contains("has no secret")).then_some(())
        })
        .await;
        let kept = engine.get("/api/v1/secrets").await.expect(200).json();
        assert_eq!((&kept["items"][0]["readable"], &kept["items"][0]["version"]), (&json!(true), &json!(1)));
    }
    engines.orders.stop().await;
}
