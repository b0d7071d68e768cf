//! Machines: which action is run, what follows, when it rests, and what was plugged in.

use super::*;
use crate::flow::check::check_plugged;
use crate::flow::evaluate::Plugged;

/// A machine from its states (`NEW WORK DONE!`, terminal with `!`) and actions, `name STATE,STATE priority {json}` per
/// line: `run` p, x, or a node.
fn document(states: &str, actions: &str, more: &Value) -> Value {
    let states: Vec<Value> = states
        .split_whitespace()
        .map(|code| json!({ "code": code.trim_end_matches('!'), "terminal": code.ends_with('!') }))
        .collect();
    let actions: Vec<Value> = actions.split(';').map(str::trim).filter(|line| !line.is_empty()).map(action).collect();
    let first = &states[0]["code"];
    let mut document = json!({
        "stepwell": 1, "kind": "machine", "key": "test", "initial": first, "states": states, "actions": actions,
    });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document
}

fn action(line: &str) -> Value {
    let mut words = line.splitn(4, ' ');
    let (name, states, priority) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let mut one: Value = words.next().map_or_else(|| json!({}), |json| serde_json::from_str(json).unwrap());
    one["name"] = json!(name);
    one["states"] = states.split(',').collect();
    one["priority"] = json!(priority.parse::<i32>().unwrap());
    match one["run"].as_str() {
        Some("p") => one["run"] = json!({ "type": "task", "uses": "t/pure@1", "with": { "n": 1 } }),
        Some("x") => one["run"] = json!({ "type": "task", "uses": "t/ext@1", "with": { "n": 1 }, "undo": true }),
        _ => {
            if one["run"].is_null() {
                one.as_object_mut().unwrap().remove("run");
            }
        }
    }
    one
}

fn machine(states: &str, actions: &str) -> Flow {
    machine_with(states, actions, &json!({}), &[])
}

fn machine_with(states: &str, actions: &str, more: &Value, plugged: &[Plugged]) -> Flow {
    let checked = check_plugged(&document(states, actions, more), &catalog(), plugged);
    checked.flow.unwrap_or_else(|| panic!("{actions}: {:#?}", checked.problems))
}

fn plug(revision: u32, line: &str) -> Plugged {
    let one = action(line);
    let name = one["name"].as_str().unwrap().to_owned();
    Plugged { revision, action: name, document: Some(Arc::new(one)), catalog: Arc::new(json!({})) }
}

fn unplug(revision: u32, name: &str) -> Plugged {
    Plugged { revision, action: name.to_owned(), document: None, catalog: Arc::new(json!({})) }
}

