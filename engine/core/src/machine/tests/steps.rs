//! What a step of a stage has for its work, and how completed steps are undone at once.

use super::*;

/// When the play began.
const BEGAN_MS: u64 = 1_000;

/// Plays a stage of the one step `a`. Shows what its last call may take, or when its wait is over, counted from the
/// beginning; else the state it came to.
fn stepped(step: &str, script: &str) -> String {
    let inner = "u=x {\"in\":\"i\"}; w=receive {\"in\":\"i\",\"message\":\"m\",\"key\":\"k\",\"timeout\":\"1h\"};";
    let inner = if step.starts_with("for-each") || step.starts_with("stage") {
        inner.replace("\"i\"", "\"a\"")
    } else {
        String::new()
    };
    let (kind, options) = step.split_once(' ').unwrap_or((step, "{}"));
    let options = options.replacen('{', "{\"in\":\"s\",", 1).replace(",}", "}");
    let flow = flow(
        &format!("start=start; s=stage {{\"steps\":[{{\"run\":\"a\"}}]}}; a={kind} {options}; {inner} end=end"),
        if inner.is_empty() { "start>s s>end" } else { "start>s s>end u>w" },
    );
    let mut play = Play::of(&flow, &json!({}));
    for word in script.split_whitespace() {
        play.word(&word.replace("a:", "s.1/0/a:"));
    }
    let limit = play.it.tokens.values().filter_map(super::super::token::Token::due_ms).min();
    match (limit, play.under_way.last()) {
        (Some(due_ms), _) => format!("until {}", due_ms - BEGAN_MS),
        (None, Some(call)) => format!("{} for {}", play.calls.len(), call.callee.timeout_ms),
        (None, None) => {
            let error = play.it.error().map(|error| error.code.clone()).unwrap_or_default();
            format!("{} {error}", play.it.state().name())
        }
    }
}

