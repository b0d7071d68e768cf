//! Listeners: when they are heard, what they see and write, and what comes of one that fails.

use serde_json::json;

use super::*;

/// `a`, then `b`, both external with undo; `a` has the listeners given.
fn chain(listeners: &Value) -> Flow {
    let nodes = format!(
        "start=start; a=x {{\"listeners\":{listeners},\"on\":{{\"bad\":{{\"type\":\"error\",\"code\":\"OTHER\"}}}}}}; b=x; \
         end=end {{\"output\":\"=nodes.a\"}}; off=end {{\"output\":\"off\"}}"
    );
    flow(&nodes, "start>a a>b b>end a.bad>off")
}

#[test]
fn each_moment_of_a_node_is_heard_once_in_order() {
    let calls = |on: &str| json!({ "on": on, "uses": "t/pure@1" });
    let flow = chain(&json!([calls("leave"), calls("enter"), calls("error"), calls("end"), calls("enter")]));
    table(
        &flow,
        &[
            ("", "a! | running"),
            ("a:ok", "a! a! | running"),
            ("a:ok a:ok", "a! a! a | running"),
            ("a:ok a:ok a:ok=7", "a! a! a a! | running"),
            ("a:ok a:ok a:ok=7 a:ok", "a! a! a a! a! | running"),
            ("a:ok a:ok a:ok=7 a:ok a:ok b:ok", "a! a! a a! a! b | completed 7"),
            // It fails: the failure is heard before the flow is undone, or a handler takes it.
            ("a:ok a:ok a:no", "a! a! a a! | running"),
            ("a:ok a:ok a:no a:ok a:ok", "a! a! a a! a! | failed NO"),
            ("a:ok a:ok a:no=OTHER a:ok a:ok", "a! a! a a! a! | completed \"off\""),
            // What is taken away is not listened to, and a listener under way is not waited for.
            ("a:ok a:ok compensate a:ok a:ok", "a! a! a a~ | compensated COMPENSATION_REQUESTED"),
            ("a:ok a:ok a:ok=7 compensate a:ok", "a! a! a a! a~ | compensated COMPENSATION_REQUESTED"),
            ("a:ok suspend a:ok resume", "a! a! a | running"),
        ],
    );
}

#[test]
fn a_listener_that_fails_follows_its_policy() {
    let calls = |on: &str, policy: &str| {
        chain(&json!([{ "on": on, "uses": "t/ext@1", "retry": { "attempts": 2 }, "onFailure": policy }]))
    };
    table(
        &calls("enter", "ignore"),
        &[("a:no", "a! a | running"), ("a:transient tick a:transient", "a! a! a | running")],
    );
    table(
        &calls("enter", "incident"),
        &[
            ("a:no", "a! | incident NO"),
            ("a:no retry a:ok", "a! a! a | running"),
            ("a:no skip", "a! a | running"),
            // Its key stays.
            ("a:no renew", "a! | nothingtodo | incident NO"),
            ("a:no compensate", "a! | failed COMPENSATION_REQUESTED"),
            ("a:wait", "a! | incident LISTENER_WAITS"),
            ("a:late tick a:trap", "a! a! | incident TRAP"),
            ("a:paused tick a:ok", "a! a! a | running"),
        ],
    );
    // Nothing of the node has begun: nothing is undone.
    table(&calls("enter", "fail"), &[("a:no", "a! | failed NO"), ("a:no=OTHER", "a! | completed \"off\"")]);
    // It has completed, so it is.
    table(
        &calls("leave", "fail"),
        &[("a:ok a:no a:ok", "a a! a~ | compensated NO"), ("a:ok a:no=OTHER", "a a! | completed \"off\"")],
    );
    table(&calls("error", "ignore"), &[("a:no a:no", "a a! | failed NO")]);
}

