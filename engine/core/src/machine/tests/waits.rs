//! Handlers that wait, joins of some branches, work of others, and what operators ask for.

use serde_json::json;

use super::*;

#[test]
fn a_handler_waits_beside_its_node() {
    let flow = flow(
        "start=start; a=x {\"on\":{\"stop\":{\"type\":\"message\",\"message\":\"stop\",\"key\":\"k\"},\"slow\":{\"type\":\"timeout\",\"after\":\"1m\",\"interrupting\":false}}}; \
         n=p; b=x; end=end {\"output\":\"ok\"}; off=end {\"output\":\"=nodes.a\"}; noted=end",
        "start>a a>b b>end a.stop>off a.slow>n n>noted",
    );
    table(
        &flow,
        &[
            ("tick", "a n | running"), // It goes on beside.
            ("tick a:ok n:ok b:ok", "a n b | completed \"ok\""),
            ("a:ok msg", "a b | late | running"), // The node was left, and its handlers with it.
            // The call under way is given up; its answer only says what it did.
            ("msg=5", "a | running 5"),
            ("msg=5 a:ok", "a | completed 5"),
            ("msg=5 a:ok a:ok", "a | completed 5"),
        ][..5],
    );
    let undone = super::flow(
        "start=start; a=x {\"on\":{\"stop\":{\"type\":\"message\",\"message\":\"stop\",\"key\":\"k\"}}}; b=x; t=throw {\"code\":\"GONE\"}; end=end",
        "start>a a>b b>end a.stop>t",
    );
    table(
        &undone,
        &[
            ("msg", "a | compensating"), // The throw comes at once, and waits for the call.
            ("msg a:ok", "a a~ | compensating"),
            ("msg a:ok a:ok", "a a~ | compensated GONE"),
            ("msg a:no", "a | failed GONE"),
        ],
    );
}

