//! Ended instances that are kept no longer, and payloads that somebody erases.

use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::{Client, Options, Stepwell, until};

const SOON: Duration = Duration::from_secs(30);

/// Ends at once, or waits for a message if it is told so.
fn flow(retention: Option<&str>) -> Value {
    let mut flow = json!({
        "stepwell": 1, "kind": "graph", "key": "notes", "businessKey": "=input.key", "businessKeyUnique": "always",
        "nodes": {
            "start": { "type": "start" }, "waits": { "type": "exclusive" },
            "wait": { "type": "receive", "message": "go", "key": "=input.key" },
            "end": { "type": "end", "output": { "said": "=input.said" } },
        },
        "edges": [
            { "from": "start", "to": "waits" }, { "from": "waits", "to": "wait", "when": "input.waits" },
            { "from": "waits", "to": "end", "default": true }, { "from": "wait", "to": "end" },
        ],
    });
    if let Some(retention) = retention {
        flow["retention"] = retention.into();
    }
    flow
}

async fn start(engine: &Client, key: &str, waits: bool) -> String {
    let body = json!({ "input": { "key": key, "said": "a secret", "waits": waits } });
    let reply = engine.post("/api/v1/flows/notes/instances", &body).await;
    assert!(reply.status < 300, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

async fn status(engine: &Client, id: &str) -> u16 {
    engine.get(&format!("/api/v1/instances/{id}")).await.status
}

async fn ended(engine: &Client, id: &str) {
    until("the instance has ended", SOON, || async {
        let shown = engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
        (shown["state"] == "completed").then_some(())
    })
    .await;
}

async fn completed(engine: &Client) -> u64 {
    engine.get("/api/v1/status").await.expect(200).json()["counts"]["completed"].as_u64().unwrap()
}

#[tokio::test]
async fn ended_instances_go_after_their_flow_s_time_and_the_others_stay() {
    let mut engine = Stepwell::start(Options::default()).await;
    engine.publish(&flow(None)).await;
    let kept = start(&engine, "kept", false).await;
    ended(&engine, &kept).await;
    engine.publish(&flow(Some("1s"))).await;
    let waiting = start(&engine, "waiting", true).await;
    let gone = start(&engine, "gone", false).await;
    until("it is forgotten", SOON, || async { (status(&engine, &gone).await == 404).then_some(()) }).await;
    assert_eq!((status(&engine, &kept).await, status(&engine, &waiting).await), (200, 200));
    assert_eq!(completed(&engine).await, 1, "what is gone is not counted");
    // Its business key is free again, and it is not there after a restart, either.
    start(&engine, "gone", true).await;
    engine.kill9().await;
    engine.restart().await;
    assert_eq!((status(&engine, &gone).await, status(&engine, &waiting).await), (404, 200));
    engine.post("/api/v1/messages", &json!({ "name": "go", "key": "waiting" })).await.expect(202);
    until("it is forgotten, too, once it has ended", SOON, || async {
        (status(&engine, &waiting).await == 404).then_some(())
    })
    .await;
    assert_eq!(status(&engine, &kept).await, 200);
}

#[tokio::test]
async fn what_is_erased_is_nowhere_to_be_read() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flow(None)).await;
    let id = start(&engine, "one", true).await;
    let path = format!("/api/v1/instances/{id}");
    assert_eq!(engine.delete(&path).await.expect(409).code(), "INSTANCE_NOT_ENDED");
    engine.post("/api/v1/messages", &json!({ "name": "go", "key": "one" })).await.expect(202);
    ended(&engine, &id).await;
    for _ in 0..2 {
        engine.delete(&path).await.expect(204);
    }
    let shown = engine.get(&path).await.expect(200).json();
    assert_eq!((&shown["state"], &shown["businessKey"]), (&json!("completed"), &json!("one")));
    assert_eq!((&shown["input"], &shown["output"]), (&Value::Null, &Value::Null));
    assert!(shown["erasedAt"].is_string(), "{shown:#}");
    let journal = engine.get(&format!("{path}/journal")).await.expect(200).json();
    assert_eq!((&journal["items"], &journal["next"]), (&json!([]), &Value::Null));
    for read in [path, "/api/v1/instances".to_owned(), "/api/v1/audit".to_owned()] {
        let text = engine.get(&read).await.expect(200).text();
        assert!(!text.contains("a secret"), "{read}: {text}");
    }
    let audit = engine.get(&format!("/api/v1/audit?target={id}")).await.expect(200).json();
    assert_eq!(audit["items"][0]["action"], "instance.erase");
    let unknown = engine.delete("/api/v1/instances/01a1f89d-0000-7000-8000-000000000000").await.expect(404);
    assert_eq!(unknown.code(), "INSTANCE_NOT_FOUND");
}