#[test]
fn a_listener_sees_its_moment_and_writes() {
    let flow = flow(
        "start=start; a=x {\"listeners\":[\
           {\"on\":\"enter\",\"set\":{\"rush\":\"=input.n > 3\"},\"priority\":\"=input.n > 3 ? -10 : 0\"},\
           {\"on\":\"leave\",\"uses\":\"t/pure@1\",\"with\":\"=event\",\"set\":{\"seen\":\"=[event.on, event.port, event.output, result, flow.priority]\"}}]};\
         end=end {\"output\":\"=[vars.rush, vars.seen]\"}",
        "start>a a>end",
    );
    table(&flow, &[("a:ok=7 a:ok=8", "a a! | completed [true,[\"leave\",\"done\",7,8,-10]]")]);
    let failed = chain(&json!([
        { "on": "error", "set": { "why": "=event.error.code" }, "onFailure": "ignore" },
        { "on": "enter", "priority": "=1.5", "onFailure": "incident" }
    ]));
    table(&failed, &[("", " | incident EXPRESSION_FAILED"), ("skip a:no=OTHER", "a | completed \"off\"")]);
}

#[test]
fn a_flow_is_listened_to_from_its_start_to_its_end() {
    let calls = |on: &str| json!({ "on": on, "uses": "t/pure@1" });
    let more = json!({ "listeners": [calls("enter"), calls("leave"), calls("error"), calls("end")] });
    let flow = flow_with("start=start; a=x; b=x; end=end {\"output\":\"=nodes.a\"}", "start>a a>b b>end", &more);
    table(
        &flow,
        &[
            ("", "start! | running"),
            ("start:ok a:ok=7 b:ok", "start! a b start! | running 7"),
            ("start:ok a:ok=7 b:ok start:ok start:ok", "start! a b start! start! | completed 7"),
            // Its failure is heard before anything is undone, its end after all is.
            ("start:ok a:ok b:no", "start! a b start! | compensating"),
            ("start:ok a:ok b:no start:ok", "start! a b start! a~ | compensating"),
            ("start:ok a:ok b:no start:ok a:ok start:ok", "start! a b start! a~ start! | compensated NO"),
            ("start:ok a:ok b:no start:trap", "start! a b start! | incident TRAP"),
            ("start:ok a:ok b:no start:trap skip a:ok start:ok", "start! a b start! a~ start! | compensated NO"),
            ("start:ok cancel", "start! a | cancelled"),
        ],
    );
    let stops = flow_with(
        "start=start; a=x; end=end {\"terminate\":true}",
        "start>a a>end",
        &json!({ "listeners": [calls("end")] }),
    );
    table(&stops, &[("a:ok", "a start! | running null"), ("a:ok start:ok", "a start! | completed null")]);
}

#[test]
fn containers_and_called_flows_are_listened_to() {
    let flow = flow(
        "start=start; c=call {\"flow\":\"sub@1\",\"with\":{\"n\":1},\"timeout\":\"1m\",\"listeners\":[{\"on\":\"end\",\"uses\":\"t/pure@1\"}],\
           \"on\":{\"bad\":{\"type\":\"error\",\"code\":\"OTHER\"}}}; b=x; end=end {\"output\":\"=nodes.c\"}; off=end {\"output\":\"off\"}",
        "start>c c>b b>end c.bad>off",
    );
    table(
        &flow,
        &[
            ("c.1/u:ok c.1/v:ok=3", "c.1/u c.1/v c! | running"),
            ("c.1/u:ok c.1/v:ok=3 c:ok b:ok", "c.1/u c.1/v c! b | completed 3"),
            // It fails as a whole: what was done in it is undone, then that is heard, then it is caught or goes on.
            ("c.1/u:ok c.1/v:no=OTHER c.1/u:ok", "c.1/u c.1/v c.1/u~ c! | running"),
            ("c.1/u:ok c.1/v:no=OTHER c.1/u:ok c:ok", "c.1/u c.1/v c.1/u~ c! | completed \"off\""),
            ("c.1/u:ok c.1/v:no c.1/u:ok c:ok", "c.1/u c.1/v c.1/u~ c! | failed NO"),
            ("c.1/u:ok tick c.1/v:ok c.1/v:ok c.1/u:ok c:ok", "c.1/u c.1/v c.1/v~ c.1/u~ c! | failed TIMEOUT"),
        ],
    );
}

