//! Listeners, with a real plugin and a real store: what they write, and what one that fails looks like.

use serde_json::{Value, json};
use stepwell_tests::orders::plugins;
use stepwell_tests::{Options, Stepwell};

use crate::instances::{begin, reaches};

/// An emergency is told by a script when it comes in, and goes before the others.
fn emergency(script: &str) -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": "emergency",
        "listeners": [{
            "on": "enter", "uses": "script/js@1", "config": { "script": script }, "with": "=input",
            "set": { "isEmergency": "=result.emergency" }, "priority": "=result.emergency ? -10 : 0",
        }],
        "nodes": {
            "start": { "type": "start" },
            "approve": { "type": "user-task", "groups": ["service"] },
            "done": { "type": "end", "output": "=[vars.isEmergency, flow.priority]" },
        },
        "edges": [{ "from": "start", "to": "approve" }, { "from": "approve", "to": "done" }],
    })
}

#[tokio::test]
async fn a_listener_marks_what_is_urgent() {
    let engine = Stepwell::start(Options { plugins: Some(plugins()), ..Options::default() }).await;
    engine.publish(&emergency("return { emergency: input.kind === 'fire' };")).await;
    let id = begin(&engine, "emergency", json!({ "kind": "fire" })).await;
    let shown = reaches(&engine, &id, "waiting").await;
    assert_eq!(shown["priority"], -10, "{shown:#}");
    assert!(shown["nodes"]["start"].get("lastOutput").is_none(), "a listener's answer is not its node's: {shown:#}");
    let list = engine.get(&format!("/api/v1/tasks?instance={id}")).await.expect(200).json();
    let task = list["items"][0]["id"].as_str().unwrap();
    let answer = json!({ "output": null });
    engine.post(&format!("/api/v1/tasks/{task}/complete"), &answer).await.expect(202);
    assert_eq!(reaches(&engine, &id, "completed").await["output"], json!([true, -10]));
}

#[tokio::test]
async fn a_listener_that_fails_stands_for_a_person_to_see() {
    let engine = Stepwell::start(Options { plugins: Some(plugins()), ..Options::default() }).await;
    engine.publish(&emergency("throw new Error('no');")).await;
    let id = begin(&engine, "emergency", json!({ "kind": "fire" })).await;
    let shown = reaches(&engine, &id, "incident").await;
    assert_eq!(
        (&shown["tokens"][0]["node"], &shown["tokens"][0]["listener"]),
        (&json!("start"), &json!("enter")),
        "{shown:#}"
    );
    let token = &shown["tokens"][0]["token"];
    engine.post(&format!("/api/v1/instances/{id}/skip"), &json!({ "token": token })).await.expect(202);
    reaches(&engine, &id, "waiting").await;
    let wrong = emergency("return {");
    let refused = engine.post("/api/v1/flows/check", &json!({ "document": wrong })).await.expect(200).json();
    assert_eq!(refused["problems"][0]["pointer"], "/listeners/0/config/script", "{refused:#}");
}
