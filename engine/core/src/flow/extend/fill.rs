//! What fills a slot: read from a document, with the place of each part.
//!
//! Not here: what becomes of it in the graph (`extend`).

use serde_json::{Map, Value};

use super::{Build, Piece, Place, Slot};
use crate::flow::document::{GraphFillDocument, StepFillDocument, StepsPatchDocument, TakesDocument};
use crate::flow::pointer::nearest;
use crate::flow::read::read;
use crate::problem::Problem;

/// What stands in a slot.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Node(Piece),
    Graph {
        nodes: Vec<(String, Piece)>,
        edges: Vec<Piece>,
        place: Place,
    },
    /// `merge` and `timeout` beside those of the slot.
    Steps {
        steps: Vec<Step>,
        merge: Map<String, Value>,
        timeout: Option<String>,
        place: Place,
    },
    /// Nothing, said at this place.
    Empty(Place),
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) id: String,
    pub(super) node: Piece,
    /// How the stage runs it: `order`, `sync`, `group`, `optional`, `output`.
    pub(super) said: Map<String, Value>,
    /// Of the entry.
    pub(super) place: Place,
}

impl Content {
    pub(super) fn nodes(&self) -> Vec<(String, Piece)> {
        match self {
            Self::Node(_) | Self::Empty(_) => Vec::new(),
            Self::Graph { nodes, .. } => nodes.clone(),
            Self::Steps { steps, .. } => steps.iter().map(|step| (step.id.clone(), step.node.clone())).collect(),
        }
    }
}

impl Build {
    /// Reads a fill; what is no fill for this slot is a problem.
    pub(super) fn content_of(&mut self, id: &str, fill: &Value, slot: &Slot, place: &Place) -> Option<Content> {
        let steps = slot.takes() == TakesDocument::Steps;
        match fill {
            Value::Null => Some(Content::Empty(place.clone())),
            Value::Array(list) if steps => self.steps(list, place),
            Value::Object(fields) if fields.contains_key("type") && !steps => {
                Some(Content::Node(Piece { value: fill.clone(), place: place.clone() }))
            }
            // In place of the slot as a whole.
            Value::Object(fields) if fields.get("type").and_then(Value::as_str) == Some("slot") => {
                Some(Content::Node(Piece { value: fill.clone(), place: place.clone() }))
            }
            Value::Object(fields) if fields.contains_key("nodes") && !steps => self.graph(fill, place),
            Value::Object(fields) if steps && !fields.contains_key("type") && !fields.contains_key("nodes") => {
                self.change(id, fill, slot, place)
            }
            _ => {
                let (takes, fix) = if steps {
                    ("steps", "write a list of steps, or { \"add\": [ … ] }")
                } else {
                    ("a node", "write a node, or a small graph: { \"nodes\": { … }, \"edges\": [ … ] }")
                };
                self.problem(place, |at| {
                    Problem::error("SLOT_FILL", at, format!("the slot `{id}` takes {takes}")).fix(fix).on(id)
                });
                None
            }
        }
    }

    fn piece<T: serde::de::DeserializeOwned>(&mut self, value: &Value, place: &Place) -> Option<T> {
        let mut problems = Vec::new();
        let pointer = if let Place::Here(pointer) = place { pointer.as_str() } else { "" };
        let read = read(value, pointer, &mut problems);
        if let Place::Here(_) = place {
            self.problems.extend(problems);
        }
        read
    }

    fn graph(&mut self, fill: &Value, place: &Place) -> Option<Content> {
        let graph: GraphFillDocument = self.piece(fill, place)?;
        let at = place.below("nodes");
        let nodes = graph.nodes.into_iter().map(|(id, value)| {
            let place = at.below(&id);
            (id, Piece { value, place })
        });
        let nodes = nodes.collect();
        let at = place.below("edges");
        let edges = graph.edges.into_iter().enumerate();
        let edges = edges.map(|(index, value)| Piece { value, place: at.below(&index.to_string()) }).collect();
        Some(Content::Graph { nodes, edges, place: place.clone() })
    }

