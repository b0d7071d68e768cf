//! Containers and called flows: what runs when, what is given on, what is undone.

use serde_json::json;

use super::*;

#[test]
fn a_called_flow_is_run_as_a_part() {
    let flow = flow(
        "start=start; a=x; c=call {\"flow\":\"sub@1\",\"with\":{\"n\":\"=nodes.a\"}}; b=x; end=end {\"output\":\"=nodes.c\"}",
        "start>a a>c c>b b>end",
    );
    table(
        &flow,
        &[
            ("a:ok=1", "a c.1/u | running"),
            ("a:ok=1 c.1/u:ok=2 c.1/v:ok=3", "a c.1/u c.1/v b | running"),
            ("a:ok=1 c.1/u:ok=2 c.1/v:ok=3 b:ok", "a c.1/u c.1/v b | completed 3"),
            // It fails as a whole: what it did is undone, then what was done before it.
            ("a:ok c.1/u:ok c.1/v:no", "a c.1/u c.1/v c.1/u~ | compensating"),
            ("a:ok c.1/u:ok c.1/v:no c.1/u:ok", "a c.1/u c.1/v c.1/u~ a~ | compensating"),
            ("a:ok c.1/u:ok c.1/v:no c.1/u:ok a:ok", "a c.1/u c.1/v c.1/u~ a~ | compensated NO"),
            // It has completed, and a later step fails: its steps are undone in reverse among the others.
            ("a:ok c.1/u:ok c.1/v:ok b:no c.1/v:ok c.1/u:ok a:ok", "a c.1/u c.1/v b c.1/v~ c.1/u~ a~ | compensated NO"),
            ("a:ok c.1/u:ok compensate", "a c.1/u c.1/v | compensating"),
            (
                "a:ok c.1/u:ok compensate c.1/v:ok c.1/v:ok c.1/u:ok a:ok",
                "a c.1/u c.1/v c.1/v~ c.1/u~ a~ | compensated COMPENSATION_REQUESTED",
            ),
            ("a:ok c.1/u:ok cancel", "a c.1/u c.1/v | cancelled"),
        ],
    );
    let misfit = super::flow("start=start; c=call {\"flow\":\"sub@1\",\"with\":\"=input\"}; end=end", "start>c c>end");
    assert_eq!(play(&misfit, &json!({}), ""), " | incident INPUT_INVALID");
}

#[test]
fn a_failure_in_a_scope_is_caught_at_its_edge() {
    let flow = flow(
        "start=start; a=x; c=call {\"flow\":\"sub@1\",\"with\":{\"n\":1},\"timeout\":\"1m\",\"on\":{\"bad\":{\"type\":\"error\",\"code\":\"NO\"},\"late\":{\"type\":\"timeout\"}}}; \
         end=end {\"output\":\"ok\"}; off=end {\"output\":\"=nodes.c.error.code\"}; late=end {\"output\":\"late\"}",
        "start>a a>c c>end c.bad>off c.late>late",
    );
    table(
        &flow,
        &[
            ("a:ok c.1/u:ok c.1/v:no", "a c.1/u c.1/v c.1/u~ | running"),
            ("a:ok c.1/u:ok c.1/v:no c.1/u:ok", "a c.1/u c.1/v c.1/u~ | completed \"NO\""),
            ("a:ok c.1/u:no", "a c.1/u | completed \"NO\""),
            ("a:ok c.1/u:no=OTHER a:ok", "a c.1/u a~ | compensated OTHER"),
            // Its time is up: the call under way is awaited, then all of it is undone.
            ("a:ok c.1/u:ok tick", "a c.1/u c.1/v | running"),
            ("a:ok c.1/u:ok tick c.1/v:ok c.1/v:ok c.1/u:ok", "a c.1/u c.1/v c.1/v~ c.1/u~ | completed \"late\""),
        ],
    );
}

