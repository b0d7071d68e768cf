//! What comes of a template and what extends it: the graph that runs, and how it differs from the template.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use serde_json::{Value, json};
use stepwell_core::catalog::{CalledFlow, Catalog};
use stepwell_core::flow::check::check;
use stepwell_core::flow::extend::{self, State};

/// A node that needs no plugin: what it writes tells it apart.
fn set(name: &str) -> Value {
    json!({ "type": "set", "vars": { name: 1 } })
}

fn line(nodes: &[&str]) -> Value {
    nodes.windows(2).map(|pair| json!({ "from": pair[0], "to": pair[1] })).collect()
}

/// start → prepare (steps) → price (required) → pay (by default) → address (optional) → done
fn base() -> Value {
    json!({
        "stepwell": 1, "kind": "template", "key": "base", "title": "Base", "retention": "7d",
        "businessKey": "=input.order",
        "nodes": {
            "start": { "type": "start" },
            "prepare": {
                "type": "slot", "takes": "steps", "timeout": "5s", "sync": true, "title": "Prepare",
                "merge": { "goods": "fields" },
                "default": [{ "id": "product", "node": set("product"), "group": "goods" }, { "id": "shop", "node": set("shop"), "sync": false }],
            },
            "price": { "type": "slot", "required": true },
            "pay": { "type": "slot", "default": set("paid") },
            "address": { "type": "slot" },
            "done": { "type": "end" },
        },
        "edges": line(&["start", "prepare", "price", "pay", "address", "done"]),
        "layout": { "start": { "x": 0, "y": 0 }, "price": { "x": 1, "y": 0 } },
    })
}

fn published(document: Value, version: u32, templates: &[(&str, CalledFlow)]) -> CalledFlow {
    let templates = templates.iter().map(|(name, one)| ((*name).to_owned(), one.clone())).collect();
    let catalog = Catalog { templates, ..Catalog::default() };
    CalledFlow {
        key: document["key"].as_str().unwrap().to_owned(),
        version,
        hash: format!("h{version}"),
        document,
        catalog,
    }
}

fn catalog() -> Catalog {
    let base = published(base(), 1, &[]);
    let mid = json!({
        "stepwell": 1, "kind": "template", "key": "mid", "extends": "base", "retention": "1d",
        "slots": { "price": set("mid_price"), "pay": { "type": "slot", "required": true }, "prepare": { "add": [{ "id": "level", "node": set("level") }] } },
    });
    let mid = published(mid, 4, &[("base", base.clone())]);
    let templates = [("base", base), ("mid", mid)].map(|(name, one)| (name.to_owned(), one)).into();
    Catalog { templates, ..Catalog::default() }
}

fn leaf(extends: &str, slots: &Value) -> Value {
    json!({ "stepwell": 1, "kind": "graph", "key": "leaf", "extends": extends, "slots": slots })
}

