//! Old, new, and what is said of it: `code!` where it breaks who writes the value (config and input), `code?` where it
//! breaks who reads it (outputs), `code!?` where it breaks both.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use serde_json::{Value, json};

use super::{Build, Report, compare, read, written};
use crate::catalog::{EffectClass, ErrorCode, NodeType, Port};

fn shown(old: &Value, new: &Value) -> String {
    let both = written("input", old, new).into_iter().zip(read("output", old, new));
    let marks = both.map(|(write, read)| {
        let mark = |breaking, mark| if breaking { mark } else { "" };
        format!("{}{}{}{}", write.pointer, write.code, mark(write.breaking, "!"), mark(read.breaking, "?"))
    });
    marks.collect::<Vec<_>>().join(" ")
}

fn table(rows: &[(&str, &str, &str)]) {
    for (old, new, said) in rows {
        let [before, now] = [old, new].map(|text| serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}")));
        assert_eq!(shown(&before, &now), *said, "{old} → {new}");
    }
}

#[test]
fn types_lists_and_limits() {
    table(&[
        (r#"{"type":"string"}"#, r#"{"type":"string","title":"T","description":"d","x-ui":1}"#, ""),
        (r#"{"type":"string"}"#, r#"{"type":"integer"}"#, "type-narrowed! type-widened?"),
        (r#"{"type":"number"}"#, r#"{"type":"integer"}"#, "type-narrowed!"),
        (r#"{"type":"integer"}"#, r#"{"type":"number"}"#, "type-widened?"),
        (r#"{"type":["string","null"]}"#, r#"{"type":"string"}"#, "type-narrowed!"),
        (r#"{"type":"string"}"#, r#"{"type":["null","string"]}"#, "type-widened?"),
        ("{}", r#"{"type":"string"}"#, "type-narrowed!"),
        ("true", r#"{"type":"string"}"#, "type-narrowed!"),
        ("true", "{}", ""),
        ("true", "false", "value-refused!"),
        ("false", "true", "value-allowed?"),
        (r#"{"enum":["a","b"]}"#, r#"{"enum":["b","a"]}"#, ""),
        (r#"{"enum":["a","b"]}"#, r#"{"enum":["a"]}"#, "enum-narrowed!"),
        (r#"{"enum":["a"]}"#, r#"{"enum":["a","b"]}"#, "enum-widened?"),
        (r#"{"enum":["a"]}"#, r#"{"const":"b"}"#, "enum-narrowed! enum-widened?"),
        ("{}", r#"{"const":1}"#, "enum-narrowed!"),
        (r#"{"minimum":1}"#, r#"{"minimum":2}"#, "limit-tightened!"),
        (r#"{"minimum":2}"#, r#"{"minimum":1}"#, "limit-loosened?"),
        (r#"{"maxLength":10}"#, r#"{"maxLength":9}"#, "limit-tightened!"),
        ("{}", r#"{"maxItems":9}"#, "limit-tightened!"),
        (r#"{"maxItems":9}"#, "{}", "limit-loosened?"),
        ("{}", r#"{"pattern":"^a"}"#, "rule-added!"),
        (r#"{"format":"date"}"#, "{}", "rule-removed?"),
        (r#"{"pattern":"^a"}"#, r#"{"pattern":"^b"}"#, "rule-changed!?"),
        (r#"{"not":{"title":"a"}}"#, r#"{"not":{"title":"b"}}"#, ""),
        (r#"{"uniqueItems":false}"#, "{}", ""),
        (r#"{"if":{"type":"string"}}"#, "{}", "rule-changed!?"),
    ]);
}

#[test]
fn properties_items_and_branches() {
    let a = |schema: &str| format!(r#"{{"properties":{{"a":{schema}}}}}"#);
    let (text, none) = (a(r#"{"type":"string"}"#), r#"{"properties":{}}"#);
    let must = r#"{"properties":{"a":{"type":"string"}},"required":["a"]}"#;
    let tilde = r#"{"properties":{"a/b":{}}}"#;
    let list = |schema: &str| format!(r#"{{"items":{schema}}}"#);
    let [texts, numbers] = [list(r#"{"type":"string"}"#), list(r#"{"type":"number"}"#)];
    let [one, two] = [r#"{"anyOf":[{"type":"null"}]}"#, r#"{"anyOf":[{"type":"null"},{"type":"string"}]}"#];
    let [all_one, all_two] = [one.replace("anyOf", "allOf"), two.replace("anyOf", "allOf")];
    table(&[
        (none, &text, "/aproperty-added"),
        (none, must, "/arequired-added!"),
        (&text, must, "/arequired-added!"),
        (must, &text, "/arequired-removed?"),
        // Who wrote it is not heard, who read it finds nothing.
        (&text, none, "/aproperty-removed!?"),
        (must, none, "/aproperty-removed!?"),
        (tilde, none, "/a~1bproperty-removed!?"),
        (&text, &a(r#"{"type":"number"}"#), "/atype-narrowed! /atype-widened?"),
        (none, r#"{"properties":{},"additionalProperties":false}"#, "closed!"),
        (r#"{"additionalProperties":false}"#, "{}", "opened?"),
        (
            r#"{"additionalProperties":{"type":"string"}}"#,
            r#"{"additionalProperties":{"type":"null"}}"#,
            "/*type-narrowed! /*type-widened?",
        ),
        (&texts, &numbers, "/*type-narrowed! /*type-widened?"),
        (&texts, "{}", "/*type-widened?"),
        (r#"{"prefixItems":[{}]}"#, r#"{"prefixItems":[{"type":"null"}]}"#, "/0type-narrowed!"),
        (r#"{"prefixItems":[{}]}"#, "{}", "items-changed!?"),
        (one, two, "branches-changed?"),
        (two, one, "branches-changed!"),
        (&all_one, &all_two, "branches-changed!"),
        (&all_two, &all_one, "branches-changed?"),
        (one, r#"{"anyOf":[{"type":"string"}]}"#, "type-narrowed! type-widened?"),
        (one, r#"{"anyOf":[{"type":"string"},{"type":"array"}]}"#, "branches-changed!?"),
        ("{}", one, "rule-added!"),
    ]);
}

#[test]
fn references_are_followed_and_come_to_an_end() {
    let tree = |leaf: &str| {
        format!(
            r##"{{"$ref":"#/$defs/tree","$defs":{{"tree":{{"properties":{{"l":{{"$ref":"#/$defs/tree"}},
               "r":{{"$ref":"#/$defs/tree"}},"v":{leaf}}}}}}}}}"##
        )
    };
    let [text, number] = [tree(r#"{"type":"string"}"#), tree(r#"{"type":"number"}"#)];
    let inline = r#"{"properties":{"l":{},"r":{},"v":{"type":"string"}}}"#;
    table(&[
        (&text, &text, ""),
        (&text, &number, "/vtype-narrowed! /vtype-widened?"),
        (r##"{"$ref":"#"}"##, r##"{"$ref":"#"}"##, ""),
        (r##"{"$ref":"#/nowhere"}"##, r##"{"$ref":"#/nowhere"}"##, ""),
    ]);
    assert!(!shown(&serde_json::from_str(&text).unwrap(), &serde_json::from_str(inline).unwrap()).is_empty());
    // Hundreds of differences are so many words; a hundred say it.
    let many = |kind: &str| json!({ "properties": (0..500).map(|n| (format!("p{n}"), json!({ "type": kind }))).collect::<serde_json::Map<_, _>>() });
    let told = written("input", &many("string"), &many("number"));
    assert_eq!(told.iter().filter(|one| one.breaking).count(), super::schema::FINDINGS_MAX);
}

#[test]
fn what_breaks_is_told_however_much_else_there_is() {
    // Hundreds of new parts that may be left out come before the one that may not be read any more.
    let mut now: serde_json::Map<String, Value> = (0..500).map(|n| (format!("a{n}"), json!({}))).collect();
    now.insert("z".to_owned(), json!({ "type": "integer" }));
    let (old, new) = (json!({ "properties": { "z": { "type": "string" } } }), json!({ "properties": now }));
    for told in [written("input", &old, &new), read("output", &old, &new)] {
        assert!(told.iter().any(|one| one.breaking && one.pointer == "/z"), "{told:?}");
        assert!(told.len() <= 2 * super::schema::FINDINGS_MAX);
    }
    // Deeper than is looked: only what is the same to the letter is taken for the same.
    let deep = |leaf: Value| (0..40).fold(leaf, |inner, _| json!({ "items": inner }));
    let text = deep(json!({ "type": "string" }));
    assert_eq!(shown(&text, &text), "");
    let told = written("input", &text, &deep(json!({ "type": "integer" })));
    assert!(told.len() == 1 && told[0].breaking, "{told:?}");
    // More parts than are compared, and the last is another.
    let wide = |last: &str| {
        let kind = |n: u32| if n == 19_999 { last } else { "string" };
        let parts = (0..20_000).map(|n| (format!("p{n:05}"), json!({ "type": kind(n) })));
        json!({ "properties": parts.collect::<serde_json::Map<_, _>>() })
    };
    assert_eq!(written("input", &wide("string"), &wide("string")), []);
    assert!(written("input", &wide("string"), &wide("integer")).iter().any(|one| one.breaking));
}

fn node_type(name: &str) -> NodeType {
    let port = |name: &str| Port { name: name.to_owned(), title: [].into(), output: json!({}) };
    let error = |code: &str| ErrorCode { code: code.to_owned(), title: [].into() };
    NodeType {
        id: format!("p/{name}"),
        uses: format!("p/{name}@1"),
        major: 1,
        plugin: "p@1.0.0".to_owned(),
        digest: String::new(),
        effect: EffectClass::Pure,
        title: [].into(),
        summary: [].into(),
        category: String::new(),
        icon: String::new(),
        config: json!({}),
        input: json!({}),
        ports: vec![port("done"), port("more")],
        errors: vec![error("SOLD_OUT")],
        undo: true,
        resume: false,
        query: true,
        examples: Vec::new(),
    }
}

fn report(change: impl FnOnce(&mut Vec<NodeType>, &mut Vec<String>, &mut EffectClass, &mut String)) -> Report {
    let before = [node_type("a")];
    let imports = ["wasi:io/poll@0.2.0".to_owned()];
    let (mut now, mut imported) = (before.to_vec(), imports.to_vec());
    let (mut effect, mut version) = (EffectClass::Recorded, "1.1.0".to_owned());
    change(&mut now, &mut imported, &mut effect, &mut version);
    compare(
        Build { version: "1.0.0", effect: EffectClass::Recorded, imports: &imports, node_types: &before },
        Build { version: &version, effect, imports: &imported, node_types: &now },
    )
}

/// `a changed code! code`, the package's own changes first.
fn told(report: &Report) -> String {
    let changes = |changes: &[super::Change]| {
        let each = changes.iter().map(|one| format!("{}{}", one.code, if one.breaking { "!" } else { "" }));
        each.collect::<Vec<_>>().join(" ")
    };
    let mut parts = vec![changes(&report.changes)];
    for one in &report.node_types {
        parts.push(format!(
            "{} {:?}{} {}",
            one.name,
            one.kind,
            if one.breaking { "!" } else { "" },
            changes(&one.changes)
        ));
    }
    parts.join(" ").trim().to_owned()
}

type Types = Vec<NodeType>;

#[test]
fn what_a_build_changes() {
    type Row = (fn(&mut Types, &mut Vec<String>, &mut EffectClass, &mut String), &'static str);
    let rows: [Row; 16] = [
        (|_, _, _, _| {}, ""),
        (|types, _, _, _| types.clear(), "a Removed!"),
        (|types, _, _, _| types.push(node_type("b")), "b Added"),
        (|types, _, _, _| types[0].title = [("en".to_owned(), "A".to_owned())].into(), ""),
        (|types, _, _, _| types[0].config = json!({ "type": "string" }), "a Changed! type-narrowed!"),
        (|types, _, _, _| types[0].input = json!({ "type": "string" }), "a Changed! type-narrowed!"),
        (|types, _, _, _| types[0].ports[0].output = json!({ "type": "string" }), "a Changed type-narrowed"),
        (|types, _, _, _| drop(types[0].ports.remove(1)), "a Changed! port-removed!"),
        (|types, _, _, _| types[0].ports.swap(0, 1), "a Changed! first-port-changed!"),
        (|types, _, _, _| types[0].ports[1].name = "other".to_owned(), "a Changed! port-removed! port-added"),
        (|types, _, _, _| types[0].errors.clear(), "a Changed! error-removed!"),
        (|types, _, _, _| types[0].undo = false, "a Changed! operation-removed!"),
        (
            |types, _, _, _| (types[0].query, types[0].resume) = (false, true),
            "a Changed! operation-added operation-removed!",
        ),
        (
            |_, imports, effect, _| {
                imports.push("wasi:http/types@0.2.0".to_owned());
                *effect = EffectClass::External;
            },
            "effect-raised! import-added",
        ),
        (
            |_, imports, effect, _| {
                imports.clear();
                *effect = EffectClass::Pure;
            },
            "effect-lowered import-removed",
        ),
        // The same interface, a patch later.
        (|_, imports, _, _| imports[0] = "wasi:io/poll@0.2.3".to_owned(), ""),
    ];
    for (change, said) in rows {
        let report = report(change);
        assert_eq!(told(&report), said);
        assert_eq!(report.breaking, said.contains('!'), "{said}");
        assert!(report.same_major);
    }
    assert!(!report(|_, _, _, version| *version = "2.0.0".to_owned()).same_major);
}
