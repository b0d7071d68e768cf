//! A database that an engine of its time wrote, with three instances that stand at different places: an engine of today
//! takes it over, and they go on. And one of a newer engine, which is refused.
//!
//! Not here: databases of all the other schemas, made by today's engine (`old`).

use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;
use stepwell_tests::{Options, Stepwell, until};

const SOON: Duration = Duration::from_secs(30);
const OLD: [(&str, &str); 1] = [("schema-3", include_str!("old/schema-3.sql"))];

fn of_file() -> Options {
    Options { database: None, ..Options::default() }
}

async fn state(engine: &Stepwell, key: &str) -> String {
    let page = engine.get(&format!("/api/v1/instances?businessKey={key}")).await.expect(200).json();
    page["items"][0]["state"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn instances_of_an_earlier_engine_go_on_under_this_one() {
    for (name, dump) in OLD {
        let mut engine = Stepwell::start(of_file()).await;
        engine.sigterm().await;
        for ending in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(engine.data().join(format!("stepwell.db{ending}")));
        }
        Connection::open(engine.data().join("stepwell.db")).unwrap().execute_batch(dump).unwrap();
        engine.restart().await;
        for (key, wanted) in [("ended", "completed"), ("waiting", "waiting"), ("sleeping", "waiting")] {
            assert_eq!(state(&engine, key).await, wanted, "{name}: {key}");
        }
        let message = json!({ "name": "go", "key": "waiting", "payload": { "word": "on" } });
        engine.post("/api/v1/messages", &message).await.expect(202);
        until("the instance goes on", SOON, || async {
            (state(&engine, "waiting").await == "completed").then_some(())
        })
        .await;
        // New ones of the old version start, too.
        let body = json!({ "input": { "key": "new", "at": 1_000 }, "businessKey": "new" });
        engine.post("/api/v1/flows/waits/instances", &body).await.expect(202);
        until("a new one waits", SOON, || async { (state(&engine, "new").await == "waiting").then_some(()) }).await;
    }
}

#[tokio::test]
async fn a_database_of_a_newer_engine_is_refused_and_left_alone() {
    let mut engine = Stepwell::start(of_file()).await;
    engine.sigterm().await;
    let path = engine.data().join("stepwell.db");
    Connection::open(&path).unwrap().execute_batch("pragma user_version = 99").unwrap();
    let before = std::fs::read(&path).unwrap();
    let output = std::process::Command::new(stepwell_tests::binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(engine.data())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("newer engine"), "{said}");
    assert!(std::fs::read(&path).unwrap() == before, "the file was changed");
}
