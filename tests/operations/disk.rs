//! The disk is full, or takes no writes at all.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::orders::Orders;
use stepwell_tests::{Options, Stepwell, binary, repository, until};

use crate::server::prove_nothing_is_lost;

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

/// An engine's disk, to be turned read-only while the engine runs.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(folder.path().join("read_only.so"))
            .arg(repository().join("tests/operations/read_only.c"))
            .arg("-ldl")
            .status()
            .unwrap();
        assert!(built.success(), "the C compiler that links Rust programs builds this too");
        Self { folder }
    }

    fn options(&self) -> Options {
        let env =
            |name: &str, file: &str| (name.to_owned(), self.folder.path().join(file).to_str().unwrap().to_owned());
        Options { env: vec![env("LD_PRELOAD", "read_only.so"), env("READ_ONLY_WHILE", "flag")], ..of_file() }
    }

    fn turns(&self) {
        std::fs::write(self.folder.path().join("flag"), "").unwrap();
    }

    fn recovers(&self) {
        std::fs::remove_file(self.folder.path().join("flag")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_turns_read_only_under_load_loses_nothing_and_needs_no_restart() {
    let disk = Disk::new();
    let orders = Orders::start_with(disk.options()).await;
    prove_nothing_is_lost(orders, || disk.turns(), || disk.recovers()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_run_that_meets_a_dead_disk_half_way_says_how_far_it_came() {
    const MANY: usize = 400;
    let disk = Disk::new();
    let engine = Stepwell::start(disk.options()).await;
    engine.publish(&waits()).await;
    for n in 0..MANY {
        let body = json!({ "input": { "key": format!("k{n}") } });
        assert!(engine.post("/api/v1/flows/waits/instances", &body).await.status < 300);
    }
    let counts = async || engine.get("/api/v1/status").await.expect(200).json()["counts"].clone();
    until("all of them wait", SOON, async || (counts().await["waiting"] == MANY).then_some(())).await;
    let ask = |command: &str, cursor: &Value| {
        let mut asked = json!({ "filter": { "flow": "waits" }, "command": command, "dryRun": false });
        if !cursor.is_null() {
            asked["cursor"] = cursor.clone();
        }
        let client = (*engine).clone();
        tokio::spawn(async move { client.post("/api/v1/bulk", &asked).await })
    };
    let goes_when_some_are_done = async {
        until("some are suspended", SOON, async || (counts().await["suspended"].as_u64() > Some(0)).then_some(()))
            .await;
        disk.turns();
    };
    let (first, ()) = tokio::join!(ask("suspend", &Value::Null), goes_when_some_are_done);
    let first = first.unwrap().expect(200).json();
    let commanded = first["commanded"].as_u64().unwrap();
    assert!(first["cutShort"] == true && first["more"] == true && commanded < MANY as u64, "{first}");
    assert_eq!(ask("suspend", &first["next"]).await.unwrap().status, 503, "a run that did nothing is refused whole");
    disk.recovers();
    let rest = until("commands are taken again", SOON, async || {
        let reply = ask("suspend", &first["next"]).await.unwrap();
        (reply.status == 200).then(|| reply.json())
    })
    .await;
    assert_eq!((rest["cutShort"].as_bool(), rest["commanded"].as_u64()), (Some(false), Some(MANY as u64 - commanded)));
    until("all of them are suspended", SOON, async || (counts().await["suspended"] == MANY).then_some(())).await;
}
