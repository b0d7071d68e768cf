//! Work that people and workers outside do, and what operators ask of instances.

use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::{Options, Stepwell, until};

use crate::instances::{begin, reaches};

const SOON: Duration = Duration::from_secs(10);

/// A person says yes or no, then a worker ships.
fn approval() -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": "approval", "businessKey": "=input.order",
        "nodes": {
            "start": { "type": "start" },
            "approve": {
                "type": "user-task", "title": { "en": "Approve", "zh-CN": "审批" }, "groups": ["service"], "users": "=input.user",
                "with": { "order": "=input.order" }, "due": "4h",
                "form": { "type": "object", "required": ["ok"], "properties": { "ok": { "type": "boolean" } } },
            },
            "yes": { "type": "exclusive" },
            "ship": {
                "type": "external-task", "topic": "ship", "with": { "order": "=input.order" }, "retry": { "attempts": 3, "backoff": "1ms" },
                "output": { "type": "object", "required": ["parcel"] },
                "on": { "none": { "type": "error", "code": "NO_CARRIER" } },
            },
            "done": { "type": "end", "output": { "parcel": "=nodes.ship.parcel" } },
            "off": { "type": "end", "output": "off" },
        },
        "edges": [
            { "from": "start", "to": "approve" }, { "from": "approve", "to": "yes" },
            { "from": "yes", "to": "ship", "when": "nodes.approve.ok" }, { "from": "yes", "to": "off", "default": true },
            { "from": "ship", "to": "done" }, { "from": "ship", "port": "none", "to": "off" },
        ],
    })
}

async fn task_of(engine: &Stepwell, id: &str) -> Value {
    until("the task is open", SOON, async || {
        let list = engine.get(&format!("/api/v1/tasks?instance={id}")).await.expect(200).json();
        list["items"].get(0).cloned()
    })
    .await
}

