//! A document beside the template it extends: what it has from it, what it changed, added and left out.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Place, resolve};
use crate::catalog::Catalog;
use crate::flow::pointer::child;

/// How a document's graph differs from its template's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// `key@version` of the nearest template.
    pub template: String,
    /// Each node of both graphs, by id.
    pub nodes: BTreeMap<String, Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    pub state: State,
    /// Where in the document it is written; absent: in a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Filling this may change it: it is a slot of the template.
    pub slot: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As in the template.
    Inherited,
    /// The template has something else there.
    Overridden,
    /// The template left the slot to be filled.
    Filled,
    /// The template has no such node.
    Added,
    /// The template has it, this has not.
    Removed,
}

/// `None`: the document extends nothing that is at hand.
pub fn compare(document: &Value, catalog: &Catalog) -> Option<Comparison> {
    let found = catalog.templates.get(document.get("extends")?.as_str()?)?;
    let template = resolve(&found.document, &found.catalog);
    let own = resolve(document, catalog);
    let nodes_of = |document: &Value| document.get("nodes").and_then(Value::as_object).cloned().unwrap_or_default();
    let (before, after) = (nodes_of(&template.document), nodes_of(&own.document));
    let slots = slots_of(&found.document, &found.catalog);
    let mut nodes = BTreeMap::new();
    for (id, node) in &after {
        let pointer = match own.places.get(&child("/nodes", id)) {
            Some(Place::Here(pointer)) => Some(pointer.clone()),
            _ => None,
        };
        let state = match before.get(id) {
            None => State::Added,
            Some(_) if template.open.contains(id) && !own.open.contains(id) => State::Filled,
            Some(before) if before == node => State::Inherited,
            Some(_) => State::Overridden,
        };
        nodes.insert(id.clone(), Part { state, pointer, slot: slots.contains_key(id) });
    }
    for id in before.keys().filter(|id| !after.contains_key(*id)) {
        nodes.insert(id.clone(), Part { state: State::Removed, pointer: None, slot: slots.contains_key(id) });
    }
    Some(Comparison { template: format!("{}@{}", found.key, found.version), nodes })
}

/// The slots that a template offers, its own and those of the templates it extends.
fn slots_of(template: &Value, catalog: &Catalog) -> Map<String, Value> {
    let mut slots = Map::new();
    let (mut document, mut catalog) = (template, catalog);
    for _ in 0..=super::CHAIN_MAX {
        for list in ["nodes", "slots"] {
            let nodes = document.get(list).and_then(Value::as_object).into_iter().flatten();
            slots.extend(nodes.filter(|(_, node)| super::is_slot(node)).map(|(id, node)| (id.clone(), node.clone())));
        }
        let Some(next) = document.get("extends").and_then(Value::as_str).and_then(|name| catalog.templates.get(name))
        else {
            break;
        };
        (document, catalog) = (&next.document, &next.catalog);
    }
    slots
}
