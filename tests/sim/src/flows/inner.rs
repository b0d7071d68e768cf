//! Blocks with something inside, or beside: containers, called flows, work for others, handlers.

use serde_json::{Value, json};

use super::blocks::{DEPTH_MAX, Drawing};
use super::{MESSAGES, NOTE};
use crate::chance::Chance;

/// What workers fetch.
pub(super) const TOPIC: &str = "work";

impl Drawing<'_> {
    /// A stage, items, or steps, with whatever fits inside.
    pub(super) fn container(&mut self, chance: &mut Chance, exit: &str, depth: u32) -> String {
        let kind = *chance.pick(&["stage", "items", "steps"]).unwrap_or(&"stage");
        let mut node = if kind == "items" { Self::items(chance) } else { json!({ "type": "stage" }) };
        if chance.permille(300) {
            node["timeout"] = json!(format!("{}ms", chance.between(100, 12_000)));
        }
        if chance.permille(300) {
            node["compensation"] = json!("parallel");
        }
        let locks = !self.locked && chance.permille(self.locks);
        if locks {
            node["lock"] = json!("outer");
        }
        let id = self.plain("container", &node, exit);
        if chance.permille(400) {
            self.handler(&id, "failed", json!({ "type": "error" }), exit);
        }
        if chance.permille(300) {
            self.waiting_handler(chance, &id, exit);
        }
        let around = (self.inside.replace(id.clone()), self.beside, self.items, self.locked);
        (self.beside, self.items, self.locked) = (0, self.items || kind == "items", self.locked || locks);
        if kind == "steps" {
            self.steps(chance, &id);
        } else {
            let end = self.node("inner", json!({ "type": "end", "output": "=input.n" }));
            self.branch(chance, &end, depth);
        }
        (self.inside, self.beside, self.items, self.locked) = around;
        id
    }

    fn items(chance: &mut Chance) -> Value {
        let items: Vec<u64> = (0..chance.below(4)).collect();
        let mut node =
            json!({ "type": "for-each", "items": format!("={}", json!(items)), "limit": chance.between(1, 3) });
        if chance.permille(400) {
            node["onFailure"] = json!("collect");
        }
        if chance.permille(250) {
            node["until"] = json!(chance.between(1, 2));
            node["rest"] = json!(if chance.permille(500) { "await" } else { "cancel" });
        }
        if chance.permille(150) {
            node["more"] = json!({ "message": NOTE, "key": "=input.key" });
        }
        node
    }

    /// Some nodes are listened to.
    pub(super) fn listen(&mut self, chance: &mut Chance) {
        let heard = ["task", "user-task", "external-task", "call", "for-each", "stage", "receive"];
        let mut ids: Vec<String> = self.nodes.keys().cloned().collect();
        ids.retain(|id| self.nodes[id]["type"].as_str().is_some_and(|kind| heard.contains(&kind)));
        for id in ids {
            if chance.permille(300) {
                self.nodes[&id]["listeners"] = Self::listeners(chance);
            }
        }
    }

    pub(super) fn listeners(chance: &mut Chance) -> Value {
        let one = |_| {
            let on = *chance.pick(&["enter", "leave", "error", "end"]).unwrap_or(&"end");
            let uses = *chance.pick(&["sim/pure@1", "sim/tell@1", "sim/tell@1"]).unwrap_or(&"sim/tell@1");
            let mut fails = *chance.pick(&["ignore", "incident", "fail"]).unwrap_or(&"ignore");
            if fails == "fail" && !["enter", "leave"].contains(&on) {
                fails = "incident";
            }
            json!({ "on": on, "uses": uses, "with": { "on": "=event.on" }, "onFailure": fails })
        };
        (0..2).map(one).collect()
    }

    /// Steps of a stage, in an order of their own.
    fn steps(&mut self, chance: &mut Chance, stage: &str) {
        // Several may be under way at once, as items are.
        let items = std::mem::replace(&mut self.items, true);
        let mut steps = Vec::new();
        for _ in 0..chance.between(1, 4) {
            let end = self.node("last", json!({ "type": "end" }));
            let run = self.block(chance, &end, DEPTH_MAX);
            let mut step = json!({ "run": run, "sync": chance.permille(400), "optional": chance.permille(200) });
            if chance.permille(300) {
                step["order"] = json!(chance.below(5));
            }
            if chance.permille(500) {
                step["group"] = json!("g");
            }
            steps.push(step);
        }
        self.items = items;
        if steps.iter().any(|step| step["group"] == "g") {
            let merge = chance.pick(&["named", "list", "fields", "first"]).copied();
            self.nodes[stage]["merge"] = json!({ "g": merge });
        }
        if chance.permille(300) {
            self.nodes[stage]["onFailure"] = json!("collect");
        }
        self.nodes[stage]["steps"] = json!(steps);
    }

    /// Runs a flow that is called, or this one again.
    pub(super) fn call(&mut self, chance: &mut Chance, exit: &str) -> String {
        let other = chance.pick(self.callable).cloned().filter(|_| chance.permille(700));
        let own = other.is_none();
        let depth = if own { "=input.depth - 1" } else { "=input.depth" };
        let with = json!({ "key": "=input.key", "other": "=input.other", "n": "=input.n", "depth": depth });
        let mut call = json!({ "type": "call", "flow": other.unwrap_or_else(|| self.key.clone()), "with": with });
        if chance.permille(300) {
            call["timeout"] = json!(format!("{}ms", chance.between(200, 15_000)));
        }
        let id = self.plain("call", &call, exit);
        if chance.permille(300) {
            self.handler(&id, "failed", json!({ "type": "error" }), exit);
        }
        if chance.permille(200) {
            self.waiting_handler(chance, &id, exit);
        }
        if own { self.either("deeper", "input.depth > 0", &id, exit) } else { id }
    }

    pub(super) fn user_task(&mut self, chance: &mut Chance, exit: &str) -> String {
        let task = json!({ "type": "user-task", "groups": ["staff"], "with": { "n": "=input.n" } });
        self.open_task(chance, "person", task, exit)
    }

    pub(super) fn external_task(&mut self, chance: &mut Chance, exit: &str) -> String {
        let mut task = json!({ "type": "external-task", "topic": TOPIC, "with": { "n": "=input.n" } });
        if chance.permille(700) {
            task["undo"] = json!({ "uses": "sim/act@1", "with": { "of": "=step.input" } });
        }
        Self::tries(chance, &mut task);
        self.open_task(chance, "worker", task, exit)
    }

    fn open_task(&mut self, chance: &mut Chance, name: &str, mut task: Value, exit: &str) -> String {
        let timed = chance.permille(400);
        if timed {
            task["timeout"] = json!(format!("{}ms", chance.between(50, 10_000)));
        }
        self.lock(chance, &mut task);
        let id = self.plain(name, &task, exit);
        if timed && chance.permille(600) {
            self.port(&id, "timeout", exit);
        }
        if chance.permille(150) {
            self.handler(&id, "failed", json!({ "type": "error" }), exit);
        }
        if chance.permille(150) {
            self.waiting_handler(chance, &id, exit);
        }
        id
    }

    pub(super) fn handler(&mut self, node: &str, port: &str, handler: Value, to: &str) {
        self.nodes[node]["on"][port] = handler;
        self.port(node, port, to);
    }

    /// One that waits for a message, or for a time. What does not interrupt has an end of its own.
    pub(super) fn waiting_handler(&mut self, chance: &mut Chance, node: &str, exit: &str) {
        let interrupts = chance.permille(500);
        let mut handler = if chance.permille(500) {
            let message = if interrupts { chance.pick(&MESSAGES[..3]).copied().unwrap_or("paid") } else { NOTE };
            json!({ "type": "message", "message": message, "key": "=input.key" })
        } else {
            json!({ "type": "timeout", "after": format!("{}ms", chance.between(20, 6_000)) })
        };
        if interrupts {
            return self.handler(node, "stopped", handler, exit);
        }
        handler["interrupting"] = json!(false);
        let end = self.node("aside", json!({ "type": "end" }));
        let aside = self.plain("beside", &Self::work(chance), &end);
        self.handler(node, "noted", handler, &aside);
    }
}
