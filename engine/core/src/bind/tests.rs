//! What is chosen, and what is wrong with rules, as rows.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Asked, Binding, Route, Startable, Versions, namespace};

/// 1 and 2 are labelled, 3 is not; 4 has the label of 2 again.
fn versions() -> Versions {
    let of = |(version, label): (u32, &str)| Startable { version, label: (!label.is_empty()).then(|| label.into()) };
    Versions([(1, "1.0.0"), (2, "stable"), (3, ""), (4, "stable")].map(of).to_vec())
}

/// `version by` (`instead of version by`), or the problems.
fn chosen(document: &Value, key: &str, input: &Value) -> String {
    let checked = Binding::check(document, &versions());
    let Some(binding) = checked.rules else { return format!("{:?}", checked.problems) };
    let asked = Asked { flow: "f", business_key: (!key.is_empty()).then_some(key), input, draw: "a draw" };
    let choice = binding.choose(&asked);
    let mut shown = choice.chosen.map_or("nothing".to_owned(), |(by, version)| format!("{version} {by}"));
    if let Some(passed) = choice.instead_of {
        let version = passed.version.map_or(String::new(), |version| format!("{version} "));
        let _ = write!(shown, " for {version}{}", passed.by); // Writing to a string cannot fail.
    }
    choice.skipped.iter().fold(shown, |shown, one| format!("{shown} skipped {}", one.rule))
}

#[test]
fn a_start_gets_the_version_of_the_first_rule_that_matches() {
    let community = json!({ "communityId": "c1" });
    let rules = json!({ "rules": [
        { "name": "pilot", "keys": ["k1", "k2"], "prefixes": ["vip-"], "version": 3 },
        { "name": "south", "when": "input.communityId == 'c1'", "version": "1.0.0" },
        { "name": "both", "keys": ["k9"], "when": "input.big > 10", "version": 2 },
        { "name": "odd", "prefixes": ["odd"], "when": "input.list + 1 == 2", "version": 1 },
    ], "default": "stable" });
    for (key, input, expected) in [
        ("k1", &Value::Null, "3 rule/pilot"),
        ("vip-7", &Value::Null, "3 rule/pilot"),
        ("vip", &Value::Null, "4 default"),
        ("k1", &community, "3 rule/pilot"), // Both match: the first counts.
        ("x", &community, "1 rule/south"),
        ("", &community, "1 rule/south"),
        ("k9", &json!({ "big": 11 }), "2 rule/both"),
        ("k9", &json!({ "big": 10 }), "4 default"),
        ("k8", &json!({ "big": 11 }), "4 default"),
        ("odd-1", &json!({ "list": [] }), "4 default skipped odd"), // Its expression has no value.
        ("", &Value::Null, "4 default"),
    ] {
        assert_eq!(chosen(&rules, key, input), expected, "{key} {input}");
    }
}

#[test]
fn what_is_switched_off_or_gone_is_stood_in_for() {
    let rule =
        |enabled: bool, version: Value| json!([{ "name": "r", "enabled": enabled, "keys": ["k"], "version": version }]);
    for (document, expected) in [
        (json!({}), "4 newest"),
        (json!({ "default": 2 }), "2 default"),
        (json!({ "default": 2, "off": [2] }), "4 newest for 2 default"),
        (json!({ "default": 2, "off": [2], "fallback": 1 }), "1 fallback for 2 default"),
        (json!({ "off": ["stable"] }), "3 newest"), // The newest that is on is no stand-in.
        (json!({ "off": [1, 2, 3, 4] }), "nothing for newest"),
        (json!({ "rules": rule(true, json!(3)) }), "3 rule/r"),
        (json!({ "rules": rule(false, json!(3)) }), "4 newest"), // The rule is as if it were not there.
        (json!({ "rules": rule(true, json!(3)), "off": [3] }), "4 newest for 3 rule/r"),
        (json!({ "rules": rule(true, json!(3)), "off": [3], "default": 2 }), "2 default for 3 rule/r"),
        (json!({ "rules": rule(true, json!(3)), "off": [3], "fallback": "1.0.0" }), "1 fallback for 3 rule/r"),
        (json!({ "rules": rule(true, json!(3)), "off": [3, 1], "fallback": 1 }), "4 newest for 3 rule/r"),
        // Not to be kept, but one that is kept already goes on.
        (json!({ "rules": rule(true, json!(9)), "fallback": 1 }), "1 fallback for rule/r"),
        (json!({ "rules": rule(true, json!("beta")) }), "4 newest for rule/r"),
    ] {
        assert_eq!(chosen(&document, "k", &Value::Null), expected, "{document}");
    }
}

