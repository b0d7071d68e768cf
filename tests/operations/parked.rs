//! Instances that stand in each kind of wait, and what makes each go on to its end.

use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::{Client, until};

const SOON: Duration = Duration::from_secs(30);

/// A wait. Its name is the instance's business key, too.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The first schema that can hold it.
    since: u32,
    nodes: fn() -> Value,
    /// As it stands until it is made to go on.
    pub(crate) state: &'static str,
}

pub(crate) const KINDS: [Kind; 10] = [
    Kind {
        name: "ended",
        since: 1,
        nodes: || json!({ "wait": { "type": "set", "vars": { "a": 1 } } }),
        state: "completed",
    },
    Kind { name: "receive", since: 1, nodes: || json!({ "wait": receive("=input.key", None) }), state: "waiting" },
    Kind { name: "suspended", since: 1, nodes: || json!({ "wait": receive("=input.key", None) }), state: "suspended" },
    // Long over once a test takes it up, and not before its engine was stopped.
    Kind { name: "timer", since: 1, nodes: || json!({ "wait": { "type": "timer", "after": "2m" } }), state: "waiting" },
    Kind { name: "event", since: 1, nodes: event, state: "waiting" },
    Kind {
        name: "call",
        since: 1,
        nodes: || json!({ "wait": { "type": "call", "flow": "receive", "with": { "key": "=input.key" } } }),
        state: "waiting",
    },
    Kind {
        name: "each",
        since: 1,
        nodes: || {
            let each =
                json!({ "type": "for-each", "items": ["each-1", "each-2", "each-3"], "limit": 2, "output": "=item" });
            json!({ "wait": each, "inner": receive("=item", Some("wait")) })
        },
        state: "waiting",
    },
    Kind {
        name: "person",
        since: 7,
        nodes: || json!({ "wait": { "type": "user-task", "users": ["ada"] } }),
        state: "waiting",
    },
    Kind {
        name: "worker",
        since: 7,
        nodes: || json!({ "wait": { "type": "external-task", "topic": "work" } }),
        state: "waiting",
    },
    // It rests until its message comes; its document is one of its own.
    Kind { name: "machine", since: 13, nodes: || json!({}), state: "waiting" },
];

fn receive(key: &str, inside: Option<&str>) -> Value {
    let mut node = json!({ "type": "receive", "message": "go", "key": key });
    if let Some(inside) = inside {
        node["in"] = inside.into();
    }
    node
}

fn event() -> Value {
    json!({
        "wait": { "type": "event-gateway" }, "come": receive("=input.key", None), "late": { "type": "timer", "after": "300d" },
    })
}

/// Those that a schema can hold.
pub(crate) fn of_schema(schema: u32) -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(move |kind| kind.since <= schema)
}

impl Kind {
    fn document(&self) -> Value {
        if self.name == "machine" {
            return json!({
                "stepwell": 1, "kind": "machine", "key": self.name, "businessKey": "=input.key", "initial": "NEW",
                "states": [{ "code": "NEW" }, { "code": "DONE", "terminal": true }],
                "actions": [{ "name": "go", "states": ["NEW"], "on": { "message": "go", "key": "=input.key" }, "next": "DONE" }],
                "output": { "key": "=input.key" },
            });
        }
        let mut nodes = (self.nodes)();
        nodes["start"] = json!({ "type": "start" });
        nodes["end"] = json!({ "type": "end", "output": { "key": "=input.key" } });
        let edges = if self.name == "event" {
            json!([
                { "from": "start", "to": "wait" }, { "from": "wait", "to": "come" }, { "from": "wait", "to": "late" },
                { "from": "come", "to": "end" }, { "from": "late", "to": "end" },
            ])
        } else {
            json!([{ "from": "start", "to": "wait" }, { "from": "wait", "to": "end" }])
        };
        json!({
            "stepwell": 1, "kind": "graph", "key": self.name, "businessKey": "=input.key", "nodes": nodes, "edges": edges,
        })
    }
}

/// Publishes a flow for each kind, and brings an instance of it to where it stands.
pub(crate) async fn park(engine: &Client, schema: u32) {
    for kind in of_schema(schema) {
        engine.publish(&kind.document()).await;
        let body = json!({ "input": { "key": kind.name } }).to_string();
        let path = format!("/api/v1/flows/{}/instances", kind.name);
        let reply = engine.send("POST", &path, &[("idempotency-key", kind.name)], body).await.unwrap();
        assert!(reply.status < 300, "{}", reply.text());
        let id = reply.json()["id"].as_str().unwrap().to_owned();
        if kind.state == "suspended" {
            reaches(engine, kind.name, "waiting").await;
            engine.post(&format!("/api/v1/instances/{id}/suspend"), &json!({ "reason": "later" })).await.expect(202);
        }
        reaches(engine, kind.name, kind.state).await;
    }
}

/// The instance of a kind, once it is in this state.
pub(crate) async fn reaches(engine: &Client, name: &str, state: &str) -> Value {
    until(&format!("{name} is {state}"), SOON, || async {
        let page = engine.get(&format!("/api/v1/instances?businessKey={name}")).await.expect(200).json();
        let id = page["items"][0]["id"].as_str()?.to_owned();
        let shown = engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
        (shown["state"] == state).then_some(shown)
    })
    .await
}

/// Does what the instance of a kind waits for.
pub(crate) async fn go_on(engine: &Client, name: &str, id: &str) {
    match name {
        "ended" | "timer" => {}
        "each" => {
            for item in ["each-1", "each-2", "each-3"] {
                tell(engine, item).await;
            }
        }
        "suspended" => {
            engine.post(&format!("/api/v1/instances/{id}/resume"), &json!({})).await.expect(202);
            tell(engine, name).await;
        }
        "person" => {
            let task = engine.get(&format!("/api/v1/tasks?instance={id}")).await.expect(200).json()["items"][0].clone();
            assert_eq!(task["users"], json!(["ada"]));
            let path = format!("/api/v1/tasks/{}/complete", task["id"].as_str().unwrap());
            engine.post(&path, &json!({ "output": {} })).await.expect(202);
        }
        "worker" => {
            let asked = json!({ "topics": ["work"], "worker": "w" });
            let fetched = engine.post("/api/v1/external-tasks/fetch", &asked).await.expect(200).json();
            let task = &fetched["items"][0];
            let path = format!("/api/v1/external-tasks/{}/complete", task["id"].as_str().unwrap());
            let answer = json!({ "worker": "w", "attempt": task["attempt"], "output": {} });
            engine.post(&path, &answer).await.expect(202);
        }
        _ => tell(engine, name).await,
    }
}

async fn tell(engine: &Client, key: &str) {
    engine
        .post("/api/v1/messages", &json!({ "name": "go", "key": key, "payload": { "word": "on" } }))
        .await
        .expect(202);
}
