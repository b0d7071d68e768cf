//! What several engines do by the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use stepwell_tests::until;

use crate::Engines;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_starts_once_however_many_engines_look() {
    let Some(mut engines) = Engines::start(&[]).await else { return };
    let flow = json!({
        "stepwell": 1, "kind": "graph", "key": "ticking",
        "triggers": [{ "type": "schedule", "schedule": "* * * * * *", "input": "=schedule.due" }],
        "nodes": { "start": { "type": "start" }, "end": { "type": "end", "output": "=input" } },
        "edges": [{ "from": "start", "to": "end" }],
    });
    engines.second.publish(&flow).await;
    let first = engines.orders.engine.clone();
    let starts = async || {
        let mut starts: BTreeMap<String, usize> = BTreeMap::new();
        let page = first.get("/api/v1/instances?flow=ticking&limit=200").await.expect(200).json();
        for item in page["items"].as_array().unwrap() {
            let shown = first.get(&format!("/api/v1/instances/{}", item["id"].as_str().unwrap())).await.json();
            *starts.entry(shown["input"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        starts
    };
    let reaches = async |least: usize| {
        until("several starts", Duration::from_secs(30), || async {
            Some(starts().await).filter(|starts| starts.len() >= least)
        })
        .await
    };
    let before = reaches(4).await.len();
    // The one that published it is gone: the others go on.
    engines.second.kill9().await;
    let after = reaches(before + 4).await;
    assert!(after.values().all(|&instances| instances == 1), "{after:?}");
    engines.orders.stop().await;
}