#[test]
fn a_flow_calls_itself() {
    let flow = flow(
        "start=start; g=exclusive; a=p {\"with\":{\"n\":\"=input.n\"}}; c=call {\"flow\":\"test\",\"with\":{\"n\":\"=input.n - 1\"}}; \
         end=end {\"output\":\"=[input.n, nodes.c]\"}; bottom=end {\"output\":\"=input.n\"}",
        "start>g g>a?input.n>0 g>bottom! a>c c>end",
    );
    assert_eq!(play(&flow, &json!({ "n": 2 }), "a:ok c.1/a:ok"), "a c.1/a | completed [2,[1,0]]");
    let endless = super::flow(
        "start=start; g=exclusive; c=call {\"flow\":\"test\",\"with\":\"=input\"}; end=end",
        "start>g g>c?input.n>0 g>end! c>end",
    );
    assert_eq!(play(&endless, &json!({ "n": 1 }), ""), " | incident DEPTH_LIMIT");
}

#[test]
fn a_for_each_runs_its_items() {
    let one = flow(
        "start=start; e=for-each {\"items\":\"=input.list\",\"output\":\"=[index, item, nodes.a]\"}; a=x {\"in\":\"e\",\"with\":{\"n\":\"=item\"}}; \
         b=x; end=end {\"output\":\"=nodes.e\"}",
        "start>e e>b b>end",
    );
    let list = json!({ "list": [7, 8] });
    for (script, wanted) in [
        ("", "e.1/0/a | running"),
        ("e.1/0/a:ok=1", "e.1/0/a e.1/1/a | running"),
        ("e.1/0/a:ok=1 e.1/1/a:ok=2 b:ok", "e.1/0/a e.1/1/a b | completed [[0,7,1],[1,8,2]]"),
        ("e.1/0/a:ok e.1/1/a:no", "e.1/0/a e.1/1/a e.1/0/a~ | compensating"),
        ("e.1/0/a:ok e.1/1/a:no e.1/0/a:ok", "e.1/0/a e.1/1/a e.1/0/a~ | compensated NO"),
        ("e.1/0/a:ok e.1/1/a:ok b:no e.1/1/a:ok", "e.1/0/a e.1/1/a b e.1/1/a~ e.1/0/a~ | compensating"),
    ] {
        assert_eq!(play(&one, &list, script), wanted, "{script}");
    }
    assert_eq!(play(&one, &json!({ "list": [] }), "b:ok"), "b | completed []");
    assert_eq!(play(&one, &json!({ "list": 5 }), ""), " | incident EXPRESSION_FAILED");

    let many = flow(
        "start=start; e=for-each {\"items\":\"=input.list\",\"limit\":2,\"onFailure\":\"collect\",\"compensation\":\"parallel\"}; \
         a=x {\"in\":\"e\"}; f=end {\"in\":\"e\",\"output\":\"=nodes.a\"}; end=end {\"output\":\"=nodes.e\"}; b=x",
        "start>e a>f e>b b>end",
    );
    let list = json!({ "list": [1, 2, 3] });
    for (script, wanted) in [
        ("", "e.1/0/a e.1/1/a | running"),
        ("e.1/1/a:ok=2", "e.1/0/a e.1/1/a e.1/2/a | running"),
        ("e.1/1/a:ok=2 e.1/2/a:ok=3 e.1/0/a:ok=1 b:ok", "e.1/0/a e.1/1/a e.1/2/a b | completed [1,2,3]"),
        (
            "e.1/1/a:no e.1/2/a:ok=3 e.1/0/a:ok=1 b:ok",
            "e.1/0/a e.1/1/a e.1/2/a b | completed [1,{\"error\":{\"code\":\"NO\",\"data\":null,\"message\":\"no\"}},3]",
        ),
        // Undone all at once.
        (
            "e.1/1/a:ok e.1/2/a:ok e.1/0/a:ok b:no",
            "e.1/0/a e.1/1/a e.1/2/a b e.1/0/a~ e.1/2/a~ e.1/1/a~ | compensating",
        ),
    ] {
        assert_eq!(play(&many, &list, script), wanted, "{script}");
    }

    let first = flow(
        "start=start; e=for-each {\"items\":\"=input.list\",\"limit\":3,\"until\":1,\"output\":\"=nodes.a\"}; a=x {\"in\":\"e\"}; \
         end=end {\"output\":\"=nodes.e\"}",
        "start>e e>end",
    );
    for (script, wanted) in [
        ("e.1/1/a:ok=2", "e.1/0/a e.1/1/a e.1/2/a | running"), // The others may have had their effect: awaited, then undone.
        ("e.1/1/a:ok=2 e.1/0/a:ok e.1/0/a:ok", "e.1/0/a e.1/1/a e.1/2/a e.1/0/a~ | running"),
        ("e.1/1/a:ok=2 e.1/0/a:ok e.1/0/a:ok e.1/2/a:no", "e.1/0/a e.1/1/a e.1/2/a e.1/0/a~ | completed [null,2,null]"),
    ] {
        assert_eq!(play(&first, &list, script), wanted, "{script}");
    }
}