async fn fetch(engine: &Stepwell, worker: &str, more: Value) -> Vec<Value> {
    let mut asked = json!({ "topics": ["ship"], "worker": worker });
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let found = engine.post("/api/v1/external-tasks/fetch", &asked).await.expect(200).json();
    found["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_person_and_a_worker_do_their_part() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&approval()).await;
    let id = begin(&engine, "approval", json!({ "order": "o-1", "user": "ada" })).await;
    let task = task_of(&engine, &id).await;
    assert_eq!(
        (&task["node"], &task["title"]["zh-CN"], &task["data"], &task["users"], &task["groups"], &task["businessKey"]),
        (
            &json!("approve"),
            &json!("审批"),
            &json!({ "order": "o-1" }),
            &json!(["ada"]),
            &json!(["service"]),
            &json!("o-1")
        )
    );
    assert_eq!(task["form"]["required"], json!(["ok"]));
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());

    let claimed = engine.post(&format!("{path}/claim"), &json!({ "user": "ada" })).await.expect(200).json();
    assert_eq!(claimed["assignee"], "ada");
    let other = engine.post(&format!("{path}/claim"), &json!({ "user": "bob" })).await.expect(409);
    assert_eq!((other.code(), &other.json()["assignee"]), ("TASK_TAKEN".to_owned(), &json!("ada")));
    engine.post(&format!("{path}/assign"), &json!({ "user": "bob" })).await.expect(200);
    assert_eq!(engine.get("/api/v1/tasks?assignee=bob").await.expect(200).json()["items"][0]["id"], task["id"]);

    let misfit = engine.post(&format!("{path}/complete"), &json!({ "output": { "ok": "yes" } })).await.expect(422);
    assert_eq!(misfit.pointer(), "/output/ok");
    engine.post(&format!("{path}/complete"), &json!({ "output": { "ok": true } })).await.expect(202);

    // Of two workers that wait for it, one gets it.
    let wait = || json!({ "wait": "10s", "lock": "1h" });
    let (one, two) =
        tokio::join!(fetch(&engine, "w1", wait()), fetch(&engine, "w2", json!({ "wait": "1s", "lock": "1h" })));
    let (worker, other, work) = if one.is_empty() { ("w2", "w1", &two) } else { ("w1", "w2", &one) };
    assert_eq!((one.len() + two.len(), &work[0]["input"]), (1, &json!({ "order": "o-1" })));
    engine.post(&format!("{path}/complete"), &json!({ "output": { "ok": true } })).await.expect(404);
    let work_path = format!("/api/v1/external-tasks/{}", work[0]["id"].as_str().unwrap());
    let answer = |by: &str, attempt: u64| json!({ "worker": by, "attempt": attempt, "output": { "parcel": "p" } });
    assert_eq!(engine.post(&format!("{work_path}/complete"), &answer(other, 1)).await.expect(409).code(), "TASK_TAKEN");
    engine.post(&format!("{work_path}/complete"), &answer(worker, 7)).await.expect(404);
    let wrong = json!({ "worker": worker, "attempt": 1, "output": {} });
    assert_eq!(engine.post(&format!("{work_path}/complete"), &wrong).await.expect(422).pointer(), "/output");

    // It went wrong: put out again for whoever comes, under another attempt.
    let failed = json!({ "worker": worker, "attempt": 1, "message": "the lorry broke down" });
    engine.post(&format!("{work_path}/fail"), &failed).await.expect(202);
    let again = fetch(&engine, other, wait()).await;
    assert_eq!(again[0]["attempt"], 2);
    // A reply that is lost: given back early, it is there for the next.
    engine
        .post(&format!("{work_path}/extend"), &json!({ "worker": other, "attempt": 2, "lock": "0s" }))
        .await
        .expect(200);
    let last = fetch(&engine, worker, wait()).await;
    // However often it is fetched or tried, it has one key.
    assert!(work[0]["key"].as_str().is_some_and(|key| !key.is_empty()), "{work:?}");
    assert_eq!((&last[0]["attempt"], &last[0]["key"]), (&json!(2), &work[0]["key"]));
    let listed = engine.get("/api/v1/external-tasks").await.expect(200).json();
    assert_eq!(listed["items"][0]["key"], work[0]["key"]);
    engine.post(&format!("{work_path}/complete"), &answer(worker, 2)).await.expect(202);
    let done = reaches(&engine, &id, "completed").await;
    assert_eq!(done["output"], json!({ "parcel": "p" }));
    assert_eq!(engine.get("/api/v1/external-tasks").await.expect(200).json()["items"], json!([]));
    assert_eq!(done["nodes"]["approve"]["lastOutput"], json!({ "ok": true }));
}

#[tokio::test]
async fn a_lock_that_is_over_is_for_the_next() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&approval()).await;
    let id = begin(&engine, "approval", json!({ "order": "o-2" })).await;
    let task = task_of(&engine, &id).await;
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    engine.post(&format!("{path}/complete"), &json!({ "output": { "ok": true } })).await.expect(202);
    let first = fetch(&engine, "w1", json!({ "wait": "10s", "lock": "1ms" })).await;
    let second = fetch(&engine, "w2", json!({ "wait": "10s", "lock": "1h" })).await;
    assert_eq!(first[0]["id"], second[0]["id"]);
    let work_path = format!("/api/v1/external-tasks/{}", second[0]["id"].as_str().unwrap());
    let late = json!({ "worker": "w1", "attempt": 1, "output": { "parcel": "late" } });
    assert_eq!(engine.post(&format!("{work_path}/complete"), &late).await.expect(409).code(), "TASK_TAKEN");
    let rejected = json!({ "worker": "w2", "attempt": 1, "rejected": { "code": "NO_CARRIER" } });
    engine.post(&format!("{work_path}/fail"), &rejected).await.expect(202);
    assert_eq!(reaches(&engine, &id, "completed").await["output"], "off");
}

