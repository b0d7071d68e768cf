//! Expressions: the fixture that every build must agree on, and texts and values made to hurt.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use serde_json::{Value, json};
use stepwell_core::expr::{Expr, Root, Scope, Template};

/// The value, `refused CODE`, or `error: message`.
fn shown(source: &str, context: &Value, timezone: &str) -> Result<Value, String> {
    let expr = Expr::parse_in(source, timezone.parse().unwrap()).map_err(|error| {
        assert!(source.get(error.from..error.to).is_some(), "{source}: {}..{}", error.from, error.to);
        format!("refused {}", error.code)
    })?;
    let none = serde_json::Map::new();
    let context = context.as_object().unwrap_or(&none);
    let roots: Vec<(&str, Root)> = context.iter().map(|(name, value)| (name.as_str(), Root::Value(value))).collect();
    expr.eval(&Scope { roots: &roots }).map_err(|error| format!("error: {}", error.message))
}

fn fixture() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../flows/expressions.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_fixture_holds() {
    let mut wrong = Vec::new();
    for row in fixture() {
        let source = row["expression"].as_str().unwrap();
        let found = shown(source, &row["context"], row["timezone"].as_str().unwrap_or("UTC"));
        let right = match &found {
            Ok(value) => row.get("value") == Some(value),
            Err(said) => match (row["refused"].as_str(), row["error"].as_str()) {
                (Some(code), _) => *said == format!("refused {code}"),
                (_, Some(part)) => said.starts_with("error: ") && said.contains(part),
                _ => false,
            },
        };
        if !right {
            wrong.push(format!("{row}\n  found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// After an empty bracket beside an interval all that follows is read once more, if it could be an operand.
fn empty_beside_an_interval() -> Vec<String> {
    let repeat = |part: &str, times: usize| part.repeat(times);
    vec![
        repeat("[]+", 200) + "[1..2]",
        repeat("[]==", 200) + "[1..2]",
        repeat("{}+", 200) + "[1..2]",
        repeat("f([])+", 200) + "[1..2]",
        repeat("f([])+", 3) + "[1..2]",
        repeat("f(g([]))+", 4) + "[1..2]",
        repeat("[]+", 5) + "[1..2]",
        repeat("[[]]+", 200) + "[1..2]",
        repeat("[],[]+", 200) + "[1..2]",
        repeat("[1,[]]+", 200) + "[1..2]",
        repeat("[] [] ", 200) + "[1..2]",
        repeat("[]?[]:", 60) + "[1..2]",
        repeat("[a?b:]+", 60) + "[1..2]",
        repeat("a[b?c:]+", 60) + "[1..2]",
        repeat("a[1:]+", 200) + "[1..2]",
        repeat("a[:]+", 200) + "[1..2]",
        repeat("[1:]+", 200) + "[1..2]",
        repeat("`${[]}`+", 200) + "[1..2]",
        repeat("`${[]}${[]}`+", 100) + "[1..2]",
        repeat("[],", 1_000) + "[1..2]",
        repeat("[[],", 40) + "[1..2]" + &repeat("]", 40),
    ]
}

/// Texts that end a process that is not on its guard: each is answered at once, and with little stack.
#[test]
fn hostile_texts_are_refused() {
    let repeat = |part: &str, times: usize| part.repeat(times);
    let texts = [
        repeat("(", 2_000) + "1" + &repeat(")", 2_000),
        repeat("[", 2_000) + &repeat("]", 2_000),
        repeat("{a:", 1_000) + "1" + &repeat("}", 1_000),
        repeat("(", 65) + "1" + &repeat(")", 65),
        repeat("-", 4_000) + "1",
        repeat("not ", 1_000) + "true",
        repeat("!", 4_000) + "true",
        repeat("a ? b : ", 500) + "c",
        repeat("2 ^ ", 1_000) + "2",
        repeat("1+", 2_000) + "1",
        repeat("a.", 2_000) + "a",
        repeat("a[", 1_000) + "0" + &repeat("]", 1_000),
        repeat("f(", 1_000),
        repeat("len(", 65) + "''" + &repeat(")", 65),
        repeat("`${", 500),
        // Brackets beside a range are read twice at each level.
        repeat("(", 60) + "[1..2]" + &repeat(")", 60),
        repeat("(](", 20) + "1..2" + &repeat(")", 40),
        repeat("]", 3_000) + "1..2",
        repeat("](", 1_000) + "1..2",
        repeat("[", 40) + "1..2" + &repeat("]", 40),
        // Brackets that seem to close open an interval as well, after what may not be empty.
        "[0 in [110 in [1..0)[".to_owned() + &repeat(")", 40),
        "[0 in [110 in [1..0)[".to_owned() + &repeat("]", 40),
        "1 in [1..0](".to_owned() + &repeat("]", 40),
        repeat("x in [1..2] and ", 200) + &repeat("(", 64),
        "x".repeat(5_000),
        "\u{0}\u{1}\u{7f}".to_owned(),
        "🦀 + 1".to_owned(),
        "ͺnp(ut.n".to_owned(),
        "'".to_owned(),
        "`".to_owned(),
        "..".to_owned(),
        "1e999999999".to_owned(),
        "#".to_owned(),
        "= = =".to_owned(),
    ];
    // The smallest stack that a thread of the engine or of the browser has.
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let work = move || {
        for text in texts.into_iter().chain(empty_beside_an_interval()) {
            let begun = std::time::Instant::now();
            let found = shown(&text, &Value::Null, "UTC");
            let head: String = text.chars().take(40).collect();
            assert!(found.is_err() || text.len() < 4_000, "{head}: {found:?}");
            assert!(begun.elapsed().as_millis() < 2_000, "{head}: took {:?}", begun.elapsed());
        }
    };
    small.spawn(work).unwrap().join().unwrap();
}

/// What is just allowed is also computed, on a small stack.
#[test]
fn texts_at_the_limits_are_computed() {
    let work = || {
        for (text, value) in [
            ("(".repeat(64) + "1" + &")".repeat(64), json!(1)),
            (vec!["1"; 257].join("+"), json!(257)),
            ("-".repeat(64) + "1", json!(1)),
            ("abs(".repeat(64) + "-1" + &")".repeat(64), json!(1)),
            ("true ? (1) : ".repeat(30) + "2", json!(1)),
            ("(".repeat(9) + "len([1..1000])" + &")".repeat(9), Value::Null),
            // What is closed at once is not open beside an interval.
            ("1 in [1..3] and len([[]".to_owned() + &", []".repeat(30) + "]) == 31", json!(true)),
            ("1 in [1..3] and len([{}".to_owned() + &", {}".repeat(30) + "]) == 31", json!(true)),
            ("len([[], [1], []]) in [1..3] ? [".to_owned() + &"{a: [], b: {}},".repeat(20) + "1][20] : 0", json!(1)),
            ("1 in [1..3]".to_owned() + &" and s[1:] == 'bc' and s[:1] == 'ab'".repeat(20), json!(true)),
            (
                "1 in [1..3] and ".to_owned() + &"[1, 2][true ? 0 : 1] == 1 and ".repeat(12) + "len([]) == 0",
                json!(true),
            ),
            ("1 in [1..3] and ".to_owned() + &"len([]) == 0 and ".repeat(3) + "true", json!(true)),
        ] {
            let found = shown(&text, &json!({ "s": "abc" }), "UTC");
            let allowed = value.is_null() || found == Ok(value);
            assert!(allowed, "{}…: {found:?}", &text[..50.min(text.len())]);
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn hostile_values_are_refused() {
    let list = |length: usize| Value::from(vec![1; length]);
    let rows = |outer: usize, inner: usize| Value::from(vec![json!({ "inner": list(inner) }); outer]);
    for (text, input, expected) in [
        ("count(input, # > 0)", list(10_000), "10000"),
        ("count(input, # > 0)", list(10_001), "error: `count` over 10001 items"),
        ("sum(map(input, sum(map(#.inner, #))))", rows(100, 1_000), "100000"),
        ("sum(map(input, sum(map(#.inner, #))))", rows(100, 1_001), "error: `map` over 1001 items"),
        ("len(flatMap(input, map(#.inner, #)))", rows(1_000, 500), "500000"),
        // Twenty thousand times twenty thousand.
        ("map(input, map(input, #))", list(20_000), "error: `map` over 20000 items"),
        ("map(flatMap(input, #.inner), #)", rows(1_000, 1_000), "error: `map` over 1000000 items"),
        ("len(split(input, ''))", json!("x".repeat(100_000)), "100002"),
        ("map(split(input, ''), #)", json!("x".repeat(100_000)), "error: `map` over 100002 items"),
        ("map([1..1000], map([1..1000], map2(#)))", json!(1), "refused EXPRESSION_SYNTAX"),
        ("sum(map([1..1000], sum(map([1..1000], sum(input)))))", list(1_000), "error: more than 5000000 steps of work"),
        ("map([1..1000], input + input)", json!("x".repeat(100_000)), "error: more than 4194304 bytes of text"),
        ("map([1..1000], upper(input))", json!("x".repeat(100_000)), "error: more than 4194304 bytes of text"),
        (
            "map([1..1000], matches(input, '(a*)*b'))",
            json!("a".repeat(60_000)),
            "error: more than 5000000 steps of work",
        ),
        ("matches(input, 'a')", json!("a".repeat(70_000)), "error: `matches` takes patterns"),
        ("matches('a', input)", json!("(".repeat(500)), "error: `("),
        ("matches('a', '(a{1000}){1000}')", json!(1), "error: `(a{1000}){1000}` is no regular expression"),
        ("input[99999999999999999999]", list(3), "error: 99999999999999999999 is no place"),
        ("input[-1]", list(3), "error: -1 is no place"),
        ("input[0:99999999]", list(3), "error: 0:99999999 is outside"),
        ("input == input", rows(1_000, 1_000), "true"),
        ("round(input, 99)", json!(1.5), "error: `round` keeps 0 to 28"),
        ("d(input)", json!(9_223_372_036_854_775_807_i64), "error: "),
        ("d(input)", json!("2026-03-01T00:00:00Z".repeat(1000)), "error: "),
        ("d('2026-01-01').add(input)", json!("9".repeat(1000) + "d"), "error: "),
    ] {
        let begun = std::time::Instant::now();
        let found = match shown(text, &json!({ "input": input }), "UTC") {
            Ok(value) => value.to_string(),
            Err(said) => said,
        };
        assert!(found.starts_with(expected), "{text}: {}", &found[..found.len().min(200)]);
        assert!(begun.elapsed().as_secs() < 20, "{text}: took {:?}", begun.elapsed());
    }
}

/// JSON text is at most 128 deep, but values are made in other ways too.
#[test]
fn deep_values_do_not_exhaust_the_stack() {
    let mut deep = json!(1);
    for _ in 0..120 {
        deep = json!([deep]);
    }
    assert_eq!(shown("input == other", &json!({ "input": deep.clone(), "other": deep }), "UTC"), Ok(json!(true)));
}

#[test]
fn truth_is_true_or_false() {
    let input = json!({ "yes": true, "n": 1, "text": "true" });
    let scope = Scope { roots: &[("input", Root::Value(&input))] };
    for (text, expected) in [
        ("input.yes", Ok(true)),
        ("input.n == 1", Ok(true)),
        ("input.n", Err("`input.n` is number, not true or false")),
        ("input.text", Err("`input.text` is string, not true or false")),
        ("input.nothing", Err("`input.nothing` is null, not true or false")),
    ] {
        let found = Expr::parse(text).unwrap().holds(&scope).map_err(|error| error.message);
        assert_eq!(found, expected.map_err(str::to_owned), "{text}");
    }
}

#[test]
fn what_an_expression_reads_is_known() {
    for (text, expected) in [
        ("input.a.b", "input.a.b"),
        ("input.list[0].x", "input.list"),
        ("nodes.a.x + vars.n", "nodes.a.x vars.n"),
        ("map(input.items, #.qty * vars.rate)", "input.items vars.rate"),
        ("map(input.items as item, item.qty)", "input.items"),
        ("nodes[input.which]", "nodes input.which"),
        ("`${flow.key}`", "flow.key"),
        ("1 + 1", ""),
    ] {
        let expr = Expr::parse(text).unwrap();
        let reads: Vec<String> = expr.reads().iter().map(|path| path.join(".")).collect();
        assert_eq!(reads.join(" "), expected, "{text}");
    }
}

#[test]
fn templates_keep_what_is_no_expression() {
    let input = json!({ "id": "O-1", "n": 2 });
    let scope = Scope { roots: &[("input", Root::Value(&input))] };
    for (source, expected) in [
        (
            json!({ "a": "=input.id", "b": ["=input.n + 1", "n"], "c": null }),
            json!({ "a": "O-1", "b": [3, "n"], "c": null }),
        ),
        (json!("'=1+1"), json!("=1+1")),
        (json!("''=1+1"), json!("'=1+1")),
        (json!("'quoted'"), json!("'quoted'")),
        (json!("=1+1"), json!(2)),
        (json!("=input"), json!({ "id": "O-1", "n": 2 })),
        (json!({ "a": { "deep": [1, 2] } }), json!({ "a": { "deep": [1, 2] } })),
        (json!(""), json!("")),
    ] {
        let mut problems = Vec::new();
        let template = Template::parse(&source, "/x", &mut problems);
        assert!(problems.is_empty(), "{source}: {problems:?}");
        assert_eq!(template.eval(&scope), Ok(expected), "{source}");
    }
    let mut problems = Vec::new();
    Template::parse(&json!({ "a/b": ["=1 +", "=rand(1)"] }), "/x", &mut problems);
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["/x/a~1b/0", "/x/a~1b/1"]);
}
