//! Flows: drawn at random in blocks that fit together, and those that ship with the engine.
//!
//! A block is written from its end: it is told where to go on, and says where it begins.

use serde_json::{Map, Value, json};
use stepwell_core::catalog::{Catalog, EffectClass, NodeType, Port, Text};
use stepwell_core::flow::check::check;

use crate::chance::Chance;

/// The messages that flows wait for.
pub const MESSAGES: [&str; 3] = ["paid", "moved", "news"];
const DEPTH_MAX: u32 = 3;

/// Node types for drawn flows, beside those of the bundled plugins as `flows/checks/catalog.json` has them.
pub fn catalog() -> Catalog {
    let bundled: Value = serde_json::from_str(include_str!("../../../flows/checks/catalog.json")).unwrap_or_default();
    let mut all: Vec<NodeType> = serde_json::from_value(bundled["nodeTypes"].clone()).unwrap_or_default();
    for (name, effect, [undo, resume, query]) in [
        ("pure", EffectClass::Pure, [false, false, false]),
        ("recorded", EffectClass::Recorded, [false, false, false]),
        ("act", EffectClass::External, [true, false, false]),
        ("ask", EffectClass::External, [true, false, true]),
        ("wait", EffectClass::External, [true, true, false]),
        ("tell", EffectClass::External, [false, false, false]),
    ] {
        all.push(node_type(name, effect, [undo, resume, query]));
    }
    Catalog::new(all)
}

fn node_type(name: &str, effect: EffectClass, [undo, resume, query]: [bool; 3]) -> NodeType {
    NodeType {
        id: format!("sim/{name}"),
        uses: format!("sim/{name}@1"),
        major: 1,
        plugin: "sim@1.0.0".to_owned(),
        digest: format!("{name:0>64}"),
        effect,
        title: Text::new(),
        summary: Text::new(),
        category: "sim".to_owned(),
        icon: String::new(),
        config: json!({ "type": "object" }),
        input: json!(true),
        ports: vec![Port { name: "done".to_owned(), title: Text::new(), output: json!(true) }],
        errors: Vec::new(),
        undo,
        resume,
        query,
        examples: Vec::new(),
    }
}

/// The flows that ship, with an input for each.
pub fn golden() -> Vec<(Value, Value)> {
    let order = json!({
        "orderId": "$key", "communityId": "C-1", "sku": "SKU-1", "quantity": 2, "amount_cents": 1200,
    });
    let item = json!({ "sku": "A", "qty": 2, "price_cents": 1500, "weight_g": 100 });
    let five = json!({
        "order_id": "$key", "type": "physical", "region": "domestic",
        "customer": { "id": "c", "tier": "gold" }, "items": [item],
    });
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    vec![
        (read(include_str!("../../../flows/community_order.json")), order),
        (read(include_str!("../../../flows/order-5.json")), five),
    ]
}

/// A flow that the checker takes. Its input has `key`, `other` and `n`.
pub fn draw(chance: &mut Chance, catalog: &Catalog, name: &str) -> Value {
    loop {
        let document = Drawing::default().document(chance, name);
        if check(&document, catalog).flow.is_some() {
            return document;
        }
    }
}

#[derive(Default)]
struct Drawing {
    nodes: Map<String, Value>,
    edges: Vec<Value>,
    next: u32,
    /// How many sets of branches that run beside each other: there a compensation or an end would surprise.
    beside: u32,
}

impl Drawing {
    fn document(mut self, chance: &mut Chance, name: &str) -> Value {
        let output = json!({ "n": "=input.n" });
        let end = self.node("end", json!({ "type": "end", "output": output }));
        let length = chance.between(2, 5);
        let first = self.sequence(chance, length, &end, 0);
        let start = self.node("start", json!({ "type": "start" }));
        self.edge(&start, &first);
        json!({ "stepwell": 1, "kind": "graph", "key": name, "nodes": self.nodes, "edges": self.edges })
    }

    fn node(&mut self, name: &str, node: Value) -> String {
        self.next += 1;
        let id = format!("{name}_{}", self.next);
        self.nodes.insert(id.clone(), node);
        id
    }

