//! Rules that are set at one engine hold at the others a moment later.

use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::{Options, Stepwell, database, until};

const SOON: Duration = Duration::from_secs(20);

fn flow(answer: u32) -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": "told",
        "nodes": { "start": { "type": "start" }, "done": { "type": "end", "output": { "version": answer } } },
        "edges": [{ "from": "start", "to": "done" }],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_bound_at_one_engine_holds_at_another() {
    if database().is_none() {
        eprintln!("not tried: STEPWELL_TEST_POSTGRES names no server");
        return;
    }
    let options = Options::default();
    let first = Stepwell::start(options.named("first", &[])).await;
    let second = Stepwell::start(options.named("second", &[])).await;
    for answer in [1, 2] {
        first.publish(&flow(answer)).await;
    }
    let answers = async |version: u32| {
        until(&format!("version {version} is chosen"), SOON, async || {
            let reply = second.post("/api/v1/flows/told/instances?wait=10s", &json!({})).await;
            (reply.status == 200 && reply.json()["output"]["version"] == version).then_some(())
        })
        .await;
    };
    answers(2).await;
    let path = "/api/v1/flows/told/bindings";
    first.put(path, &[("if-none-match", "*")], &json!({ "binding": { "default": 1 } })).await.expect(200);
    answers(1).await;
    // Taken back at one engine, it is chosen at none; and who names it is told at once, whatever is remembered.
    assert_eq!(first.delete(path).await.status, 204);
    answers(2).await;
    let gone = first.delete("/api/v1/flows/told/versions/1").await.expect(200).json();
    assert_eq!(gone["outcome"], "retired");
    let named = second.post("/api/v1/flows/told/instances", &json!({ "version": 1 })).await.expect(404);
    assert_eq!(named.code(), "VERSION_NOT_FOUND");
    let route = json!({ "route": { "rules": [{ "name": "all", "flow": "told" }] } });
    first.put("/api/v1/routes/anything", &[("if-none-match", "*")], &route).await.expect(200);
    until("the route is there", SOON, async || {
        (second.post("/t/anything", &json!({})).await.status == 200).then_some(())
    })
    .await;
}
