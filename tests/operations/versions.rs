//! Versions that go away while instances are on their way to them, or long after they left.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use stepwell_tests::{Client, Options, Stepwell, until};

const SOON: Duration = Duration::from_secs(30);

/// The same graph each time, with another word at its end.
fn waits(word: &str) -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": "waits",
        "nodes": {
            "start": { "type": "start" }, "wait": { "type": "receive", "message": "go", "key": "=input.key" },
            "end": { "type": "end", "output": { "word": word } },
        },
        "edges": [{ "from": "start", "to": "wait" }, { "from": "wait", "to": "end" }],
    })
}

async fn shown(engine: &Client, id: &str, what: &str, value: Value) -> Value {
    until(&format!("{what} is {value}"), SOON, || async {
        let shown = engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
        (shown[what] == value).then_some(shown)
    })
    .await
}

async fn start(engine: &Client) -> String {
    let reply = engine.post("/api/v1/flows/waits/instances", &json!({ "input": { "key": "k" } })).await;
    assert!(reply.status < 300, "{}", reply.text());
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    shown(engine, &id, "state", json!("waiting")).await;
    id
}

async fn publish(engine: &Client, words: &[&str]) {
    for word in words {
        engine.publish(&waits(word)).await;
    }
}

#[tokio::test]
async fn what_an_instance_ran_on_before_is_there_to_be_looked_at() {
    let engine = Stepwell::start(Options::default()).await;
    publish(&engine, &["one"]).await;
    let id = start(&engine).await;
    publish(&engine, &["two", "three"]).await;
    for version in [2, 3] {
        let body = json!({ "version": version });
        engine.post(&format!("/api/v1/instances/{id}/migrate"), &body).await.expect(202);
        shown(&engine, &id, "version", json!(version)).await;
    }
    for version in [1, 2] {
        let gone = engine.delete(&format!("/api/v1/flows/waits/versions/{version}")).await.expect(200).json();
        assert_eq!(gone["outcome"], "retired", "version {version}");
    }
    // It is neither begun nor moved to.
    let back = engine.post(&format!("/api/v1/instances/{id}/migrate"), &json!({ "version": 1 })).await.expect(404);
    assert_eq!(back.code(), "VERSION_NOT_FOUND");
    engine.post("/api/v1/messages", &json!({ "name": "go", "key": "k" })).await.expect(202);
    let ended = shown(&engine, &id, "state", json!("completed")).await;
    assert_eq!(ended["output"], json!({ "word": "three" }));
    let journal = engine.get(&format!("/api/v1/instances/{id}/journal")).await.expect(200).json();
    assert_eq!(journal["items"].as_array().unwrap().len(), 4, "{journal:#}");
}

#[tokio::test]
async fn an_instance_whose_new_version_is_gone_when_it_comes_stays_on_its_own() {
    let mut engine = Stepwell::start(Options { database: None, ..Options::default() }).await;
    publish(&engine, &["one"]).await;
    let id = start(&engine).await;
    publish(&engine, &["two", "three"]).await;
    engine.sigterm().await;
    // The command was kept; then the version was taken back, before anybody carried the command out.
    let file = Connection::open(engine.data().join("stepwell.db")).unwrap();
    let command = json!({ "command": "migrate", "version": 2, "from": null, "nodes": {} }).to_string();
    let sql = "insert into inbox (n, instance, body, sent_by, at_ms) select 1000000, n, ?1, 'admin', 1 from instance";
    assert_eq!(file.execute(sql, [command]).unwrap(), 1);
    file.execute_batch("update instance set wake_ms = 0; update version set retired_ms = 1 where version = 2").unwrap();
    drop(file);
    engine.restart().await;
    until("it has looked at the command", SOON, || async { engine.log().contains("not migrated").then_some(()) }).await;
    engine.post("/api/v1/messages", &json!({ "name": "go", "key": "k" })).await.expect(202);
    let ended = shown(&engine, &id, "state", json!("completed")).await;
    assert_eq!((&ended["version"], &ended["output"]), (&json!(1), &json!({ "word": "one" })));
}
