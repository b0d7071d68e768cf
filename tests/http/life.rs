//! The engine's own life: ending in order, one owner per store, watched folders, settings, figures.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use stepwell_tests::{Options, Stepwell, binary, until};

use crate::flows;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn sigterm_parks_what_waits_and_the_next_start_goes_on() {
    let mut engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::patient()).await;
    let body = json!({ "input": { "id": "s" } });
    let reply = engine.post("/api/v1/flows/patient/instances", &body).await.expect(202);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    assert!(engine.sigterm().await.success());
    engine.restart().await;
    engine
        .post("/api/v1/messages", &json!({ "name": "go", "key": "s", "payload": { "word": "on" } }))
        .await
        .expect(202);
    until("the instance goes on", SOON, async || {
        let shown = engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
        (shown["state"] == "completed").then_some(())
    })
    .await;
}

#[tokio::test]
async fn whoever_waits_at_sigterm_is_told_where_to_look() {
    let mut engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::patient()).await;
    let client = engine.clone();
    let caller = tokio::spawn(async move {
        client.post("/api/v1/flows/patient/instances?wait=60s", &json!({ "input": { "id": "w" } })).await
    });
    until("the instance is there", SOON, async || {
        let page = engine.get("/api/v1/instances?businessKey=w").await.json();
        (page["items"][0]["state"] == "waiting").then_some(())
    })
    .await;
    assert!(engine.sigterm().await.success());
    let reply = caller.await.unwrap().expect(202);
    assert_eq!(reply.json()["state"], "waiting", "{}", reply.text());
    assert!(reply.header("location").starts_with("/api/v1/instances/"));
}

#[tokio::test]
async fn publishing_an_older_content_again_makes_it_the_newest() {
    let engine = Stepwell::start(Options::default()).await;
    let (first, mut second) = (flows::sum(), flows::sum());
    second["nodes"]["done"]["output"] = json!({ "sum": 0 });
    for (document, status, version, sum) in
        [(&first, 201, 1, 3), (&first, 200, 1, 3), (&second, 201, 2, 0), (&first, 201, 3, 3)]
    {
        let published = engine.post("/api/v1/flows/sum/publish", &json!({ "document": document })).await.expect(status);
        assert_eq!(published.json()["version"], version);
        let answer = engine.post("/t/sum", &json!({ "a": 1, "b": 2 })).await.expect(200);
        assert_eq!(answer.json()["sum"], sum);
    }
}

#[tokio::test]
async fn a_second_engine_on_the_same_store_is_refused() {
    let engine = Stepwell::start(Options::default()).await;
    let second = Command::new(binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(engine.data())
        .envs(engine.database().map(|url| ("STEPWELL_DATABASE_URL", url)))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(said.contains("one process owns a store"), "{said}");
    assert_eq!(engine.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn wrong_settings_are_all_told_before_the_port_opens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stepwell.toml");
    std::fs::write(&file, "requests-max = 0\nflows = \"/no/such/folder\"\n").unwrap();
    let run = Command::new(binary()).arg("serve").current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success());
    for part in ["requests-max: 0", "flows: /no/such/folder"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!folder.path().join("stepwell-data").exists(), "nothing was made");
}

#[tokio::test]
async fn a_watched_flow_is_published_once_per_content() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sum.json");
    let (old, mut new) = (flows::sum(), flows::sum());
    new["nodes"]["done"]["output"] = json!({ "sum": 0 });
    std::fs::write(&file, old.to_string()).unwrap();
    std::fs::write(folder.path().join("other.json"), "{\"not\":\"a flow\"}").unwrap();
    let engine = Stepwell::start(Options { flows: Some(folder.path().to_owned()), ..Options::default() }).await;
    let latest = async || engine.get("/api/v1/flows/sum").await.json()["latestVersion"].as_u64();
    assert_eq!(latest().await, Some(1), "published before the port opens");
    std::fs::write(&file, new.to_string()).unwrap();
    until("the change is published", SOON, async || (latest().await == Some(2)).then_some(())).await;
    // An older content comes back: it was published once and is not again.
    let mut events = engine.events("", None).await;
    std::fs::write(&file, old.to_string()).unwrap();
    let mut other = flows::stuck();
    other["key"] = "later".into();
    std::fs::write(folder.path().join("zz-later.json"), other.to_string()).unwrap();
    // Files are taken in order of name, so once this one is published the old one was looked at.
    events.until(|event| event.data["key"] == "later").await;
    assert_eq!(latest().await, Some(2));
}

#[tokio::test]
async fn figures_are_told_to_prometheus() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::sum()).await;
    engine.post("/t/sum", &json!({ "a": 1, "b": 2 })).await.expect(200);
    let text = engine.get("/metrics").await.expect(200).text();
    for line in [
        "stepwell_instances{flow=\"sum\",version=\"1\",state=\"completed\"} 1",
        "stepwell_instances_ended_total 1",
        "stepwell_http_requests_total{door=\"trigger\",status=\"2xx\"} 1",
        "stepwell_http_request_duration_seconds_count{door=\"trigger\"} 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit_once(' ').map(|(_, value)| value.parse::<f64>());
        assert!(matches!(value, Some(Ok(_))), "{line}");
    }
}

#[tokio::test]
async fn the_command_line_asks_a_running_engine() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::sum()).await;
    let input = engine.data().join("input.json");
    std::fs::write(&input, "{\"a\":1,\"b\":2}").unwrap();
    let broken = engine.data().join("broken.json");
    std::fs::write(&broken, flows::unknown_plugin().to_string()).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(binary());
        command.envs(engine.database().map(|url| ("STEPWELL_DATABASE_URL", url)));
        command.args(args).env("STEPWELL_URL", engine.url()).env("STEPWELL_TOKEN", Options::default().token);
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for (args, success, said) in [
        (vec!["start", "sum", "--input", input.to_str().unwrap()], true, "\"sum\": 3"),
        (vec!["instances", "--flow", "sum"], true, "sum@1"),
        (vec!["flow", "check", broken.to_str().unwrap()], false, "/nodes/dream/uses"),
        (vec!["start", "none"], false, ""),
        (vec!["doctor", "--data", engine.data().to_str().unwrap()], false, "one process owns a store"),
    ] {
        let (succeeded, text) = run(&args);
        assert!(succeeded == success && text.contains(said), "{args:?}: {text}");
    }
}
