//! What comes round again: rounds of a join, instances in another version, items of a list that is left.

use serde_json::json;

use super::*;

/// Plays a script in one version, then goes on in another.
fn migrated(from: &Flow, to: &Flow, nodes: &[(&str, &str)], before: &str, after: &str) -> String {
    let mut play = Play::of(from, &json!({ "n": 5 }));
    before.split_whitespace().for_each(|word| play.word(word));
    let nodes: BTreeMap<String, String> = nodes.iter().map(|&(old, new)| (old.to_owned(), new.to_owned())).collect();
    let it = migrate(from, to, &play.it, &nodes).unwrap_or_else(|unfit| panic!("{unfit:?}"));
    let mut play = Play { it, flow: to, calls: Vec::new(), ..play };
    let command = Command::Migrate { version: 2, from: Some(1), nodes };
    play.take(Event::Commanded { command, by: String::new() });
    after.split_whitespace().for_each(|word| play.word(word));
    let keys: Vec<&str> = play.under_way.iter().map(|call| &*call.key).collect();
    format!("{} | {} | {}", play.calls.join(" "), play.it.state().name(), keys.join(" "))
}

#[test]
fn each_round_of_a_join_has_its_time() {
    // Two of three, and the third is awaited before the next round begins.
    let flow = flow(
        "start=start; s=parallel {\"tokens\":2}; a=x; b=x; c=x; j=parallel {\"join\":{\"count\":2,\"timeout\":\"1m\"}}; late=p; end=end",
        "start>s s>a s>b s>c a>j b>j c>j j>end j.timeout>late late>end",
    );
    table(
        &flow,
        &[
            ("a:ok b:ok a:ok c:ok b:ok", "a b c a b c | running null"),
            // The second round has its own time, and is left as it stands.
            ("a:ok b:ok a:ok c:ok tick", "a b c a b c late | running null"),
        ],
    );
    let mut play = Play::of(&flow, &json!({}));
    for word in ["a:ok", "b:ok", "a:ok"] {
        play.word(word);
    }
    assert_eq!(play.it.due_ms(), None, "the next round has not begun");
    play.word("c:ok");
    assert_eq!(play.it.due_ms(), Some(61_000), "it begins when the last of the round before has come");
    play.word("b:ok");
    assert_eq!(play.it.due_ms(), None, "both have come");
}

#[test]
fn a_join_that_waits_for_fewer_in_another_version_is_looked_at() {
    let of = |count: u32| {
        flow(
            &format!(
                "start=start; s=parallel; a=x; b=x; c=x; j=parallel {{\"join\":{{\"count\":{count}}}}}; d=x; end=end"
            ),
            "start>s s>a s>b s>c a>j b>j c>j j>d d>end",
        )
    };
    assert_eq!(migrated(&of(3), &of(2), &[], "a:ok b:ok", ""), "d | running | i.c.1 i.d.1");
}

#[test]
fn a_for_each_that_may_run_more_at_once_in_another_version_does() {
    let of = |limit: u32| {
        flow(
            &format!(
                "start=start; e=for-each {{\"items\":\"=[1,2,3]\",\"limit\":{limit}}}; a=x {{\"in\":\"e\"}}; end=end"
            ),
            "start>e e>end",
        )
    };
    assert_eq!(migrated(&of(1), &of(2), &[], "", ""), "e.1/1/a | running | i.e.1/0/a.1 i.e.1/1/a.1");
}

#[test]
fn no_key_is_made_twice_after_a_renaming() {
    let one = flow(
        "start=start; a=x; w=receive {\"message\":\"m\",\"key\":\"k\",\"timeout\":\"1h\"}; end=end",
        "start>a a>w w>end",
    );
    let other = flow(
        "start=start; b=x; w=receive {\"message\":\"m\",\"key\":\"k\",\"timeout\":\"1h\"}; a=x; end=end {\"output\":\"=nodes.b\"}",
        "start>b b>w w>a a>end",
    );
    // `a` is now called `b`, and a new node has its name.
    assert_eq!(migrated(&one, &other, &[("a", "b")], "a:ok", "msg"), "a | running | i.a.2");
}

#[test]
fn a_renaming_stays_in_its_flow() {
    let of = |own: &str| {
        flow(
            &format!(
                "start=start; {own}=x; c=call {{\"flow\":\"sub@1\",\"with\":{{\"n\":1}}}}; end=end {{\"output\":\"=nodes.{own}\"}}"
            ),
            &format!("start>{own} {own}>c c>end"),
        )
    };
    // The called flow has a `u` as well, whose output it reads.
    let (one, other) = (of("u"), of("w"));
    let mut play = Play::of(&one, &json!({}));
    for word in ["u:ok=1", "c.1/u:ok=2"] {
        play.word(word);
    }
    let nodes = BTreeMap::from([("u".to_owned(), "w".to_owned())]);
    let it = migrate(&one, &other, &play.it, &nodes).unwrap();
    let scopes: Vec<Vec<&str>> =
        it.scopes.values().map(|scope| scope.outputs.keys().map(|id| &**id).collect()).collect();
    assert_eq!(scopes, [vec!["w"], vec!["u"]]);
}