#[test]
fn an_incident_within_a_race_goes_back_into_it() {
    let flow = flow(
        "start=start; g=event-gateway; m=receive {\"message\":\"m\",\"key\":\"=nodes.nothing.key\",\"timeout\":\"1h\"}; t=timer {\"after\":\"1m\"}; \
         nothing=p; end=end {\"output\":1}; late=end {\"output\":2}",
        "start>nothing nothing>g g>m g>t m>end t>late",
    );
    table(
        &flow,
        &[
            ("nothing:ok", "nothing | incident EXPRESSION_FAILED"),
            ("nothing:ok retry", "nothing | incident EXPRESSION_FAILED"),
            // The time comes first: nothing of the other wait is left.
            ("nothing:ok retry tick", "nothing | completed 2"),
            ("nothing:ok renew tick", "nothing | completed 2"),
        ],
    );
}

#[test]
fn an_inclusive_gateway_that_found_no_way_is_tried_again() {
    let flow = flow("start=start; g=inclusive; a=p; b=p; end=end", "start>g g>a?len(input.n)>1 g>b! a>end b>end");
    table(&flow, &[("", " | incident EXPRESSION_FAILED"), ("retry", " | incident EXPRESSION_FAILED")]);
}

#[test]
fn an_end_is_heard_after_what_led_to_it_and_once() {
    let flow = chain(&json!([
        { "on": "end", "set": { "seen": "=[vars.seen, event.on]" } },
        { "on": "leave", "uses": "t/pure@1", "set": { "seen": "left" }, "onFailure": "fail" }
    ]));
    let shown = |script: &str| {
        let mut play = Play::of(&flow, &json!({ "n": 5 }));
        script.split_whitespace().for_each(|word| play.word(word));
        play.it.root().vars.get("seen").map(|held| held.value.to_string()).unwrap_or_default()
    };
    assert_eq!(shown("a:ok"), "");
    assert_eq!(shown("a:ok a:ok"), "[\"left\",\"leave\"]");
    assert_eq!(shown("a:ok a:no=OTHER"), "[null,\"error\"]");
}

#[test]
fn a_limit_during_a_listener_undoes_nothing_that_was_not_done() {
    let enter = chain(&json!([{ "on": "enter", "uses": "t/ext@1" }]));
    let leave = chain(&json!([{ "on": "leave", "uses": "t/ext@1" }]));
    table(&enter, &[("full compensate", "a! | failed COMPENSATION_REQUESTED")]);
    table(&leave, &[("a:ok full compensate a:ok", "a a! a~ | compensated COMPENSATION_REQUESTED")]);
}

#[test]
fn a_suspended_instance_enters_nothing_behind_a_listener() {
    let flow = flow(
        "start=start; u=user-task {\"groups\":[\"g\"],\"listeners\":[{\"on\":\"enter\",\"uses\":\"t/pure@1\"},{\"on\":\"enter\",\"priority\":3}]}; end=end",
        "start>u u>end",
    );
    table(
        &flow,
        &[("suspend u:ok done", "u! | nothingtodo | suspended"), ("suspend u:ok resume done", "u! | completed null")],
    );
}

#[test]
fn a_listener_of_a_raced_wait_stays_in_the_race() {
    let flow = flow(
        "start=start; g=event-gateway; m=receive {\"message\":\"m\",\"key\":\"k\",\"timeout\":\"1h\",\"listeners\":[{\"on\":\"enter\",\"priority\":\"=1.5\"}]}; \
         t=timer {\"after\":\"1m\"}; b=p; c=p; end=end",
        "start>g g>m g>t m>b t>c b>end c>end",
    );
    table(
        &flow,
        &[
            ("tick", "c | running"),
            ("skip msg", "b | running"),
            ("skip tick", "c | running"),
            ("tick skip", "c | nothingtodo | running"),
        ],
    );
}
