//! The machine's behaviour as tables: a flow, a script of what happens, what the instance then shows.
//!
//! [`play`] alone knows the API. After every step it also checks what must always hold: a snapshot
//! gives the same instance back, a take-over makes the same calls, keys never change.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

mod again;
mod beside;
mod bounds;
mod listeners;
mod machines;
mod rows;
mod scopes;
mod steps;
mod waits;

use super::*;
use crate::catalog::{CalledFlow, Catalog, EffectClass, NodeType, Port};
use crate::flow::{Flow, check::check};

fn node_type(uses: &str, effect: EffectClass, undo: bool, query: bool, resume: bool) -> NodeType {
    let (id, _) = uses.split_once('@').unwrap();
    NodeType {
        id: id.to_owned(),
        uses: uses.to_owned(),
        major: 1,
        plugin: "t@1.0.0".to_owned(),
        digest: "d".repeat(64),
        effect,
        title: BTreeMap::new(),
        summary: BTreeMap::new(),
        category: String::new(),
        icon: String::new(),
        config: json!({}),
        input: json!({}),
        ports: vec![Port { name: "done".to_owned(), title: BTreeMap::new(), output: json!({}) }],
        errors: ["NO", "OTHER"]
            .map(|code| crate::catalog::ErrorCode { code: code.to_owned(), title: BTreeMap::new() })
            .into(),
        undo,
        resume,
        query,
        examples: Vec::new(),
    }
}

/// Takes `{"n": <integer>}` and answers with a number.
fn strict(node_type: NodeType) -> NodeType {
    let input = json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } });
    let ports = vec![Port { name: "done".to_owned(), title: BTreeMap::new(), output: json!({ "type": "number" }) }];
    NodeType { input, ports, ..node_type }
}

/// With flows to call: `u`, then `v`, both external with undo; they end with what `v` gave. `aside` undoes in parallel.
fn catalog() -> Catalog {
    let types = node_types();
    let document = json!({
        "stepwell": 1, "kind": "graph", "key": "sub", "input": { "type": "object", "required": ["n"] },
        "nodes": {
            "start": { "type": "start" },
            "u": { "type": "task", "uses": "t/ext@1", "with": { "n": "=input.n" }, "undo": true },
            "v": { "type": "task", "uses": "t/ext@1", "with": { "n": "=nodes.u" }, "undo": true },
            "end": { "type": "end", "output": "=nodes.v" }
        },
        "edges": [{ "from": "start", "to": "u" }, { "from": "u", "to": "v" }, { "from": "v", "to": "end" }]
    });
    let mut aside = document.clone();
    (aside["key"], aside["compensation"]) = (json!("aside"), json!("parallel"));
    let flows = [("sub", document), ("aside", aside)].map(|(key, document)| {
        let catalog = types.clone();
        (format!("{key}@1"), CalledFlow { key: key.into(), version: 1, hash: String::new(), document, catalog })
    });
    Catalog { flows: BTreeMap::from(flows), ..types }
}

fn node_types() -> Catalog {
    Catalog::new([
        node_type("t/pure@1", EffectClass::Pure, false, false, false),
        node_type("t/ext@1", EffectClass::External, true, false, true),
        node_type("t/ask@1", EffectClass::External, true, true, true),
        strict(node_type("t/strict@1", EffectClass::Pure, false, false, false)),
        strict(node_type("t/strictext@1", EffectClass::External, true, false, false)),
    ])
}

/// A flow from its nodes and edges. Nodes are `name=type` with type p (pure), x (external with
/// undo), q (external with undo and query), s and sx (strict, pure and external with undo), followed by options as JSON members; edges are
/// `from>to` or `from.port>to`, with `?expr` or `!` (default) behind.
fn flow(nodes: &str, edges: &str) -> Flow {
    flow_with(nodes, edges, &json!({}))
}