#[test]
fn items_that_were_given_on_are_not_undone_with_the_rest() {
    let flow = flow(
        "start=start; e=for-each {\"items\":\"=[1,2,3]\",\"limit\":2,\"until\":1,\"rest\":\"await\"}; a=x {\"in\":\"e\"}; \
         w=receive {\"message\":\"m\",\"key\":\"k\",\"timeout\":\"1h\"}; off=cancel {\"nodes\":[\"e\"]}; end=end",
        "start>e e>w w>off off>end",
    );
    table(
        &flow,
        &[
            ("e.1/0/a:ok", "e.1/0/a e.1/1/a e.1/2/a | running"),
            // The two others are awaited and undone, the first stays.
            (
                "e.1/0/a:ok msg e.1/1/a:ok e.1/2/a:ok e.1/1/a:ok e.1/2/a:ok",
                "e.1/0/a e.1/1/a e.1/2/a e.1/1/a~ e.1/2/a~ | completed null",
            ),
            ("e.1/0/a:ok msg e.1/1/a:no e.1/2/a:no", "e.1/0/a e.1/1/a e.1/2/a | completed null"),
        ],
    );
}

#[test]
fn a_long_list_is_not_written_again() {
    let flow = flow(
        "start=start; e=for-each {\"items\":\"=input.lines\",\"limit\":3}; a=x {\"in\":\"e\",\"with\":\"=item\"}; end=end {\"output\":\"=nodes.e\"}",
        "start>e e>end",
    );
    let lines: Vec<Value> = (0..500).map(|n| json!({ "sku": format!("sku-{n}"), "note": "x".repeat(200) })).collect();
    let play = Play::of(&flow, &json!({ "lines": lines }));
    let text = snapshot(&flow, &play.it).unwrap();
    assert!(text.len() < 4_000, "{} bytes for three items of a list of 120 kB", text.len());
}

#[test]
fn what_a_timed_out_round_is_owed_ends_at_the_join() {
    let flow = flow(
        "start=start; s=parallel {\"tokens\":2}; a=p; b=p; j=parallel {\"join\":{\"tokens\":2,\"timeout\":\"1m\"}}; late=p; end=end",
        "start>s s>a s>b a>j b>j j>end j.timeout>late late>end",
    );
    // One of four comes in time; the other three are of the same round.
    table(&flow, &[("a:ok tick a:ok b:ok b:ok late:ok", "a b a b late | completed null")]);
}

#[test]
fn what_has_gone_on_is_not_moved() {
    let flow = flow(
        "start=start; e=for-each {\"items\":\"=[1,2]\",\"limit\":2,\"until\":1,\"rest\":\"await\"}; a=x {\"in\":\"e\"}; k=p; end=end",
        "start>e e>k k>end",
    );
    table(&flow, &[("e.1/0/a:ok move:e>k", "e.1/0/a e.1/1/a k | nothingtodo | running")]);
}

#[test]
fn a_migration_says_what_waits_for_something_else() {
    let wait = |on: &str| {
        flow(
            &format!(
                "start=start; m=receive {{\"message\":\"m\",\"key\":\"k\",\"timeout\":\"1h\",\"on\":{{\"o\":{on}}}}}; end=end; off=end"
            ),
            "start>m m>end m.o>off",
        )
    };
    let (after, message) =
        ("{\"type\":\"timeout\",\"after\":\"1m\"}", "{\"type\":\"message\",\"message\":\"x\",\"key\":\"k\"}");
    let one = wait(after);
    let play = Play::of(&one, &json!({}));
    let codes = |to: &Flow, it: &Instance, from: &Flow, nodes: &[(&str, &str)]| {
        let nodes = nodes.iter().map(|&(old, new)| (old.to_owned(), new.to_owned())).collect();
        let unfit = migrate(from, to, it, &nodes).err().unwrap_or_default();
        unfit.iter().map(|one| format!("{} {}", one.node, one.code)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(codes(&wait(message), &play.it, &one, &[]), "m HANDLER_CHANGED");
    assert_eq!(codes(&wait("{\"type\":\"timeout\",\"after\":\"2m\"}"), &play.it, &one, &[]), "");
    let two = flow("start=start; s=parallel; a=x; b=x; j=parallel; end=end", "start>s s>a s>b a>j b>j j>end");
    let play = Play::of(&two, &json!({}));
    assert_eq!(codes(&two, &play.it, &two, &[("b", "a")]), "b NODE_TWICE");
}

#[test]
fn a_set_that_has_no_value_writes_nothing() {
    let flow = flow(
        "start=start; one=set {\"vars\":{\"n\":1}}; two=set {\"vars\":{\"n\":\"=vars.n + 1\"},\"priority\":\"=1.5\"}; end=end",
        "start>one one>two two>end",
    );
    let mut play = Play::of(&flow, &json!({}));
    for _ in 0..3 {
        assert_eq!(*play.it.root().vars["n"].value, json!(1));
        play.word("retry");
    }
}
