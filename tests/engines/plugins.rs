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
