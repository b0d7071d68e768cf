//! The machine's behaviour as tables: a flow, a script of what happens, what the instance then shows.
//!
//! [`play`] alone knows the API. After every step it also checks what must always hold: a snapshot
//! gives the same instance back, a take-over makes the same calls, keys never change.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::catalog::{Catalog, EffectClass, NodeType, Port};
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

fn catalog() -> Catalog {
    Catalog::new([
        node_type("t/pure@1", EffectClass::Pure, false, false, false),
        node_type("t/ext@1", EffectClass::External, true, false, true),
        node_type("t/ask@1", EffectClass::External, true, true, true),
    ])
}

/// A flow from its nodes and edges. Nodes are `name=type` with type p (pure), x (external with
/// undo), q (external with undo and query), followed by options as JSON members; edges are
/// `from>to` or `from.port>to`, with `?expr` or `!` (default) behind.
fn flow(nodes: &str, edges: &str) -> Flow {
    let mut all = serde_json::Map::new();
    for line in nodes.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        let (name, kind) = line.split_once('=').unwrap();
        let (kind, options) = kind.split_once(' ').unwrap_or((kind, "{}"));
        let mut node = match kind {
            "p" => json!({ "type": "task", "uses": "t/pure@1", "with": { "n": 1 } }),
            "x" => json!({ "type": "task", "uses": "t/ext@1", "with": { "n": 1 }, "undo": true }),
            "q" => json!({ "type": "task", "uses": "t/ask@1", "with": { "n": 1 }, "undo": true }),
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
    let document = json!({ "stepwell": 1, "kind": "graph", "key": "test", "nodes": all, "edges": drawn });
    let checked = check(&document, &catalog());
    checked.flow.unwrap_or_else(|| panic!("{nodes} / {edges}: {:#?}", checked.problems))
}

/// What a script has made of an instance.
struct Play<'f> {
    flow: &'f Flow,
    it: Instance,
    entries: Vec<Entry>,
    /// Calls made, in order: `a` run, `a~` undo, `a+` resume, `a?` query.
    calls: Vec<String>,
    under_way: Vec<Call>,
    keys: BTreeMap<String, String>,
    said: Vec<String>,
    now_ms: u64,
}

impl Play<'_> {
    fn take(&mut self, event: Event) {
        let before = self.it.clone();
        let (it, result) = step(self.flow, before.clone(), self.now_ms, &event);
        match result {
            Ok(effects) => {
                self.entries.push(Entry { seq: it.seq, at_ms: it.now_ms, event });
                self.it = it;
                let stands =
                    |call: &Call| self.it.tokens.get(&call.token).and_then(|token| token.at.visit().map(|v| v.attempt));
                self.under_way.retain(|call| stands(call) == Some(call.attempt)); // The others were given up.
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
                };
                self.calls.push(format!("{}{mark}", call.node));
                let visit =
                    format!("{}.{}.{}", call.node, call.visit, call.op == Op::Undo || call.forward_key.is_some());
                let key = self.keys.entry(visit).or_insert_with(|| call.key.clone());
                assert_eq!(*key, call.key, "one key for all calls of a visit");
                self.under_way.push(*call);
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
            let Effect::Call(call) = effect else { panic!("a take-over only makes calls") };
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
                let due = self.it.tokens.iter().filter_map(|(&id, t)| t.at.due_ms().map(|due| (due, id))).min();
                let (due_ms, token) = due.unwrap_or_else(|| panic!("nothing is due"));
                self.now_ms = due_ms;
                self.take(Event::TimerFired { token, due_ms });
            }
            "cancel" => self.take(Event::Commanded { command: Command::Cancel { reason: String::new() }, by }),
            "retry" => self.take(Event::Commanded { command: Command::Retry { token: None }, by }),
            "compensate" => self.take(Event::Commanded { command: Command::Compensate { reason: String::new() }, by }),
            "skip" => {
                let token = *self.it.tokens.keys().next().unwrap();
                self.take(Event::Commanded { command: Command::SkipUndo { token }, by });
            }
            _ if word.starts_with("msg") => {
                let token = self.it.subscriptions().first().map_or(99, |one| one.token);
                let payload = word.strip_prefix("msg=").unwrap_or("null");
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
        other => panic!("{other}"),
    }
}

