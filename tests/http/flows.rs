//! Flows that tests publish.

use serde_json::{Value, json};

/// Answers at once: the sum of two numbers.
pub(crate) fn sum() -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": "sum",
        "input": {
            "type": "object", "required": ["a", "b"],
            "properties": { "a": { "type": "number" }, "b": { "type": "number" } },
        },
        "triggers": [{ "type": "http", "path": "open/sum", "auth": "none", "wait": "5s" }],
        "nodes": {
            "start": { "type": "start" },
            "done": { "type": "end", "output": { "sum": "=input.a + input.b" } },
        },
        "edges": [{ "from": "start", "to": "done" }],
    })
}

/// Waits for message `go` under the input's `id`, and ends with what it said.
pub(crate) fn patient() -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": "patient",
        "input": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } },
        "businessKey": "=input.id",
        "nodes": {
            "start": { "type": "start" },
            "go": { "type": "receive", "message": "go", "key": "=input.id" },
            "done": { "type": "end", "output": { "said": "=nodes.go.word" } },
        },
        "edges": [{ "from": "start", "to": "go" }, { "from": "go", "to": "done" }],
    })
}

/// Stands in an incident where the input's `ok` is neither true nor false.
pub(crate) fn stuck() -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": "stuck",
        "nodes": {
            "start": { "type": "start" },
            "choose": { "type": "exclusive" },
            "done": { "type": "end", "output": {} },
        },
        "edges": [
            { "from": "start", "to": "choose" },
            { "from": "choose", "to": "done", "when": "input.ok" },
            { "from": "choose", "to": "done", "default": true },
        ],
    })
}

/// Uses a plugin nobody has.
pub(crate) fn unknown_plugin() -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": "dreamer",
        "nodes": {
            "start": { "type": "start" },
            "dream": { "type": "task", "uses": "dream/catch@1", "with": {} },
            "done": { "type": "end", "output": {} },
        },
        "edges": [{ "from": "start", "to": "dream" }, { "from": "dream", "to": "done" }],
    })
}

/// Copies a large text three times and waits.
pub(crate) fn hoarder() -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": "hoarder",
        "nodes": {
            "start": { "type": "start" },
            "copy": { "type": "set", "vars": { "a": "=input.text + \"a\"", "b": "=input.text + \"b\"", "c": "=input.text + \"c\"" } },
            "wait": { "type": "receive", "message": "go", "key": "=input.id", "timeout": "1h" },
            "done": { "type": "end" },
        },
        "edges": [
            { "from": "start", "to": "copy" }, { "from": "copy", "to": "wait" }, { "from": "wait", "to": "done" },
            { "from": "wait", "port": "timeout", "to": "done" },
        ],
    })
}
