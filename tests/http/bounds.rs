//! What is too deep or too large to be kept, and what is written down of who did what.

use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::{Options, Stepwell, until};

use crate::flows;
use crate::sessions::ask_in;

const SOON: Duration = Duration::from_secs(20);

/// `1` inside of that many lists.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |value, _| json!([value]))
}

#[tokio::test]
async fn what_is_taken_in_can_be_read_back_however_deep() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::patient()).await;
    for (levels, status) in [(99, 202), (100, 422), (120, 422), (200, 400)] {
        let body = json!({ "input": { "id": format!("d{levels}"), "deep": nested(levels) } });
        let reply = engine.post("/api/v1/flows/patient/instances", &body).await.expect(status);
        if status == 422 {
            assert_eq!(reply.json()["problems"][0]["code"], "TOO_DEEP", "{}", reply.text());
        }
        let message = json!({ "name": "none", "key": "k", "payload": nested(levels + 1) });
        engine.post("/api/v1/messages", &message).await.expect(status);
    }
    // Not every database keeps a NUL: it is refused at the door, whichever is behind it.
    let reply = engine.post("/api/v1/messages", &json!({ "name": "n", "key": "a\u{0}b" })).await.expect(422);
    assert_eq!(reply.json()["problems"][0]["pointer"], "/key");
    let body = json!({ "input": { "id": "n" }, "businessKey": "a\u{0}b" });
    engine.post("/api/v1/flows/patient/instances", &body).await.expect(422);
    // The deepest one goes on, so it was read back from disk.
    engine.post("/api/v1/messages", &json!({ "name": "go", "key": "d99", "payload": nested(100) })).await.expect(202);
    until("the deep one ends", SOON, async || {
        let page = engine.get("/api/v1/instances?businessKey=d99").await.expect(200).json();
        (page["items"][0]["state"] == "completed").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_grows_too_large_is_an_incident_and_keeps_its_values() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::hoarder()).await;
    let body = json!({ "input": { "id": "h", "text": "x".repeat(400_000) } });
    let reply = engine.post("/api/v1/flows/hoarder/instances?wait=20s", &body).await.expect(202);
    assert_eq!(reply.json()["state"], "incident", "{}", reply.text());
    let path = format!("/api/v1/instances/{}", reply.json()["id"].as_str().unwrap());
    let shown = engine.get(&path).await.expect(200).json();
    assert_eq!(shown["error"]["code"], "SNAPSHOT_LIMIT", "{shown}");
    assert_eq!(shown["vars"]["c"].as_str().map(str::len), Some(400_001));
    engine.post(&format!("{path}/cancel"), &json!({})).await.expect(202);
    until("it is cancelled", SOON, async || {
        (engine.get(&path).await.expect(200).json()["state"] == "cancelled").then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_start_and_message_and_login_has_its_audit_row() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::sum()).await;
    let reply = engine.post("/api/v1/flows/sum/instances", &json!({ "input": { "a": 1, "b": 2 } })).await.expect(202);
    let stranger = engine.with_token(None);
    stranger.post("/t/open/sum", &json!({ "a": 1, "b": 2 })).await.expect(200);
    engine.post("/api/v1/messages", &json!({ "name": "go", "key": "k", "id": "m-1" })).await.expect(202);
    engine.post("/api/v1/messages", &json!({ "name": "go", "key": "k", "id": "m-1" })).await.expect(200);
    ask_in(&stranger, &json!({ "token": "wrong" })).await.expect(401);
    ask_in(&engine, &json!({ "token": Options::default().token })).await.expect(200);
    let audit = engine.get("/api/v1/audit").await.expect(200).json();
    let rows: Vec<String> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["who"].as_str().unwrap(), row["action"].as_str().unwrap()))
        .collect();
    // The newest first. A duplicate and a refused login did nothing.
    let wanted = [
        "token:bootstrap session.login",
        "token:bootstrap message.post",
        "anyone instance.start",
        "token:bootstrap instance.start",
        "token:bootstrap flow.publish",
    ];
    assert_eq!(rows, wanted);
    assert_eq!(audit["items"][3]["target"], reply.json()["id"]);
}
