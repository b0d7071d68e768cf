//! The disk is full, or takes no writes at all.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::{Options, Stepwell, binary, until};

const SOON: Duration = Duration::from_secs(30);
/// Of 512 bytes each: room for the schema and some dozens of large orders.
const BLOCKS: u32 = 6_000;
const STARTS_MAX: u32 = 500;

fn waits() -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": "waits",
        "nodes": {
            "start": { "type": "start" }, "wait": { "type": "receive", "message": "go", "key": "=input.key" },
            "end": { "type": "end", "output": { "key": "=input.key" } },
        },
        "edges": [{ "from": "start", "to": "wait" }, { "from": "wait", "to": "end" }],
    })
}

fn of_file() -> Options {
    Options { database: None, ..Options::default() }
}

/// Starts instances until one is refused. Those that were acknowledged, and the refusal.
async fn fill(engine: &Stepwell) -> (Vec<String>, u16) {
    let mut acknowledged = Vec::new();
    for n in 0..STARTS_MAX {
        let body = json!({ "input": { "key": format!("k{n}"), "ballast": "x".repeat(100_000) } });
        let reply = engine.post("/api/v1/flows/waits/instances", &body).await;
        if reply.status >= 300 {
            return (acknowledged, reply.status);
        }
        acknowledged.push(reply.json()["id"].as_str().unwrap().to_owned());
    }
    panic!("{STARTS_MAX} starts fit in {BLOCKS} blocks");
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_keeps_what_was_taken_and_needs_no_restart() {
    let under = format!("trap '' XFSZ; ulimit -S -f {BLOCKS}");
    let engine = Stepwell::start(Options { under: Some(under), ..of_file() }).await;
    engine.publish(&waits()).await;
    let (acknowledged, refusal) = fill(&engine).await;
    assert_eq!(refusal, 503, "what does not fit is refused as out of reach for now");
    assert!(!acknowledged.is_empty());
    for id in &acknowledged {
        assert_eq!(engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json()["state"], "waiting");
    }
    // Room again.
    let pid = engine.pid().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]).status().unwrap();
    assert!(raised.success(), "prlimit");
    until("the engine takes starts again", SOON, || async {
        let body = json!({ "input": { "key": "after" } });
        (engine.post("/api/v1/flows/waits/instances", &body).await.status < 300).then_some(())
    })
    .await;
    for n in 0..acknowledged.len() {
        let message = json!({ "name": "go", "key": format!("k{n}"), "payload": {} });
        engine.post("/api/v1/messages", &message).await.expect(202);
    }
    for id in &acknowledged {
        until("every acknowledged instance ends", SOON, || async {
            let shown = engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
            (shown["state"] == "completed").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_disk_that_takes_no_writes_keeps_the_engine_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\" 2>&1 | cat", "sh"])
        .arg(binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data)
        .env("STEPWELL_ADMIN_TOKEN", "a-token-for-tests-only")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!said.contains("listening on"), "{said}");
    assert!(said.contains("stepwell.db") || said.contains("cannot"), "it says what it cannot write: {said}");
}