/// How many of 10,000 keys get each variant.
fn shares(document: &Value) -> BTreeMap<String, u32> {
    let mut shares = BTreeMap::new();
    for key in 0..10_000 {
        *shares.entry(chosen(document, &format!("order-{key}"), &Value::Null)).or_default() += 1;
    }
    shares
}

fn split(a: u32, b: u32, salt: &str, b_on: bool) -> Value {
    json!({ "fallback": "1.0.0", "split": { "salt": salt, "variants": [
        { "name": "a", "version": 2, "weight": a }, { "name": "b", "version": 3, "weight": b, "enabled": b_on }] } })
}

#[test]
fn a_split_shares_out_by_weight_and_keeps_to_it() {
    let even = shares(&split(90, 10, "s", true));
    assert!((8_800..9_200).contains(&even["2 split/a"]) && even["3 split/b"] == 10_000 - even["2 split/a"], "{even:?}");
    assert_eq!(shares(&split(1, 0, "s", true)), [("2 split/a".to_owned(), 10_000)].into());
    // Switched off, the keys of b fall back; those of a keep what they have.
    let off = shares(&split(90, 10, "s", false));
    assert_eq!((off["2 split/a"], off["1 fallback for split/b"]), (even["2 split/a"], even["3 split/b"]));
    let moved = |from: &Value, to: &Value| {
        let key =
            |key: &i32| chosen(from, &format!("k{key}"), &Value::Null) != chosen(to, &format!("k{key}"), &Value::Null);
        (0..1_000).filter(key).count()
    };
    assert_eq!(moved(&split(90, 10, "s", true), &split(9, 1, "s", true)), 0, "the same shares, said otherwise");
    let grown = moved(&split(90, 10, "s", true), &split(80, 20, "s", true));
    assert!((50..160).contains(&grown), "only what the share grew by moves: {grown}");
    let anew = moved(&split(50, 50, "s", true), &split(50, 50, "t", true));
    assert!((400..600).contains(&anew), "another salt shares out anew: {anew}");
}

#[test]
fn without_a_key_the_draw_decides() {
    let binding = Binding::check(&split(50, 50, "", true), &versions()).rules.unwrap();
    assert!(binding.asks_for_a_key());
    let of = |business_key, draw: &str| {
        let choice = binding.choose(&Asked { flow: "f", business_key, input: &Value::Null, draw });
        choice.chosen.unwrap().1
    };
    let drawn: Vec<u32> = (0..100).map(|draw| of(None, &format!("{draw}"))).collect();
    assert!(drawn.contains(&2) && drawn.contains(&3));
    assert_eq!(
        (0..100).map(|draw| of(Some("k"), &format!("{draw}"))).collect::<std::collections::BTreeSet<_>>().len(),
        1
    );
}

#[test]
fn a_route_leads_to_the_first_rule_that_matches() {
    let flows = BTreeMap::from([("order", versions()), ("refund", versions()), ("draft", Versions::default())]);
    let document = json!({ "wait": "5s", "auth": "none", "rules": [
        { "name": "flash", "when": "input.type == 'FLASH'", "flow": "order", "version": 3 },
        { "name": "later", "enabled": false, "when": "input.type == 'COIN'", "flow": "order" },
        { "name": "odd", "when": "input.list + 1 == 2", "flow": "order" },
        { "name": "coin", "when": "input.type == 'COIN'", "flow": "refund" },
    ] });
    let checked = Route::check(&document, |flow| flows.get(flow));
    assert_eq!(checked.problems, []);
    let route = checked.rules.unwrap();
    assert_eq!((route.wait_ms, route.open), (5_000, true));
    for (input, expected) in [
        (json!({ "type": "FLASH" }), "flash order 3"),
        (json!({ "type": "COIN", "list": 0 }), "coin refund bound"),
        (json!({ "type": "COIN", "list": [] }), "coin refund bound skipped odd"),
        (json!({ "type": "LIVE", "list": 1 }), "odd order bound"),
        (json!({ "type": "LIVE", "list": 2 }), "nothing"),
        (json!(null), "nothing skipped odd"),
    ] {
        let choice = route.choose(&input);
        let shown = choice.chosen.map_or("nothing".to_owned(), |to| {
            let version = to.version.map_or("bound".to_owned(), |target| format!("{}", target.version().unwrap()));
            format!("{} {} {version}", to.rule, to.flow)
        });
        let shown = choice.skipped.iter().fold(shown, |shown, one| format!("{shown} skipped {}", one.rule));
        assert_eq!(shown, expected, "{input}");
    }
    let named: Vec<_> = route.named().iter().map(|(flow, version)| (&**flow, *version)).collect();
    assert_eq!(named, [("order", Some(3)), ("order", None), ("order", None), ("refund", None)], "also what is off");
}