/// With fields of the document itself.
fn flow_with(nodes: &str, edges: &str, more: &Value) -> Flow {
    let mut all = serde_json::Map::new();
    for line in nodes.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        let (name, kind) = line.split_once('=').unwrap();
        let (kind, options) = kind.split_once(' ').unwrap_or((kind, "{}"));
        let mut node = match kind {
            "p" => json!({ "type": "task", "uses": "t/pure@1", "with": { "n": 1 } }),
            "x" => json!({ "type": "task", "uses": "t/ext@1", "with": { "n": 1 }, "undo": true }),
            "q" => json!({ "type": "task", "uses": "t/ask@1", "with": { "n": 1 }, "undo": true }),
            "s" => json!({ "type": "task", "uses": "t/strict@1", "with": { "n": "=input.n" } }),
            "sx" => json!({ "type": "task", "uses": "t/strictext@1", "with": { "n": "=input.n" }, "undo": true }),
            other => json!({ "type": other }),
        };
        let options: Value = serde_json::from_str(options).unwrap();
        node.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        all.insert(name.trim().to_owned(), node);
    }
    let mut drawn = Vec::new();
    for word in edges.split_whitespace() {
        let (ends, when) = word.split_once('?').map_or((word, None), |(ends, when)| (ends, Some(when)));
        let default = ends.ends_with('!');
        let (from, to) = ends.trim_end_matches('!').split_once('>').unwrap();
        let (from, port) = from.split_once('.').map_or((from, None), |(from, port)| (from, Some(port)));
        let mut edge = json!({ "from": from, "to": to });
        if let Some(port) = port {
            edge["port"] = json!(port);
        }
        if let Some(when) = when {
            edge["when"] = json!(when);
        }
        if default {
            edge["default"] = json!(true);
        }
        drawn.push(edge);
    }
    let mut document = json!({ "stepwell": 1, "kind": "graph", "key": "test", "nodes": all, "edges": drawn });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let checked = check(&document, &catalog());
    checked.flow.unwrap_or_else(|| panic!("{nodes} / {edges}: {:#?}", checked.problems))
}

/// What a script has made of an instance.
struct Play<'f> {
    flow: &'f Flow,
    it: Instance,
    entries: Vec<Entry>,
    /// Calls made, in order: `a` run, `a~` undo, `a+` resume, `a?` query, `a!` a listener's.
    calls: Vec<String>,
    under_way: Vec<Call>,
    keys: BTreeMap<String, String>,
    said: Vec<String>,
    now_ms: u64,
    /// Of a machine's actions: what the driver would read.
    revision: u32,
    evaluations: Vec<Event>,
}

impl<'f> Play<'f> {
    fn of(flow: &'f Flow, input: &Value) -> Self {
        let mut play = Self {
            flow,
            it: Instance::new("i".into(), 1),
            entries: Vec::new(),
            calls: Vec::new(),
            under_way: Vec::new(),
            keys: BTreeMap::new(),
            said: Vec::new(),
            now_ms: 1_000,
            revision: flow.machine().map_or(0, |machine| machine.revision),
            evaluations: Vec::new(),
        };
        play.take(Event::Started { input: Arc::new(input.clone()), business_key: None, priority: 0 });
        play
    }

    fn take(&mut self, event: Event) {
        self.take_one(event);
        while !self.evaluations.is_empty() {
            let evaluated = self.evaluations.remove(0);
            self.take_one(evaluated);
        }
    }

    fn take_one(&mut self, event: Event) {
        let before = self.it.clone();
        let (it, result) = step(self.flow, before.clone(), self.now_ms, &event);
        match result {
            Ok(effects) => {
                self.entries.push(Entry { seq: it.seq, at_ms: it.now_ms, event });
                self.it = it;
                let it = &self.it; // What it no longer waits for was given up.
                self.under_way.retain(|call| it.awaits(call.token, call.attempt, call.op));
                for effect in effects {
                    self.see(effect);
                }
            }
            Err(refused) => {
                assert_eq!(it, before, "a refused event changes nothing");
                self.said.push(format!("{refused:?}").to_lowercase());
            }
        }
        self.must_hold();
    }

    fn see(&mut self, effect: Effect) {
        match effect {
            Effect::Call(call) => {
                let mark = match call.op {
                    Op::Run => "",
                    Op::Undo => "~",
                    Op::Resume => "+",
                    Op::Query => "?",
                    Op::Listen => "!",
                };
                self.calls.push(format!("{}{mark}", call.node));
                let undo = call.op == Op::Undo || call.forward_key.is_some();
                let heard = self.it.tokens.get(&call.token).and_then(|token| token.at.visit()?.hook.clone());
                let heard = heard.map(|hook| (format!("{:?}", hook.then), hook.index));
                let visit = format!("{}.{}.{undo}.{heard:?}", call.node, call.visit);
                let key = self.keys.entry(visit).or_insert_with(|| call.key.clone());
                assert_eq!(*key, call.key, "one key for all calls of a visit");
                self.under_way.push(*call);
            }
            Effect::Evaluate { token, keep } => {
                self.evaluations.push(Event::Evaluated { token, revision: keep.unwrap_or(self.revision) });
            }
            Effect::Reply(output) => self.said.push(format!("reply={output}")),
            Effect::Ended(_) => self.under_way.clear(),
        }
    }

