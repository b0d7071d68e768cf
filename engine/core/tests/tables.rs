//! Decision tables: hit policies, cells, and what an empty one means.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use serde_json::{Value, json};
use stepwell_core::decide::Table;
use stepwell_core::expr::{Root, Scope};

/// Rules as rows of `a | b | x`, columns `a` and `b` in, `x` out; the answer and the rows that hit.
fn decide(policy: &str, rows: &[&str], context: &Value) -> String {
    let rules: Vec<Value> = rows
        .iter()
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            json!({ "a": cells[0], "b": cells[1], "x": cells[2], "_priority": cells.get(3).copied().unwrap_or("9") })
        })
        .collect();
    let table = json!({
        "hitPolicy": policy, "rules": rules, "outputs": [{ "id": "x", "field": "out.x" }],
        "inputs": [{ "id": "a", "field": "order.tier" }, { "id": "b", "field": "order.sum" }],
    });
    let mut problems = Vec::new();
    let table = Table::parse(&table, "", &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    match table.evaluate(&Scope { roots: &[("order", Root::Value(context))] }) {
        Ok(answer) => format!("{} {:?}", answer.output, answer.hits),
        Err(error) => error.message,
    }
}

#[test]
fn policies_pick_their_rules() {
    let rows = ["'gold' | >= 100 | 15 | 2", "'gold' | | 5 | 1", " | [0..50] | 1 | 3", "- | - | 0 | 7"];
    let gold = json!({ "tier": "gold", "sum": 120 });
    let small = json!({ "tier": "silver", "sum": 20 });
    for (policy, context, expected) in [
        ("first", &gold, r#"{"out":{"x":15}} [0]"#),
        ("first", &small, r#"{"out":{"x":1}} [2]"#),
        ("collect", &gold, r#"[{"out":{"x":15}},{"out":{"x":5}},{"out":{"x":0}}] [0, 1, 3]"#),
        ("priority", &gold, r#"{"out":{"x":5}} [1]"#),
        ("priority", &small, r#"{"out":{"x":1}} [2]"#),
        ("unique", &gold, "rules 1, 2, 4 all hit; the table allows one"),
    ] {
        assert_eq!(decide(policy, &rows, context), expected, "{policy} {context}");
    }
    assert_eq!(decide("first", &["'x' | | 1"], &gold), "null []");
    assert_eq!(decide("collect", &["'x' | | 1"], &gold), "[] []");
    assert_eq!(decide("unique", &["'gold' | | 1", "'x' | | 2"], &gold), r#"{"out":{"x":1}} [0]"#);
}

#[test]
fn cells_test_their_column() {
    for (a, b, context, hit) in [
        ("'gold'", "", json!({ "tier": "gold" }), true),
        ("'gold'", "", json!({ "tier": null }), false),
        ("'gold', 'silver'", "", json!({ "tier": "silver" }), true),
        ("not($ in ['gold'])", "", json!({ "tier": "silver" }), true),
        ("null", "", json!({}), true),
        ("len($) > 3", "", json!({ "tier": "gold" }), true),
        ("startsWith($, 'go')", "", json!({ "tier": "gold" }), true),
        ("", ">= 10", json!({ "sum": 10 }), true),
        ("", "< 10", json!({ "sum": 10 }), false),
        ("", "10", json!({ "sum": 10.0 }), true),
        ("", "[10..20)", json!({ "sum": 20 }), false),
        ("", "> 5 and < 15", json!({ "sum": 10 }), true),
        ("", "> order.limit", json!({ "sum": 10, "limit": 5 }), true), // The context is in reach.
        ("", ">= 10", json!({}), false), // Nothing is not 10 or more, and the next rule is asked.
        ("true", "", json!({ "tier": true }), true),
        ("true", "", json!({ "tier": false }), false),
    ] {
        let found = decide("first", &[&format!("{a} | {b} | 1")], &context);
        assert_eq!(found.ends_with("[0]"), hit, "{a} | {b} on {context}: {found}");
    }
    assert!(decide("first", &[" | >= 10 | 1"], &json!({ "sum": "12" })).contains("cell `>= 10`"));
}

#[test]
fn answers_are_expressions() {
    for (cell, expected) in [
        ("15", r#"{"out":{"x":15}} [0]"#),
        ("'text'", r#"{"out":{"x":"text"}} [0]"#),
        ("order.sum * 2", r#"{"out":{"x":240}} [0]"#),
        ("", "{} [0]"), // An empty answer leaves the output out.
        ("order.tier > 1", "cannot compare string with number"),
    ] {
        assert_eq!(
            decide("first", &[&format!(" | | {cell}")], &json!({ "tier": "gold", "sum": 120 })),
            expected,
            "{cell}"
        );
    }
}

#[test]
fn a_large_table_is_quick() {
    let rules: Vec<Value> = (0..10_000)
        .map(|row| json!({ "a": format!("'k{row}'"), "b": format!(">= {row}"), "x": row.to_string() }))
        .collect();
    let table = json!({
        "hitPolicy": "first", "rules": rules, "outputs": [{ "id": "x", "field": "x" }],
        "inputs": [{ "id": "a", "field": "key" }, { "id": "b", "field": "n" }],
    });
    let mut problems = Vec::new();
    let table = Table::parse(&table, "", &mut problems).unwrap();
    let (key, n) = (json!("k9999"), json!(20_000));
    let begun = std::time::Instant::now();
    let answer = table.evaluate(&Scope { roots: &[("key", Root::Value(&key)), ("n", Root::Value(&n))] }).unwrap();
    assert_eq!(answer.hits, [9_999]);
    assert!(begun.elapsed().as_millis() < 500, "{:?}", begun.elapsed());
}
