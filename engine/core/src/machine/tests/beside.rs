//! What branches do to each other: locks, inclusive joins that wait for each other, nodes that are cancelled, items
//! that run on after their container was left.

use serde_json::json;

use super::*;

#[test]
fn a_lock_is_free_however_its_holder_leaves() {
    let two = |a: &str, more: &str| {
        flow(
            &format!("start=start; f=parallel; a=x {a}; b=x {{\"lock\":\"l\"}}; ea=end; eb=end; off=end"),
            &format!("start>f f>a f>b a>ea b>eb {more}"),
        )
    };
    let on = |handler: &str| format!("{{\"lock\":\"l\",\"on\":{{\"o\":{handler}}}}}");
    for (handler, script, wanted) in [
        ("{\"type\":\"error\"}", "a:ok", "a b | running"),
        ("{\"type\":\"error\"}", "a:no", "a b | running"),
        ("{\"type\":\"error\"}", "a:ok b:ok", "a b | completed null"),
        // A person is asked about the holder: nobody else is let in until it is over.
        ("{\"type\":\"timeout\"}", "a:transient", "a | incident TRANSIENT"),
        ("{\"type\":\"timeout\"}", "a:transient retry a:ok", "a a b | running"),
        // Under a new visit it waits behind the other.
        ("{\"type\":\"timeout\"}", "a:transient renew", "a b | running"),
        ("{\"type\":\"timeout\"}", "a:transient renew b:ok", "a b a | running"),
        // A call that was given up may still be doing its work.
        ("{\"type\":\"message\",\"message\":\"m\",\"key\":\"k\"}", "msg", "a | running null"),
        ("{\"type\":\"message\",\"message\":\"m\",\"key\":\"k\"}", "msg a:ok", "a b | running null"),
        ("{\"type\":\"error\"}", "suspend a:ok", "a | suspended null"),
        ("{\"type\":\"error\"}", "suspend a:ok resume", "a b | running null"),
        // Undoing takes no lock.
        ("{\"type\":\"error\"}", "a:ok b:no a:ok", "a b a~ | compensated NO null"),
        ("{\"type\":\"error\"}", "compensate a:ok a:ok", "a a~ | compensated COMPENSATION_REQUESTED"),
    ] {
        let shown = play(&two(&on(handler), "a.o>off"), &json!({}), script);
        let bare = |text: &str| text.trim_end_matches(" null").to_owned();
        assert_eq!(bare(&shown), bare(wanted), "{handler} {script}");
    }
}

#[test]
fn a_lock_is_of_one_run_of_its_flow() {
    let items = flow(
        "start=start; e=for-each {\"items\":[1,2,3],\"limit\":3}; a=p {\"in\":\"e\"}; b=p {\"in\":\"e\",\"lock\":\"l\"}; end=end",
        "start>e e>end a>b",
    );
    table(
        &items,
        &[
            // All items at once, but for the part they may not be in together.
            ("e.1/1/a:ok e.1/0/a:ok e.1/2/a:ok", "e.1/0/a e.1/1/a e.1/2/a e.1/1/b | running"),
            (
                "e.1/1/a:ok e.1/0/a:ok e.1/2/a:ok e.1/1/b:ok e.1/0/b:ok",
                "e.1/0/a e.1/1/a e.1/2/a e.1/1/b e.1/0/b e.1/2/b | running",
            ),
        ],
    );
    let itself = flow(
        "start=start; g=exclusive; c=call {\"flow\":\"test\",\"with\":{\"n\":\"=input.n - 1\"},\"lock\":\"l\"}; a=p {\"lock\":\"l\"}; end=end",
        "start>g g>c?input.n>4 g>a! c>a a>end",
    );
    table(&itself, &[("", "c.1/a | running"), ("c.1/a:ok a:ok", "c.1/a a | completed null")]);
}

#[test]
fn inclusive_joins_that_wait_for_each_other_go_on() {
    let flow = flow(
        "start=start; f=parallel; a=p; b=p; j=inclusive; k=inclusive; c=p; d=p; x=exclusive; y=exclusive; e1=end; e2=end",
        "start>f f>a f>b a>j b>k j>c k>d c>x d>y x>k?nodes.c==1 x>e1! y>j?nodes.d==1 y>e2!",
    );
    table(
        &flow,
        &[
            ("a:ok", "a b | running"), // `b` could still come round to it.
            ("b:ok", "a b | running"),
            ("a:ok b:ok", "a b c | running"), // Each waits for the other: the first that was reached goes.
            ("b:ok a:ok", "a b d | running"),
            ("a:ok b:ok c:ok=1", "a b c d | running"),
            ("a:ok b:ok c:ok=0 d:ok=0", "a b c d | completed null"),
        ],
    );
}