    fn steps(&mut self, list: &[Value], place: &Place) -> Option<Content> {
        let mut steps = Vec::with_capacity(list.len());
        for (index, entry) in list.iter().enumerate() {
            steps.extend(self.step(entry, &place.below(&index.to_string())).map(|(step, _)| step));
        }
        Some(Content::Steps { steps, merge: Map::new(), timeout: None, place: place.clone() })
    }

    /// A step, and the one it stands before.
    fn step(&mut self, entry: &Value, place: &Place) -> Option<(Step, Option<String>)> {
        let StepFillDocument { id, node, before, .. } = self.piece(entry, place)?;
        let mut said = entry.as_object()?.clone();
        said.retain(|name, _| !["id", "node", "before"].contains(&name.as_str()));
        let node = Piece { value: node, place: place.below("node") };
        Some((Step { id, node, said, place: place.clone() }, before))
    }

    /// The steps that stand in the slot already, changed.
    fn change(&mut self, id: &str, fill: &Value, slot: &Slot, place: &Place) -> Option<Content> {
        let mut rest = fill.clone();
        let added = rest.as_object_mut().and_then(|fields| fields.remove("add"));
        let patch: StepsPatchDocument = self.piece(&rest, place)?;
        let now = match self.fills.get(id) {
            Some(now) => Some(now.clone()),
            None => slot.document.default.clone().and_then(|default| {
                let place = slot.piece.place.below("default");
                self.content_of(id, &default, slot, &place)
            }),
        };
        let (mut steps, mut merge, mut timeout) = match now {
            Some(Content::Steps { steps, merge, timeout, .. }) => (steps, merge, timeout),
            _ => (Vec::new(), Map::new(), None),
        };
        for (index, gone) in patch.remove.iter().enumerate() {
            match steps.iter().position(|step| step.id == *gone) {
                Some(found) => drop(steps.remove(found)),
                None => self.no_step(gone, &steps, &place.below("remove").below(&index.to_string())),
            }
        }
        for (other, value) in patch.replace {
            let at = place.below("replace").below(&other);
            match steps.iter_mut().find(|step| step.id == other) {
                Some(step) => step.node = Piece { value, place: at },
                None => self.no_step(&other, &steps, &at),
            }
        }
        for (index, entry) in self.list_of(added.as_ref(), &place.below("add")).iter().enumerate() {
            let at = place.below("add").below(&index.to_string());
            let Some((step, before)) = self.step(entry, &at) else { continue };
            let found = before.as_ref().map(|before| steps.iter().position(|step| step.id == *before));
            match (found, before) {
                (Some(None), Some(before)) => self.no_step(&before, &steps, &at.below("before")),
                (Some(Some(found)), _) => steps.insert(found, step),
                (None, _) | (Some(None), None) => steps.push(step),
            }
        }
        for (group, rule) in patch.merge {
            merge.insert(group, serde_json::to_value(rule).unwrap_or_default());
        }
        timeout = patch.timeout.or(timeout);
        Some(Content::Steps { steps, merge, timeout, place: place.clone() })
    }

    fn list_of(&mut self, value: Option<&Value>, place: &Place) -> Vec<Value> {
        match value {
            None => Vec::new(),
            Some(Value::Array(list)) => list.clone(),
            Some(_) => {
                self.problem(place, |at| Problem::error("WRONG_TYPE", at, "`add` is a list of steps"));
                Vec::new()
            }
        }
    }

    fn no_step(&mut self, id: &str, steps: &[Step], place: &Place) {
        let names = || steps.iter().map(|step| step.id.as_str());
        let fix = nearest(id, names()).map_or_else(
            || format!("name one of {}", names().collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        self.problem(place, |at| {
            Problem::error("UNKNOWN_REFERENCE", at, format!("no step `{id}` stands in the slot")).fix(fix)
        });
    }
}
