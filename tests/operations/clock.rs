//! The machine's clock is set, forwards and back, while instances wait on timers.
//!
//! The engine reads a file that says by how much its clock is wrong; what is monotonic goes on as before, and so does
//! a server's clock. A timer is due at the time it was told, by the clock as it is set: set back, it waits longer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::{Client, Options, Stepwell, until};

const SOON: Duration = Duration::from_secs(30);
const HOUR_MS: i64 = 60 * 60 * 1000;
/// A step in the clock is seen by the next look at it.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// Rests for so long, then waits for a message.
fn sleeps(rest: &str) -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": format!("rests-{rest}"), "businessKey": "=input.key",
        "nodes": {
            "start": { "type": "start" }, "rest": { "type": "timer", "after": rest },
            "wait": { "type": "receive", "message": "go", "key": "=input.key", "timeout": "24h" },
            "end": { "type": "end", "output": { "key": "=input.key" } }, "late": { "type": "end", "output": "late" },
        },
        "edges": [
            { "from": "start", "to": "rest" }, { "from": "rest", "to": "wait" }, { "from": "wait", "to": "end" },
            { "from": "wait", "port": "timeout", "to": "late" },
        ],
    })
}

/// Sets the clock of an engine, at once for whoever reads it.
fn set(file: &Path, wrong_by_ms: i64) {
    let new = file.with_extension("new");
    std::fs::write(&new, wrong_by_ms.to_string()).unwrap();
    std::fs::rename(&new, file).unwrap();
}

async fn start(engine: &Client, key: &str, rest: &str) -> String {
    engine.publish(&sleeps(rest)).await;
    let body = json!({ "input": { "key": key } });
    let reply = engine.post(&format!("/api/v1/flows/rests-{rest}/instances"), &body).await;
    assert!(reply.status < 300, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

/// The kinds of its entries, and whether their times go on.
async fn journal(engine: &Client, id: &str) -> (Vec<String>, bool) {
    let page = engine.get(&format!("/api/v1/instances/{id}/journal?limit=500")).await.expect(200).json();
    let items = page["items"].as_array().unwrap();
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    let times: Vec<String> = items.iter().map(|item| text(item, "at")).collect();
    (items.iter().map(|item| text(item, "type")).collect(), times.is_sorted())
}

async fn fired(engine: &Client, id: &str) -> usize {
    journal(engine, id).await.0.iter().filter(|kind| *kind == "timer-fired").count()
}

async fn fires(engine: &Client, id: &str) {
    until("the timer fires", SOON, || async { (fired(engine, id).await > 0).then_some(()) }).await;
}

struct Set {
    engine: Stepwell,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

async fn begin() -> Set {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clock");
    set(&file, 0);
    let env = vec![("STEPWELL_TEST_CLOCK".to_owned(), file.to_str().unwrap().to_owned())];
    let args = vec!["--lease-seconds".to_owned(), "3".to_owned()];
    let engine = Stepwell::start(Options { env, args, ..Options::default() }).await;
    Set { engine, file, _folder: folder }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_fire_once_however_the_clock_is_set() {
    let Set { engine, file, _folder } = begin().await;
    let (one, two, three) =
        (start(&engine, "one", "1h").await, start(&engine, "two", "2h").await, start(&engine, "three", "9h").await);
    set(&file, HOUR_MS + HOUR_MS / 10);
    fires(&engine, &one).await;
    // Back to before all of it began: what fired stays so, what did not is not due, and what begins now has its time.
    set(&file, -3 * HOUR_MS);
    let new = start(&engine, "new", "1s").await;
    fires(&engine, &new).await;
    // The sweeper has looked since, more than once.
    assert_eq!((fired(&engine, &one).await, fired(&engine, &two).await, fired(&engine, &three).await), (1, 0, 0));
    // A crash in between, by a clock that is wrong.
    let mut engine = engine;
    engine.kill9().await;
    engine.restart().await;
    set(&file, 3 * HOUR_MS);
    fires(&engine, &two).await;
    set(&file, 0);
    set(&file, 4 * HOUR_MS);
    let last = start(&engine, "last", &format!("{}ms", LOOKS_EVERY.as_millis())).await;
    fires(&engine, &last).await;
    for key in ["one", "two", "new", "last"] {
        engine.post("/api/v1/messages", &json!({ "name": "go", "key": key })).await.expect(202);
    }
    for (key, id) in [("one", &one), ("two", &two), ("new", &new), ("last", &last)] {
        let shown = until("the instance ends", SOON, || async {
            let shown = engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
            (shown["state"] == "completed").then_some(shown)
        })
        .await;
        assert_eq!(shown["output"], json!({ "key": key }), "{shown:#}");
        let (kinds, goes_on) = journal(&engine, id).await;
        assert!(goes_on, "{key}: its times go back");
        assert_eq!(kinds.iter().filter(|kind| *kind == "timer-fired").count(), 1, "{key}: {kinds:?}");
    }
    assert_eq!(fired(&engine, &three).await, 0, "what is not due waits");
    assert!(!engine.log().contains("taken for dead"), "leases are not told by the engine's clock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_and_a_worker_that_wait_are_answered_in_their_time() {
    let Set { engine, file, _folder } = begin().await;
    let ask = |path: &'static str, body: Value| {
        let client = (*engine).clone();
        tokio::spawn(async move { client.post(path, &body).await })
    };
    engine.publish(&sleeps("1h")).await;
    let caller = ask("/api/v1/flows/rests-1h/instances?wait=3s", json!({ "input": { "key": "k" } }));
    let worker = ask("/api/v1/external-tasks/fetch", json!({ "topics": ["t"], "worker": "w", "wait": "3s" }));
    until("the caller's instance is there", SOON, || async {
        let page = engine.get("/api/v1/instances?businessKey=k").await.expect(200).json();
        page["items"][0]["id"].is_string().then_some(())
    })
    .await;
    set(&file, -3 * HOUR_MS);
    // The client gives up long before a clock that was set back would have answered.
    assert_eq!(caller.await.unwrap().status, 202);
    assert_eq!(worker.await.unwrap().expect(200).json()["items"], json!([]));
}