#[test]
fn a_token_that_is_moved_to_a_join_goes_on() {
    for join in ["parallel", "inclusive"] {
        let flow = flow(
            &format!("start=start; f=parallel; a=p; b=p; j={join}; c=p; end=end"),
            "start>f f>a f>b a>j b>j j>c c>end",
        );
        // It came by no edge, so no other is waited for with it.
        assert_eq!(play(&flow, &json!({}), "move:a>j"), "a b c | running", "{join}");
    }
}

#[test]
fn what_is_cancelled_is_remembered_and_goes_no_further() {
    let flow = flow(
        "start=start; f=parallel; s=stage; a=x {\"in\":\"s\"}; b=x {\"in\":\"s\"}; c=x; d=x; k=cancel {\"nodes\":[\"s\",\"c\"]}; e=p; e1=end; e2=end; e3=end",
        "start>f f>s f>c f>d s>e1 c>e2 d>k k>e e>e3",
    );
    table(
        &flow,
        &[
            ("s.1/a:ok d:ok", "c d s.1/a s.1/b e | running"),
            // The part is undone as a whole, once its calls have come back.
            ("s.1/a:ok d:ok s.1/b:ok", "c d s.1/a s.1/b e s.1/b~ | running"),
            ("s.1/a:ok d:ok s.1/b:ok s.1/b:ok s.1/a:ok c:ok e:ok", "c d s.1/a s.1/b e s.1/b~ s.1/a~ | completed null"),
            ("d:ok c:ok e:no s.1/a:no s.1/b:no c:ok d:ok", "c d s.1/a s.1/b e c~ d~ | compensated NO"),
        ],
    );
}

#[test]
fn items_run_on_after_their_container_was_left() {
    let flow = flow(
        "start=start; f=parallel; e=for-each {\"items\":[1,2,3],\"limit\":2,\"until\":1,\"rest\":\"await\",\"timeout\":\"1m\",\"on\":{\"late\":{\"type\":\"timeout\"}}}; \
         a=x {\"in\":\"e\"}; b=p; c=p; j=inclusive; d=p; end=end; late=end",
        "start>f f>b f>e e>c e.late>late b>j c>j j>d d>end",
    );
    table(
        &flow,
        &[
            // The third is begun although there is enough, for it is one of them.
            ("e.1/1/a:ok", "b e.1/0/a e.1/1/a c e.1/2/a | running"),
            // The join does not wait for who only finishes.
            ("e.1/1/a:ok c:ok b:ok", "b e.1/0/a e.1/1/a c e.1/2/a d | running"),
            ("e.1/1/a:ok c:ok b:ok d:ok", "b e.1/0/a e.1/1/a c e.1/2/a d | running null"),
            ("e.1/1/a:ok c:ok b:ok d:ok e.1/0/a:ok e.1/2/a:no", "b e.1/0/a e.1/1/a c e.1/2/a d | completed null"),
            // A later failure of the flow undoes them as well.
            ("e.1/1/a:ok b:no e.1/0/a:ok e.1/2/a:ok", "b e.1/0/a e.1/1/a c e.1/2/a e.1/2/a~ | compensating"),
        ],
    );
    let failing = super::flow(
        "start=start; e=for-each {\"items\":[1],\"until\":\"=results\",\"rest\":\"await\",\"more\":{\"message\":\"m\",\"key\":\"k\"}}; a=p {\"in\":\"e\"}; end=end",
        "start>e e>end",
    );
    table(&failing, &[("msg=7", "e.1/0/a | running"), ("e.1/0/a:ok", "e.1/0/a | failed EXPRESSION_FAILED")]);
}

#[test]
fn a_lock_is_held_until_what_was_done_under_it_is_undone() {
    let flow = flow(
        "start=start; f=parallel; s=stage {\"lock\":\"l\"}; a=x {\"in\":\"s\"}; b=x {\"in\":\"s\"}; d=p; k=cancel {\"nodes\":[\"s\"]}; n=p {\"lock\":\"l\"}; \
         e=end; end=end",
        "start>f f>s f>d a>b s>e d>k k>n n>end",
    );
    table(
        &flow,
        &[
            ("s.1/a:ok d:ok", "d s.1/a s.1/b | running"),
            ("s.1/a:ok d:ok s.1/b:no", "d s.1/a s.1/b s.1/a~ | running"),
            ("s.1/a:ok d:ok s.1/b:no s.1/a:ok", "d s.1/a s.1/b s.1/a~ n | running"),
            ("s.1/a:ok d:ok s.1/b:no s.1/a:ok n:ok", "d s.1/a s.1/b s.1/a~ n | completed null"),
        ],
    );
}
