//! What fills a slot: read from a document, with the place of each part.
//!
//! Only what resolving needs is looked at here; how a stage runs a step is read where the stage is.
//!
//! Not here: what becomes of it in the graph (`extend`).

use serde_json::{Map, Value};

use super::{Build, Piece, Place, Slot};
use crate::flow::pointer::nearest;
use crate::flow::read::unknown_field;
use crate::problem::Problem;

const GRAPH_FIELDS: [&str; 2] = ["nodes", "edges"];
const CHANGE_FIELDS: [&str; 5] = ["add", "remove", "replace", "merge", "timeout"];

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
        timeout: Option<Value>,
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
        let steps = slot.takes_steps();
        match fill {
            Value::Null => Some(Content::Empty(place.clone())),
            Value::Array(list) if steps => {
                let steps = self.steps(list, place).into_iter().map(|(step, _)| step).collect();
                Some(Content::Steps { steps, merge: Map::new(), timeout: None, place: place.clone() })
            }
            // A slot stands in place of the slot as a whole, whatever it takes.
            Value::Object(fields) if fields.get("type").is_some_and(|kind| !steps || kind.as_str() == Some("slot")) => {
                Some(Content::Node(Piece { value: fill.clone(), place: place.clone() }))
            }
            Value::Object(fields) if fields.contains_key("nodes") && !steps => Some(self.graph(fields, place)),
            Value::Object(fields) if steps && !fields.contains_key("type") && !fields.contains_key("nodes") => {
                Some(self.change(id, fields, slot, place))
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

    fn known(&mut self, fields: &Map<String, Value>, known: &[&str], place: &Place) {
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            self.problem(&place.below(name), |at| unknown_field(name, known, at));
        }
    }

    fn list<'v>(&mut self, fields: &'v Map<String, Value>, name: &str, place: &Place) -> &'v [Value] {
        match fields.get(name) {
            None => &[],
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.problem(&place.below(name), |at| Problem::error("WRONG_TYPE", at, format!("`{name}` is a list")));
                &[]
            }
        }
    }

    fn object<'v>(
        &mut self,
        fields: &'v Map<String, Value>,
        name: &str,
        place: &Place,
    ) -> Option<&'v Map<String, Value>> {
        let value = fields.get(name)?;
        let object = value.as_object();
        if object.is_none() {
            self.problem(&place.below(name), |at| Problem::error("WRONG_TYPE", at, format!("`{name}` is an object")));
        }
        object
    }

    fn graph(&mut self, fields: &Map<String, Value>, place: &Place) -> Content {
        self.known(fields, &GRAPH_FIELDS, place);
        let at = place.below("nodes");
        let nodes = self.object(fields, "nodes", place).into_iter().flatten();
        let nodes =
            nodes.map(|(id, value)| (id.clone(), Piece { value: value.clone(), place: at.below(id) })).collect();
        let at = place.below("edges");
        let edges = self.list(fields, "edges", place).iter().enumerate();
        let edges =
            edges.map(|(index, value)| Piece { value: value.clone(), place: at.below(&index.to_string()) }).collect();
        Content::Graph { nodes, edges, place: place.clone() }
    }

    /// Steps, and for each the one it stands before.
    fn steps(&mut self, list: &[Value], place: &Place) -> Vec<(Step, Option<String>)> {
        let steps = list.iter().enumerate();
        steps.filter_map(|(index, entry)| self.step(entry, &place.below(&index.to_string()))).collect()
    }

    fn step(&mut self, entry: &Value, place: &Place) -> Option<(Step, Option<String>)> {
        let Some(mut said) = entry.as_object().cloned() else {
            self.problem(place, |at| Problem::error("WRONG_TYPE", at, "a step is an object"));
            return None;
        };
        let mut text = |said: &mut Map<String, Value>, name: &str| match said.remove(name) {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(_) => {
                self.problem(&place.below(name), |at| Problem::error("WRONG_TYPE", at, format!("`{name}` is a text")));
                None
            }
        };
        let (id, before) = (text(&mut said, "id"), text(&mut said, "before"));
        let node = said.remove("node");
        for (name, missing) in [("id", !entry["id"].is_string()), ("node", node.is_none())] {
            if missing && entry.get(name).is_none() {
                self.problem(place, |at| {
                    Problem::error("MISSING_FIELD", at, format!("`{name}` is missing")).fix(format!("add `{name}`"))
                });
            }
        }
        let node = Piece { value: node?, place: place.below("node") };
        Some((Step { id: id?, node, said, place: place.clone() }, before))
    }

    /// The steps that stand in the slot already, changed.
    fn change(&mut self, id: &str, fields: &Map<String, Value>, slot: &Slot, place: &Place) -> Content {
        self.known(fields, &CHANGE_FIELDS, place);
        let now = match self.fills.get(id) {
            Some(now) => Some(now.clone()),
            None => self.default_of(id, slot),
        };
        let (mut steps, mut merge, mut timeout) = match now {
            Some(Content::Steps { steps, merge, timeout, .. }) => (steps, merge, timeout),
            _ => (Vec::new(), Map::new(), None),
        };
        for (index, gone) in self.list(fields, "remove", place).iter().enumerate() {
            let gone = gone.as_str().unwrap_or_default();
            match steps.iter().position(|step| step.id == gone) {
                Some(found) => drop(steps.remove(found)),
                None => self.no_step(gone, &steps, &place.below("remove").below(&index.to_string())),
            }
        }
        for (other, value) in self.object(fields, "replace", place).into_iter().flatten() {
            let at = place.below("replace").below(other);
            match steps.iter_mut().find(|step| step.id == *other) {
                Some(step) => step.node = Piece { value: value.clone(), place: at },
                None => self.no_step(other, &steps, &at),
            }
        }
        let added = self.list(fields, "add", place);
        for (step, before) in self.steps(added, &place.below("add")) {
            let found = before.as_ref().map(|before| steps.iter().position(|step| step.id == *before));
            match (found, before) {
                (Some(None), Some(before)) => self.no_step(&before, &steps, &step.place.below("before")),
                (Some(Some(found)), _) => steps.insert(found, step),
                (None, _) | (Some(None), None) => steps.push(step),
            }
        }
        merge.extend(self.object(fields, "merge", place).cloned().into_iter().flatten());
        if let Some(said) = fields.get("timeout") {
            timeout = Some(said.clone());
        }
        Content::Steps { steps, merge, timeout, place: place.clone() }
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