    fn must_hold(&self) {
        let text = snapshot(self.flow, &self.it).unwrap();
        let mut parsed = Snapshot::parse(&text).unwrap();
        let rows = parsed.rows();
        let entries: Vec<Entry> = self.entries.iter().filter(|entry| rows.contains(&entry.seq)).cloned().collect();
        let back = parsed.hydrate(self.flow, self.it.id.clone(), &entries).unwrap();
        assert_eq!(back, self.it, "a snapshot gives the same instance back");
        let mut again: Vec<String> = Vec::new();
        for effect in resume(self.flow, &self.it) {
            let call = match effect {
                Effect::Call(call) => call,
                Effect::Evaluate { token, .. } => {
                    let asked = |one: &Event| matches!(one, Event::Evaluated { token: one, .. } if *one == token);
                    assert!(self.evaluations.iter().any(asked), "a take-over asks for what was asked");
                    continue;
                }
                other => panic!("a take-over only makes calls: {other:?}"),
            };
            again.push(format!("{} {:?} {} {}", call.node, call.op, call.attempt, call.key));
        }
        let mut open: Vec<(TokenId, String)> = self
            .under_way
            .iter()
            .map(|call| (call.token, format!("{} {:?} {} {}", call.node, call.op, call.attempt, call.key)))
            .collect();
        open.sort();
        let open: Vec<String> = open.into_iter().map(|(_, call)| call).collect();
        if interrupted(self.flow, &self.it).is_empty() {
            assert_eq!(again, open, "a take-over makes the calls that were under way");
        }
        assert!(self.it.end.is_none() || self.it.tokens.is_empty(), "an ended instance has no tokens");
    }

    /// `node:what` answers the oldest call under way at that node; other words stand alone.
    fn word(&mut self, word: &str) {
        let by = String::new();
        match word {
            "tick" => {
                let due = self.it.tokens.iter().filter_map(|(&id, t)| t.due_ms().map(|due| (due, id))).min();
                let (due_ms, token) = due.unwrap_or_else(|| panic!("nothing is due"));
                self.now_ms = due_ms;
                self.take(Event::TimerFired { token, due_ms });
            }
            _ if word.starts_with('+') => self.now_ms += word[1..].parse::<u64>().unwrap(),
            "cancel" => self.take(Event::Commanded { command: Command::Cancel { reason: String::new() }, by }),
            "retry" => self.take(Event::Commanded { command: Command::Retry { token: None, new_key: false }, by }),
            "compensate" => self.take(Event::Commanded { command: Command::Compensate { reason: String::new() }, by }),
            "suspend" => self.take(Event::Commanded { command: Command::Suspend { reason: String::new() }, by }),
            "resume" => self.take(Event::Commanded { command: Command::Resume, by }),
            "renew" => self.take(Event::Commanded { command: Command::Retry { token: None, new_key: true }, by }),
            "evaluate" => self.take(Event::Commanded { command: Command::Evaluate { token: None }, by }),
            _ if word.starts_with("act:") => {
                let (action, context) = word["act:".len()..].split_once('=').unwrap_or((&word["act:".len()..], "null"));
                let context = Arc::new(serde_json::from_str(context).unwrap());
                let command = Command::Act { action: action.to_owned(), context, token: None };
                self.take(Event::Commanded { command, by });
            }
            _ if word.starts_with("move:") => {
                let (from, to) = word["move:".len()..].split_once('>').unwrap();
                let at =
                    |token: &&Token| &*self.flow.nodes[token.node].id == from && !matches!(token.at, At::Guard { .. });
                let token = self.it.tokens.iter().find(|(_, token)| at(token)).map_or(99, |(&id, _)| id);
                self.take(Event::Commanded { command: Command::Move { token, to: to.to_owned() }, by });
            }
            _ if word.starts_with("done") || word.starts_with("fail:") => {
                let open = self.it.open_tasks(self.flow).into_iter().next();
                let (token, attempt) = open.map_or((99, 1), |open| (open.token, open.attempt));
                let command = if let Some(what) = word.strip_prefix("fail:") {
                    let Outcome::Failed(failure) = outcome(what) else { panic!("{word}") };
                    Command::Fail { token, attempt, failure }
                } else {
                    let output = word.strip_prefix("done=").unwrap_or("null");
                    Command::Complete { token, attempt, output: Arc::new(serde_json::from_str(output).unwrap()) }
                };
                self.take(Event::Commanded { command, by });
            }
            "full" => self.take(Event::LimitReached { limit: Limit::SnapshotBytes, value: 2_000_000 }),
            "skip" => {
                let stuck = |token: &&Token| matches!(token.at, At::Incident { .. });
                let token = self.it.tokens.iter().find(|(_, token)| stuck(token)).map_or(99, |(&id, _)| id);
                self.take(Event::Commanded { command: Command::SkipUndo { token }, by });
            }
            _ if word.starts_with("msg") => {
                // `msg`, `msg=1`, or for one of several waits `msg@stop=1`.
                let (name, payload) = word["msg".len()..].split_once('=').unwrap_or((&word["msg".len()..], "null"));
                let wanted = |one: &&Subscription| name.is_empty() || one.message[..] == name[1..];
                let token = self.it.subscriptions().iter().find(wanted).map_or(99, |one| one.token);
                let payload = Arc::new(serde_json::from_str(payload).unwrap());
                self.take(Event::MessageArrived { token, id: "m1".to_owned(), payload });
            }
            _ => {
                let (node, what) = word.split_once(':').unwrap_or_else(|| panic!("{word}"));
                let at = self.under_way.iter().position(|call| &*call.node == node);
                let at = at.unwrap_or_else(|| panic!("no call under way at {node}, but {:?}", self.under_way));
                let call = self.under_way.remove(at);
                self.take(Event::NodeReturned {
                    token: call.token,
                    attempt: call.attempt,
                    op: call.op,
                    outcome: outcome(what),
                });
            }
        }
    }
}

