//! What is seen by whom: within an instance, after a failure, while it waits, from an external node.

use serde_json::{Value, json};
use stepwell_tests::records::{chain, claim, clerk, document};
use stepwell_tests::until;

use crate::{SOON, at, engine, run};

fn get() -> Value {
    json!({ "do": "get", "id": "=input.order" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_an_instance_see_what_those_before_them_staged() {
    let engine = engine().await;
    let all = json!({ "do": "list", "limit": 10, "status": "PAYING" });
    let steps = [
        ("create", clerk(json!([claim(None, "CREATED"), get()]))),
        ("pay", clerk(json!([get(), claim(Some("CREATED"), "PAYING"), all, get()]))),
    ];
    engine.publish(&chain("steps", &steps, "=nodes.pay")).await;
    let output = run(&engine, "steps", &json!({ "order": "s-1" })).await["output"].clone();
    let seen = |status: &str, code: u32, revision: u32| json!({ "status": status, "code": code, "revision": revision, "body": { "amount": 5 } });
    let listed = json!({ "ids": ["s-1 PAYING"], "next": null });
    assert_eq!(output, json!([seen("CREATED", 10, 1), 2, listed, seen("PAYING", 20, 2)]));
    assert_eq!(at(&engine, "s-1").await, "PAYING@2");

    // Branches at once: one after the other works on it, so one wins.
    let nodes = json!({
        "start": { "type": "start" }, "fork": { "type": "parallel" }, "join": { "type": "parallel" },
        "a": clerk(json!([claim(None, "PAYING")])), "b": clerk(json!([claim(None, "PAYING")])),
        "end": { "type": "end", "output": "=[nodes.a[0], nodes.b[0]]" },
    });
    let edges = [("start", "fork"), ("fork", "a"), ("fork", "b"), ("a", "join"), ("b", "join"), ("join", "end")];
    let edges = edges.map(|(from, to)| json!({ "from": from, "to": to }));
    engine.publish(&document("both", nodes, &edges)).await;
    let output = run(&engine, "both", &json!({ "order": "s-2" })).await["output"].clone();
    assert!(output == json!([1, null]) || output == json!([null, 1]), "{output}");
    assert_eq!(at(&engine, "s-2").await, "PAYING@1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_fails_or_is_cut_leaves_nothing() {
    let engine = engine().await;
    for (key, last, state) in [
        ("rejects", json!({ "do": "reject", "code": "NO" }), "failed"),
        ("traps", json!({ "do": "trap" }), "incident"),
        ("unknown", json!({ "do": "reject", "code": "NO" }), "failed"),
    ] {
        let steps = [("keep", clerk(json!([]))), ("lose", clerk(json!([claim(None, "CREATED"), last])))];
        engine.publish(&chain(key, &steps, "=nodes.lose")).await;
        let input = json!({ "input": { "order": key } });
        let reply = engine.post(&format!("/api/v1/flows/{key}/instances"), &input).await.expect(202).json();
        let path = format!("/api/v1/instances/{}", reply["id"].as_str().unwrap());
        until(&format!("{key} is over"), SOON, async || {
            let shown = engine.get(&path).await.expect(200).json();
            let over = shown["state"] == state || shown["state"] == "compensated";
            over.then_some(())
        })
        .await;
        assert_eq!(at(&engine, key).await, "", "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_claimed_before_a_wait_is_there_for_all() {
    let engine = engine().await;
    let wait = json!({ "do": "wait", "message": "paid", "key": "=input.order" });
    let deeds = json!([claim(None, "PAYING"), wait, claim(Some("PAYING"), "PAID"), get()]);
    engine.publish(&chain("waits", &[("pay", clerk(deeds))], "=nodes.pay")).await;
    let input = json!({ "input": { "order": "w-1" } });
    let id = engine.post("/api/v1/flows/waits/instances", &input).await.expect(202).json()["id"].clone();
    until("it is claimed", SOON, async || (at(&engine, "w-1").await == "PAYING@1").then_some(())).await;
    engine.post("/api/v1/messages", &json!({ "name": "paid", "key": "w-1", "payload": null })).await.expect(202);
    until("it is paid", SOON, async || (at(&engine, "w-1").await == "PAID@2").then_some(())).await;
    let shown = engine.get(&format!("/api/v1/instances/{}", id.as_str().unwrap())).await.expect(200).json();
    assert_eq!(shown["output"][1], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_node_sees_what_is_committed() {
    let engine = engine().await;
    let look = json!({ "type": "task", "uses": "reader/read@0", "with": { "id": "=input.order" } });
    // It is called after the commit of the step before it, so it finds what that wrote.
    let steps = [("create", clerk(json!([claim(None, "CREATED")]))), ("look", look)];
    engine.publish(&chain("looks", &steps, "=nodes.look")).await;
    let output = run(&engine, "looks", &json!({ "order": "e-1" })).await["output"].clone();
    assert_eq!(output, json!({ "status": "CREATED" }));
    // Without a grant nothing is read.
    engine.delete("/api/v1/grants/reader/records/order").await.expect(204);
    let started =
        engine.post("/api/v1/flows/looks/instances", &json!({ "input": { "order": "e-2" } })).await.expect(202);
    let path = format!("/api/v1/instances/{}", started.json()["id"].as_str().unwrap());
    let shown = until("an incident", SOON, async || {
        let shown = engine.get(&path).await.expect(200).json();
        (shown["state"] == "incident").then_some(shown)
    })
    .await;
    assert_eq!(shown["error"]["code"], "NOT_GRANTED", "{shown:#}");
}
