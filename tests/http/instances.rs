//! Lists, the view of one instance, its journal, commands and messages.

use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::{Options, Stepwell, until};

use crate::flows;

const SOON: Duration = Duration::from_secs(10);

pub(crate) async fn begin(engine: &Stepwell, flow: &str, input: Value) -> String {
    let reply = engine.post(&format!("/api/v1/flows/{flow}/instances"), &json!({ "input": input })).await.expect(202);
    reply.json()["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn reaches(engine: &Stepwell, id: &str, state: &str) -> Value {
    until(&format!("{id} is {state}"), SOON, async || {
        let shown = engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
        (shown["state"] == state).then_some(shown)
    })
    .await
}

#[tokio::test]
async fn an_instance_shows_where_it_stands_and_what_passed() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::patient()).await;
    let id = begin(&engine, "patient", json!({ "id": "p-1" })).await;
    let waiting = reaches(&engine, &id, "waiting").await;
    assert_eq!(waiting["businessKey"], "p-1");
    let token = &waiting["tokens"][0];
    assert_eq!(
        (&token["node"], &token["state"], &token["waiting"]),
        (&json!("go"), &json!("waiting"), &json!({ "message": "go", "key": "p-1" }))
    );
    assert_eq!(
        (&waiting["nodes"]["start"]["state"], &waiting["nodes"]["go"]["state"]),
        (&json!("done"), &json!("waiting"))
    );
    assert!(waiting["nodes"].get("done").is_none(), "{waiting:#}");

    let message = json!({ "name": "go", "key": "p-1", "id": "m-1", "payload": { "word": "now" } });
    assert_eq!(engine.post("/api/v1/messages", &message).await.expect(202).json()["delivered"], true);
    assert_eq!(engine.post("/api/v1/messages", &message).await.expect(200).json()["delivered"], "duplicate");
    let done = reaches(&engine, &id, "completed").await;
    assert_eq!((&done["output"], &done["tokens"]), (&json!({ "said": "now" }), &json!([])));
    assert_eq!(
        (&done["nodes"]["go"]["state"], &done["nodes"]["go"]["lastOutput"]),
        (&json!("done"), &json!({ "word": "now" }))
    );
    assert_eq!(done["document"]["key"], "patient");

    let journal = engine.get(&format!("/api/v1/instances/{id}/journal")).await.expect(200).json();
    let lines: Vec<(&str, Option<&str>)> = journal["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["type"].as_str().unwrap(), item["node"].as_str()))
        .collect();
    assert_eq!(lines, [("started", None), ("message-arrived", Some("go"))]);
    assert_eq!(journal["next"], Value::Null);
    let page = engine.get(&format!("/api/v1/instances/{id}/journal?limit=1")).await.expect(200).json();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next"]), (1, &json!("1")));
    let page = engine.get(&format!("/api/v1/instances/{id}/journal?after=1")).await.expect(200).json();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["items"][0]["node"]), (1, &json!("go")));
}

#[tokio::test]
async fn a_message_without_a_taker_is_kept() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::patient()).await;
    let message = json!({ "name": "go", "key": "early", "payload": { "word": "first" } });
    assert_eq!(engine.post("/api/v1/messages", &message).await.expect(202).json()["delivered"], "buffered");
    let body = json!({ "input": { "id": "early" } });
    let reply = engine.post("/api/v1/flows/patient/instances?wait=10s", &body).await.expect(200);
    assert_eq!(reply.json()["output"], json!({ "said": "first" }));
}

