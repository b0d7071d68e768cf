//! Records under flows: a record type, the guests that write records, and flows of their deeds.
#![allow(clippy::needless_pass_by_value, reason = "documents are written where they are used")]

use serde_json::{Value, json};

use crate::{Client, guest};

/// The record type `order`.
pub fn order() -> Value {
    let statuses = [("CREATED", 10, false), ("PAYING", 20, false), ("PAID", 30, true), ("CANCELLED", 90, true)];
    let statuses: Vec<Value> =
        statuses.map(|(name, code, terminal)| json!({ "name": name, "code": code, "terminal": terminal })).into();
    json!({
        "stepwell": 1, "kind": "record", "key": "order", "title": { "en": "Order", "zh-CN": "订单" }, "statuses": statuses,
        "schema": { "type": "object", "properties": { "amount": { "type": "integer" } } },
    })
}

/// Gives an engine the record type, guests and what they may reach; `tmp` is the caller's `CARGO_TARGET_TMPDIR`.
pub async fn prepare(engine: &Client, tmp: &str, guests: &[&str]) {
    engine.put("/api/v1/record-types/order", &[], &json!({ "document": order() })).await.expect(200);
    for name in guests {
        let headers = [("content-type", "application/wasm")];
        let loaded = engine.send("POST", "/api/v1/plugins", &headers, guest(tmp, name)).await.expect("an answer");
        assert!(loaded.status < 300, "{}", loaded.text());
        engine.put(&format!("/api/v1/grants/{name}/records/order"), &[], &json!({})).await.expect(204);
    }
}

/// Each instance creates a record of its own, counts itself in one that all share, pauses, and finishes its own:
/// whatever a transactional node does twice, or not at all, shows in a revision.
/// What is staged together is committed together, so each node waits for its turn at the shared one.
pub fn counting(key: &str) -> Value {
    let tally = json!({ "do": "put", "id": "tally", "status": "CREATED", "body": {} });
    let steps = [
        ("create", patient(json!([claim(None, "CREATED")]))),
        ("count", patient(json!([tally, claim(Some("CREATED"), "PAYING")]))),
        ("pause", json!({ "type": "timer", "after": "50ms" })),
        ("finish", patient(json!([claim(Some("PAYING"), "PAID")]))),
    ];
    chain(key, &steps, "=nodes.finish")
}

/// Starts the `counting` instance of this number, under an Idempotency-Key of its own. `None`: not acknowledged.
pub async fn start_counting(engine: &Client, key: &str, n: u64) -> Option<String> {
    let own = format!("k-{n}");
    let body = json!({ "input": { "order": own } }).to_string();
    let path = format!("/api/v1/flows/{key}/instances");
    let reply = engine.send("POST", &path, &[("idempotency-key", &own)], body).await.ok()?;
    let taken = (reply.status < 300).then(|| reply.json())?;
    Some(taken["id"].as_str()?.to_owned())
}

/// All of `0..many` have counted themselves, once.
pub async fn prove_counted(engine: &Client, many: u64) {
    let record = async |id: &str| engine.get(&format!("/api/v1/records/order/{id}")).await.expect(200).json();
    assert_eq!(record("tally").await["revision"], many.to_string());
    for n in 0..many {
        let found = record(&format!("k-{n}")).await;
        assert_eq!((&found["status"], &found["revision"]), (&json!("PAID"), &json!("3")), "k-{n}");
    }
}

/// Nodes one after the other; each but start and end is a task of the clerk's with these deeds.
pub fn chain(key: &str, steps: &[(&str, Value)], output: &str) -> Value {
    let mut nodes = json!({ "start": { "type": "start" }, "end": { "type": "end", "output": output } });
    let mut edges = Vec::new();
    let mut before = "start";
    for (name, node) in steps {
        nodes[*name] = node.clone();
        edges.push(json!({ "from": before, "to": name }));
        before = name;
    }
    edges.push(json!({ "from": before, "to": "end" }));
    document(key, nodes, &edges)
}

pub fn document(key: &str, nodes: Value, edges: &[Value]) -> Value {
    json!({ "stepwell": 1, "kind": "graph", "key": key, "nodes": nodes, "edges": edges })
}

/// A task of the clerk's.
pub fn clerk(deeds: Value) -> Value {
    json!({ "type": "task", "uses": "clerk/write@0", "with": { "deeds": deeds } })
}

/// One that is tried until the record stands still.
pub fn patient(deeds: Value) -> Value {
    let mut node = clerk(deeds);
    node["retry"] = json!({ "attempts": 100, "backoff": "20ms", "factor": 1 });
    node
}

/// Creates, or takes from one status to the next.
pub fn claim(from: Option<&str>, status: &str) -> Value {
    let mut deed = json!({ "do": "claim", "id": "=input.order", "status": status });
    match from {
        Some(from) => deed["from"] = from.into(),
        None => deed["body"] = json!({ "amount": 5 }),
    }
    deed
}