/// `code pointer`, in order.
fn told(problems: Vec<crate::problem::Problem>) -> Vec<String> {
    problems.into_iter().map(|one| format!("{} {}", one.code, one.pointer)).collect()
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let binding = json!({ "rule": [], "default": 9, "fallback": true, "off": ["beta"], "rules": [
        { "name": "a b", "keys": ["", "k"], "version": 1 },
        { "name": "r", "version": 1 },
        { "name": "r", "when": "flow.key == 'x'", "version": 8 },
        { "name": "s", "when": "1 +", "version": 1 },
        { "name": "t", "keys": "k", "version": 1, "weight": 1 },
    ], "split": { "variants": [
        { "name": "a", "version": 7, "weight": 0 }, { "name": "a", "version": 1, "weight": 2_000_000 }, { "name": "b", "weight": "x" },
    ] } });
    let checked = Binding::check(&binding, &versions());
    assert!(checked.rules.is_none() && !checked.is_sound());
    assert_eq!(
        told(checked.problems),
        [
            "VERSION_UNKNOWN /default",
            "WRONG_TYPE /fallback",
            "VERSION_UNKNOWN /off/0",
            "UNKNOWN_FIELD /rule",
            "KEY_EMPTY /rules/0/keys/0",
            "RULE_NAME /rules/0/name",
            "RULE_WITHOUT_CONDITION /rules/1",
            "RULE_NAME /rules/2/name",
            "VERSION_UNKNOWN /rules/2/version",
            "UNKNOWN_REFERENCE /rules/2/when",
            "EXPRESSION_SYNTAX /rules/3/when",
            "RULE_WITHOUT_CONDITION /rules/4",
            "WRONG_TYPE /rules/4/keys",
            "UNKNOWN_FIELD /rules/4/weight",
            "VERSION_UNKNOWN /split/variants/0/version",
            "RULE_NAME /split/variants/1/name",
            "SPLIT_WEIGHT /split/variants/1/weight",
            "MISSING_FIELD /split/variants/2",
            "WRONG_TYPE /split/variants/2/weight",
        ]
    );
    for (document, expected) in [
        (json!([]), vec!["WRONG_TYPE "]),
        (json!({ "split": {} }), vec!["MISSING_FIELD /split"]),
        (
            json!({ "split": { "variants": [{ "name": "a", "version": 1, "weight": 0 }] } }),
            vec!["SPLIT_WEIGHT /split/variants"],
        ),
        (json!({ "off": vec![1; 201] }), vec!["RULES_TOO_MANY /off"]),
        (
            json!({ "rules": [{ "name": "r", "keys": vec!["k"; 10_001], "version": 1 }] }),
            vec!["RULES_TOO_MANY /rules/0/keys"],
        ),
    ] {
        assert_eq!(told(Binding::check(&document, &versions()).problems), expected, "{document}");
    }
    let known = versions();
    for (document, expected) in [
        (json!({}), vec!["MISSING_FIELD "]),
        (json!({ "wait": "2m", "rules": [] }), vec!["DURATION_OUT_OF_BOUNDS /wait"]),
        (json!({ "wait": "soon", "auth": "maybe", "rules": [] }), vec!["UNKNOWN_VALUE /auth", "DURATION /wait"]),
        (json!({ "rules": [{ "name": "r", "flow": "g", "version": 1 }] }), vec!["FLOW_UNKNOWN /rules/0/flow"]),
        (json!({ "rules": [{ "name": "r", "flow": "f", "version": 9 }] }), vec!["VERSION_UNKNOWN /rules/0/version"]),
        (
            json!({ "rules": [{ "name": "r", "flow": "f" }, { "name": "s", "flow": "f" }] }),
            vec!["RULE_NEVER_REACHED /rules/1"],
        ),
    ] {
        let checked = Route::check(&document, |flow| (flow == "f").then_some(&known));
        assert_eq!(told(checked.problems), expected, "{document}");
    }
}

#[test]
fn a_flow_belongs_to_the_namespace_before_the_first_dot() {
    for (key, expected) in [
        ("pay.refund", "pay"),
        ("pay.refund.late", "pay"),
        ("pay", "default"),
        ("default.refund", "default"),
        ("pay.", "pay"),
        // No keys of a flow, but a draft may be kept under them.
        (".refund", "default"),
        (".", "default"),
        ("", "default"),
    ] {
        assert_eq!(namespace(key), expected, "{key}");
    }
}
