//! A copy of the database under load, and an engine that is started on it.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::{Client, Options, Stepwell, binary, until};

const SOON: Duration = Duration::from_mins(1);
const CALLERS: usize = 8;
/// Acknowledged before the copy is asked for.
const BEFORE: usize = 100;

/// Waits for a message, then for a moment.
fn waits() -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": "waits",
        "nodes": {
            "start": { "type": "start" }, "wait": { "type": "receive", "message": "go", "key": "=input.key" },
            "rest": { "type": "timer", "after": "10ms" },
            "end": { "type": "end", "output": { "key": "=input.key" } },
        },
        "edges": [
            { "from": "start", "to": "wait" }, { "from": "wait", "to": "rest" }, { "from": "rest", "to": "end" },
        ],
    })
}

/// Starts instances until it is told to stop; the keys and ids of those that were acknowledged.
async fn load(engine: Client, caller: usize, stop: Arc<AtomicBool>, acknowledged: Arc<Mutex<Vec<(String, String)>>>) {
    let mut n = 0;
    while !stop.load(Ordering::SeqCst) {
        let key = format!("{caller}-{n}");
        let reply = engine.post("/api/v1/flows/waits/instances", &json!({ "input": { "key": key } })).await;
        if reply.status < 300 {
            let id = reply.json()["id"].as_str().unwrap().to_owned();
            acknowledged.lock().unwrap().push((key, id));
        }
        n += 1;
    }
}

/// Beside the test's own work: the command takes its time.
async fn backup(engine: &Stepwell, to: &Path) -> Output {
    let (url, token, to) = (engine.url().to_owned(), engine.options().token.clone(), to.to_owned());
    let asked = move || {
        let mut command = Command::new(binary());
        command.arg("backup").arg(&to).args(["--url", &url]).env("STEPWELL_TOKEN", &token);
        command.output().unwrap()
    };
    tokio::task::spawn_blocking(asked).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_under_load_holds_what_was_acknowledged_and_goes_on() {
    let engine = Stepwell::start(Options { database: None, ..Options::default() }).await;
    engine.publish(&waits()).await;
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| tokio::spawn(load((*engine).clone(), caller, stop.clone(), acknowledged.clone())))
        .collect();
    let count = || acknowledged.lock().unwrap().len();
    until("some are acknowledged", SOON, || async { (count() >= BEFORE).then_some(()) }).await;
    let before: Vec<(String, String)> = acknowledged.lock().unwrap().clone();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    let made = backup(&engine, &copy).await;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let after = count();
    until("work went on meanwhile", SOON, || async { (count() > after).then_some(()) }).await;
    stop.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(std::fs::read_dir(engine.data().join("copying")).unwrap().next().is_none(), "nothing of it is left there");
    let again = backup(&engine, &copy).await;
    assert!(!again.status.success(), "what is there is not written over");
    let bytes = std::fs::metadata(&copy).unwrap().len();
    let audit = engine.get("/api/v1/audit?target=sqlite").await.expect(200).json();
    assert_eq!(
        (&audit["items"][0]["action"], &audit["items"][0]["detail"]["bytes"]),
        (&json!("store.backup"), &json!(bytes))
    );
    drop(engine);

    let restored = Stepwell::start(Options { database: None, file: Some(copy), ..Options::default() }).await;
    for (key, id) in &before {
        let shown = restored.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
        assert_eq!(shown["state"], "waiting", "{shown:#}");
        restored.post("/api/v1/messages", &json!({ "name": "go", "key": key })).await.expect(202);
    }
    for (key, id) in &before {
        until("every acknowledged instance ends", SOON, || async {
            let shown = restored.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
            (shown["output"]["key"] == **key).then_some(())
        })
        .await;
    }
    let new = restored.post("/api/v1/flows/waits/instances", &json!({ "input": { "key": "new" } })).await;
    assert!(new.status < 300, "{}", new.text());
}

#[tokio::test]
async fn a_server_is_copied_with_its_own_tools() {
    let options = Options::default();
    if options.database.is_none() {
        println!("NOT TRIED: no server is named in STEPWELL_TEST_POSTGRES; the suite runs again where there is one");
        return;
    }
    let engine = Stepwell::start(options).await;
    let refused = engine.post("/api/v1/backup", &Value::Null).await.expect(409);
    assert_eq!(refused.code(), "BACKUP_NOT_HERE");
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("copy.db");
    let said = backup(&engine, &to).await;
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && text.contains("BACKUP_NOT_HERE") && text.contains("pg_dump"), "{text}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was written");
}
