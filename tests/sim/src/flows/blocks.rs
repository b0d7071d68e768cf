//! Draws a flow in blocks that fit together.
//!
//! A block is written from its end: it is told where to go on, and says where it begins.
//!
//! Not here: containers, calls, work for people and workers, handlers (`inner`).

use serde_json::{Map, Value, json};

use super::MESSAGES;
use crate::chance::Chance;

pub(super) const DEPTH_MAX: u32 = 3;

pub(super) struct Drawing<'c> {
    pub(super) nodes: Map<String, Value>,
    edges: Vec<Value>,
    pub(super) next: u32,
    /// How many sets of branches that run beside each other: there a compensation or an end would surprise.
    pub(super) beside: u32,
    /// The container that is being filled.
    pub(super) inside: Option<String>,
    /// Some container around it is run more than once at a time: nothing may be set there.
    pub(super) items: bool,
    /// Some container around it holds a lock.
    pub(super) locked: bool,
    /// How often a node has a lock, of a thousand.
    pub(super) locks: u64,
    /// Flows that may be called.
    pub(super) callable: &'c [String],
    pub(super) key: String,
}

impl<'c> Drawing<'c> {
    pub(super) fn new(callable: &'c [String]) -> Self {
        Self {
            nodes: Map::new(),
            edges: Vec::new(),
            next: 0,
            beside: 0,
            inside: None,
            items: false,
            locked: false,
            locks: 0,
            callable,
            key: String::new(),
        }
    }

    pub(super) fn document(mut self, chance: &mut Chance, name: &str) -> Value {
        name.clone_into(&mut self.key);
        self.locks = if chance.permille(350) { 700 } else { 50 };
        let output = json!({ "n": "=input.n" });
        let end = self.node("end", json!({ "type": "end", "output": output }));
        let length = chance.between(2, 4);
        let first = self.sequence(chance, length, &end, 0);
        let start = self.node("start", json!({ "type": "start" }));
        self.edge(&start, &first);
        let listens = chance.permille(250);
        if listens {
            self.listen(chance);
        }
        let mut document =
            json!({ "stepwell": 1, "kind": "graph", "key": name, "nodes": self.nodes, "edges": self.edges });
        if chance.permille(200) {
            document["compensation"] = json!("parallel");
        }
        if listens && chance.permille(500) {
            document["listeners"] = Self::listeners(chance);
        }
        document
    }

    pub(super) fn node(&mut self, name: &str, mut node: Value) -> String {
        self.next += 1;
        let id = format!("{name}_{}", self.next);
        if let Some(container) = &self.inside {
            node["in"] = json!(container);
        }
        self.nodes.insert(id.clone(), node);
        id
    }

    pub(super) fn edge(&mut self, from: &str, to: &str) {
        self.edges.push(json!({ "from": from, "to": to }));
    }

    pub(super) fn port(&mut self, from: &str, port: &str, to: &str) {
        self.edges.push(json!({ "from": from, "port": port, "to": to }));
    }

    pub(super) fn sequence(&mut self, chance: &mut Chance, length: u64, exit: &str, depth: u32) -> String {
        let mut exit = exit.to_owned();
        for _ in 0..length {
            exit = self.block(chance, &exit, depth);
        }
        exit
    }

    pub(super) fn branch(&mut self, chance: &mut Chance, exit: &str, depth: u32) -> String {
        let length = chance.between(1, 2);
        self.sequence(chance, length, exit, depth + 1)
    }