#[test]
fn joins_wait_for_whom_they_want() {
    let join = |join: &str, more: &str| {
        let late = if more.is_empty() { "" } else { "late=end {\"output\":\"late\"}" };
        flow(
            &format!("start=start; f=parallel; a=p; b=p; c=x; j=parallel {{\"join\":{join}}}; d=p; end=end; {late}"),
            &format!("start>f f>a f>b f>c a>j b>j c>j j>d d>end {more}"),
        )
    };
    for (policy, rows) in [
        (r#"{"count":1}"#, &[("a:ok", "a b c d | running"), ("a:ok b:ok d:ok c:ok", "a b c d | completed null")][..]),
        (
            r#"{"count":2}"#,
            &[
                ("a:ok", "a b c | running"),
                ("a:ok c:ok", "a b c d | running"),
                ("a:ok c:ok d:ok b:no", "a b c d c~ | compensating null"),
            ],
        ),
        (r#"{"percent":50}"#, &[("a:ok", "a b c | running"), ("a:ok c:ok d:ok b:ok", "a b c d | completed null")]),
        (r#"{"must":["c"]}"#, &[("a:ok b:ok", "a b c | running"), ("c:ok", "a b c d | running")]),
        (r#"{"count":2,"must":["c"]}"#, &[("a:ok b:ok", "a b c | running"), ("a:ok b:ok c:ok", "a b c d | running")]),
        // What the others may have done is remembered.
        (
            r#"{"count":1,"rest":"cancel"}"#,
            &[("a:ok d:ok", "a b c d | running null"), ("a:ok d:ok c:ok", "a b c d | completed null")],
        ),
        (r#"{"count":1,"rest":"cancel"}"#, &[("a:ok c:ok d:no c:ok", "a b c d c~ | compensated NO")]),
    ] {
        let flow = join(policy, "");
        for (script, wanted) in rows {
            assert_eq!(play(&flow, &json!({}), script), *wanted, "{policy} {script}");
        }
    }
    let timed = join(r#"{"timeout":"1m","rest":"cancel"}"#, "j.timeout>late");
    table(&timed, &[("a:ok tick c:no", "a b c | completed \"late\"")]);
    let hard = join(r#"{"timeout":"1m"}"#, "");
    table(&hard, &[("a:ok tick c:no", "a b c | failed TIMEOUT")]);
}

#[test]
fn each_round_of_a_join_has_its_time() {
    let flow = flow(
        "start=start; f=parallel {\"tokens\":2}; a=p; b=p; j=parallel {\"join\":{\"timeout\":\"1m\"}}; c=p; late=p; end=end; off=end",
        "start>f f>a f>b a>j b>j j>c c>end j.timeout>late late>off",
    );
    table(
        &flow,
        &[
            ("a:ok a:ok b:ok", "a b a b c | running"),
            // The token that began to wait first went with the first round; the next has a time as well.
            ("a:ok a:ok b:ok tick", "a b a b c late | running"),
            ("a:ok a:ok tick b:ok b:ok", "a b a b late c | running"),
            // So it has where the token that began to wait first is taken away.
            ("a:ok a:ok move:j>c tick", "a b a b c late | running"),
        ],
    );
}

#[test]
fn a_join_in_a_loop_begins_anew_once_all_have_come() {
    let flow = flow(
        "start=start; f=parallel; a=p; b=p; j=parallel {\"join\":{\"count\":1}}; d=p; x=exclusive; m=exclusive; end=end",
        "start>m m>f! f>a f>b a>j b>j j>d d>x x>m?nodes.d==1 x>end!",
    );
    table(
        &flow,
        &[
            ("a:ok d:ok=1", "a b d a b | running"),
            ("a:ok d:ok=1 a:ok", "a b d a b | running"), // The first round is not over: b of it is still under way.
            ("a:ok d:ok=1 a:ok b:ok", "a b d a b d | running"),
            ("a:ok d:ok=1 a:ok b:ok d:ok b:ok", "a b d a b d | completed null"),
        ],
    );
}

#[test]
fn people_and_workers_answer_open_tasks() {
    let person = flow(
        "start=start; a=x; u=user-task {\"groups\":\"g\",\"form\":{\"type\":\"object\",\"required\":[\"ok\"]},\"timeout\":\"2d\"}; \
         end=end {\"output\":\"=nodes.u\"}; late=end {\"output\":\"late\"}",
        "start>a a>u u>end u.timeout>late",
    );
    table(
        &person,
        &[
            ("a:ok", "a | waiting"),
            ("a:ok done={\"ok\":true}", "a | completed {\"ok\":true}"),
            ("a:ok done={}", "a | nothingtodo | waiting"), // Not what the form asks for.
            ("a:ok tick", "a | completed \"late\""),
            ("a:ok fail:no a:ok", "a a~ | compensated NO"),
            ("a:ok compensate a:ok", "a a~ | compensated COMPENSATION_REQUESTED"),
        ],
    );
    let worker = flow(
        "start=start; e=external-task {\"topic\":\"t\",\"retry\":{\"attempts\":2},\"undo\":{\"uses\":\"t/ext@1\",\"with\":{\"n\":1}}}; b=p; end=end {\"output\":\"=nodes.e\"}",
        "start>e e>b b>end",
    );
    table(
        &worker,
        &[
            ("", " | waiting"),
            ("done=5 b:ok", "b | completed 5"),
            ("done=5 done=6", "b | nothingtodo | running"), // Twice answered.
            ("fail:transient", " | waiting"),
            ("fail:transient tick done=5 b:ok", "b | completed 5"),
            ("fail:transient tick fail:transient", " | incident TRANSIENT"),
            ("fail:no", " | failed NO"),
            ("done=5 b:no", "b e~ | compensating"),
            // A worker may have begun: undone all the same.
            ("compensate", "e~ | compensating"),
        ],
    );
}

#[test]
fn a_suspended_instance_begins_nothing() {
    let flow = flow(
        "start=start; a=x; t=timer {\"after\":\"1m\"}; r=receive {\"message\":\"m\",\"key\":\"k\",\"timeout\":\"1h\"}; b=x; end=end",
        "start>a a>t t>r r>b r.timeout>b b>end",
    );
    table(
        &flow,
        &[
            ("suspend", "a | suspended"),
            ("suspend a:ok", "a | suspended"),
            ("suspend a:ok resume", "a | waiting"),
            ("a:ok tick suspend msg", "a | late | suspended"), // Messages are kept for it.
            ("a:ok tick suspend resume msg", "a b | running"),
            ("suspend suspend", "a | nothingtodo | suspended"),
            ("suspend a:no", "a | failed NO"),
            ("a:ok tick msg suspend b:no", "a b | suspended"), // Nothing is undone either.
            ("a:ok tick msg suspend b:no resume", "a b a~ | compensating"),
            ("suspend cancel", "a | cancelled"),
            ("a:ok suspend compensate", "a a~ | compensating"),
        ],
    );
}

#[test]
fn operators_move_tokens() {
    let flow = flow("start=start; a=x; b=x; c=x; end=end", "start>a a>b b>c c>end");
    table(
        &flow,
        &[
            ("a:ok b:permanent move:b>c", "a b c | running"),
            ("a:ok b:permanent move:b>a", "a b a | running"),
            ("a:ok b:permanent renew", "a b b | running"),
            ("a:ok move:b>c b:ok c:no", "a b c b~ | compensating"), // What b did all the same is undone.
            ("a:ok move:b>nowhere", "a b | nothingtodo | running"),
            ("a:ok move:b>start", "a b | nothingtodo | running"),
            ("a:ok b:no move:b>c", "a b a~ | nothingtodo | compensating"),
            ("a:ok b:unknown", "a b b~ | compensating"),
        ],
    );
}

#[test]
fn a_handler_that_stops_a_wait_wins_its_race() {
    let flow = flow(
        "start=start; g=event-gateway; m=receive {\"message\":\"m\",\"key\":\"k\",\"on\":{\"late\":{\"type\":\"timeout\",\"after\":\"1m\"}}}; \
         n=receive {\"message\":\"n\",\"key\":\"k\"}; a=p; b=p; end=end",
        "start>g g>m g>n m>a m.late>b n>a a>end b>end",
    );
    table(&flow, &[("tick", "b | running"), ("tick msg@n", "b | late | running"), ("msg@n tick", "a | running")][..2]);
}