fn outcome(what: &str) -> Outcome {
    let (what, value) = what.split_once('=').unwrap_or((what, "null"));
    let cut = |reason| Outcome::Cut(Cut { reason, message: "cut".to_owned() });
    match what {
        "aside" => Outcome::Done { port: "aside".into(), output: Arc::new(Value::Null) },
        "ok" => Outcome::Done { port: "done".into(), output: Arc::new(serde_json::from_str(value).unwrap()) },
        "wait" => Outcome::Waiting {
            message: "m".into(),
            key: "k".to_owned(),
            timeout_ms: Some(60_000),
            memo: Arc::new(json!({ "memo": 1 })),
        },
        "never" => Outcome::NeverRan,
        "no" => Outcome::Failed(Failure::Rejected(Rejection {
            code: if value == "null" { "NO".to_owned() } else { value.to_owned() },
            message: "no".to_owned(),
            data: None,
        })),
        "transient" => Outcome::Failed(Failure::Transient { message: "later".to_owned(), retry_after_ms: None }),
        "permanent" => Outcome::Failed(Failure::Permanent { message: "never".to_owned(), code: None }),
        "unknown" => Outcome::Failed(Failure::Unknown { message: "who knows".to_owned() }),
        "late" => cut(CutReason::Deadline),
        "trap" => cut(CutReason::Trap),
        "memory" => cut(CutReason::Memory),
        "paused" => cut(CutReason::Paused),
        "paused-anew" => cut(CutReason::PausedAnew),
        "revoked" => cut(CutReason::Revoked),
        other => panic!("{other}"),
    }
}

/// Plays a script and shows the calls made, what was said, and how the instance stands:
/// `a b | reply=1 | completed`, with the error's code behind a state that has one.
fn play(flow: &Flow, input: &Value, script: &str) -> String {
    let mut play = Play::of(flow, input);
    for word in script.split_whitespace() {
        play.word(word);
    }
    let mut shown = vec![play.calls.join(" ")];
    shown.extend(play.said.clone());
    let mut state = play.it.state().name().to_owned();
    if let Some(error) = play.it.error() {
        state = format!("{state} {}", error.code);
    }
    if let Some(machine) = &play.it.root().machine {
        state = format!("{state} in {}", machine.state);
    }
    if let Some(output) = play.it.output() {
        state = format!("{state} {}", output.value);
    }
    shown.push(state);
    // The journal is the instance: playing it again gives the same.
    let mut again = Instance::new("i".into(), 1);
    for entry in &play.entries {
        let (it, result) = step(flow, again, entry.at_ms, &entry.event);
        assert!(result.is_ok(), "a journal entry is never refused");
        again = it;
    }
    assert_eq!(again, play.it, "the journal played again gives the same instance");
    shown.join(" | ")
}

fn table(flow: &Flow, rows: &[(&str, &str)]) {
    for (script, wanted) in rows {
        assert_eq!(play(flow, &json!({ "n": 5 }), script), *wanted, "{script}");
    }
}