    pub(super) fn block(&mut self, chance: &mut Chance, exit: &str, depth: u32) -> String {
        let choice = if depth >= DEPTH_MAX { chance.below(66) } else { chance.below(100) };
        match choice {
            36..43 => self.receive(chance, exit, depth),
            43..48 => {
                let after = format!("{}ms", chance.between(1, 5_000));
                self.plain("timer", &json!({ "type": "timer", "after": after }), exit)
            }
            48..51 => {
                let output = json!({ "of": "=input.n", "at": self.next });
                self.plain("reply", &json!({ "type": "reply", "output": output }), exit)
            }
            51..53 if !self.items => {
                let name = format!("v{}", self.next);
                self.plain("set", &json!({ "type": "set", "vars": { name: "=input.n" } }), exit)
            }
            53..58 => self.user_task(chance, exit),
            58..66 => self.external_task(chance, exit),
            66..72 => self.exclusive(chance, exit, depth),
            72..78 => self.beside(chance, exit, depth, "parallel"),
            78..80 => self.beside(chance, exit, depth, "inclusive"),
            80..87 => self.container(chance, exit, depth),
            87..90 => self.call(chance, exit),
            90..93 => self.event_gateway(chance, exit, depth),
            93..95 if !self.items => self.round(chance, exit, depth),
            95..96 => self.terminate(chance, exit),
            96..97 if self.beside == 0 => self.plain("compensate", &json!({ "type": "compensate" }), exit),
            97..100 if self.beside == 0 => self.throw(chance, exit),
            _ => self.task(chance, exit),
        }
    }

    pub(super) fn plain(&mut self, name: &str, node: &Value, exit: &str) -> String {
        let id = self.node(name, node.clone());
        self.edge(&id, exit);
        id
    }

    /// A task without handlers.
    pub(super) fn work(chance: &mut Chance) -> Value {
        let uses =
            *chance.pick(&["pure", "recorded", "act", "act", "act", "ask", "wait", "wait", "tell"]).unwrap_or(&"act");
        let mut task = json!({ "type": "task", "uses": format!("sim/{uses}@1"), "with": { "n": "=input.n" } });
        task["timeout"] = json!(format!("{}ms", chance.between(50, 3_000)));
        Self::tries(chance, &mut task);
        let undoable = !matches!(uses, "pure" | "recorded" | "tell");
        if undoable && chance.permille(800) {
            task["undo"] = json!(true);
        } else if chance.permille(300) && !matches!(uses, "pure" | "recorded") {
            task["undo"] = json!({ "uses": "sim/tell@1", "with": { "of": "=step.input" } });
        }
        if chance.permille(100) && !matches!(uses, "pure" | "recorded") {
            task["delivery"] = json!("at-most-once");
        }
        task
    }

    pub(super) fn tries(chance: &mut Chance, node: &mut Value) {
        if chance.permille(500) {
            let attempts = chance.between(1, 4);
            node["retry"] = json!({ "attempts": attempts, "backoff": "100ms", "factor": 2, "max": "5s" });
        }
    }

    fn task(&mut self, chance: &mut Chance, exit: &str) -> String {
        let mut task = Self::work(chance);
        self.lock(chance, &mut task);
        let id = self.plain("task", &task, exit);
        match chance.below(7) {
            0 => self.handler(&id, "failed", json!({ "type": "error" }), exit),
            1 => self.handler(&id, "late", json!({ "type": "timeout" }), exit),
            2 => self.waiting_handler(chance, &id, exit),
            _ => {}
        }
        id
    }

    /// Locks are taken in one order, and none twice.
    pub(super) fn lock(&self, chance: &mut Chance, node: &mut Value) {
        if chance.permille(self.locks) {
            let outer = !self.locked && chance.permille(500);
            node["lock"] = json!(if outer { "outer" } else { "inner" });
        }
    }

    fn awaited(chance: &mut Chance) -> Value {
        let message = chance.pick(&MESSAGES[..3]).copied().unwrap_or("paid");
        let key = if chance.permille(700) { "=input.key" } else { "=input.other" };
        json!({ "type": "receive", "message": message, "key": key })
    }

    fn receive(&mut self, chance: &mut Chance, exit: &str, depth: u32) -> String {
        let mut node = Self::awaited(chance);
        let timed = chance.permille(700);
        if timed {
            node["timeout"] = json!(format!("{}ms", chance.between(10, 10_000)));
        }
        let id = self.plain("receive", &node, exit);
        if timed && chance.permille(800) {
            let other = if depth < DEPTH_MAX { self.branch(chance, exit, depth) } else { exit.to_owned() };
            self.port(&id, "timeout", &other);
        }
        if chance.permille(100) {
            self.waiting_handler(chance, &id, exit);
        }
        id
    }

    fn exclusive(&mut self, chance: &mut Chance, exit: &str, depth: u32) -> String {
        let (one, other) = (self.branch(chance, exit, depth), self.branch(chance, exit, depth));
        let odd = format!("input.n % {} == 0", chance.between(2, 3));
        self.either("exclusive", &odd, &one, &other)
    }