    fn edge(&mut self, from: &str, to: &str) {
        self.edges.push(json!({ "from": from, "to": to }));
    }

    fn port(&mut self, from: &str, port: &str, to: &str) {
        self.edges.push(json!({ "from": from, "port": port, "to": to }));
    }

    fn sequence(&mut self, chance: &mut Chance, length: u64, exit: &str, depth: u32) -> String {
        let mut exit = exit.to_owned();
        for _ in 0..length {
            exit = self.block(chance, &exit, depth);
        }
        exit
    }

    fn branch(&mut self, chance: &mut Chance, exit: &str, depth: u32) -> String {
        let length = chance.between(1, 2);
        self.sequence(chance, length, exit, depth + 1)
    }

    fn block(&mut self, chance: &mut Chance, exit: &str, depth: u32) -> String {
        let choice = if depth >= DEPTH_MAX { chance.below(60) } else { chance.below(100) };
        match choice {
            40..48 => self.receive(chance, exit, depth),
            48..54 => {
                let after = format!("{}ms", chance.between(1, 5_000));
                self.plain("timer", &json!({ "type": "timer", "after": after }), exit)
            }
            54..57 => {
                let output = json!({ "of": "=input.n", "at": self.next });
                self.plain("reply", &json!({ "type": "reply", "output": output }), exit)
            }
            57..60 => {
                let name = format!("v{}", self.next);
                self.plain("set", &json!({ "type": "set", "vars": { name: "=input.n" } }), exit)
            }
            60..70 => self.exclusive(chance, exit, depth),
            70..78 => self.beside(chance, exit, depth, "parallel"),
            78..84 => self.beside(chance, exit, depth, "inclusive"),
            84..89 => self.event_gateway(chance, exit, depth),
            89..93 => self.round(chance, exit, depth),
            93..97 if self.beside == 0 => self.plain("compensate", &json!({ "type": "compensate" }), exit),
            97..100 if self.beside == 0 => self.throw(chance, exit),
            _ => self.task(chance, exit),
        }
    }

    fn plain(&mut self, name: &str, node: &Value, exit: &str) -> String {
        let id = self.node(name, node.clone());
        self.edge(&id, exit);
        id
    }

    fn task(&mut self, chance: &mut Chance, exit: &str) -> String {
        let uses =
            *chance.pick(&["pure", "recorded", "act", "act", "act", "ask", "wait", "wait", "tell"]).unwrap_or(&"act");
        let mut task = json!({ "type": "task", "uses": format!("sim/{uses}@1"), "with": { "n": "=input.n" } });
        task["timeout"] = json!(format!("{}ms", chance.between(50, 3_000)));
        if chance.permille(500) {
            let attempts = chance.between(1, 4);
            task["retry"] = json!({ "attempts": attempts, "backoff": "100ms", "factor": 2, "max": "5s" });
        }
        let undoable = !matches!(uses, "pure" | "recorded" | "tell");
        if undoable && chance.permille(800) {
            task["undo"] = json!(true);
        } else if chance.permille(300) && !matches!(uses, "pure" | "recorded") {
            task["undo"] = json!({ "uses": "sim/tell@1", "with": { "of": "=step.input" } });
        }
        if chance.permille(100) && !matches!(uses, "pure" | "recorded") {
            task["delivery"] = json!("at-most-once");
        }
        let handlers = chance.below(6);
        if handlers == 0 {
            task["on"] = json!({ "failed": { "type": "error" } });
        } else if handlers == 1 {
            task["on"] = json!({ "late": { "type": "timeout" } });
        }
        let id = self.node("task", task);
        self.edge(&id, exit);
        match handlers {
            0 => self.port(&id, "failed", exit),
            1 => self.port(&id, "late", exit),
            _ => {}
        }
        id
    }

    fn awaited(chance: &mut Chance) -> Value {
        let message = chance.pick(&MESSAGES).copied().unwrap_or("paid");
        let key = if chance.permille(700) { "=input.key" } else { "=input.other" };
        json!({ "type": "receive", "message": message, "key": key })
    }

