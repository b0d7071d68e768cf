//! The core for the browser: check, preview, tables. Runs in a worker of the designer.
//!
//! Every function takes JSON text and gives JSON text, and none throws: what cannot be read is said
//! in the answer. The rules are those of `stepwell-core`; nothing is decided here.
//!
//! Not here: the bindings' JavaScript (made by `cargo xtask`), the worker (`designer/src/core`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use stepwell_core::catalog::{CalledFlow, Catalog, NodeType};
use stepwell_core::decide::Table;
use stepwell_core::expr::{Expr, Root, Scope};
use stepwell_core::flow::{check, extend};
use stepwell_core::problem::Problem;
use stepwell_core::schema::{Schema, SchemaError};
use wasm_bindgen::prelude::wasm_bindgen;

/// `{ "nodeTypes": [NodeType…] }`, as `GET /api/v1/node-types` gives them under `items`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CatalogText {
    #[serde(default)]
    node_types: Vec<Value>,
    #[serde(default)]
    flows: BTreeMap<String, CalledFlow>,
    #[serde(default)]
    templates: BTreeMap<String, CalledFlow>,
    #[serde(default)]
    tables: BTreeMap<String, CalledFlow>,
}

#[derive(Default, Deserialize)]
struct PreviewOptions {
    timezone: Option<String>,
    /// Stands as `flow.now`: milliseconds since the Unix epoch, or an RFC 3339 time.
    now: Option<Value>,
}

/// `{ "problems": [Problem…], "hash": "…" }`, or `{ "beyond": "…" }` if a schema in use says something that only the
/// engine can check: then nothing is known of the document, and the engine must be asked.
#[wasm_bindgen]
pub fn check(document: &str, catalog: &str) -> String {
    let unreadable = |pointer: &str, error: &serde_json::Error| {
        json!({ "problems": [Problem::error("NOT_JSON", pointer, error.to_string())], "hash": "" }).to_string()
    };
    let document: Value = match serde_json::from_str(document) {
        Ok(document) => document,
        Err(error) => return unreadable("", &error),
    };
    let catalog: CatalogText = match serde_json::from_str(catalog) {
        Ok(catalog) => catalog,
        Err(error) => return unreadable("/catalog", &error),
    };
    let CatalogText { node_types, flows, templates, tables } = catalog;
    let published = Catalog { flows, templates, tables, ..Catalog::default() };
    let template = document.get("extends").and_then(Value::as_str);
    if let Some(name) = template.filter(|name| !published.templates.contains_key(*name)) {
        return json!({ "beyond": format!("template {name} is not at hand") }).to_string();
    }
    let graph = extend::has_slots(&document).then(|| extend::resolve(&document, &published).document);
    let graph = graph.as_ref().unwrap_or(&document);
    let why = beyond(graph, &node_types).or_else(|| published_beyond(graph, &published));
    if let Some(why) = why {
        return json!({ "beyond": why }).to_string();
    }
    // A node type of a newer engine that cannot be read is as good as not loaded.
    let node_types = node_types.into_iter().filter_map(|mut node_type| {
        node_type.as_object_mut()?.remove("examples");
        serde_json::from_value::<NodeType>(node_type).ok()
    });
    let catalog = Catalog { node_types: Catalog::new(node_types).node_types, ..published };
    let checked = check::check(&document, &catalog);
    json!({ "problems": checked.problems, "hash": checked.hash }).to_string()
}