#[test]
fn a_stage_runs_steps_in_order() {
    let steps = r#"[{"run":"c","order":2},{"run":"a","order":1,"sync":true,"group":"g"},{"run":"b","order":1,"group":"g","optional":true}]"#;
    let stage = |more: &str| {
        flow(
            &format!(
                "start=start; s=stage {{\"steps\":{steps}{more}}}; a=p {{\"in\":\"s\"}}; b=p {{\"in\":\"s\",\"with\":{{\"n\":\"=nodes.a\"}}}}; c=p {{\"in\":\"s\"}}; \
                 end=end {{\"output\":\"=nodes.s\"}}"
            ),
            "start>s s>end",
        )
    };
    let named = stage("");
    table(
        &named,
        &[
            ("", "s.1/0/a | running"), // Later ones wait for a step that is in sync.
            ("s.1/0/a:ok=1", "s.1/0/a s.1/1/b s.1/2/c | running"),
            (
                "s.1/0/a:ok=1 s.1/2/c:ok=3 s.1/1/b:ok=2",
                "s.1/0/a s.1/1/b s.1/2/c | completed {\"c\":3,\"g\":{\"a\":1,\"b\":2}}",
            ),
            (
                "s.1/0/a:ok=1 s.1/2/c:ok=3 s.1/1/b:no",
                "s.1/0/a s.1/1/b s.1/2/c | completed {\"c\":3,\"g\":{\"a\":1,\"b\":null}}",
            ),
            ("s.1/0/a:ok=1 s.1/2/c:no", "s.1/0/a s.1/1/b s.1/2/c | failed NO"),
        ],
    );
    for (merge, wanted) in [
        (r#""list""#, r#"{"c":3,"g":[{"x":1},{"y":2}]}"#),
        (r#""fields""#, r#"{"c":3,"g":{"x":1,"y":2}}"#),
        (r#""first""#, r#"{"c":3,"g":{"x":1}}"#),
    ] {
        let flow = stage(&format!(",\"merge\":{{\"g\":{merge}}}"));
        let script = r#"s.1/0/a:ok={"x":1} s.1/2/c:ok=3 s.1/1/b:ok={"y":2}"#;
        assert_eq!(play(&flow, &json!({}), script), format!("s.1/0/a s.1/1/b s.1/2/c | completed {wanted}"));
    }
    let all = stage(",\"onFailure\":\"collect\"");
    table(&all, &[("s.1/0/a:no s.1/2/c:no s.1/1/b:ok", "s.1/0/a s.1/1/b s.1/2/c | failed STEPS_FAILED")]);
    let late = stage(",\"timeout\":\"5s\"");
    table(&late, &[("s.1/0/a:ok tick", "s.1/0/a s.1/1/b s.1/2/c | failed TIMEOUT")]);
}

#[test]
fn a_step_gives_a_result_of_its_own() {
    let steps = r#"[{"run":"a","group":"g","output":"=nodes.a.x"},{"run":"b","group":"g","output":{"y":"=nodes.b"}}]"#;
    let flow = flow(
        &format!(
            "start=start; s=stage {{\"steps\":{steps}}}; a=p {{\"in\":\"s\"}}; b=p {{\"in\":\"s\"}}; end=end {{\"output\":\"=nodes.s\"}}"
        ),
        "start>s s>end",
    );
    let script = r#"s.1/0/a:ok={"x":1,"z":2} s.1/1/b:ok=3"#;
    assert_eq!(play(&flow, &json!({}), script), r#"s.1/0/a s.1/1/b | completed {"g":{"a":1,"b":{"y":3}}}"#);
}

#[test]
fn a_stage_with_no_steps_is_passed() {
    let flow = flow(
        "start=start; a=x; s=stage {\"steps\":[],\"timeout\":\"5s\"}; b=x; end=end {\"output\":\"=nodes.s\"}",
        "start>a a>s s>b b>end",
    );
    table(
        &flow,
        &[
            ("a:ok", "a b | running"),
            ("a:ok b:ok", "a b | completed {}"),
            ("a:ok b:no a:ok", "a b a~ | compensated NO"),
        ],
    );
}

#[test]
fn a_stage_without_steps_is_a_graph_of_its_own() {
    let flow = flow(
        "start=start; a=x; s=stage {\"on\":{\"bad\":{\"type\":\"error\"}}}; b=x {\"in\":\"s\"}; c=x {\"in\":\"s\"}; back=compensate {\"in\":\"s\"}; \
         x=exclusive {\"in\":\"s\"}; over=end {\"in\":\"s\",\"terminate\":true,\"output\":\"over\"}; end=end {\"output\":\"=nodes.s\"}",
        "start>a a>s b>x x>back?nodes.b==1 x>over?nodes.b==2 x>c! s>end s.bad>end",
    );
    table(
        &flow,
        &[
            ("a:ok b", "a s.1/b | running"),
            ("a:ok s.1/b:ok=3 s.1/c:ok", "a s.1/b s.1/c | completed null"),
            // A compensate node undoes its own scope and no other.
            ("a:ok s.1/b:ok=1", "a s.1/b s.1/b~ | running"),
            ("a:ok s.1/b:ok=1 s.1/b:ok", "a s.1/b s.1/b~ | completed null"),
            ("a:ok s.1/b:ok=2", "a s.1/b | completed \"over\""),
            (
                "a:ok s.1/b:ok s.1/c:no s.1/b:ok",
                "a s.1/b s.1/c s.1/b~ | completed {\"error\":{\"code\":\"NO\",\"data\":null,\"message\":\"no\"}}",
            ),
        ][1..],
    );
}

#[test]
fn a_scope_that_is_not_wanted_any_more_is_undone_before_the_flow_ends() {
    let flow = flow(
        "start=start; f=parallel; s=stage; a=x {\"in\":\"s\"}; b=x {\"in\":\"s\"}; c=p; d=p; k=cancel {\"nodes\":[\"s\"]}; g=exclusive; \
         t=throw {\"code\":\"GONE\"}; end=end; over=end {\"terminate\":true}",
        "start>f f>s f>c f>d a>b s>end c>over d>k k>g g>t?nodes.d==1 g>end!",
    );
    table(
        &flow,
        &[
            ("s.1/a:ok d:ok s.1/b:ok", "c d s.1/a s.1/b s.1/b~ | running null"),
            // The other branches are over, and the call and the undos of the stage are not.
            ("s.1/a:ok d:ok c:ok", "c d s.1/a s.1/b | running null"),
            ("s.1/a:ok d:ok c:ok s.1/b:ok", "c d s.1/a s.1/b s.1/b~ | running null"),
            ("s.1/a:ok d:ok c:ok s.1/b:ok s.1/b:ok", "c d s.1/a s.1/b s.1/b~ s.1/a~ | running null"),
            ("s.1/a:ok d:ok c:ok s.1/b:ok s.1/b:ok s.1/a:ok", "c d s.1/a s.1/b s.1/b~ s.1/a~ | completed null"),
            // An undo that one event asks for twice over is made.
            ("s.1/a:ok s.1/b:no", "c d s.1/a s.1/b s.1/a~ | compensating"),
            ("s.1/a:ok s.1/b:permanent d:ok=1", "c d s.1/a s.1/b s.1/a~ | compensating"),
            ("s.1/a:ok s.1/b:permanent d:ok=1 s.1/a:ok", "c d s.1/a s.1/b s.1/a~ | compensated GONE"),
        ],
    );
}

#[test]
fn a_container_that_is_left_waits_for_nothing_more() {
    let flow = flow(
        "start=start; s=stage {\"timeout\":\"1m\",\"on\":{\"bad\":{\"type\":\"error\"}}}; a=x {\"in\":\"s\",\"retry\":{\"backoff\":\"1h\",\"max\":\"1h\"}}; \
         b=x {\"in\":\"s\"}; end=end {\"output\":\"ok\"}; off=end {\"output\":\"off\"}",
        "start>s a>b s>end s.bad>off",
    );
    table(
        &flow,
        &[
            ("s.1/a:ok s.1/b:no s.1/a:transient tick", "s.1/a s.1/b s.1/a~ s.1/a~ | running"),
            ("s.1/a:ok s.1/b:no s.1/a:transient tick s.1/a:ok", "s.1/a s.1/b s.1/a~ s.1/a~ | completed \"off\""),
            // Suspended in the middle, and then asked to undo the rest.
            ("s.1/a:ok suspend s.1/b:no", "s.1/a s.1/b | suspended"),
            ("s.1/a:ok suspend s.1/b:no compensate", "s.1/a s.1/b s.1/a~ | compensating"),
            (
                "s.1/a:ok suspend s.1/b:no compensate s.1/a:ok",
                "s.1/a s.1/b s.1/a~ | compensated COMPENSATION_REQUESTED",
            ),
        ],
    );
}

#[test]
fn a_migration_finds_everything_or_says_what_it_does_not() {
    let of = |steps: &str, more: &str, undo: &str| {
        flow(
            &format!(
                "start=start; a=x {undo}; s=stage {{\"steps\":{steps}}}; b=x {{\"in\":\"s\"}}; c=x {{\"in\":\"s\"}}; {more} end=end"
            ),
            "start>a a>s s>end",
        )
    };
    let both = r#"[{"run":"b","sync":true},{"run":"c"}]"#;
    let one = of(both, "", "{}");
    let mut played = Play::of(&one, &json!({}));
    played.word("a:ok");
    let codes = |to: &Flow| {
        let unfit = migrate(&one, to, &played.it, &BTreeMap::new()).err().unwrap_or_default();
        unfit.iter().map(|one| format!("{} {}", one.node, one.code)).collect::<Vec<_>>().join(", ")
    };
    for (to, wanted) in [
        (of(both, "", "{}"), ""),
        (of(r#"[{"run":"c","sync":true},{"run":"b"}]"#, "", "{}"), "s STEPS_CHANGED"),
        (of(r#"[{"run":"z"},{"run":"b"},{"run":"c"}]"#, "z=x {\"in\":\"s\"};", "{}"), "s STEPS_CHANGED"),
        (of(both, "", "{\"undo\":false}"), "a NO_UNDO"),
    ] {
        assert_eq!(codes(&to), wanted);
    }
    let moved = flow(
        "start=start; o=stage; a=x {\"in\":\"o\"}; s=stage; b=x {\"in\":\"s\"}; c=x; end=end",
        "start>o o>s s>c c>end",
    );
    assert_eq!(codes(&moved), "s STEPS_CHANGED, a NODE_ELSEWHERE");
}
