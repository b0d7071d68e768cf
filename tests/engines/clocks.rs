//! What several engines do by the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use stepwell_tests::orders::{every_order_ended, start_orders};
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

/// Pauses something at one engine, and lets it go at another, after a probe at a third.
async fn pause_and_resume(engines: &mut Engines, what: &str, ids: &mut Vec<Option<String>>) {
    let path = format!("/api/v1/pauses/{what}");
    engines.second.put(&path, &[], &json!({ "reason": "all is counted" })).await.expect(200);
    ids.resize(ids.len() + 30, None);
    start_orders(&engines.all(), ids).await;
    let held = async |engine: &stepwell_tests::Client| engine.get(&path).await.expect(200).json()["held"].as_u64();
    // Those that came to an engine before it heard were let through: it hears within a second.
    let held_at_first = until("orders are held", Duration::from_secs(20), || async {
        let held = held(&engines.third).await.unwrap_or_default();
        (held >= 10).then_some(held)
    })
    .await;
    assert!(held_at_first <= 30);
    // An engine that only now begins holds what it takes over.
    engines.second.kill9().await;
    engines.second.restart().await;
    ids.push(None);
    start_orders(&[&engines.second], ids).await;
    assert!(held(&engines.second).await.unwrap_or_default() >= held_at_first);
    // One call is let through, wherever what waits is driven; what came of it is known everywhere.
    engines.orders.engine.post(&format!("{path}/probe"), &json!({})).await.expect(202);
    until("the probe is told", Duration::from_secs(20), || async {
        let told = engines.third.get(&path).await.expect(200).json();
        (told["probe"]["well"] == true).then_some(())
    })
    .await;
    assert!(held(&engines.second).await.unwrap_or_default() >= 9, "the others wait still");
    engines.third.delete(&path).await.expect(204);
    every_order_ended(&engines.orders.engine, Duration::from_mins(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_at_every_engine_and_so_do_its_probe_and_its_end() {
    let Some(mut engines) = Engines::start(&[]).await else { return };
    engines.orders.settings(&json!({ "auto_settle": "paid" })).await;
    let mut ids = Vec::new();
    for what in ["node-types/commerce/lock-locker", "connections/shop"] {
        pause_and_resume(&mut engines, what, &mut ids).await;
    }
    let page = engines.third.get("/api/v1/instances?state=incident").await.expect(200).json();
    assert_eq!(page["items"], json!([]));
    engines.orders.stop().await;
}
