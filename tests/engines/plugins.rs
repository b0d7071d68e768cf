//! Plugins that one engine loads, and the others run.

use std::time::Duration;

use stepwell_tests::orders::plugins;
use stepwell_tests::{Client, until};

use crate::Engines;

const SOON: Duration = Duration::from_secs(20);

/// The digest that new flows would get for a node type.
async fn stands(engine: &Client, uses: &str) -> String {
    let types = engine.get("/api/v1/node-types").await.expect(200).json();
    let found = types["items"].as_array().unwrap().iter().find(|one| one["uses"] == uses).cloned();
    found.unwrap()["digest"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_back_to_an_older_build_is_in_force_everywhere() {
    let Some(engines) = Engines::start(&[]).await else { return };
    let all = [&*engines.orders.engine, &*engines.second, &*engines.third];
    let older = std::fs::read(plugins().join("json.wasm")).unwrap();
    // The same component, and other bytes: a section that means nothing.
    let newer = [&older[..], &[0, 5, 4, b't', b'e', b's', b't']].concat();
    let uses = "json/transform@1";
    let before = stands(all[0], uses).await;
    for (at, wasm, status) in [(0, &newer, 201), (1, &older, 200), (2, &newer, 200)] {
        let headers = [("content-type", "application/wasm")];
        let loaded = all[at].send("POST", "/api/v1/plugins", &headers, wasm.clone()).await.unwrap().expect(status);
        let digest = loaded.json()["digest"].as_str().unwrap().to_owned();
        assert_eq!(digest == before, wasm.len() == older.len());
        for engine in all {
            until("the build stands for its name", SOON, || async {
                (stands(engine, uses).await == digest).then_some(())
            })
            .await;
        }
    }
    engines.orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_holds_everywhere() {
    let Some(engines) = Engines::start(&[]).await else { return };
    let all = [&*engines.orders.engine, &*engines.second, &*engines.third];
    let digest = stands(all[0], "json/transform@1").await;
    let flow = serde_json::json!({
        "stepwell": 1, "kind": "graph", "key": "shaped",
        "nodes": { "start": { "type": "start" }, "end": { "type": "end" },
                   "shape": { "type": "task", "uses": "json/transform@1", "config": { "steps": [] } } },
        "edges": [{ "from": "start", "to": "shape" }, { "from": "shape", "to": "end" }],
    });
    all[0].publish(&flow).await;
    let revoke = format!("/api/v1/plugins/{digest}/revoke");
    let start = async |engine: &Client| {
        engine.post("/api/v1/flows/shaped/instances?wait=20s", &serde_json::json!({ "input": {} })).await
    };
    all[1].post(&revoke, &serde_json::json!({ "reason": "it leaks" })).await.expect(200);
    for engine in all {
        until("it is not started", SOON, || async { (start(engine).await.code() == "PLUGIN_REVOKED").then_some(()) })
            .await;
    }
    all[2].delete(&revoke).await.expect(204);
    for engine in all {
        until("it runs again", SOON, || async { (start(engine).await.status == 200).then_some(()) }).await;
    }
    engines.orders.stop().await;
}
