//! Starting, waiting, triggers, and the Idempotency-Key.

use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::{Options, Reply, Stepwell, until};

use crate::flows;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_caller_gets_the_answer_or_a_place_to_look() {
    let engine = Stepwell::start(Options::default()).await;
    for flow in [flows::sum(), flows::patient(), flows::stuck()] {
        engine.publish(&flow).await;
    }
    for (path, body, status, state) in [
        ("/api/v1/flows/sum/instances?wait=10s", json!({ "input": { "a": 1, "b": 2 } }), 200, "completed"),
        ("/api/v1/flows/sum/instances", json!({ "input": { "a": 1, "b": 2 } }), 202, ""),
        ("/api/v1/flows/patient/instances?wait=50ms", json!({ "input": { "id": "a" } }), 202, ""),
        // An incident is no answer, but it is told at once.
        ("/api/v1/flows/stuck/instances?wait=60s", json!({ "input": { "ok": "maybe" } }), 202, "incident"),
    ] {
        let reply = engine.post(path, &body).await.expect(status);
        let id = reply.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(reply.header("location"), format!("/api/v1/instances/{id}"), "{path}");
        assert!(state.is_empty() || reply.json()["state"] == state, "{path}: {}", reply.text());
        assert_eq!(reply.json().get("output").is_some(), status == 200, "{path}: {}", reply.text());
        let shown = engine.get(reply.header("location")).await.expect(200).json();
        assert_eq!((&shown["id"], &shown["input"]), (&json!(id), &body["input"]), "{path}");
    }
}

#[tokio::test]
async fn a_trigger_takes_the_bare_input_and_gives_the_bare_output() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::sum()).await;
    let input = json!({ "a": 2, "b": 3 });
    let stranger = engine.with_token(None);
    for (client, path, status) in [
        (&*engine, "/t/sum", 200),
        (&*engine, "/t/open/sum", 200),
        (&stranger, "/t/open/sum", 200),
        (&stranger, "/t/sum", 401),
    ] {
        let reply = client.post(path, &input).await.expect(status);
        assert!(status != 200 || reply.json() == json!({ "sum": 5 }), "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_cancelled_instance_is_a_conflict_for_its_caller() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::patient()).await;
    let client = engine.clone();
    let caller = tokio::spawn(async move {
        client.post("/api/v1/flows/patient/instances?wait=30s", &json!({ "input": { "id": "c" } })).await
    });
    let id = until("the instance is there", SOON, async || {
        let page = engine.get("/api/v1/instances?businessKey=c").await.json();
        page["items"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    engine.post(&format!("/api/v1/instances/{id}/cancel"), &json!({ "reason": "no longer wanted" })).await.expect(202);
    let reply = caller.await.unwrap().expect(409);
    assert_eq!((reply.code().as_str(), &reply.json()["id"]), ("CANCELLED", &json!(id)));
}

async fn start(engine: &Stepwell, flow: &str, wait: &str, key: &str, input: &Value) -> Reply {
    let path = format!("/api/v1/flows/{flow}/instances{wait}");
    let body = json!({ "input": input }).to_string();
    engine.send("POST", &path, &[("idempotency-key", key)], body).await.unwrap()
}

#[tokio::test]
async fn the_same_key_starts_one_instance() {
    let mut engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::sum()).await;
    engine.publish(&flows::patient()).await;
    let input = json!({ "a": 1, "b": 2 });
    let first = start(&engine, "sum", "?wait=10s", "k-1", &input).await.expect(200);
    for _ in 0..2 {
        // Also after a crash: the key was committed with the start.
        let again = start(&engine, "sum", "?wait=10s", "k-1", &input).await.expect(200);
        assert_eq!(again.json(), first.json());
        engine.kill9().await;
        engine.restart().await;
    }
    let other = start(&engine, "sum", "?wait=10s", "k-1", &json!({ "a": 1, "b": 3 })).await.expect(422);
    assert_eq!((other.code().as_str(), &other.json()["id"]), ("IDEMPOTENCY_MISMATCH", &first.json()["id"]));
    // Who does not wait is told the same each time, though it has ended since.
    let started = start(&engine, "sum", "", "k-3", &input).await.expect(202);
    let again = start(&engine, "sum", "", "k-3", &input).await.expect(202);
    assert_eq!(again.json()["id"], started.json()["id"]);
    // Keys belong to their flow.
    start(&engine, "patient", "", "k-1", &json!({ "id": "x" })).await.expect(202);

    // While the first request is still here, a second one is told to come again.
    let client = engine.clone();
    let caller = tokio::spawn(async move {
        let body = json!({ "input": { "id": "k" } }).to_string();
        client
            .send("POST", "/api/v1/flows/patient/instances?wait=30s", &[("idempotency-key", "k-2")], body)
            .await
            .unwrap()
    });
    let running = async || engine.get("/api/v1/instances?businessKey=k").await.json()["items"].as_array().map(Vec::len);
    until("the first has started", SOON, async || (running().await == Some(1)).then_some(())).await;
    let refused = start(&engine, "patient", "", "k-2", &json!({ "id": "k" })).await.expect(409);
    assert_eq!(refused.code(), "IDEMPOTENCY_RUNNING");
    let message = json!({ "name": "go", "key": "k", "payload": { "word": "yes" } });
    engine.post("/api/v1/messages", &message).await.expect(202);
    assert_eq!(caller.await.unwrap().expect(200).json()["output"]["said"], "yes");
    assert_eq!(running().await, Some(1));
}
