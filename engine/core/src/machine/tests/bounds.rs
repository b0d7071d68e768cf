//! What an instance may not grow over, and what its nodes may not take or give.

use serde_json::json;

use super::*;

/// A loop that makes `vars.a` larger by `grow` each time, until something stops it.
fn grown(grow: &str) -> (State, String) {
    let flow = flow(
        &format!(
            "start=start; a=set {{\"vars\":{{\"a\":\"=[1]\"}}}}; b=set {{\"vars\":{{\"a\":\"={grow}\"}}}}; x=exclusive; end=end"
        ),
        "start>a a>b b>x x>b?input.n!=0 x>end!",
    );
    let started = Event::Started { input: Arc::new(json!({ "n": 5 })), business_key: None, priority: 0 };
    let (it, result) = step(&flow, Instance::new("i".into(), 1), 1, &started);
    assert!(result.is_ok());
    let error = it.error().map(|error| format!("{} {}", error.code, error.message)).unwrap_or_default();
    (it.state(), error)
}

#[test]
fn a_value_that_grows_in_a_loop_is_stopped_while_it_fits_in_memory() {
    for (grow, why) in [
        ("[vars.a, vars.a]", "EXPRESSION_FAILED a value of more than 1048576 bytes"),
        ("[vars.a]", "EXPRESSION_FAILED a value of more than 100 levels"),
        ("map([1, 2, 3], {x: vars.a, y: vars.a})", "EXPRESSION_FAILED a value of more than 1048576 bytes"),
        // What stays small comes to the end of what one node may be visited.
        ("vars.a", "LOOP_LIMIT 9999 visits; the loop does not come to an end"),
    ] {
        let (state, error) = grown(grow);
        assert_eq!(state, State::Incident, "{grow}");
        let digits = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "9");
        assert_eq!(digits(&error), digits(why), "{grow}");
    }
}

#[test]
fn a_node_is_not_handed_what_its_schema_refuses() {
    let flow = flow("start=start; a=s; end=end", "start>a a>end");
    for (input, wanted) in [
        (json!({ "n": 5 }), "a | running"),
        (json!({ "n": "five" }), " | incident INPUT_INVALID"),
        (json!({}), " | incident INPUT_INVALID"),
    ] {
        assert_eq!(play(&flow, &input, ""), wanted, "{input}");
    }
}

#[test]
fn an_answer_that_the_node_type_does_not_promise_is_not_taken() {
    let pure = flow("start=start; a=s; end=end", "start>a a>end");
    let external = flow("start=start; a=sx; b=sx; end=end", "start>a a>b b>end");
    for (flow, script, wanted) in [
        (&pure, "a:ok=7", "a | completed null"),
        (&pure, "a:ok=\"7\"", "a | incident BAD_OUTPUT"),
        (&pure, "a:aside", "a | incident BAD_OUTPUT"),
        // It may have done its work: undone, as every outcome that is not known.
        (&external, "a:ok=7 b:ok=[] b:ok a:ok", "a b b~ a~ | compensated BAD_OUTPUT"),
        (&external, "a:ok=7 compensate b:ok=[] b:ok a:ok", "a b b~ a~ | compensated COMPENSATION_REQUESTED"),
        // An undo answers with nothing.
        (&external, "a:ok=7 b:no a:ok", "a b a~ | compensated NO"),
    ] {
        assert_eq!(play(flow, &json!({ "n": 5 }), script), wanted, "{script}");
    }
}

#[test]
fn an_instance_that_grew_too_large_waits_for_a_person() {
    let calls = flow("start=start; a=x; end=end", "start>a a>end");
    let waits = flow("start=start; a=x; r=receive {\"message\":\"m\",\"key\":\"k\"}; end=end", "start>a a>r r>end");
    for (flow, script, wanted) in [
        (&calls, "full", "a | incident SNAPSHOT_LIMIT"),
        (&calls, "full retry", "a a | running"),
        (&calls, "full retry a:ok", "a a | completed null"),
        (&calls, "full full", "a | late | incident SNAPSHOT_LIMIT"), // Nothing moves any more.
        (&calls, "full cancel", "a | cancelled"),
        (&calls, "full compensate a:ok", "a a~ | compensated COMPENSATION_REQUESTED"),
        (&calls, "compensate full", "a | late | compensating"), // It only becomes smaller from here.
        (&waits, "a:ok full", "a | incident SNAPSHOT_LIMIT"),
    ] {
        assert_eq!(play(flow, &json!({}), script), wanted, "{script}");
    }
}