#[tokio::test]
async fn operators_suspend_move_and_migrate() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&approval()).await;
    let id = begin(&engine, "approval", json!({ "order": "o-3" })).await;
    let instance = format!("/api/v1/instances/{id}");
    task_of(&engine, &id).await;
    let command = async |name: &str, body: Value| engine.post(&format!("{instance}/{name}"), &body).await;

    command("suspend", json!({ "reason": "stocktaking" })).await.expect(202);
    reaches(&engine, &id, "suspended").await;
    assert_eq!(command("suspend", json!({})).await.expect(409).code(), "COMMAND_DOES_NOT_FIT");
    command("resume", json!({})).await.expect(202);
    reaches(&engine, &id, "waiting").await;

    assert_eq!(
        command("move", json!({ "node": "ship", "to": "done" })).await.expect(409).code(),
        "COMMAND_DOES_NOT_FIT"
    );
    command("move", json!({ "node": "approve", "to": "ship" })).await.expect(202);
    until("the worker's task is open", SOON, async || {
        let list = engine.get("/api/v1/external-tasks?flow=approval").await.expect(200).json();
        (list["items"][0]["node"] == "ship").then_some(())
    })
    .await;

    // The next version calls the step by another name, and one has no such step.
    let mut renamed = approval();
    let nodes = renamed["nodes"].as_object_mut().unwrap();
    let ship = nodes.remove("ship").unwrap();
    nodes.insert("send".to_owned(), ship);
    let text = renamed
        .to_string()
        .replace("\"ship\"", "\"send\"")
        .replace("nodes.ship", "nodes.send")
        .replace("\"topic\":\"send\"", "\"topic\":\"ship\"");
    assert_eq!(engine.publish(&serde_json::from_str(&text).unwrap()).await, 2);
    let report = command("migrate", json!({ "version": 2, "dryRun": true })).await.expect(200).json();
    assert_eq!(
        (&report["fits"], &report["unfit"][0]["code"], &report["unfit"][0]["node"]),
        (&json!(false), &json!("NODE_MISSING"), &json!("ship"))
    );
    assert_eq!(command("migrate", json!({ "version": 2 })).await.expect(409).code(), "MIGRATION_UNFIT");
    assert_eq!(command("migrate", json!({ "version": 9 })).await.expect(404).code(), "VERSION_NOT_FOUND");
    command("migrate", json!({ "version": 2, "nodes": { "ship": "send" } })).await.expect(202);
    let moved = until("it runs version 2", SOON, async || {
        let shown = engine.get(&instance).await.expect(200).json();
        (shown["version"] == 2).then_some(shown)
    })
    .await;
    assert_eq!((&moved["tokens"][0]["node"], &moved["nodes"]["approve"]["visits"]), (&json!("send"), &json!(1)));
    let counts = engine.get("/api/v1/flows/approval").await.expect(200).json();
    assert_eq!(counts["versions"][0]["counts"]["waiting"], 1, "{counts:#}");

    let work = fetch(&engine, "w", json!({ "wait": "10s" })).await;
    let done = json!({ "worker": "w", "attempt": work[0]["attempt"], "output": { "parcel": "p" } });
    engine
        .post(&format!("/api/v1/external-tasks/{}/complete", work[0]["id"].as_str().unwrap()), &done)
        .await
        .expect(202);
    assert_eq!(reaches(&engine, &id, "completed").await["output"], json!({ "parcel": "p" }));
    assert_eq!(
        engine.get(&format!("{instance}/journal")).await.expect(200).json()["items"].as_array().unwrap().len(),
        6
    );
}

#[tokio::test]
async fn many_instances_are_commanded_at_once() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&approval()).await;
    let mut ids = Vec::new();
    for order in 0..5 {
        let id = begin(&engine, "approval", json!({ "order": format!("b-{order}") })).await;
        reaches(&engine, &id, "waiting").await;
        ids.push(id);
    }
    let bulk = async |filter: Value, more: Value| {
        let mut asked = json!({ "filter": filter, "command": "cancel", "reason": "recalled" });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        engine.post("/api/v1/bulk", &asked).await
    };
    assert_eq!(bulk(json!({}), json!({})).await.expect(422).pointer(), "/filter");
    let dry = bulk(json!({ "flow": "approval" }), json!({})).await.expect(200).json();
    assert_eq!((&dry["dryRun"], &dry["matched"], &dry["commanded"]), (&json!(true), &json!(5), &json!(0)));
    let done =
        bulk(json!({ "flow": "approval", "state": "waiting" }), json!({ "dryRun": false })).await.expect(200).json();
    assert_eq!((&done["matched"], &done["commanded"], &done["more"]), (&json!(5), &json!(5), &json!(false)));
    for id in &ids {
        assert_eq!(reaches(&engine, id, "cancelled").await["error"]["message"], "recalled");
    }
}