    /// Goes on to `one` where the condition holds, else to `other`.
    pub(super) fn either(&mut self, name: &str, when: &str, one: &str, other: &str) -> String {
        let id = self.node(name, json!({ "type": "exclusive" }));
        self.edges.push(json!({ "from": id, "to": one, "when": when }));
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
        let count = chance.between(2, 3);
        let cancels = kind == "parallel" && chance.permille(120);
        self.beside += 1;
        let (mut branches, mut ends, mut drawn) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..count {
            let mut end = self.meet(&join);
            ends.push(end.clone());
            if cancels && at > 0 && !drawn.is_empty() {
                let one = chance.pick(&drawn).cloned().unwrap_or_default();
                end = self.plain("cancel", &json!({ "type": "cancel", "nodes": [one] }), &end);
                drawn.clear();
            }
            let before: Vec<String> = self.nodes.keys().cloned().collect();
            branches.push(self.branch(chance, &end, depth));
            if at == 0 {
                drawn = self.beside_me(&before);
            }
        }
        self.beside -= 1;
        if kind == "parallel" && (cancels || chance.permille(350)) {
            self.policy(chance, &join, exit, &ends, cancels);
        }
        let fork = self.node("fork", json!({ "type": kind }));
        if kind == "parallel" && chance.permille(100) {
            self.nodes[&fork]["tokens"] = json!(2);
            if self.nodes[&join]["join"].is_null() && chance.permille(700) {
                self.nodes[&join]["join"] = json!({ "tokens": 2 });
            }
        }
        for (at, branch) in branches.iter().enumerate() {
            match (kind, at) {
                ("inclusive", 0) => self.edges.push(json!({ "from": fork, "to": branch, "default": true })),
                ("inclusive", _) => {
                    self.edges.push(json!({ "from": fork, "to": branch, "when": format!("input.n % 4 >= {at}") }));
                }
                _ => self.edge(&fork, branch),
            }
        }
        self.meet(&fork)
    }

    /// Whichever way tokens come, they go on by one edge: a gateway that they fork at, or meet at, counts edges.
    fn meet(&mut self, to: &str) -> String {
        let id = self.node("meet", json!({ "type": "exclusive" }));
        self.edges.push(json!({ "from": id, "to": to, "default": true }));
        id
    }

    /// What was drawn since, in the same graph.
    fn beside_me(&self, before: &[String]) -> Vec<String> {
        let inside = self.inside.as_deref();
        let new = |(id, node): &(&String, &Value)| !before.contains(id) && node["in"].as_str() == inside;
        self.nodes.iter().filter(new).map(|(id, _)| id.clone()).collect()
    }

    /// How many the join waits for, which, how long, and what becomes of the rest.
    fn policy(&mut self, chance: &mut Chance, join: &str, exit: &str, ends: &[String], cancels: bool) {
        let mut policy = match chance.below(3) {
            0 if !cancels => json!({ "must": [chance.pick(ends)] }),
            1 if !cancels => json!({ "percent": chance.between(1, 100) }),
            _ => json!({ "count": chance.between(1, 2) }),
        };
        policy["rest"] = json!(if chance.permille(500) { "cancel" } else { "await" });
        if cancels || chance.permille(400) {
            policy["timeout"] = json!(format!("{}ms", chance.between(50, 8_000)));
            if chance.permille(700) {
                self.port(join, "timeout", exit);
            }
        }
        self.nodes[join]["join"] = policy;
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

    /// An end that stops all the others of its graph, now and then.
    fn terminate(&mut self, chance: &mut Chance, exit: &str) -> String {
        let end = self.node("stop", json!({ "type": "end", "terminate": true }));
        let rare = format!("input.n % {} == 1", chance.between(3, 5));
        self.either("maybe", &rare, &end, exit)
    }

    fn throw(&mut self, chance: &mut Chance, exit: &str) -> String {
        let throw = self.node("throw", json!({ "type": "throw", "code": "NOT_TODAY" }));
        let rare = format!("input.n % {} == 1", chance.between(3, 5));
        self.either("maybe", &rare, &throw, exit)
    }
}
