//! The sample flows, the checker's cases, and the generated files, as they stand in `flows/`.
//!
//! `flows/checks/*.json` hold a document each and the problems it has. The browser build runs the
//! same files, so that both say the same.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stepwell_core::catalog::{CalledFlow, Catalog, NodeType};
use stepwell_core::expr::{Root, Scope};
use stepwell_core::flow::check::{Checked, check};
use stepwell_core::flow::{Kind, Writes, document, pool};
use stepwell_core::schema::Schema;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn catalog() -> Catalog {
    let mut stored = read(&root().join("flows/checks/catalog.json"));
    let types: Vec<NodeType> = serde_json::from_value(stored["nodeTypes"].take()).unwrap();
    let mut published = |kind: &str| serde_json::from_value(stored[kind].take()).unwrap();
    let (flows, templates, tables) = (published("flows"), published("templates"), published("tables"));
    Catalog { flows, templates, tables, ..Catalog::new(types) }
}

fn cases() -> Vec<(String, Value)> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(root().join("flows/checks")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json") && !path.ends_with("catalog.json"));
    paths.iter().map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), read(path))).collect()
}

/// What a case file says of each problem.
fn shown(checked: &Checked) -> Vec<Value> {
    let problems = checked.problems.iter().map(|problem| {
        let mut shown = json!({ "severity": problem.severity, "code": problem.code, "pointer": problem.pointer });
        if let Some(node) = &problem.node {
            shown["node"] = Value::from(node.as_str());
        }
        shown
    });
    problems.collect()
}

