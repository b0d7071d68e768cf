//! The event stream: nothing missed across a disconnect or a crash, and `reset` where that cannot be kept.

use serde_json::json;
use stepwell_tests::{Event, Options, Stepwell};

use crate::flows;

fn numbers(event: &Event) -> u64 {
    event.id.rsplit_once(':').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn a_reader_that_comes_back_misses_nothing() {
    let mut engine = Stepwell::start(Options::default()).await;
    let mut events = engine.events("", None).await;
    engine.publish(&flows::patient()).await;
    let published = events.until(|event| event.name == "flow").await;
    assert_eq!(published.data, json!({ "key": "patient", "kind": "published", "version": 1 }));

    // While nobody listens, and through a crash, things happen.
    drop(events);
    let start = async |engine: &Stepwell, key: &str| {
        let body = json!({ "input": { "id": key } });
        engine.post("/api/v1/flows/patient/instances", &body).await.expect(202).json()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = start(&engine, "a").await;
    engine.kill9().await;
    engine.restart().await;
    let second = start(&engine, "b").await;

    let mut events = engine.events("", Some(&published.id)).await;
    let mut last = numbers(&published);
    for id in [&first, &second] {
        let event = events.until(|event| event.data["id"] == **id).await;
        assert_eq!((&event.data["flow"], &event.data["businessKey"].is_string()), (&json!("patient"), &true));
        assert!(numbers(&event) > last, "ids grow");
        last = numbers(&event);
    }
    engine.post("/api/v1/messages", &json!({ "name": "go", "key": "a", "payload": { "word": "x" } })).await.expect(202);
    let ended = events.until(|event| event.data["id"] == *first && event.data["state"] == "completed").await;
    assert!(numbers(&ended) > last);
}

#[tokio::test]
async fn a_cursor_that_cannot_be_resumed_is_reset() {
    let engine = Stepwell::start(Options::default()).await;
    let name = engine.get("/api/v1/status").await.json()["engine"].as_str().unwrap().to_owned();
    for cursor in ["another:1", "nonsense", &format!("{name}:999999"), &format!("{name}:x")] {
        let mut events = engine.events("", Some(cursor)).await;
        let event = events.next().await.unwrap();
        assert_eq!(event.name, "reset", "{cursor}");
        assert!(event.id.starts_with(&name), "the reader gets a place to come back to");
    }
}

#[tokio::test]
async fn a_followed_instance_names_the_nodes_that_changed() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::patient()).await;
    let body = json!({ "input": { "id": "f" } });
    let id = engine.post("/api/v1/flows/patient/instances", &body).await.expect(202).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let _other = engine.post("/api/v1/flows/patient/instances", &json!({ "input": { "id": "g" } })).await.expect(202);
    let mut events = engine.events(&format!("?instance={id}"), None).await;
    for key in ["g", "f"] {
        engine
            .post("/api/v1/messages", &json!({ "name": "go", "key": key, "payload": { "word": "x" } }))
            .await
            .expect(202);
    }
    let event = events.until(|event| event.data["state"] == "completed").await;
    assert_eq!(event.data["id"], *id, "the other instance is not told of");
    let nodes = event.data["nodes"].as_array().unwrap();
    assert!(nodes.contains(&json!({ "node": "go", "state": "done" })), "{nodes:?}");
}

#[tokio::test]
async fn streams_end_when_the_engine_does() {
    let mut engine = Stepwell::start(Options::default()).await;
    let mut events = engine.events("", None).await;
    assert!(engine.sigterm().await.success());
    while events.next().await.is_some() {}
}