#[test]
fn a_step_that_says_no_time_has_2_000_ms_whatever_its_kind() {
    let again = r#"{"retry":{"attempts":9,"backoff":"500ms","factor":1}}"#;
    let each = r#"{"timeout":"1500ms","retry":{"attempts":9,"backoff":"500ms","factor":1}}"#;
    let work = r#"{"topic":"t","retry":{"attempts":9,"backoff":"500ms","factor":1}}"#;
    for (step, script, wanted) in [
        ("p", "", "1 for 2000"),
        // Tries share it, and the waits between them count in.
        (&*format!("p {again}"), "+500 a:transient", "until 1000"),
        (&format!("p {again}"), "+500 a:transient tick", "2 for 1000"),
        (&format!("p {again}"), "+500 a:transient tick +499 a:transient", "until 1999"),
        (&format!("p {again}"), "+500 a:transient tick +500 a:transient", "incident TRANSIENT"),
        (&format!("x {again}"), "+2000 a:late", "2 for 2000"), // Undone, though what it did is not known.
        // What it says itself is of each try, and ends with the tries.
        (&format!("p {each}"), "+1500 a:transient tick", "2 for 1500"),
        (&format!("p {each}"), "+1500 a:transient tick +1500 a:transient tick", "3 for 1500"),
        // What kept it from beginning does not count.
        (&format!("p {again}"), "+500 a:paused tick", "2 for 2000"),
        (&format!("p {again}"), "+500 a:permanent +9000 retry", "2 for 2000"),
        // A node that waits for a minute is told when its step's time is over.
        ("x", "+300 a:wait", "until 2000"),
        ("x", "+300 a:wait tick", "2 for 2000"),
        ("x", "+300 a:wait +700 msg", "2 for 1000"),
        ("x {\"timeout\":\"1s\"}", "+300 a:wait", "until 60300"),
        (r#"user-task {"users":["ada"]}"#, "", "until 2000"),
        (r#"user-task {"users":["ada"],"timeout":"1h"}"#, "", "until 3600000"),
        (r#"external-task {"topic":"t"}"#, "", "until 2000"),
        (&format!("external-task {work}"), "+500 fail:transient tick", "until 2000"),
        (&format!("external-task {work}"), "+500 fail:transient tick +600 fail:transient", "incident TRANSIENT"),
        (r#"receive {"message":"m","key":"k"}"#, "", "until 2000"),
        (r#"receive {"message":"m","key":"k"}"#, "tick", "failed TIMEOUT"),
        (r#"call {"flow":"sub@1","with":{"n":1}}"#, "", "until 2000"),
        (r#"for-each {"items":[1]}"#, "", "until 2000"),
        ("stage", "", "until 2000"),
        (r#"stage {"timeout":"9s"}"#, "", "until 9000"),
        // Its time is what it is there for.
        (r#"timer {"after":"5s"}"#, "", "until 5000"),
    ] {
        assert_eq!(stepped(step, script), wanted, "{step}: {script}");
    }
}

/// The calls under way after a script, and what each may take.
fn undoing(flow: &Flow, script: &str) -> String {
    let mut play = Play::of(flow, &json!({}));
    for word in script.split_whitespace() {
        play.word(word);
    }
    let mut shown: Vec<String> =
        play.under_way.iter().map(|call| format!("{} {:?} {}", call.node, call.op, call.callee.timeout_ms)).collect();
    shown.sort();
    shown.join(", ")
}

#[test]
fn an_undo_by_another_node_type_has_3_000_ms_in_a_step_too() {
    for (undo, wanted) in [
        (r#"{"uses":"t/pure@1"}"#, "s.1/0/a Undo 3000"),
        (r#"{"uses":"t/pure@1","timeout":"7s"}"#, "s.1/0/a Undo 7000"),
        ("true", "s.1/0/a Undo 2000"), // The node type's own has the time of the step.
    ] {
        let flow = flow(
            &format!(
                "start=start; s=stage {{\"steps\":[{{\"run\":\"a\"}}]}}; a=x {{\"in\":\"s\",\"undo\":{undo}}}; b=p; end=end"
            ),
            "start>s s>b b>end",
        );
        assert_eq!(undoing(&flow, "s.1/0/a:ok b:no"), wanted, "{undo}");
    }
}

#[test]
fn what_is_undone_in_parallel_is_undone_at_once() {
    let whole = |compensation: &str| {
        let more = json!({ "compensation": compensation });
        flow_with("start=start; a=x; b=x; c=p; end=end", "start>a a>b b>c c>end", &more)
    };
    let stage = |compensation: &str| {
        flow(
            &format!(
                "start=start; s=stage {{\"compensation\":\"{compensation}\"}}; a=x {{\"in\":\"s\"}}; b=x {{\"in\":\"s\"}}; c=p; end=end"
            ),
            "start>s a>b s>c c>end",
        )
    };
    let call = |called: &str| {
        let nodes = format!("start=start; s=call {{\"flow\":\"{called}\",\"with\":{{\"n\":1}}}}; c=p; end=end");
        flow(&nodes, "start>s s>c c>end")
    };
    for (flow, script, wanted) in [
        (whole("reverse"), "a:ok b:ok c:no", "b Undo 3000"),
        (whole("parallel"), "a:ok b:ok c:no", "a Undo 3000, b Undo 3000"),
        (stage("reverse"), "s.1/a:ok s.1/b:ok c:no", "s.1/b Undo 3000"),
        (stage("parallel"), "s.1/a:ok s.1/b:ok c:no", "s.1/a Undo 3000, s.1/b Undo 3000"),
        // It fails by itself, with nothing after it.
        (stage("parallel"), "s.1/a:ok s.1/b:unknown", "s.1/a Undo 3000, s.1/b Undo 3000"),
        (call("sub@1"), "s.1/u:ok s.1/v:ok c:no", "s.1/v Undo 3000"),
        (call("aside@1"), "s.1/u:ok s.1/v:ok c:no", "s.1/u Undo 3000, s.1/v Undo 3000"),
        (call("aside@1"), "s.1/u:ok s.1/v:unknown", "s.1/u Undo 3000, s.1/v Undo 3000"),
    ] {
        assert_eq!(undoing(&flow, script), wanted, "{script}");
    }
}