#[tokio::test]
async fn commands_act_once_and_are_audited() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::patient()).await;
    engine.publish(&flows::stuck()).await;
    let id = begin(&engine, "patient", json!({ "id": "c-1" })).await;
    let command =
        async |id: &str, what: &str, body: Value| engine.post(&format!("/api/v1/instances/{id}/{what}"), &body).await;
    let nothing = command(&id, "retry", json!({})).await.expect(409);
    assert_eq!(nothing.code(), "NOTHING_TO_RETRY");
    command(&id, "cancel", json!({ "reason": "test" })).await.expect(202);
    let cancelled = reaches(&engine, &id, "cancelled").await;
    assert_eq!(cancelled["error"]["message"], "test");
    assert_eq!(cancelled["nodes"]["done"]["state"], "skipped");
    for what in ["cancel", "retry", "compensate"] {
        assert_eq!(command(&id, what, json!({})).await.expect(409).code(), "INSTANCE_ENDED", "{what}");
    }

    let id = begin(&engine, "stuck", json!({ "ok": "maybe" })).await;
    let stuck = reaches(&engine, &id, "incident").await;
    assert_eq!(
        (&stuck["tokens"][0]["state"], &stuck["nodes"]["choose"]["state"]),
        (&json!("incident"), &json!("incident"))
    );
    assert_eq!(command(&id, "retry", json!({ "node": "done" })).await.expect(409).code(), "NOTHING_TO_RETRY");
    command(&id, "retry", json!({ "node": "choose" })).await.expect(202);
    until("the retry is in the journal", SOON, async || {
        let shown = engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
        (shown["seq"] == 2).then_some(())
    })
    .await;

    let audit = engine.get("/api/v1/audit").await.expect(200).json();
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect();
    let wanted =
        ["instance.retry", "instance.start", "instance.cancel", "instance.start", "flow.publish", "flow.publish"];
    assert_eq!(actions, wanted);
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::patient()).await;
    engine.publish(&flows::stuck()).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(begin(&engine, "patient", json!({ "id": format!("L-{number}") })).await);
    }
    let stuck = begin(&engine, "stuck", json!({ "ok": "maybe" })).await;
    reaches(&engine, &stuck, "incident").await;
    for id in &ids {
        reaches(&engine, id, "waiting").await;
    }
    for (query, count) in [
        ("", 6),
        ("?flow=patient", 5),
        ("?state=waiting", 5),
        ("?state=incident", 1),
        ("?flow=stuck&state=waiting", 0),
        ("?businessKey=L-3", 1),
        ("?q=l-", 5),
        (&format!("?q={stuck}"), 1),
        ("?node=go", 5),
        ("?node=choose&flow=stuck", 1),
        ("?version=2", 0),
    ] {
        let page = engine.get(&format!("/api/v1/instances{query}")).await.expect(200).json();
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}: {page:#}");
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = engine.get(&format!("/api/v1/instances?limit=4{cursor}")).await.expect(200).json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    ids.push(stuck);
    ids.reverse();
    assert_eq!(seen, ids, "the newest first, each once");
}

/// Both are woken by the one message; who does not get it must go on as if nothing had come.
#[tokio::test]
async fn of_two_that_wait_for_one_message_the_other_keeps_its_timeout() {
    let engine = Stepwell::start(Options::default()).await;
    engine
        .publish(&json!({
            "stepwell": 1, "kind": "graph", "key": "rivals",
            "nodes": {
                "start": { "type": "start" },
                "wait": { "type": "receive", "message": "go", "key": "=input.id", "timeout": "2s" },
                "got": { "type": "end", "output": "got" },
                "late": { "type": "end", "output": "late" },
            },
            "edges": [
                { "from": "start", "to": "wait" },
                { "from": "wait", "to": "got" },
                { "from": "wait", "port": "timeout", "to": "late" },
            ],
        }))
        .await;
    for round in 0..5 {
        let id = format!("r{round}");
        let mut started = Vec::new();
        for _ in 0..4 {
            let body = json!({ "input": { "id": id } });
            let reply = engine.post("/api/v1/flows/rivals/instances", &body).await.expect(202);
            started.push(reply.json()["id"].as_str().unwrap().to_owned());
        }
        engine.post("/api/v1/messages", &json!({ "name": "go", "key": id, "payload": {} })).await.expect(202);
        let mut ends = Vec::new();
        for id in &started {
            let path = format!("/api/v1/instances/{id}");
            let shown = until("each has ended", SOON, async || {
                let shown = engine.get(&path).await.expect(200).json();
                (shown["state"] == "completed").then_some(shown)
            })
            .await;
            ends.push(shown["output"].as_str().unwrap().to_owned());
        }
        ends.sort();
        assert_eq!(ends, ["got", "late", "late", "late"]);
    }
}

#[tokio::test]
async fn a_message_that_lives_no_time_is_for_those_who_wait() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::patient()).await;
    let post = async |word: &str, id: &str, status: u16| {
        let body = json!({ "name": "go", "key": "p-1", "id": id, "ttl": "0s", "payload": { "word": word } });
        engine.post("/api/v1/messages", &body).await.expect(status).json()["delivered"].clone()
    };
    assert_eq!(post("too early", "m-1", 200).await, "dropped");
    assert_eq!(post("too early", "m-1", 200).await, "duplicate");
    let id = begin(&engine, "patient", json!({ "id": "p-1" })).await;
    reaches(&engine, &id, "waiting").await;
    assert_eq!(post("now", "m-2", 202).await, true);
    assert_eq!(reaches(&engine, &id, "completed").await["output"], json!({ "said": "now" }));
    let audit = engine.get("/api/v1/audit?target=go").await.expect(200).json();
    let dropped = audit["items"].as_array().unwrap().iter().filter(|item| item["detail"]["dropped"] == true);
    assert_eq!(dropped.count(), 1, "{audit:#}");
}
