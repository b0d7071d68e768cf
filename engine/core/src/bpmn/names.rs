//! Where a variable comes from. In BPMN engines all variables of a process stand in one place; in a flow a value is read
//! from the node that gave it, so the nearest node before that gives one of this name is looked for, then the input.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value, json};

use super::read::{Element, Process};

/// What a node leaves behind, as the flow reads it.
#[derive(Debug, Clone, Default)]
pub(super) struct Gives {
    /// Fields of its output, by its node type's schema or its form.
    pub(super) fields: Vec<String>,
    /// The variable that its whole output is.
    pub(super) whole: Option<String>,
    /// Variables it writes.
    pub(super) vars: Vec<String>,
}

/// The book of all nodes, and of what was not found among them.
pub(super) struct Sources {
    gives: BTreeMap<String, Gives>,
    before: BTreeMap<String, Vec<String>>,
    inside: BTreeMap<String, String>,
    /// The variable of an item, by its container.
    items: BTreeMap<String, String>,
    /// What must be in the flow's input, with its schema.
    pub(super) inputs: BTreeMap<String, Value>,
}

impl Sources {
    pub(super) fn new(process: &Process<'_>, gives: BTreeMap<String, Gives>) -> Self {
        let mut before = BTreeMap::<String, Vec<String>>::new();
        for line in &process.lines {
            before.entry(line.to.clone()).or_default().push(line.from.clone());
        }
        // A handler's edge leaves from the node it is at.
        for one in &process.elements {
            if let Some(host) = host(process, one) {
                before.entry(one.id.clone()).or_default().push(host);
            }
        }
        let inside = process.elements.iter().filter_map(|one| Some((one.id.clone(), one.inside.clone()?))).collect();
        Self { gives, before, inside, items: BTreeMap::new(), inputs: BTreeMap::new() }
    }

    /// Says how the items of a container are called.
    pub(super) fn item(&mut self, container: &str, variable: &str) {
        self.items.insert(container.to_owned(), variable.to_owned());
    }

    /// What stands for a variable where a token is at a node.
    pub(super) fn resolve(&mut self, name: &str, at: &str) -> String {
        if name == "item" || name == "loopCounter" || self.is_item(name, at) {
            return if name == "loopCounter" { "index".to_owned() } else { "item".to_owned() };
        }
        if let Some(found) = self.before(name, at) {
            return found;
        }
        self.inputs.entry(name.to_owned()).or_insert_with(|| json!({}));
        format!("input.{name}")
    }

    /// As [`Self::resolve`], for an input of a node type whose schema is known.
    pub(super) fn resolve_typed(&mut self, name: &str, at: &str, schema: &Value) -> String {
        let found = self.resolve(name, at);
        if found.starts_with("input.") {
            self.inputs.insert(name.to_owned(), schema.clone());
        }
        found
    }

    fn is_item(&self, name: &str, at: &str) -> bool {
        let mut inside = Some(at.to_owned());
        while let Some(container) = inside {
            if self.items.get(&container).is_some_and(|one| one == name) {
                return true;
            }
            inside = self.inside.get(&container).cloned();
        }
        false
    }

    fn before(&self, name: &str, at: &str) -> Option<String> {
        let (mut seen, mut next) = (BTreeSet::new(), VecDeque::from([at.to_owned()]));
        while let Some(node) = next.pop_front() {
            let mut before = self.before.get(&node).cloned().unwrap_or_default();
            if before.is_empty() {
                before.extend(
                    self.inside
                        .get(&node)
                        .and_then(|container| self.before.get(container))
                        .into_iter()
                        .flatten()
                        .cloned(),
                );
            }
            for one in before {
                if !seen.insert(one.clone()) {
                    continue;
                }
                if let Some(gives) = self.gives.get(&one) {
                    if gives.vars.iter().any(|var| var == name) {
                        return Some(format!("vars.{name}"));
                    }
                    if gives.whole.as_deref() == Some(name) {
                        return Some(format!("nodes.{one}"));
                    }
                    if gives.fields.iter().any(|field| field == name) {
                        return Some(format!("nodes.{one}.{name}"));
                    }
                }
                next.push_back(one);
            }
        }
        None
    }
}

/// The node a boundary event is at.
pub(super) fn host(process: &Process<'_>, one: &Element<'_>) -> Option<String> {
    let of = (one.kind() == "boundaryEvent").then(|| one.xml.attribute("attachedToRef")).flatten()?;
    process.ids.get(of.rsplit(':').next().unwrap_or(of)).cloned()
}

/// The schema of the input that was found to be needed.
pub(super) fn input_schema(inputs: &BTreeMap<String, Value>) -> Option<Value> {
    if inputs.is_empty() {
        return None;
    }
    let properties: Map<String, Value> = inputs.iter().map(|(name, schema)| (name.clone(), schema.clone())).collect();
    Some(json!({ "type": "object", "required": inputs.keys().collect::<Vec<_>>(), "properties": properties }))
}