#[test]
fn the_smallest_priority_comes_first_and_an_action_is_run_once_in_a_state() {
    // By priority; equal ones by their place; `never` has a guard that does not hold.
    let flow = machine(
        "NEW DONE!",
        r#"c NEW 2 {"run":"p"}; a NEW 0 {"run":"p"}; b NEW 0 {"run":"p"}; never NEW 1 {"run":"p","guard":"input.n > 9"};
           fin NEW 5 {"run":"p","guard":"nodes.c == 3","next":"DONE"}"#,
    );
    table(
        &flow,
        &[
            ("", "a | running in NEW"),
            ("a:ok b:ok", "a b c | running in NEW"),
            // All have been run and the state is the same: it rests.
            ("a:ok b:ok c:ok=1", "a b c | waiting in NEW"),
            ("a:ok b:ok c:ok=3", "a b c fin | running in NEW"),
            ("a:ok b:ok c:ok=3 fin:ok", r#"a b c fin | completed in DONE {"state":"DONE"}"#),
            // Looking again changes nothing: what was run in this state is not run again.
            ("a:ok b:ok c:ok=1 evaluate", "a b c | waiting in NEW"),
        ],
    );
}

#[test]
fn a_result_decides_the_next_state() {
    let flow = machine(
        "NEW HELD LOST DONE!",
        r#"hold NEW 0 {"run":{"type":"task","uses":"t/ext@1","with":{"n":1},"on":{"no":{"type":"error","code":"NO"}}},
             "next":[{"port":"no","to":"LOST"},{"when":"result.ok","to":"HELD"},{"when":"port == 'done'","to":"NEW"}]};
           again HELD 0 {"guard":"input.n == 4","next":"NEW"};
           back LOST 0 {"run":"p","next":"NEW"};
           done HELD 1 {"manual":true,"next":"DONE"}"#,
    );
    table(
        &flow,
        &[
            (r#"hold:ok={"ok":true}"#, "hold | waiting in HELD"),
            (r#"hold:ok={"ok":false}"#, "hold | waiting in NEW"),
            ("hold:no", "hold back | running in LOST"),
            // A state that is entered again begins anew.
            (
                r#"hold:no back:ok hold:ok={"ok":true} act:done"#,
                r#"hold back hold | completed in DONE {"state":"DONE"}"#,
            ),
            // No handler takes it: what holds for every node holds here.
            ("hold:no=OTHER", "hold | failed OTHER in NEW"),
            ("hold:permanent", "hold | incident PERMANENT in NEW"),
            (r#"hold:permanent retry hold:ok={"ok":true}"#, "hold hold | waiting in HELD"),
        ],
    );
}

#[test]
fn a_specified_action_is_run_and_no_other() {
    let flow = machine(
        "NEW SIGNED DONE!",
        r#"auto NEW 0 {"run":"p","guard":"input.n > 9"};
           sign NEW 3 {"manual":true,"run":"p","guard":"machine.context.by == 'Li'","next":[{"when":"result == 1","to":"SIGNED"}]};
           late SIGNED 0 {"run":"p"};
           cancel NEW,SIGNED 5 {"manual":true,"run":"x","next":"DONE"};
           note NEW 9 {"manual":true,"run":{"type":"set","vars":{"note":"=machine.context.text"}}}"#,
    );
    table(
        &flow,
        &[
            ("act:sign", "| waiting in NEW"),
            (r#"act:sign={"by":"Wu"}"#, "| waiting in NEW"),
            (r#"act:sign={"by":"Li"}"#, "sign | running in NEW"),
            (r#"act:sign={"by":"Li"} sign:ok=0"#, "sign | waiting in NEW"),
            // In the new state everything is looked at again.
            (r#"act:sign={"by":"Li"} sign:ok=1"#, "sign late | running in SIGNED"),
            (r#"act:sign={"by":"Li"} act:cancel"#, "sign | nothingtodo | running in NEW"),
            ("act:late", "| waiting in NEW"),
            ("act:nothing", "| waiting in NEW"),
            ("act:cancel cancel:ok", r#"cancel | completed in DONE {"state":"DONE"}"#),
            // What was done is undone like any step.
            ("act:cancel cancel:ok act:cancel", r#"cancel | ended | completed in DONE {"state":"DONE"}"#),
            ("suspend act:cancel", "| nothingtodo | suspended in NEW"),
        ]
        .map(|(script, shown): (&str, &str)| {
            (
                script,
                if shown.starts_with('|') { Box::leak(format!(" {shown}").into_boxed_str()) as &str } else { shown },
            )
        }),
    );
}

#[test]
fn it_rests_for_messages_and_times() {
    let flow = machine(
        "HOLD ASKED DONE!",
        r#"ask HOLD 0 {"run":"p"};
           travellers HOLD 1 {"after":"30m","run":"p","next":"ASKED"};
           confirmed HOLD,ASKED 2 {"on":{"message":"confirm","key":"k"},"guard":"machine.context.ok == true","run":"p","next":"DONE"};
           told ASKED 0 {"run":{"type":"set","vars":{"was":"=machine.state"}}}"#,
    );
    table(
        &flow,
        &[
            ("ask:ok", "ask | waiting in HOLD"),
            ("ask:ok tick", "ask travellers | running in HOLD"),
            ("ask:ok tick travellers:ok", "ask travellers | waiting in ASKED"),
            (r#"ask:ok msg={"ok":true}"#, "ask confirmed | running in HOLD"),
            (r#"ask:ok msg={"ok":true} confirmed:ok"#, r#"ask confirmed | completed in DONE {"state":"DONE"}"#),
            // It waits on for the next one.
            (
                r#"ask:ok msg={"ok":false} msg={"ok":true} confirmed:ok"#,
                r#"ask confirmed | completed in DONE {"state":"DONE"}"#,
            ),
            (r#"ask:ok tick travellers:ok msg={"ok":true}"#, "ask travellers confirmed | running in ASKED"),
            // Nothing is heard while something is under way.
            (r#"msg={"ok":true}"#, "ask | late | running in HOLD"),
            ("ask:ok full", "ask | incident SNAPSHOT_LIMIT in HOLD"),
            ("ask:ok full retry tick", "ask travellers | running in HOLD"),
        ],
    );
    let mut play = Play::of(&flow, &json!({ "n": 5 }));
    play.word("ask:ok");
    assert_eq!(play.it.due_ms(), Some(1_000 + 30 * 60_000), "counted from when the state was entered");
    play.now_ms = 60_000;
    play.word(r#"msg={"ok":false}"#);
    assert_eq!(play.it.due_ms(), Some(1_000 + 30 * 60_000), "whatever comes in between");
}

#[test]
fn it_leaves_the_loop_when_an_action_asks_for_it() {
    let flow = machine(
        "NEW NEXT DONE!",
        r#"a NEW 0 {"run":"p","next":[{"when":"result == 1","to":"NEXT","exit":true},{"when":"result == 2","exit":true},{"to":"NEXT"}]};
           b NEW 1 {"run":"p"}; c NEXT 0 {"run":"p","next":"DONE"}"#,
    );
    table(
        &flow,
        &[
            ("a:ok=1", "a | waiting in NEXT"),
            ("a:ok=2", "a | waiting in NEW"),
            ("a:ok=3", "a c | running in NEXT"),
            // What was left stays to be done when it is looked at again.
            ("a:ok=2 evaluate", "a b | running in NEW"),
            ("a:ok=1 evaluate", "a c | running in NEXT"),
        ],
    );
}

#[test]
fn a_circle_becomes_an_incident() {
    let flow =
        machine("A B DONE!", r#"to_b A 0 {"next":"B"}; to_a B 0 {"next":"A"}; out A 1 {"manual":true,"next":"DONE"}"#);
    assert_eq!(play(&flow, &json!({}), "").trim(), "| incident MACHINE_LOOP in A");
}

#[test]
fn it_begins_in_the_state_that_is_given() {
    let more = json!({ "initial": "=input.state ?? 'NEW'", "output": { "at": "=machine.state", "n": "=input.n" } });
    let flow = machine_with("NEW PAID DONE!", r#"a NEW 0 {"run":"p"}; b PAID 0 {"run":"p","next":"DONE"}"#, &more, &[]);
    for (input, script, shown) in [
        (json!({}), "", "a | running in NEW"),
        (json!({ "state": "PAID", "n": 3 }), "b:ok", r#"b | completed in DONE {"at":"DONE","n":3}"#),
        (json!({ "state": "GONE" }), "", " | incident STATE_UNKNOWN"),
        (json!({ "state": "DONE" }), "", r#" | completed in DONE {"at":"DONE","n":null}"#),
    ] {
        assert_eq!(play(&flow, &input, script), shown, "{input}");
    }
}

#[test]
fn one_machine_per_resource_and_all_come_back() {
    let resource = document(
        "INIT ADDED OK! LOST!",
        r#"add INIT 0 {"run":"p","next":"ADDED"};
           back ADDED 0 {"on":{"message":"confirm","key":"=input.id"},"next":[{"when":"result == null","to":"OK"}],
             "run":{"type":"set","vars":{"ok":"=machine.context"}}}"#,
        &json!({ "key": "resource" }),
    );
    let mut catalog = catalog();
    let called = CalledFlow {
        key: "resource".into(),
        version: 1,
        hash: String::new(),
        document: resource,
        catalog: node_types(),
    };
    catalog.flows.insert("resource@1".into(), called);
    let parent = document(
        "HOLDING HELD!",
        r#"hold HOLDING 0 {"run":{"type":"call","flow":"resource@1","with":{"id":"=item"}},"each":"=input.resources",
             "next":[{"when":"len(filter(result, #.state == 'OK')) == len(input.resources)","to":"HELD"}]}"#,
        &json!({}),
    );
    let checked = check(&parent, &catalog);
    let flow = checked.flow.unwrap_or_else(|| panic!("{:#?}", checked.problems));
    let input = json!({ "resources": ["r1", "r2"] });
    let adds = "hold.1/0/hold_each.1/add hold.1/1/hold_each.1/add";
    let adding = "hold.1/0/hold_each.1/add:ok hold.1/1/hold_each.1/add:ok";
    for (script, shown) in [
        (adding.to_owned(), format!("{adds} | waiting in HOLDING")),
        (format!("{adding} msg=1"), format!("{adds} | waiting in HOLDING")),
        (format!("{adding} msg=1 msg=1"), format!(r#"{adds} | completed in HELD {{"state":"HELD"}}"#)),
    ] {
        assert_eq!(play(&flow, &input, &script), shown, "{script}");
    }
}

#[test]
fn what_is_plugged_in_counts_from_the_next_evaluation_on() {
    let (states, actions) = ("NEW DONE!", r#"a NEW 3 {"run":"p"}; fin NEW 4 {"manual":true,"next":"DONE"}"#);
    let old = machine(states, actions);
    let plugged =
        [plug(1, r#"risk NEW 0 {"run":"x"}"#), unplug(2, "a"), plug(3, r#"b NEW 1 {"run":"p"}"#), unplug(4, "risk")];
    let newest = machine_with(states, actions, &json!({}), &plugged);
    let mut play = Play::of(&old, &json!({ "n": 5 }));
    play.word("a:ok");
    // Taken over into the flow with all of them: what was taken out before it was plugged in changes nothing.
    let it = replugged(&old, &newest, play.it.clone()).unwrap();
    for (revision, calls) in [(0, "a"), (1, "a risk"), (2, "a risk"), (3, "a risk"), (4, "a b")] {
        let mut later = Play {
            it: it.clone(),
            revision,
            evaluations: Vec::new(),
            keys: BTreeMap::new(),
            under_way: Vec::new(),
            flow: &newest,
            entries: play.entries.clone(),
            calls: play.calls.clone(),
            said: Vec::new(),
            now_ms: 5_000,
        };
        later.word("evaluate");
        assert_eq!(later.calls.join(" "), calls, "revision {revision}");
        assert_eq!(later.it.root().machine.as_ref().unwrap().revision, revision);
    }
    // The journal of revision 0 means the same, played in the newest flow.
    let mut again = Instance::new("i".into(), 1);
    for entry in &play.entries {
        let (it, taken) = step(&newest, again, entry.at_ms, &entry.event);
        assert!(taken.is_ok());
        again = it;
    }
    assert_eq!(again, it);
    // An action that is taken out finishes what it does.
    let mut running = Play::of(&newest, &json!({ "n": 5 }));
    running.revision = 1;
    let it = running.it.clone();
    assert_eq!(it.root().machine.as_ref().unwrap().revision, 4);
    let refused = step(&newest, it.clone(), 9_000, &Event::Evaluated { token: 99, revision: 5 });
    assert_eq!(refused.1.unwrap_err(), Refused::Late, "a revision that is not compiled in is nothing to step with");
}

#[test]
fn frozen_actions_stay_those_of_the_start() {
    let (states, actions) = ("NEW DONE!", r#"a NEW 3 {"run":"p"}; fin NEW 4 {"manual":true,"next":"DONE"}"#);
    let frozen = json!({ "actionsPolicy": "frozen" });
    let plugged = [plug(1, r#"b NEW 4 {"run":"p"}"#), plug(2, r#"c NEW 5 {"run":"p"}"#)];
    for (more, calls) in [(&json!({}), "a b c"), (&frozen, "a b")] {
        let flow = machine_with(states, actions, more, &plugged);
        let mut play = Play::of(&flow, &json!({ "n": 5 }));
        // As if the first evaluation had read revision 1.
        play.it.scopes.get_mut(&ROOT).unwrap().machine.as_mut().unwrap().revision = 1;
        for word in ["a:ok", "b:ok"] {
            play.word(word);
        }
        assert_eq!(play.calls.join(" "), calls, "{more}");
    }
}

#[test]
fn an_evaluation_says_what_it_thought() {
    let flow = machine_with(
        "NEW OTHER DONE!",
        r#"a NEW 0 {"run":"p"}; b NEW 1 {"run":"p","guard":"input.n > 9"}; c OTHER 1 {"run":"p","next":"DONE"};
           d NEW 2 {"manual":true}; e NEW 3 {"run":"p"}; f NEW 4 {"run":"p","next":"OTHER"}"#,
        &json!({}),
        &[unplug(1, "f")],
    );
    let mut play = Play::of(&flow, &json!({ "n": 5 }));
    let shown = |it: &Instance, revision| -> String {
        let all = weigh(&flow, it, ROOT, revision).unwrap();
        all.iter()
            .map(|(name, why)| format!("{name}:{}", serde_json::to_value(why).unwrap().as_str().unwrap()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(shown(&play.it, 1), "a:ran b:guard-false c:other-state d:waits e:chosen f:not-plugged");
    assert_eq!(shown(&play.it, 0), "a:ran b:guard-false c:other-state d:waits e:chosen f:later");
    play.word("a:ok");
    play.word("e:ok");
    for (action, context, can) in [
        ("d", json!(null), Ok(())),
        ("a", json!(null), Ok(())),
        ("b", json!(null), Err(CannotAct::GuardFalse)),
        ("c", json!(null), Err(CannotAct::OtherState("NEW".into()))),
        ("f", json!(null), Err(CannotAct::Unknown)),
        ("g", json!(null), Err(CannotAct::Unknown)),
    ] {
        assert_eq!(can_act(&flow, &play.it, action, &context, 1), can, "{action}");
    }
}

#[test]
fn a_machine_migrates_where_its_state_is_known() {
    let actions = r#"a NEW 0 {"run":"p"}; fin NEW 4 {"manual":true,"next":"DONE"}"#;
    let old = machine("NEW DONE!", actions);
    let mut play = Play::of(&old, &json!({}));
    play.word("a:ok");
    let new = machine("NEW DONE!", &format!(r#"{actions}; b NEW 1 {{"run":"p"}}"#));
    let moved = migrate(&old, &new, &play.it, &BTreeMap::new()).unwrap();
    let command = Command::Migrate { version: 2, from: Some(1), nodes: BTreeMap::new() };
    let mut play = Play { it: moved, flow: &new, ..play };
    play.take(Event::Commanded { command, by: String::new() });
    assert_eq!(play.calls.join(" "), "a b", "it looks again");
    let other = machine("BEGUN DONE!", r#"a BEGUN 0 {"run":"p"}; fin BEGUN 4 {"manual":true,"next":"DONE"}"#);
    let unfit = migrate(&new, &other, &play.it, &BTreeMap::new()).unwrap_err();
    assert!(unfit.iter().any(|one| one.code == "STATE_MISSING"), "{unfit:?}");
}

#[test]
fn what_is_asked_for_while_an_action_waits_is_run_beside_it() {
    let flow = machine(
        "HOLDING HELD GONE! DONE!",
        r#"hold HOLDING 0 {"run":{"type":"call","flow":"sub@1","with":{"n":1}},"next":"HELD"};
           travellers HOLDING 1 {"after":"30m","run":{"type":"user-task"}};
           note HOLDING 2 {"on":{"message":"note","key":"k"},"run":{"type":"set","vars":{"note":"=machine.context"}}};
           cancel HOLDING,HELD 5 {"manual":true,"run":{"type":"compensate"},"next":"GONE"};
           drop HOLDING 6 {"manual":true,"next":"HELD"};
           finish HELD 7 {"manual":true,"guard":"vars.note == 3","next":"DONE"}"#,
    );
    let (u, v) = ("hold.1/u", "hold.1/v");
    let both = format!("{u}:ok {v}:ok");
    for (script, shown) in [
        (String::new(), format!("{u} | running in HOLDING")),
        (both.clone(), format!("{u} {v} | waiting in HELD")),
        // A message is heard, and the action goes on.
        (format!("msg@note=3 {both} act:finish"), format!(r#"{u} {v} | completed in DONE {{"state":"DONE"}}"#)),
        // The time comes while the call is under way; both are done one after the other, in either order.
        (format!("tick done {both}"), format!("{u} {v} | waiting in HELD")),
        (format!("tick {both} done"), format!("{u} {v} | waiting in HELD")),
        (format!("tick {both} done msg@note=1"), format!("{u} {v} | late | waiting in HELD")),
        // It is not run twice at the same time.
        (format!("act:hold {both}"), format!("{u} {v} | waiting in HELD")),
        // Whoever leads to another state stops what is under way, and what that did is undone.
        (
            format!("{u}:ok act:drop {v}:ok"),
            format!("{u} {v} {v}~ | compensating in HELD").replace("compensating", "running"),
        ),
        (format!("{u}:ok act:drop {v}:ok {v}:ok {u}:ok"), format!("{u} {v} {v}~ {u}~ | waiting in HELD")),
        // A cancellation undoes everything first.
        (
            format!("{u}:ok act:cancel {v}:ok {v}:ok {u}:ok"),
            format!(r#"{u} {v} {v}~ {u}~ | completed in GONE {{"state":"GONE"}}"#),
        ),
        (
            format!("{both} act:cancel {v}:ok {u}:ok"),
            format!(r#"{u} {v} {v}~ {u}~ | completed in GONE {{"state":"GONE"}}"#),
        ),
    ] {
        assert_eq!(play(&flow, &json!({}), &script), shown, "{script}");
    }
}
