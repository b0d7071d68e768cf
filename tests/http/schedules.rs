//! Flows that start by themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::{Options, Stepwell, until};

use crate::flows;

const SOON: Duration = Duration::from_secs(20);

/// Starts every second, and tells for when.
fn ticking() -> Value {
    let mut flow = flows::sum();
    flow["key"] = "ticking".into();
    flow["input"] = json!({ "type": "object", "required": ["due"] });
    flow["nodes"]["done"]["output"] = json!({ "due": "=input.due" });
    flow["timezone"] = "Asia/Shanghai".into();
    flow["triggers"] = json!([
        { "type": "schedule", "name": "tick", "schedule": "* * * * * *", "input": { "due": "=schedule.due" } },
        { "type": "schedule", "schedule": "0 9 1 1 *", "timezone": "Europe/Berlin", "input": { "due": "new year" } },
    ]);
    flow
}

/// How many instances were started for each due time.
async fn starts(engine: &Stepwell) -> BTreeMap<String, usize> {
    let mut starts = BTreeMap::new();
    let page = engine.get("/api/v1/instances?flow=ticking&limit=200").await.expect(200).json();
    for item in page["items"].as_array().unwrap() {
        let shown = engine.get(&format!("/api/v1/instances/{}", item["id"].as_str().unwrap())).await.json();
        *starts.entry(shown["input"]["due"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    starts
}

#[tokio::test]
async fn a_flow_starts_once_for_each_due_time() {
    let mut engine = Stepwell::start(Options::default()).await;
    engine.publish(&ticking()).await;
    let several = async |least: usize| {
        until("several starts", SOON, async || Some(starts(&engine).await).filter(|starts| starts.len() >= least)).await
    };
    let before = several(2).await;
    engine.kill9().await;
    engine.restart().await;
    let after = until("more starts", SOON, async || {
        Some(starts(&engine).await).filter(|starts| starts.len() >= before.len() + 2)
    })
    .await;
    assert!(after.values().all(|&instances| instances == 1), "{after:?}");
    assert!(before.keys().all(|due| after.contains_key(due)), "{before:?} {after:?}");
    assert!(after.keys().all(|due| due.split('.').nth(1) == Some("000Z")), "whole seconds: {after:?}");

    let listed = engine.get("/api/v1/schedules").await.expect(200).json();
    let items = listed["items"].as_array().unwrap();
    let seen: Vec<_> =
        items.iter().map(|one| (one["id"].as_str().unwrap(), one["timezone"].as_str().unwrap())).collect();
    assert_eq!(seen, [("ticking:2", "Europe/Berlin"), ("ticking:tick", "Asia/Shanghai")]);
    let next: Vec<_> = items[0]["next"].as_array().unwrap().iter().map(|at| at.as_str().unwrap()).collect();
    assert!(next.len() == 5 && next.iter().all(|at| at.ends_with("-01-01T08:00:00.000Z")), "{next:?}");
    let last = &items[1]["last"];
    assert_eq!((&last["outcome"], &last["state"]), (&json!("started"), &json!("completed")), "{last}");
}

#[tokio::test]
async fn a_schedule_is_paused_run_by_hand_and_changed_by_a_version() {
    let engine = Stepwell::start(Options::default()).await;
    let mut flow = ticking();
    engine.publish(&flow).await;
    until("a start", SOON, async || (!starts(&engine).await.is_empty()).then_some(())).await;
    for _ in 0..2 {
        let paused = engine.post("/api/v1/schedules/ticking:tick/pause", &json!({})).await.expect(200).json();
        assert_eq!((&paused["paused"], &paused["next"]), (&json!(true), &json!([])));
    }
    let count = async || starts(&engine).await.values().sum::<usize>();
    // By hand it starts all the same. What was under way at the pause is over by then.
    let run = async |key: &str| {
        engine.send("POST", "/api/v1/schedules/ticking:tick/run", &[("idempotency-key", key)], "").await.unwrap()
    };
    let by_hand = run("once").await.expect(202);
    assert_eq!(by_hand.json()["id"], run("once").await.expect(202).json()["id"]);
    let shown = engine.get(by_hand.header("location")).await.expect(200).json();
    assert!(shown["input"]["due"].is_string(), "{shown}");
    let paused_at = count().await;
    // A new version keeps the pause, by name; the other one is gone.
    flow["triggers"].as_array_mut().unwrap().pop();
    flow["triggers"][0]["schedule"] = "*/1 * * * * *".into();
    engine.publish(&flow).await;
    let listed = engine.get("/api/v1/schedules").await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!((&listed["items"][0]["version"], &listed["items"][0]["paused"]), (&json!(2), &json!(true)));
    engine.get("/api/v1/schedules/ticking:2").await.expect(404);
    assert!(count().await <= paused_at + 1, "one may have been under way");
    engine.post("/api/v1/schedules/ticking:tick/resume", &json!({})).await.expect(200);
    let resumed_at = count().await;
    until("it goes on", SOON, async || (count().await >= resumed_at + 2).then_some(())).await;
    // Without schedules nothing starts any more.
    flow.as_object_mut().unwrap().remove("triggers");
    engine.publish(&flow).await;
    assert_eq!(engine.get("/api/v1/schedules").await.expect(200).json()["items"], json!([]));
    assert_eq!(
        engine.post("/api/v1/schedules/ticking:tick/run", &json!({})).await.expect(404).code(),
        "SCHEDULE_NOT_FOUND"
    );
    let audit = engine.get("/api/v1/audit?target=ticking:tick").await.expect(200).json();
    let actions: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["schedule.resume", "schedule.run", "schedule.run", "schedule.pause"]);
}

#[tokio::test]
async fn an_input_that_the_flow_refuses_is_told_and_does_not_stop_the_schedule() {
    let engine = Stepwell::start(Options::default()).await;
    let mut flow = ticking();
    // Whether this fits is only known when it is due.
    flow["triggers"].as_array_mut().unwrap().pop();
    flow["input"] = json!({ "type": "object", "properties": { "due": { "type": "number" } } });
    engine.publish(&flow).await;
    let last = until("a due time", SOON, async || {
        let shown = engine.get("/api/v1/schedules/ticking:tick").await.expect(200).json();
        shown.get("last").filter(|last| !last.is_null()).cloned()
    })
    .await;
    assert_eq!((&last["outcome"], &last["error"]["code"]), (&json!("refused"), &json!("INPUT_INVALID")), "{last}");
    until("the next one", SOON, async || {
        let shown = engine.get("/api/v1/schedules/ticking:tick").await.expect(200).json();
        (shown["last"]["due"] != last["due"]).then_some(())
    })
    .await;
}