#[tokio::test]
async fn a_flow_is_called_as_it_was_when_its_caller_was_published() {
    let engine = Stepwell::start(Options::default()).await;
    let caller = json!({
        "stepwell": 1, "kind": "graph", "key": "caller",
        "nodes": {
            "start": { "type": "start" },
            "sums": { "type": "for-each", "items": "=input.list", "limit": 3, "output": "=nodes.add.sum" },
            "add": { "type": "call", "in": "sums", "flow": "sum", "with": { "a": "=item", "b": 1 } },
            "done": { "type": "end", "output": "=nodes.sums" },
        },
        "edges": [{ "from": "start", "to": "sums" }, { "from": "sums", "to": "done" }],
    });
    let check = engine.post("/api/v1/flows/check", &json!({ "document": caller })).await.expect(200).json();
    assert_eq!(check["problems"][0]["code"], "FLOW_MISSING", "{check}");
    let mut sum = crate::flows::sum();
    engine.publish(&sum).await;
    engine.publish(&caller).await;
    sum["nodes"]["done"]["output"]["sum"] = json!("=input.a + input.b + 100");
    engine.publish(&sum).await;
    let start = async |version: Value| {
        let asked = json!({ "input": { "list": [1, 2, 3] }, "version": version });
        engine.post("/api/v1/flows/caller/instances?wait=10s", &asked).await.expect(200).json()["output"].clone()
    };
    assert_eq!(start(json!(1)).await, json!([2, 3, 4]));
    // Published again, it calls the newest.
    assert_eq!(engine.publish(&caller).await, 2);
    assert_eq!(start(json!(2)).await, json!([102, 103, 104]));
    for (version, called) in [(1, 1), (2, 2)] {
        let shown = engine.get(&format!("/api/v1/flows/caller/versions/{version}")).await.expect(200).json();
        assert_eq!(shown["calls"], json!({ "sum": called }));
    }
}

#[tokio::test]
async fn each_of_very_many_is_commanded_once() {
    const MANY: usize = 520;
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&crate::flows::patient()).await;
    let starts: Vec<usize> = (0..MANY).collect();
    for some in starts.chunks(40) {
        let inputs = some.iter().map(|n| json!({ "id": format!("p-{n}") }));
        futures::future::join_all(inputs.map(|input| begin(&engine, "patient", input))).await;
    }
    let states = async || engine.get("/api/v1/status").await.expect(200).json()["counts"].clone();
    until("all of them wait", SOON, async || (states().await["waiting"] == MANY).then_some(())).await;
    // What is suspended is found by the filter as before; the runs pass it all the same.
    let mut asked = json!({ "filter": { "flow": "patient" }, "command": "suspend", "dryRun": false });
    let mut runs = Vec::new();
    loop {
        let done = engine.post("/api/v1/bulk", &asked).await.expect(200).json();
        runs.push(done["commanded"].as_u64().unwrap());
        assert_eq!(done["more"], done.get("next").is_some());
        let Some(next) = done.get("next") else { break };
        asked["cursor"] = next.clone();
    }
    assert_eq!(runs, [500, 20]);
    until("all of them are suspended", SOON, async || (states().await["suspended"] == MANY).then_some(())).await;
    asked["cursor"] = json!("elsewhere");
    assert_eq!(engine.post("/api/v1/bulk", &asked).await.expect(400).code(), "QUERY_INVALID");
}