#[test]
fn a_join_is_found_again_in_another_compilation() {
    let nodes = "start=start; f=parallel; a=p; b=p; j=parallel; end=end";
    let one = flow(nodes, "start>f f>a f>b a>j b>j j>end");
    let other = flow(nodes, "j>end b>j a>j f>b f>a start>f");
    let mut play = Play::of(&one, &json!({}));
    play.word("a:ok");
    let text = snapshot(&one, &play.it).unwrap();
    let mut parsed = Snapshot::parse(&text).unwrap();
    let rows = parsed.rows();
    let entries: Vec<Entry> = play.entries.iter().filter(|entry| rows.contains(&entry.seq)).cloned().collect();
    let it = parsed.hydrate(&other, "i".into(), &entries).unwrap();
    let joining = it.tokens.values().find_map(|token| match token.at {
        At::Joining { edge, .. } => Some(other.nodes[other.edges[edge].from].id.to_string()),
        _ => None,
    });
    assert_eq!(joining.as_deref(), Some("a"));
}

#[test]
fn a_snapshot_of_the_first_form_is_read() {
    let flow = flow("start=start; a=x; b=x; back=compensate; end=end", "start>a a>b b>back back>end");
    let held = |value: i32| json!({ "v": value });
    let step = json!({ "node": 1, "visit": 1, "key": "i.a.1", "input": held(1), "output": { "r": 2 } });
    let visit = json!({ "op": "undo", "attempt": 1, "tries": 1, "key": "i.b.1.undo", "input": held(1), "maybe_done": false,
        "undoing": { "node": 3, "visit": 1, "key": "i.b.1", "input": held(1) } });
    let text = json!({ "form": 1, "nodes": { "1": "a", "2": "back", "3": "b" }, "instance": {
        "version": 1, "priority": 0, "seq": 3, "started_ms": 1, "now_ms": 3, "input": { "r": 1 }, "next_token": 9,
        "vars": { "m": held(4) }, "visits": { "a": 1, "b": 1, "back": 1 }, "done": [step],
        "unwinding": { "undone": 0, "by": 7, "cause": null },
        "tokens": { "7": { "node": 2, "visit": 1, "since_ms": 3, "at": "compensating" },
                    "8": { "node": 3, "visit": 1, "since_ms": 3, "at": { "calling": visit } } } } });
    let mut parsed = Snapshot::parse(&text.to_string()).unwrap();
    assert_eq!(parsed.rows(), [1, 2]);
    let done = |value: i32| Outcome::Done { port: "done".into(), output: Arc::new(json!(value)) };
    let started = Event::Started { input: Arc::new(json!(5)), business_key: None, priority: 0 };
    let returned = Event::NodeReturned { token: 1, attempt: 1, op: Op::Run, outcome: done(6) };
    let entries = [Entry { seq: 1, at_ms: 1, event: started }, Entry { seq: 2, at_ms: 2, event: returned }];
    let it = parsed.hydrate(&flow, "i".into(), &entries).unwrap();
    assert_eq!((&*it.root().input.as_ref().unwrap().value, it.root().done.len()), (&json!(5), 1));
    let undone = |token| Event::NodeReturned { token, attempt: 1, op: Op::Undo, outcome: done(0) };
    let (it, effects) = step_ok(&flow, it, &undone(8));
    let [Effect::Call(call)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((&*call.node, &*call.key, call.output.as_deref()), ("a", "i.a.1.undo", Some(&json!(6))));
    let (it, _) = step_ok(&flow, it, &undone(call.token));
    assert_eq!(it.state(), State::Completed, "the compensate node went on");
}

fn step_ok(flow: &Flow, it: Instance, event: &Event) -> (Instance, Vec<Effect>) {
    let (it, result) = step(flow, it, 4, event);
    (it, result.unwrap())
}