    fn receive(&mut self, chance: &mut Chance, exit: &str, depth: u32) -> String {
        let mut node = Self::awaited(chance);
        let timed = chance.permille(700);
        if timed {
            node["timeout"] = json!(format!("{}ms", chance.between(10, 10_000)));
        }
        let id = self.node("receive", node);
        self.edge(&id, exit);
        if timed && chance.permille(800) {
            let other = if depth < DEPTH_MAX { self.branch(chance, exit, depth) } else { exit.to_owned() };
            self.port(&id, "timeout", &other);
        }
        id
    }

    fn exclusive(&mut self, chance: &mut Chance, exit: &str, depth: u32) -> String {
        let (one, other) = (self.branch(chance, exit, depth), self.branch(chance, exit, depth));
        let id = self.node("exclusive", json!({ "type": "exclusive" }));
        let odd = format!("input.n % {} == 0", chance.between(2, 3));
        self.edges.push(json!({ "from": id, "to": one, "when": odd }));
        self.edges.push(json!({ "from": id, "to": other, "default": true }));
        id
    }

    /// Branches that run beside each other and meet again.
    fn beside(&mut self, chance: &mut Chance, exit: &str, depth: u32, kind: &str) -> String {
        let join = self.node("join", json!({ "type": kind }));
        if kind == "inclusive" {
            self.edges.push(json!({ "from": join, "to": exit, "default": true }));
        } else {
            self.edge(&join, exit);
        }
        self.beside += 1;
        let branches: Vec<String> = (0..chance.between(2, 3)).map(|_| self.branch(chance, &join, depth)).collect();
        self.beside -= 1;
        let fork = self.node("fork", json!({ "type": kind }));
        for (at, branch) in branches.iter().enumerate() {
            match (kind, at) {
                ("inclusive", 0) => self.edges.push(json!({ "from": fork, "to": branch, "default": true })),
                ("inclusive", _) => {
                    self.edges.push(json!({ "from": fork, "to": branch, "when": format!("input.n % 4 >= {at}") }));
                }
                _ => self.edge(&fork, branch),
            }
        }
        fork
    }

    fn event_gateway(&mut self, chance: &mut Chance, exit: &str, depth: u32) -> String {
        let gateway = self.node("first", json!({ "type": "event-gateway" }));
        for which in 0..chance.between(2, 3) {
            let after = self.branch(chance, exit, depth);
            let wait = if which == 0 {
                json!({ "type": "timer", "after": format!("{}ms", chance.between(10, 8_000)) })
            } else {
                Self::awaited(chance)
            };
            let wait = self.plain("event", &wait, &after);
            self.edge(&gateway, &wait);
        }
        gateway
    }

    /// A loop of a few rounds.
    fn round(&mut self, chance: &mut Chance, exit: &str, depth: u32) -> String {
        let counter = format!("c{}", self.next);
        let again = self.node("again", json!({ "type": "exclusive" }));
        let count = json!({ "type": "set", "vars": { counter.as_str(): format!("=vars.{counter} + 1") } });
        let count = self.plain("count", &count, &again);
        let body = self.branch(chance, &count, depth);
        let rounds = chance.between(1, 3);
        self.edges.push(json!({ "from": again, "to": body, "when": format!("vars.{counter} < {rounds}") }));
        self.edges.push(json!({ "from": again, "to": exit, "default": true }));
        let begin = json!({ "type": "set", "vars": { counter.as_str(): 0 } });
        self.plain("begin", &begin, &body)
    }

    fn throw(&mut self, chance: &mut Chance, exit: &str) -> String {
        let throw = self.node("throw", json!({ "type": "throw", "code": "NOT_TODAY" }));
        let id = self.node("maybe", json!({ "type": "exclusive" }));
        let rare = format!("input.n % {} == 1", chance.between(3, 5));
        self.edges.push(json!({ "from": id, "to": throw, "when": rare }));
        self.edges.push(json!({ "from": id, "to": exit, "default": true }));
        id
    }
}
