//! What flows do, construct by construct.

use serde_json::json;

use super::*;

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

/// An operator took the build back: neither another try nor a handler nor an undo is begun by that.
#[test]
fn a_revoked_call_is_a_person_s() {
    let task = "a=x {\"retry\":{\"attempts\":3,\"backoff\":\"100ms\"},\"on\":{\"any\":{\"type\":\"error\"}}}";
    let caught = flow(&format!("start=start; {task}; end=end; other=end"), "start>a a>end a.any>other");
    let asked = flow("start=start; a=q; end=end", "start>a a>end");
    for (flow, rows) in [
        (
            &caught,
            &[
                ("a:revoked", "a | incident PLUGIN_REVOKED"),
                ("a:revoked retry a:ok", "a a | completed null"),
                ("a:revoked retry a:revoked cancel", "a a | cancelled"),
                ("a:revoked compensate", "a | failed COMPENSATION_REQUESTED"), // Nothing was done.
                ("a:late tick a:revoked", "a a | incident PLUGIN_REVOKED"),
                ("a:late tick a:revoked compensate a:revoked", "a a a~ | incident PLUGIN_REVOKED"),
                (
                    "a:late tick a:revoked compensate a:revoked retry a:ok",
                    "a a a~ a~ | compensated COMPENSATION_REQUESTED",
                ),
            ][..],
        ),
        // A question that was not asked is asked once it may be.
        (&asked, &[("a:late a:revoked retry a:never", "a a? a? | failed TIMEOUT")][..]),
    ] {
        table(flow, rows);
    }
}

#[test]
fn a_paused_call_waits_and_its_try_does_not_count() {
    let twice = flow("start=start; a=x {\"retry\":{\"attempts\":2,\"backoff\":\"100ms\"}}; end=end", "start>a a>end");
    let asked = flow("start=start; a=q; end=end", "start>a a>end");
    let once = flow("start=start; a=x {\"delivery\":\"at-most-once\"}; end=end", "start>a a>end");
    for (flow, rows) in [
        (
            &twice,
            &[
                ("a:paused", "a | waiting"),
                ("a:paused tick a:paused tick a:paused tick a:ok", "a a a a | completed null"),
                // Both tries are still there.
                ("a:paused tick a:transient tick a:transient", "a a a | incident TRANSIENT"),
                ("a:transient tick a:paused tick a:transient", "a a a | incident TRANSIENT"),
                // Nothing was done, so nothing is undone; what an earlier try may have done is.
                ("a:paused compensate", "a | failed COMPENSATION_REQUESTED"),
                // It was under way when the engine stopped: it may have been made.
                ("a:paused-anew compensate a:ok", "a a~ | compensated COMPENSATION_REQUESTED"),
                ("a:paused-anew tick a:ok", "a a | completed null"),
                ("a:late tick a:paused compensate a:ok", "a a a~ | compensated COMPENSATION_REQUESTED"),
                ("a:paused cancel", "a | cancelled"),
                // An undo waits as well.
                ("a:late tick a:late a:paused", "a a a~ | compensating"),
                ("a:late tick a:late a:paused tick a:ok", "a a a~ a~ | compensated TIMEOUT"),
            ][..],
        ),
        // A question that was not asked is asked again.
        (&asked, &[("a:late a:paused tick a:never", "a a? a? | failed TIMEOUT")][..]),
        (&once, &[("a:paused tick a:ok", "a a | completed null")][..]),
    ] {
        table(flow, rows);
    }
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
            // It went wrong, which is not to say that nothing was done.
            ("a:ok b:ok compensate c:transient c:ok b:ok a:ok", "a b c c~ b~ a~ | compensated COMPENSATION_REQUESTED"),
            ("a:ok b:ok compensate c:permanent b:ok a:ok", "a b c b~ a~ | compensated COMPENSATION_REQUESTED"),
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
    let mut play = Play::of(&flow, &json!({}));
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

#[test]
fn an_inclusive_gateway_takes_every_branch_that_holds_and_waits_for_those_alone() {
    let split = flow(
        "start=start; s=inclusive; a=p; b=p; c=p; j=inclusive; end=end {\"output\":\"=nodes.a\"}",
        "start>s s>a?input.n>1 s>b?input.n>3 s>c! a>j b>j c>j j>end",
    );
    for (n, script, wanted) in [
        (5, "", "a b | running"),
        (5, "a:ok=1", "a b | running"),
        (5, "a:ok=1 b:ok", "a b | completed 1"),
        (5, "b:ok a:ok=1", "a b | completed 1"),
        (2, "a:ok=1", "a | completed 1"), // Nobody waits for a branch that was not taken.
        (0, "c:ok", "c | completed null"),
    ] {
        assert_eq!(play(&split, &json!({ "n": n }), script), wanted, "{n}: {script}");
    }
    // A branch that ends elsewhere is waited for until it does.
    let astray = flow(
        "start=start; s=inclusive; a=p; b=p; x=exclusive; e=end; j=inclusive; end=end",
        "start>s s>a?true s>b! a>j s>x?input.n>3 x>j?input.n>8 x>b! b>e j>end",
    );
    for (n, script, wanted) in [
        (5, "a:ok", "a b | running null"), // The other cannot come to the join any more.
        (5, "a:ok b:ok", "a b | completed null"),
        (9, "a:ok", "a | completed null"),
        (1, "a:ok", "a | completed null"),
    ] {
        assert_eq!(play(&astray, &json!({ "n": n }), script), wanted, "{n}: {script}");
    }
    // A loop behind a branch may still come: the join waits for it.
    let looped = flow(
        "start=start; s=inclusive; a=p; b=p; x=exclusive; j=inclusive; c=p; end=end",
        "start>s s>a?true s>b?true s>c! a>j b>x x>b?nodes.b==1 x>j! j>c c>end",
    );
    for (script, wanted) in [
        ("a:ok b:ok=1", "a b b | running"),
        ("a:ok b:ok=1 b:ok=2", "a b b c | running"),
        ("b:ok=2 a:ok", "a b c | running"),
    ] {
        assert_eq!(play(&looped, &json!({}), script), wanted, "{script}");
    }
}

#[test]
fn the_first_wait_after_an_event_gateway_drops_the_others() {
    let flow = flow(
        "start=start; g=event-gateway; m=receive {\"message\":\"m\",\"key\":\"k\"}; t=timer {\"after\":\"1m\"}; \
         u=timer {\"after\":\"2m\"}; a=p; b=p; end=end",
        "start>g g>m g>t g>u m>a t>b u>b a>end b>end",
    );
    table(
        &flow,
        &[
            ("", " | waiting"),
            ("msg", "a | running"),
            ("msg msg", "a | late | running"),
            ("msg a:ok", "a | completed null"),
            ("tick", "b | running"),
            ("tick b:ok", "b | completed null"),
            ("full retry msg", "a | running"), // Put back after a limit, they are one race still.
        ],
    );
}

#[test]
fn a_throw_fails_the_flow_with_its_code() {
    let flow = flow(
        "start=start; a=x; t=throw {\"code\":\"SOLD_OUT\",\"message\":\"='none of ' + input.sku\"}",
        "start>a a>t",
    );
    for (script, wanted) in [("a:ok", "a a~ | compensating"), ("a:ok a:ok", "a a~ | compensated SOLD_OUT")] {
        assert_eq!(play(&flow, &json!({ "sku": "S" }), script), wanted, "{script}");
    }
    assert_eq!(play(&flow, &json!({}), "a:ok"), "a | incident EXPRESSION_FAILED");
}