#[test]
fn each_case_has_its_problems() {
    let catalog = catalog();
    let mut wrong = Vec::new();
    for (name, case) in cases() {
        let checked = check(&case["document"], &catalog);
        let expected = case["problems"].as_array().unwrap();
        let found = shown(&checked);
        if found != *expected {
            let messages: Vec<String> = checked.problems.iter().map(|problem| format!("{problem:?}")).collect();
            wrong.push(format!("{name}: found\n  {}\nexpected\n  {}", messages.join("\n  "), case["problems"]));
        }
        let errors = checked.problems.iter().any(|problem| problem.severity == stepwell_core::problem::Severity::Error);
        assert_eq!(checked.flow.is_none(), errors, "{name}: a flow without errors is there");
        for problem in &checked.problems {
            assert!(!problem.message.ends_with('.'), "{name}: {}", problem.message);
            assert!(
                problem.code.bytes().all(|letter| letter.is_ascii_uppercase() || letter == b'_'),
                "{}",
                problem.code
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn sample_flows_are_sound() {
    let catalog = catalog();
    for name in ["community_order", "order-5"] {
        let document = read(&root().join(format!("flows/{name}.json")));
        let checked = check(&document, &catalog);
        assert_eq!(shown(&checked), Vec::<Value>::new(), "{name}: {:?}", checked.problems);
        let flow = checked.flow.unwrap();
        assert_eq!(flow.key, name);
        assert_eq!(flow.hash, checked.hash);
        for node in &flow.nodes {
            assert!(document["layout"].get(&*node.id).is_some(), "{name}: {} has no place", node.id);
        }
    }
}

/// The golden machine and the one it runs per resource; with the state pool that its document lists.
#[test]
fn sample_machines_are_sound() {
    let mut catalog = catalog();
    for name in ["tour_resource", "tour_order"] {
        let document = read(&root().join(format!("flows/{name}.json")));
        let checked = check(&document, &catalog);
        assert_eq!(shown(&checked), Vec::<Value>::new(), "{name}: {:#?}", checked.problems);
        let flow = checked.flow.unwrap();
        let machine = flow.machine().unwrap();
        for state in &machine.states {
            assert!(document["layout"].get(&*state.code).is_some(), "{name}: {} has no place", state.code);
        }
        let (key, hash) = (name.to_owned(), flow.hash.clone());
        catalog.flows.insert(key.clone(), CalledFlow { key, version: 1, hash, document, catalog: Catalog::default() });
        catalog.flows.get_mut(name).unwrap().catalog = Catalog { flows: BTreeMap::new(), ..catalog.clone() };
    }
    let pool = |name: &str| read(&root().join(format!("flows/{name}.json")))["states"].clone();
    for (name, code, service, priority) in [
        ("tour_order", "OS0000", "SubscribeAction", 0),
        ("tour_order", "OS0002", "A", 0),
        ("tour_order", "OS0002A", "B", 1),
        ("tour_order", "OS0002G", "C", 1),
        ("tour_resource", "RS0000", "D", 1),
        ("tour_resource", "RS0001", "E", 0),
        ("tour_resource", "RS0002", "F", 6),
    ] {
        let states = pool(name);
        let state = states.as_array().unwrap().iter().find(|state| state["code"] == code).unwrap();
        assert_eq!((&state["service"], &state["priority"]), (&json!(service), &json!(priority)), "{code}");
    }
    for name in ["tour_order", "tour_resource"] {
        let states = pool(name);
        assert_eq!(pool::from_csv(&pool::to_csv(&states)), Ok(states), "{name}");
    }
}

/// The arithmetic of BENCH.md, computed from the sample's own table and templates.
#[test]
fn order_5_adds_up() {
    let flow = check(&read(&root().join("flows/order-5.json")), &catalog()).flow.unwrap();
    for (tier, subtotal, pct, discount) in [
        ("platinum", 50_000, 20, 10_000),
        ("platinum", 49_999, 12, 5_999),
        ("gold", 50_000, 15, 7_500),
        ("gold", 20_000, 10, 2_000),
        ("gold", 19_999, 5, 999),
        ("silver", 20_000, 6, 1_200),
        ("silver", 19_999, 2, 399),
        ("bronze", 1_000_000, 0, 0),
        ("", 0, 0, 0),
    ] {
        let Kind::Decision(decision) = &flow.nodes[flow.node("discount").unwrap()].kind else { panic!("a decision") };
        let (tier_value, subtotal_value) = (json!(tier), json!(subtotal));
        let scope =
            Scope { roots: &[("tier", Root::Value(&tier_value)), ("subtotal_cents", Root::Value(&subtotal_value))] };
        let answer = decision.table.evaluate(&scope).unwrap();
        assert_eq!(answer.output, json!({ "pct": pct }), "{tier} {subtotal}");
        let nodes = json!({ "price": { "subtotal_cents": subtotal }, "discount": answer.output });
        let Kind::Set(Writes { vars, .. }) = &flow.nodes[flow.node("discounted").unwrap()].kind else {
            panic!("a set")
        };
        let value = vars[0].1.eval(&Scope { roots: &[("nodes", Root::Value(&nodes))] }).unwrap();
        assert_eq!(value, json!(discount), "{tier} {subtotal}");
    }
}

#[test]
fn the_schema_is_generated() {
    let path = root().join("flows/flow.schema.json");
    let generated = serde_json::to_string_pretty(&document::schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == generated, "flows/flow.schema.json is out of date: run UPDATE=1 cargo test -p stepwell-core");
}

/// What `docs/flows.md` shows is read as it stands there.
#[test]
fn the_examples_of_the_manual_are_sound() {
    let manual = std::fs::read_to_string(root().join("docs/flows.md")).unwrap();
    let blocks: Vec<&str> = manual.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 5);
    for block in blocks {
        let nodes: serde_json::Map<String, Value> = serde_json::from_str(block).unwrap();
        if nodes.contains_key("table") {
            let checked = stepwell_core::table::check(&Value::Object(nodes));
            assert_eq!(checked.problems, []);
            continue;
        }
        if nodes.contains_key("stepwell") {
            let read = serde_json::from_value::<document::FlowDocument>(Value::Object(nodes));
            assert!(read.is_ok(), "{read:?}");
            continue;
        }
        for (id, node) in nodes {
            let read = serde_json::from_value::<document::NodeDocument>(node);
            assert!(read.is_ok(), "{id}: {read:?}");
        }
    }
}

/// The schema and the reader are two readings of one set of types.
#[test]
fn the_schema_and_the_reader_agree() {
    // Said by the reader from the shape alone; all other rules are beyond a schema.
    let shape = BTreeSet::from(["WRONG_TYPE", "MISSING_FIELD", "UNKNOWN_FIELD", "UNKNOWN_VALUE", "UNKNOWN_CONSTRUCT"]);
    let schema = Schema::compile(&document::schema()).unwrap();
    let catalog = catalog();
    for name in ["community_order", "order-5", "tour_order", "tour_resource"] {
        let problems = schema.check(&read(&root().join(format!("flows/{name}.json"))));
        assert!(problems.is_empty(), "{name}: {problems:?}");
    }
    for (name, case) in cases() {
        let checked = check(&case["document"], &catalog);
        let shapely = checked
            .problems
            .iter()
            .filter(|problem| !problem.pointer.contains("/table"))
            .all(|problem| !shape.contains(problem.code.as_str()));
        assert_eq!(
            schema.is_valid(&case["document"]),
            shapely,
            "{name}: {:?} {:?}",
            schema.check(&case["document"]),
            checked.problems
        );
    }
}

/// Every code of the checker is explained to people, and has a case that shows it.
#[test]
fn every_code_is_explained() {
    let text = std::fs::read_to_string(root().join("docs/problems.md")).unwrap();
    let explained: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(code, _)| code.to_owned()))
        .collect();
    let mut written = BTreeSet::new();
    let mut open = vec![root().join("engine/core/src")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            if !path.ends_with("machine") {
                open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        for begin in ["Problem::error(", "Problem::warning(", "refuse(", "ExprError { code: ", "whole("] {
            for (at, _) in source.match_indices(begin) {
                let rest = source[at + begin.len()..].trim_start();
                let code = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
                written.extend(
                    code.filter(|code| code.contains('_') || code.chars().all(char::is_uppercase)).map(str::to_owned),
                );
            }
        }
        for (at, _) in source.match_indices("code: \"") {
            written.extend(source[at + 7..].split('"').next().map(str::to_owned));
        }
    }
    written.extend(["CONFIG_MISMATCH", "INPUT_MISMATCH", "SCHEMA_MISMATCH"].map(str::to_owned));
    assert_eq!(written.difference(&explained).collect::<Vec<_>>(), Vec::<&String>::new(), "not in docs/problems.md");
    assert_eq!(explained.difference(&written).collect::<Vec<_>>(), Vec::<&String>::new(), "no longer in the code");
    let shown: BTreeSet<String> = cases()
        .iter()
        .flat_map(|(_, case)| case["problems"].as_array().unwrap().clone())
        .map(|problem| problem["code"].as_str().unwrap().to_owned())
        .collect();
    // Not of documents: of values checked against a schema, and of the sizes a file should not have.
    let elsewhere = ["SCHEMA_MISMATCH", "FLOW_TOO_LARGE", "TABLE_TOO_LARGE"];
    // Of other documents: the tables beside their checks show them.
    let others = ["bind/tests.rs", "record.rs"].map(|name| root().join("engine/core/src").join(name));
    let others = others.map(|path| std::fs::read_to_string(path).unwrap()).concat();
    let seen = |code: &str| {
        elsewhere.contains(&code) || ["\"", ", "].iter().any(|before| others.contains(&format!("{before}{code} /")))
    };
    let missing: Vec<_> = explained.difference(&shown).filter(|code| !seen(code)).collect();
    assert_eq!(missing, Vec::<&String>::new(), "no case in flows/checks");
}

#[test]
fn sizes_are_limited() {
    let catalog = catalog();
    let codes = |document: &Value| {
        check(document, &catalog).problems.iter().map(|problem| problem.code.clone()).collect::<Vec<_>>()
    };
    let nodes = |count: usize| {
        (0..count).map(|index| (format!("n{index}"), json!({ "type": "start" }))).collect::<serde_json::Map<_, _>>()
    };
    for (name, document) in [
        ("nodes", json!({ "stepwell": 1, "kind": "graph", "key": "a", "nodes": nodes(2_001), "edges": [] })),
        (
            "edges",
            json!({ "stepwell": 1, "kind": "graph", "key": "a", "nodes": nodes(1), "edges": vec![json!({ "from": "n0", "to": "n0" }); 8_001] }),
        ),
        ("bytes", json!({ "stepwell": 1, "kind": "graph", "key": "a", "title": "x".repeat(1 << 20), "nodes": {} })),
    ] {
        assert_eq!(codes(&document), ["FLOW_TOO_LARGE"], "{name}");
    }
    for not_a_document in [json!(null), json!([]), json!("text"), json!(7)] {
        assert_eq!(codes(&not_a_document), ["WRONG_TYPE"], "{not_a_document}");
    }
    // Twenty-five hundred rows are read, ten thousand and one are not.
    let rules = vec![json!({ "a": "1", "b": "2" }); 10_001];
    let mut problems = Vec::new();
    let table =
        json!({ "inputs": [{ "id": "a", "field": "x" }], "outputs": [{ "id": "b", "field": "y" }], "rules": rules });
    assert!(stepwell_core::decide::Table::parse(&table, "", &mut problems).is_none());
    assert_eq!(problems[0].code, "TABLE_TOO_LARGE");
}

#[test]
fn compiled_parts_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<stepwell_core::flow::Flow>();
    shared::<stepwell_core::expr::Expr>();
}
