//! The flows that the tests run.

use serde_json::{Value, json};

/// Nodes one after the other; each but start and end is a task of the clerk's with these deeds.
pub(crate) fn chain(key: &str, steps: &[(&str, Value)], output: &str) -> Value {
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

pub(crate) fn document(key: &str, nodes: Value, edges: &[Value]) -> Value {
    json!({ "stepwell": 1, "kind": "graph", "key": key, "nodes": nodes, "edges": edges })
}

/// A task of the clerk's.
pub(crate) fn clerk(deeds: Value) -> Value {
    json!({ "type": "task", "uses": "clerk/write@0", "with": { "deeds": deeds } })
}

/// One that is tried until the record stands still.
pub(crate) fn patient(deeds: Value) -> Value {
    let mut node = clerk(deeds);
    node["retry"] = json!({ "attempts": 100, "backoff": "20ms", "factor": 1 });
    node
}

/// Creates, or takes from one status to the next.
pub(crate) fn claim(from: Option<&str>, status: &str) -> Value {
    let mut deed = json!({ "do": "claim", "id": "=input.order", "status": status });
    match from {
        Some(from) => deed["from"] = from.into(),
        None => deed["body"] = json!({ "amount": 5 }),
    }
    deed
}
