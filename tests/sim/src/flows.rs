//! Which flows a run has: some that are drawn, with flows they call and a second version of each, and those that
//! ship with the engine.
//!
//! Not here: how one is drawn (`blocks`, `inner`).

mod blocks;
mod inner;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use stepwell_core::catalog::{CalledFlow, Catalog, EffectClass, NodeType, Port, Text};
use stepwell_core::flow::Flow;
use stepwell_core::flow::check::check;

use crate::chance::Chance;

/// The messages that flows wait for.
pub const MESSAGES: [&str; 4] = ["paid", "moved", "news", NOTE];
/// One that nothing has to wait for: what takes it takes all there are, and would leave nothing for a wait inside.
pub const NOTE: &str = "note";

/// One version of a flow, with the node types and called flows it is pinned to.
#[derive(Debug, Clone)]
pub struct Version {
    pub document: Value,
    pub version: u32,
    pub catalog: Arc<Catalog>,
    /// What instances of it get; none are started on a version without.
    pub input: Option<Value>,
    /// What its nodes are called in the version after.
    pub next: Option<BTreeMap<String, String>>,
}

impl Version {
    /// The only version of a flow that uses what is at hand.
    pub fn only(document: Value, input: Value) -> Self {
        Self { document, version: 1, catalog: Arc::new(catalog()), input: Some(input), next: None }
    }

    pub fn check(&self) -> Option<Flow> {
        check(&self.document, &self.catalog).flow
    }
}

/// Node types of the bundled plugins as `flows/checks/catalog.json` has them, and those of drawn flows.
pub fn catalog() -> Catalog {
    let bundled: Value = serde_json::from_str(include_str!("../../../flows/checks/catalog.json")).unwrap_or_default();
    let mut all: Vec<NodeType> = serde_json::from_value(bundled["nodeTypes"].clone()).unwrap_or_default();
    all.extend(simulated());
    Catalog::new(all)
}

fn simulated() -> impl Iterator<Item = NodeType> {
    let all = [
        ("pure", EffectClass::Pure, [false, false, false]),
        ("recorded", EffectClass::Recorded, [false, false, false]),
        ("act", EffectClass::External, [true, false, false]),
        ("ask", EffectClass::External, [true, false, true]),
        ("wait", EffectClass::External, [true, true, false]),
        ("tell", EffectClass::External, [false, false, false]),
    ];
    all.into_iter().map(|(name, effect, offers)| node_type(name, effect, offers))
}

fn node_type(name: &str, effect: EffectClass, [undo, resume, query]: [bool; 3]) -> NodeType {
    NodeType {
        id: format!("sim/{name}"),
        uses: format!("sim/{name}@1"),
        major: 1,
        plugin: "sim@1.0.0".to_owned(),
        digest: format!("{name:0>64}"),
        effect,
        title: Text::new(),
        summary: Text::new(),
        category: "sim".to_owned(),
        icon: String::new(),
        config: json!({ "type": "object" }),
        input: json!(true),
        ports: vec![Port { name: "done".to_owned(), title: Text::new(), output: json!(true) }],
        errors: Vec::new(),
        undo,
        resume,
        query,
        examples: Vec::new(),
    }
}

/// The flows that ship, with an input for each.
pub fn golden() -> Vec<(Value, Value)> {
    let order = json!({
        "orderId": "$key", "communityId": "C-1", "sku": "SKU-1", "quantity": 2, "amount_cents": 1200,
    });
    let item = json!({ "sku": "A", "qty": 2, "unit_cents": 1500, "weight_g": 100 });
    let five = json!({
        "order_id": "$key", "type": "physical", "region": "north",
        "customer": { "id": "c", "tier": "gold" }, "items": [item],
    });
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    vec![
        (read(include_str!("../../../flows/community_order.json")), order),
        (read(include_str!("../../../flows/order-5.json")), five),
    ]
}

/// The flows of a run.
pub fn draw_all(chance: &mut Chance) -> Vec<Version> {
    let mut catalog = Catalog::new(simulated());
    let mut callable = Vec::new();
    for at in 0..chance.below(3) {
        let key = format!("called-{at}");
        let document = draw(chance, &catalog, &key, &callable);
        let hash = check(&document, &catalog).hash;
        let called = CalledFlow { key: key.clone(), version: 1, hash, document, catalog: catalog.clone() };
        callable.push(format!("{key}@1"));
        catalog.flows.insert(format!("{key}@1"), called);
    }
    let catalog = Arc::new(catalog);
    let input = json!({ "key": "$key", "other": "$shared", "n": "$n", "depth": "$depth" });
    let mut all = Vec::new();
    for at in 0..chance.between(1, 3) {
        let document = draw(chance, &catalog, &format!("drawn-{at}"), &callable);
        let (other, renamed) = changed(chance, &document);
        let first =
            Version { document, version: 1, catalog: catalog.clone(), input: Some(input.clone()), next: Some(renamed) };
        let second = Version { document: other, version: 2, input: None, next: None, ..first.clone() };
        all.extend([first, second]);
    }
    if chance.permille(200) {
        all.extend(golden().into_iter().map(|(document, input)| Version::only(document, input)));
    }
    all
}

/// A flow that the checker takes. Its input has `key`, `other`, `n` and `depth`: how deep it may still call itself.
fn draw(chance: &mut Chance, catalog: &Catalog, name: &str, callable: &[String]) -> Value {
    loop {
        let document = blocks::Drawing::new(callable).document(chance, name);
        if check(&document, catalog).flow.is_some() {
            return document;
        }
    }
}

/// Another version of a flow, and what its nodes are called there: one more node at its start, other time limits, and
/// some names.
fn changed(chance: &mut Chance, document: &Value) -> (Value, BTreeMap<String, String>) {
    let mut other = document.clone();
    let ids: Vec<String> = document["nodes"].as_object().into_iter().flatten().map(|(id, _)| id.clone()).collect();
    let renamed: BTreeMap<String, String> =
        ids.into_iter().filter(|_| chance.permille(150)).map(|id| (id.clone(), format!("{id}_too"))).collect();
    rename(&mut other, &renamed);
    if let Some(nodes) = other["nodes"].as_object_mut() {
        for node in nodes.values_mut().filter(|node| node["type"] == "task") {
            node["timeout"] = json!(format!("{}ms", chance.between(50, 3_000)));
        }
        nodes.insert("added".to_owned(), json!({ "type": "task", "uses": "sim/pure@1" }));
    }
    let starts = |edge: &Value| edge["from"].as_str().is_some_and(|from| from.starts_with("start"));
    if let Some(edges) = other["edges"].as_array_mut()
        && let Some(first) = edges.iter_mut().find(|edge| starts(edge))
    {
        let to = std::mem::replace(&mut first["to"], json!("added"));
        edges.push(json!({ "from": "added", "to": to }));
    }
    (other, renamed)
}

/// Ids are like nothing else in a document that is drawn.
fn rename(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(new) = names.get(text) {
                text.clone_from(new);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        Value::Object(fields) => {
            for (name, mut field) in std::mem::take(fields) {
                rename(&mut field, names);
                fields.insert(names.get(&name).cloned().unwrap_or(name), field);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