/// `{ "ok": true, "value": …, "type": "number" }` or `{ "ok": false, "code", "message", "from", "to" }`,
/// where `from` and `to` are places in `expression` as JavaScript counts them.
#[wasm_bindgen]
pub fn preview(expression: &str, context: &str, options: &str) -> String {
    let options: PreviewOptions = serde_json::from_str(options).unwrap_or_default();
    let refused = |code: &str, message: &str, from: usize, to: usize| {
        let place = |byte: usize| expression.get(..byte).map_or(0, |before| before.encode_utf16().count());
        json!({ "ok": false, "code": code, "message": message, "from": place(from), "to": place(to) }).to_string()
    };
    let Ok(timezone) = options.timezone.as_deref().unwrap_or("UTC").parse() else {
        return refused("TIMEZONE", "the time zone is not known", 0, 0);
    };
    let Ok(Value::Object(mut context)) = serde_json::from_str(context) else {
        return refused("NOT_JSON", "the context is no JSON object", 0, 0);
    };
    if let Some(now) = options.now
        && let Some(flow) = context.entry("flow").or_insert_with(|| Value::Object(Map::new())).as_object_mut()
    {
        flow.insert("now".to_owned(), now);
    }
    // As documents write it, with the sign in front, or without.
    let sign = usize::from(expression.starts_with('=') && !expression.starts_with("=="));
    let expr = match Expr::parse_in(&expression[sign..], timezone) {
        Ok(expr) => expr,
        Err(error) => return refused(error.code, &error.message, error.from + sign, error.to + sign),
    };
    match expr.eval(&Scope { roots: &roots(&context) }) {
        Ok(value) => json!({ "ok": true, "type": kind(&value), "value": value }).to_string(),
        Err(error) => refused("EXPRESSION_FAILED", &error.message, 0, expression.len()),
    }
}

/// `{ "ok": true, "value": …, "rows": [0, 3] }` or `{ "ok": false, "message", "problems" }`
#[wasm_bindgen(js_name = evaluateTable)]
pub fn evaluate_table(table: &str, context: &str) -> String {
    let refused = |message: &str, problems: &[Problem]| {
        json!({ "ok": false, "message": message, "problems": problems }).to_string()
    };
    let Ok(table) = serde_json::from_str::<Value>(table) else {
        return refused("the table is no JSON", &[]);
    };
    let Ok(Value::Object(context)) = serde_json::from_str(context) else {
        return refused("the context is no JSON object", &[]);
    };
    let mut problems = Vec::new();
    let Some(table) = Table::parse(&table, "", &mut problems) else {
        return refused("the table has problems", &problems);
    };
    match table.evaluate(&Scope { roots: &roots(&context) }) {
        Ok(answer) => json!({ "ok": true, "value": answer.output, "rows": answer.hits }).to_string(),
        Err(error) => refused(&error.message, &[]),
    }
}

/// What this build does not know of the schemas that a document's check would need.
fn beyond(document: &Value, node_types: &[Value]) -> Option<String> {
    let used = check::node_types_used(document);
    let types =
        node_types.iter().filter(|one| one.get("uses").and_then(Value::as_str).is_some_and(|uses| used.contains(uses)));
    let schemas = types.flat_map(|node_type| [node_type.get("config"), node_type.get("input")]).flatten();
    schemas.chain(document.get("input")).find_map(|schema| match Schema::compile(schema) {
        Err(SchemaError::Beyond(why)) => Some(why),
        Ok(_) | Err(SchemaError::Broken(_)) => None,
    })
}

/// A flow that is called, or a table that is used, and is not at hand here.
fn published_beyond(document: &Value, catalog: &Catalog) -> Option<String> {
    let own = document.get("key").and_then(Value::as_str);
    let nodes = document.get("nodes").and_then(Value::as_object)?.values();
    nodes.into_iter().find_map(|node| match node.get("type").and_then(Value::as_str) {
        Some("call") => {
            let name = node.get("flow")?.as_str()?;
            let far = Some(name) != own && !catalog.flows.contains_key(name);
            far.then(|| format!("flow {name} is not at hand"))
        }
        Some("decision") => {
            let name = node.get("table")?.as_str()?;
            (!catalog.tables.contains_key(name)).then(|| format!("table {name} is not at hand"))
        }
        _ => None,
    })
}

fn roots(context: &Map<String, Value>) -> Vec<(&str, Root<'_>)> {
    context.iter().map(|(name, value)| (name.as_str(), Root::Value(value))).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