/// The ids of a slot's steps, in the order of the list; those that wait for each other with a dot.
fn steps(document: &Value, slot: &str) -> String {
    let steps = document["nodes"][slot]["steps"].as_array().cloned().unwrap_or_default();
    let shown = steps.iter().map(|step| {
        let sync = if step["sync"] == true { "." } else { "" };
        format!("{}{sync}", step["run"].as_str().unwrap())
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn slots_become_nodes() {
    let catalog = catalog();
    for (extends, slots, prepare, price, pay, address) in [
        ("base", json!({ "price": set("p") }), "product. shop", set("p"), set("paid"), Value::Null),
        // One entry adds a source; the others are as they were.
        (
            "base",
            json!({ "price": set("p"), "prepare": { "add": [{ "id": "coupon", "node": set("c") }] } }),
            "product. shop coupon.",
            set("p"),
            set("paid"),
            Value::Null,
        ),
        (
            "base",
            json!({ "price": set("p"), "prepare": { "add": [{ "id": "coupon", "node": set("c"), "before": "shop", "sync": false }] } }),
            "product. coupon shop",
            set("p"),
            set("paid"),
            Value::Null,
        ),
        (
            "base",
            json!({ "price": set("p"), "prepare": { "remove": ["product"], "replace": { "shop": set("other") } } }),
            "shop",
            set("p"),
            set("paid"),
            Value::Null,
        ),
        // The whole list is replaced; a slot is emptied.
        (
            "base",
            json!({ "price": set("p"), "prepare": [{ "id": "only", "node": set("o") }], "pay": null }),
            "only.",
            set("p"),
            Value::Null,
            Value::Null,
        ),
        ("base", json!({ "price": set("p"), "prepare": [], "address": set("a") }), "", set("p"), set("paid"), set("a")),
        // A template between: its price stands, its step is inherited, and it wants a way to pay.
        ("mid", json!({ "pay": set("cash") }), "product. shop level.", set("mid_price"), set("cash"), Value::Null),
        (
            "mid",
            json!({ "pay": set("cash"), "price": set("own"), "prepare": { "remove": ["level"] } }),
            "product. shop",
            set("own"),
            set("cash"),
            Value::Null,
        ),
    ] {
        let document = leaf(extends, &slots);
        let resolved = extend::resolve(&document, &catalog);
        assert_eq!(resolved.problems, [], "{document}");
        let graph = &resolved.document;
        assert_eq!(steps(graph, "prepare"), prepare, "{document}");
        for (slot, node) in [("price", price), ("pay", pay), ("address", address)] {
            let expected = if node.is_null() { json!({ "type": "stage", "steps": [] }) } else { node };
            assert_eq!(graph["nodes"][slot], expected, "{slot}: {document}");
        }
        let checked = check(&document, &catalog);
        assert!(checked.flow.is_some(), "{document}: {:?}", checked.problems);
    }
}

#[test]
fn the_stage_and_the_head_are_the_templates() {
    let catalog = catalog();
    let slots = json!({ "price": set("p"), "prepare": { "timeout": "9s", "merge": { "buyer": "list" }, "add": [{ "id": "buyer", "node": set("b"), "group": "buyer" }] } });
    let mut document = leaf("base", &slots);
    document["layout"] = json!({ "price": { "x": 5, "y": 5 } });
    let graph = extend::resolve(&document, &catalog).document;
    let stage = &graph["nodes"]["prepare"];
    assert_eq!((&stage["timeout"], &stage["title"]), (&json!("9s"), &json!("Prepare")));
    assert_eq!(stage["merge"], json!({ "goods": "fields", "buyer": "list" }));
    assert_eq!(graph["nodes"]["buyer"]["in"], "prepare");
    // Said by the document, or else by its template; what names the template is its own.
    assert_eq!(
        (&graph["retention"], &graph["businessKey"], &graph["title"]),
        (&json!("7d"), &json!("=input.order"), &Value::Null)
    );
    assert_eq!(graph["layout"], json!({ "start": { "x": 0, "y": 0 }, "price": { "x": 5, "y": 5 } }));
    assert_eq!((graph["kind"].as_str(), graph.get("extends"), graph.get("slots")), (Some("graph"), None, None));
    let below = extend::resolve(&leaf("mid", &json!({ "pay": set("cash") })), &catalog).document;
    assert_eq!(below["retention"], "1d");
}

#[test]
fn another_template_is_another_flow() {
    let document = leaf("base", &json!({ "price": set("p") }));
    let mut next = catalog();
    let before = check(&document, &next).hash;
    next.templates.get_mut("base").unwrap().version = 2;
    assert_ne!(before, check(&document, &next).hash);
    assert_ne!(before, check(&leaf("base", &json!({ "price": set("q") })), &catalog()).hash);
    assert_eq!(before, check(&document, &catalog()).hash);
}

#[test]
fn a_variant_stands_beside_its_template() {
    let slots = json!({ "price": set("p"), "pay": null, "prepare": { "remove": ["shop"], "add": [{ "id": "coupon", "node": set("c") }] } });
    let compared = extend::compare(&leaf("base", &slots), &catalog()).unwrap();
    assert_eq!(compared.template, "base@1");
    for (id, state, pointer, slot) in [
        ("start", State::Inherited, None, false),
        ("product", State::Inherited, None, false),
        ("shop", State::Removed, None, false),
        ("coupon", State::Added, Some("/slots/prepare/add/0/node"), false),
        ("prepare", State::Overridden, Some("/slots/prepare"), true),
        ("price", State::Filled, Some("/slots/price"), true),
        ("pay", State::Overridden, Some("/slots/pay"), true),
        ("address", State::Inherited, None, true),
    ] {
        let part = &compared.nodes[id];
        assert_eq!((part.state, part.pointer.as_deref(), part.slot), (state, pointer, slot), "{id}");
    }
    assert!(extend::compare(&base(), &catalog()).is_none());
}