/// Plays a script and shows the calls made, what was said, and how the instance stands:
/// `a b | reply=1 | completed`, with the error's code behind a state that has one.
fn play(flow: &Flow, input: &Value, script: &str) -> String {
    let mut play = Play {
        flow,
        it: Instance::new("i".into(), 1),
        entries: Vec::new(),
        calls: Vec::new(),
        under_way: Vec::new(),
        keys: BTreeMap::new(),
        said: Vec::new(),
        now_ms: 1_000,
    };
    play.take(Event::Started { input: Arc::new(input.clone()), business_key: None, priority: 0 });
    for word in script.split_whitespace() {
        play.word(word);
    }
    let mut shown = vec![play.calls.join(" ")];
    shown.extend(play.said.clone());
    let mut state = play.it.state().name().to_owned();
    if let Some(error) = play.it.error() {
        state = format!("{state} {}", error.code);
    }
    if let Some(output) = &play.it.output {
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

#[test]
fn a_chain_runs_to_its_end() {
    let flow = flow("start=start; a=p; b=x; end=end {\"output\": \"=nodes.b\"}", "start>a a>b b>end");
    table(
        &flow,
        &[
            ("", "a | running"),
            ("a:ok", "a b | running"),
            ("a:ok b:ok=7", "a b | completed 7"),
            ("a:ok cancel", "a b | cancelled"),
            ("cancel cancel", "a | ended | cancelled"),
        ],
    );
}

/// The failure table of the design: what a first attempt's outcome leads to, with no attempts left.
#[test]
fn failures_follow_the_table() {
    let pure = flow("start=start; a=p; end=end", "start>a a>end");
    let external = flow("start=start; a=x; end=end", "start>a a>end");
    let asked = flow("start=start; a=q; end=end", "start>a a>end");
    let once = flow("start=start; a=x {\"delivery\":\"at-most-once\"}; end=end", "start>a a>end");
    for (flow, rows) in [
        (
            &pure,
            &[
                ("a:no", "a | failed NO"),
                ("a:transient", "a | incident TRANSIENT"),
                ("a:permanent", "a | incident PERMANENT"),
                ("a:late", "a | failed TIMEOUT"), // It did nothing, and nothing else is there to undo.
                ("a:trap", "a | incident TRAP"),
                ("a:memory", "a | incident OUT_OF_MEMORY"),
                ("a:trap retry", "a a | running"),
                ("a:trap retry a:ok", "a a | completed null"),
            ][..],
        ),
        (
            &external,
            &[
                ("a:no", "a | failed NO"),
                ("a:transient", "a | incident TRANSIENT"),
                ("a:permanent", "a | incident PERMANENT"),
                // An answer like 502 does not say that nothing was done.
                ("a:transient compensate a:ok", "a a~ | compensated COMPENSATION_REQUESTED"),
                ("a:permanent compensate", "a | failed COMPENSATION_REQUESTED"),
                ("a:late", "a a~ | compensating"), // Not known: undone as well.
                ("a:late a:ok", "a a~ | compensated TIMEOUT"),
                ("a:unknown a:ok", "a a~ | compensated UNKNOWN"),
                ("a:trap a:ok", "a a~ | compensated TRAP"),
            ][..],
        ),
        (
            &asked,
            &[
                ("a:late", "a a? | running"),
                ("a:late a:ok=1", "a a? | completed null"),  // It had run.
                ("a:late a:never", "a a? | failed TIMEOUT"), // It never ran: nothing to undo.
                ("a:unknown a:unknown a:ok", "a a? a~ | compensated UNKNOWN"),
                ("a:late a:wait", "a a? | waiting"),
                ("a:late a:wait msg=1 a:no a:ok", "a a? a+ a~ | compensated NO"), // Not the failure that made us ask.
            ][..],
        ),
        (
            &once,
            &[("a:late", "a | incident TIMEOUT"), ("a:unknown", "a | incident UNKNOWN"), ("a:no", "a | failed NO")][..],
        ),
    ] {
        let ends = |wanted: &str| wanted.replace("completed null", "completed");
        for (script, wanted) in rows {
            let shown = play(flow, &json!({}), script);
            assert_eq!(ends(&shown), ends(wanted), "{script}");
        }
    }
}

#[test]
fn attempts_are_counted_per_call() {
    let flow = flow(
        "start=start; a=x {\"retry\":{\"attempts\":3,\"backoff\":\"100ms\",\"factor\":2,\"max\":\"1s\"}}; end=end",
        "start>a a>end",
    );
    table(
        &flow,
        &[
            ("a:transient", "a | waiting"),
            ("a:transient tick a:ok", "a a | completed null"),
            ("a:transient tick a:transient tick a:transient", "a a a | incident TRANSIENT"),
            ("a:late tick a:late tick a:late a:ok", "a a a a~ | compensated TIMEOUT"),
            ("a:no", "a | failed NO"), // Never retried.
            // A retry after a lost answer was refused for good: the first call may still have had its effect.
            ("a:late tick a:permanent", "a a | incident PERMANENT"),
            ("a:late cancel", "a | cancelled"),
        ],
    );
}

#[test]
fn handlers_catch_by_code() {
    let flow = flow(
        "start=start; a=x {\"on\":{\"sold\":{\"type\":\"error\",\"code\":\"NO\"},\"slow\":{\"type\":\"timeout\"}}}; \
         b=p; c=p; end=end {\"output\":\"=nodes.a.error.code\"}",
        "start>a a>end a.sold>b b>end a.slow>c c>end",
    );
    table(
        &flow,
        &[
            ("a:no b:ok", "a b | completed \"NO\""),
            ("a:no=OTHER", "a | failed OTHER"),
            ("a:late c:ok", "a c | completed \"TIMEOUT\""),
            ("a:late compensate a:ok", "a c a~ | compensated COMPENSATION_REQUESTED"),
        ],
    );
}

#[test]
fn completed_steps_are_undone_in_reverse() {
    let flow = flow("start=start; a=x; b=x; c=x; end=end", "start>a a>b b>c c>end");
    table(
        &flow,
        &[
            ("a:ok b:ok c:no", "a b c b~ | compensating"),
            ("a:ok b:ok c:no b:ok", "a b c b~ a~ | compensating"),
            ("a:ok b:ok c:no b:ok a:ok", "a b c b~ a~ | compensated NO"),
            ("a:ok b:ok c:late c:ok b:ok a:ok", "a b c c~ b~ a~ | compensated TIMEOUT"),
            ("a:ok b:ok compensate", "a b c | compensating"), // The call under way is awaited first …
            ("a:ok b:ok compensate c:ok c:ok b:ok a:ok", "a b c c~ b~ a~ | compensated COMPENSATION_REQUESTED"),
            ("a:ok b:ok compensate c:no b:ok a:ok", "a b c b~ a~ | compensated COMPENSATION_REQUESTED"),
            ("a:ok b:no a:transient", "a b a~ | compensating"),
            ("a:ok b:no a:transient tick a:ok", "a b a~ a~ | compensated NO"),
            ("a:ok b:no compensate", "a b a~ | nothingtodo | compensating"),
        ],
    );
    // Ten tries, then a person.
    let stuck = format!("a:ok b:ok c:no {}b:transient", "b:transient tick ".repeat(9));
    assert_eq!(play(&flow, &json!({}), &stuck), format!("a b c{} | incident TRANSIENT", " b~".repeat(10)));
    let skipped = format!("{stuck} skip a:ok");
    assert_eq!(play(&flow, &json!({}), &skipped), format!("a b c{} a~ | compensated NO", " b~".repeat(10)));
}

#[test]
fn a_compensate_node_goes_on_along_its_edge() {
    let flow = flow(
        "start=start; a=x; r=receive {\"message\":\"m\",\"key\":\"='k'\",\"timeout\":\"1m\"}; g=exclusive; back=compensate; \
         end=end {\"output\":\"ok\"}; off=end {\"output\":\"off\"}",
        "start>a a>r r>g r.timeout>back g>end?nodes.r=='PAID' g>back! back>off",
    );
    table(
        &flow,
        &[
            ("a:ok", "a | waiting"),
            ("a:ok msg=\"PAID\"", "a | completed \"ok\""),
            ("a:ok msg=\"FAILED\"", "a a~ | compensating"),
            ("a:ok msg=\"FAILED\" a:ok", "a a~ | completed \"off\""),
            ("a:ok tick a:ok", "a a~ | completed \"off\""),
            ("a:ok msg=\"PAID\" msg", "a | ended | completed \"ok\""),
        ],
    );
}

#[test]
fn a_waiting_node_is_resumed() {
    let flow = flow("start=start; a=x; b=x; end=end", "start>a a>b b>end");
    table(
        &flow,
        &[
            ("a:wait", "a | waiting"),
            ("a:wait msg=1", "a a+ | running"),
            ("a:wait msg=1 a:ok b:ok", "a a+ b | completed null"),
            ("a:wait tick", "a a+ | running"), // Told `timeout`.
            ("a:wait msg=1 a:wait msg=2 a:ok", "a a+ a+ b | running"),
            // It had begun something, so it is undone, with no output.
            ("a:wait compensate a:ok", "a a~ | compensated COMPENSATION_REQUESTED"),
            ("a:ok b:no a:wait msg=1 a:ok", "a b a~ a+ | compensated NO"),
            // What the run began is undone, also when the resumed node says no.
            ("a:wait msg=1 a:no a:ok", "a a+ a~ | compensated NO"),
        ],
    );
}

#[test]
fn branches_join() {
    let flow = flow(
        "start=start; f=parallel; a=p; b=p; j=parallel; end=end {\"output\":\"=nodes.a+nodes.b\"}",
        "start>f f>a f>b a>j b>j j>end",
    );
    table(
        &flow,
        &[
            ("", "a b | running"),
            ("b:ok=1", "a b | running"),
            ("b:ok=1 a:ok=2", "a b | completed 3"),
            ("a:ok=1 b:trap", "a b | incident TRAP"),
            ("a:ok=1 b:trap retry b:ok=1", "a b b | completed 2"),
            ("a:no", "a b | failed NO"), // b is pure: nobody needs its answer.
        ],
    );
}

#[test]
fn gateways_choose_by_document_order() {
    let flow = flow(
        "start=start; s=set {\"vars\":{\"m\":\"=input.n * 2\"}}; g=exclusive; x=end {\"output\":\"x\"}; y=end {\"output\":\"y\"}; z=end {\"output\":\"z\"}",
        "start>s s>g g>x?vars.m>20 g>y?vars.m>10 g>z!",
    );
    for (n, wanted) in [(11, " | completed \"x\""), (6, " | completed \"y\""), (5, " | completed \"z\"")] {
        assert_eq!(play(&flow, &json!({ "n": n }), ""), wanted, "{n}");
    }
    assert_eq!(play(&flow, &json!({ "n": "no number" }), ""), " | incident EXPRESSION_FAILED");
}

#[test]
fn a_reply_is_said_once_and_the_flow_goes_on() {
    let flow = flow(
        "start=start; r=reply {\"output\":1}; r2=reply {\"output\":2}; t=timer {\"after\":\"1m\"}; end=end {\"output\":3}",
        "start>r r>r2 r2>t t>end",
    );
    table(&flow, &[("", " | reply=1 | waiting"), ("tick", " | reply=1 | completed 3")]);
}

#[test]
fn late_and_doubled_answers_are_refused() {
    let flow = flow("start=start; a=x {\"retry\":{\"attempts\":2}}; end=end", "start>a a>end");
    let mut play = Play {
        flow: &flow,
        it: Instance::new("i".into(), 1),
        entries: Vec::new(),
        calls: Vec::new(),
        under_way: Vec::new(),
        keys: BTreeMap::new(),
        said: Vec::new(),
        now_ms: 1_000,
    };
    play.take(Event::Started { input: Arc::new(json!({})), business_key: None, priority: 0 });
    let token = play.under_way[0].token;
    play.word("a:late");
    let answer = |attempt| Event::NodeReturned { token, attempt, op: Op::Run, outcome: outcome("ok") };
    play.take(answer(1));
    assert_eq!(play.said.pop().as_deref(), Some("late"), "the attempt was given up");
    play.word("tick");
    play.take(answer(1));
    assert_eq!(play.said.pop().as_deref(), Some("late"), "an answer of attempt 1 during attempt 2");
    play.take(Event::NodeReturned { token: 77, attempt: 1, op: Op::Run, outcome: outcome("ok") });
    assert_eq!(play.said.pop().as_deref(), Some("late"));
    play.take(Event::Started { input: Arc::new(json!({})), business_key: None, priority: 0 });
    assert_eq!(play.said.pop().as_deref(), Some("notfirst"));
}

#[test]
fn a_call_that_may_not_be_made_twice_is_not() {
    let flow = flow("start=start; a=x {\"delivery\":\"at-most-once\"}; end=end", "start>a a>end");
    let (it, _) = step(
        &flow,
        Instance::new("i".into(), 1),
        1,
        &Event::Started { input: Arc::new(json!({})), business_key: None, priority: 0 },
    );
    assert!(resume(&flow, &it).is_empty());
    let events = interrupted(&flow, &it);
    let (it, result) = step(&flow, it, 2, &events[0]);
    assert!(result.is_ok());
    assert_eq!(it.state(), State::Incident);
    assert_eq!(it.error().map(|error| error.code.as_str()), Some("CRASH"));
}

#[test]
fn a_loop_without_a_wait_is_stopped() {
    let flow =
        flow("start=start; s=set {\"vars\":{\"m\":1}}; g=exclusive; end=end", "start>s s>g g>end?input.n==1 g>s!");
    assert_eq!(play(&flow, &json!({ "n": 2 }), ""), " | incident LOOP_LIMIT");
}
