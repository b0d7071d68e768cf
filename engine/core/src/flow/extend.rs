//! Templates, and what extends them: from a document and the templates at hand to one graph without slots.
//!
//! A template's slots are nodes of the type `slot`. Each level of a chain, from the template at its root to the
//! document itself, says what stands in slots; the last one counts. What comes of it is a graph like any other: a slot
//! is the node that fills it, the stage around the small graph or the steps that do, or a stage that is passed at once.
//!
//! Invariants:
//! - The same document and templates give the same graph, and nothing here fails: what is wrong is a problem.
//! - Every problem of the graph has a place in the document: what it has from a template is its `extends`.
//! - What a template was published without problems with is not complained about again.
//!
//! Not here: which version `extends` means (`server`), what the graph means (`check`).

mod compare;
mod fill;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::pointer::{child, nearest};
use super::read::unknown_field;
use crate::catalog::Catalog;
use crate::problem::Problem;
pub use compare::{Comparison, Part, State, compare};
use fill::{Content, Step};

/// Templates that extend each other in a row.
pub const CHAIN_MAX: usize = 8;
/// Slots in what fills slots, inside each other.
const NESTED_MAX: usize = 8;
/// What a document has from its template unless it says it itself.
const INHERITED: [&str; 8] =
    ["input", "businessKey", "businessKeyUnique", "priority", "retention", "timezone", "compensation", "listeners"];

/// What a document comes to.
#[derive(Debug)]
pub struct Resolved {
    /// A graph without slots, in its old form otherwise.
    pub document: Value,
    /// Found on the way, with places in the document. All are errors.
    pub problems: Vec<Problem>,
    /// Its templates were all at hand.
    pub complete: bool,
    /// Required slots that nothing fills yet; in a template that is no problem.
    pub open: BTreeSet<String>,
    /// Where in the document what stands at a pointer of the graph comes from.
    places: BTreeMap<String, Place>,
}

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Here(String),
    /// In this template, `key@version`.
    Template(Arc<str>),
}

impl Place {
    fn below(&self, key: &str) -> Self {
        match self {
            Self::Here(pointer) => Self::Here(child(pointer, key)),
            Self::Template(name) => Self::Template(name.clone()),
        }
    }
}

/// A node, edge or step, and where it was written.
#[derive(Debug, Clone)]
struct Piece {
    value: Value,
    place: Place,
}

/// Whether a document is a template or extends one.
pub fn has_slots(document: &Value) -> bool {
    document.get("extends").is_some() || document.get("kind").and_then(Value::as_str) == Some("template")
}

/// The graph that a document comes to. One without slots and templates is its own.
pub fn resolve(document: &Value, catalog: &Catalog) -> Resolved {
    let (levels, problem) = chain(document, catalog);
    let mut build = Build::default();
    let complete = problem.is_none();
    build.problems.extend(problem);
    build.filled = document.get("kind").and_then(Value::as_str) != Some("template");
    let mut fields = Map::new();
    for level in &levels {
        build.level(level, &mut fields);
    }
    Resolved { complete, ..build.finish(fields) }
}

/// One document of a chain.
struct Level<'d> {
    fields: &'d Map<String, Value>,
    /// `None`: the document itself.
    template: Option<Arc<str>>,
}

impl Level<'_> {
    fn place(&self, pointer: &str) -> Place {
        match &self.template {
            None => Place::Here(pointer.to_owned()),
            Some(name) => Place::Template(name.clone()),
        }
    }
}

/// The document and the templates it comes of, the root first.
fn chain<'d>(document: &'d Value, catalog: &'d Catalog) -> (Vec<Level<'d>>, Option<Problem>) {
    let mut levels = Vec::new();
    let (mut fields, mut catalog, mut template) = (document.as_object(), catalog, None);
    let mut problem = None;
    while let Some(of) = fields {
        levels.push(Level { fields: of, template: template.take() });
        let Some(name) = of.get("extends") else { break };
        let found = name.as_str().and_then(|name| catalog.templates.get(name));
        let wrong = match (name, found) {
            (Value::String(_), Some(found)) if found.document.get("kind") != Some(&Value::from("template")) => {
                let message = format!("`{}` is no template", found.key);
                Some(Problem::error("NOT_A_TEMPLATE", "/extends", message).fix("extend a template, or call it instead"))
            }
            (Value::String(_), Some(_)) if levels.len() > CHAIN_MAX => {
                let message = format!("templates extend templates more than {CHAIN_MAX} deep");
                Some(Problem::error("TEMPLATE_DEPTH", "/extends", message).fix("extend one nearer to the root"))
            }
            (Value::String(name), None) => {
                let near = nearest(name, catalog.templates.keys().map(String::as_str));
                let fix = near.map_or("publish it first".to_owned(), |near| format!("did you mean `{near}`?"));
                let message = format!("no template `{name}` is published");
                Some(Problem::error("TEMPLATE_MISSING", "/extends", message).fix(fix))
            }
            (Value::String(_), Some(_)) => None,
            _ => Some(Problem::error("WRONG_TYPE", "/extends", "`extends` is a text")),
        };
        problem = problem.or(wrong);
        let Some(found) = found.filter(|_| problem.is_none()) else { break };
        template = Some(format!("{}@{}", found.key, found.version).into());
        (fields, catalog) = (found.document.as_object(), &found.catalog);
    }
    levels.reverse();
    (levels, problem)
}

/// A graph under way.
#[derive(Default)]
struct Build {
    problems: Vec<Problem>,
    /// A required slot that nothing fills is a problem.
    filled: bool,
    nodes: BTreeMap<String, Piece>,
    edges: Vec<Piece>,
    /// What levels have put into slots.
    fills: BTreeMap<String, Content>,
    /// Slots that a level has put in the place of a slot.
    again: BTreeMap<String, Piece>,
    open: BTreeSet<String>,
    places: BTreeMap<String, Place>,
    /// The ids of all nodes so far.
    taken: BTreeSet<String>,
    made_nodes: Map<String, Value>,
    made_edges: Vec<Value>,
}

/// What a slot may say. What its stage is given is read there.
const SLOT_FIELDS: [&str; 15] = [
    "type",
    "title",
    "notes",
    "in",
    "required",
    "takes",
    "default",
    "sync",
    "onFailure",
    "merge",
    "compensation",
    "timeout",
    "on",
    "listeners",
    "lock",
];

/// A slot as it was written, of the right shape.
struct Slot {
    fields: Map<String, Value>,
    place: Place,
}

impl Slot {
    fn takes_steps(&self) -> bool {
        self.fields.get("takes").and_then(Value::as_str) == Some("steps")
    }

    fn required(&self) -> bool {
        self.fields.get("required") == Some(&Value::Bool(true))
    }

    /// What stands in it unless it is filled; null is nothing.
    fn default(&self) -> Option<&Value> {
        self.fields.get("default").filter(|default| !default.is_null())
    }
}

impl Build {
    /// Only what is wrong with the document itself is said; templates were checked when they were published.
    fn problem(&mut self, place: &Place, make: impl FnOnce(&str) -> Problem) {
        if let Place::Here(pointer) = place {
            let problem = make(pointer);
            self.problems.push(problem);
        }
    }

    fn level(&mut self, level: &Level<'_>, fields: &mut Map<String, Value>) {
        let extends = level.fields.contains_key("extends");
        if extends {
            for part in ["nodes", "edges"] {
                if level.fields.contains_key(part) {
                    self.problem(&level.place(&child("", part)), |at| {
                        Problem::error("EXTENDS_WITH_GRAPH", at, format!("what extends a template has no `{part}`"))
                            .fix("fill slots, or take `extends` out")
                    });
                }
            }
            self.fill_slots(level);
        } else {
            self.take_graph(level);
        }
        for (name, value) in level.fields {
            if !["nodes", "edges", "slots", "extends", "layout"].contains(&name.as_str()) {
                fields.insert(name.clone(), value.clone());
            }
            if extends && INHERITED.contains(&name.as_str()) {
                self.places.remove(&child("", name));
            }
        }
        if let Some(template) = &level.template {
            fields.retain(|name, _| INHERITED.contains(&name.as_str()) || name == "layout");
            for name in INHERITED {
                self.places.insert(child("", name), Place::Template(template.clone()));
            }
            // `nodes` as a whole, for problems that stand on it.
            self.places.insert("/nodes".to_owned(), Place::Template(template.clone()));
            self.places.insert("/edges".to_owned(), Place::Template(template.clone()));
        }
        let own = level.fields.get("layout").and_then(Value::as_object);
        if let Some(positions) = own.filter(|_| level.template.is_some() || extends) {
            let layout = fields.entry("layout").or_insert_with(|| json!({}));
            if let Some(layout) = layout.as_object_mut() {
                layout.extend(positions.clone());
            }
        } else if let Some(layout) = level.fields.get("layout") {
            fields.insert("layout".to_owned(), layout.clone());
        }
    }

    /// The graph at the root of the chain.
    fn take_graph(&mut self, level: &Level<'_>) {
        match level.fields.get("nodes") {
            Some(Value::Object(nodes)) => {
                for (id, value) in nodes {
                    let place = level.place(&child("/nodes", id));
                    self.nodes.insert(id.clone(), Piece { value: value.clone(), place });
                }
            }
            Some(_) => self.problem(&level.place("/nodes"), |at| {
                Problem::error("WRONG_TYPE", at, "`nodes` is an object of nodes by id")
            }),
            None => {}
        }
        match level.fields.get("edges") {
            Some(Value::Array(edges)) => {
                for (index, value) in edges.iter().enumerate() {
                    let place = level.place(&format!("/edges/{index}"));
                    self.edges.push(Piece { value: value.clone(), place });
                }
            }
            Some(_) => {
                self.problem(&level.place("/edges"), |at| Problem::error("WRONG_TYPE", at, "`edges` is a list"));
            }
            None => {}
        }
    }

    /// What a level says of slots.
    fn fill_slots(&mut self, level: &Level<'_>) {
        let Some(slots) = level.fields.get("slots") else { return };
        let Some(slots) = slots.as_object() else {
            return self.problem(&level.place("/slots"), |at| {
                Problem::error("WRONG_TYPE", at, "`slots` is an object of fills by slot")
            });
        };
        for (id, fill) in slots {
            let place = level.place(&child("/slots", id));
            let known = self.slots();
            let Some(slot) = known.get(id).and_then(|piece| self.slot(piece)) else {
                let near = nearest(id, known.keys().map(String::as_str));
                let fix = near.map_or_else(
                    || format!("fill one of {}", known.keys().cloned().collect::<Vec<_>>().join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                self.problem(&place, |at| {
                    Problem::error("UNKNOWN_SLOT", at, format!("the template has no slot `{id}`")).fix(fix)
                });
                continue;
            };
            let content = self.content_of(id, fill, &slot, &place);
            match content {
                Some(Content::Node(piece)) if is_slot(&piece.value) => {
                    let piece = Piece { value: with_frame(&piece.value, &slot), ..piece };
                    self.fills.remove(id);
                    self.again.insert(id.clone(), piece);
                }
                Some(content) => {
                    self.fills.insert(id.clone(), content);
                }
                None => {}
            }
        }
    }

    /// The slots as they are now, those in what fills others among them.
    fn slots(&self) -> BTreeMap<String, Piece> {
        let mut found = BTreeMap::new();
        let mut next: Vec<(String, Piece)> = self.nodes.iter().map(|(id, piece)| (id.clone(), piece.clone())).collect();
        while let Some((id, piece)) = next.pop() {
            if !is_slot(&piece.value) || found.contains_key(&id) {
                continue;
            }
            let piece = self.again.get(&id).cloned().unwrap_or(piece);
            let default = piece.value.get("default");
            let within = match (self.fills.get(&id), default) {
                (Some(content), _) => content.nodes(),
                (None, Some(Value::Object(graph))) => graph
                    .get("nodes")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                    .map(|(id, value)| (id.clone(), Piece { value: value.clone(), place: piece.place.clone() }))
                    .collect(),
                (None, _) => Vec::new(),
            };
            next.extend(within);
            found.insert(id, piece);
        }
        found
    }

    fn slot(&mut self, piece: &Piece) -> Option<Slot> {
        let fields = piece.value.as_object()?.clone();
        for name in fields.keys().filter(|name| !SLOT_FIELDS.contains(&name.as_str())) {
            self.problem(&piece.place.below(name), |at| unknown_field(name, &SLOT_FIELDS, at));
        }
        for name in ["required", "sync"] {
            if fields.get(name).is_some_and(|said| !said.is_boolean()) {
                self.problem(&piece.place.below(name), |at| {
                    Problem::error("WRONG_TYPE", at, format!("`{name}` is true or false"))
                });
            }
        }
        if fields.get("takes").is_some_and(|takes| !["node", "steps"].contains(&takes.as_str().unwrap_or_default())) {
            self.problem(&piece.place.below("takes"), |at| {
                Problem::error("UNKNOWN_VALUE", at, "a slot takes a node or steps").fix("use one of node, steps")
            });
        }
        Some(Slot { fields, place: piece.place.clone() })
    }

    fn finish(mut self, mut fields: Map<String, Value>) -> Resolved {
        self.taken = self.nodes.keys().cloned().collect();
        for (id, piece) in std::mem::take(&mut self.nodes) {
            self.emit(&id, piece, None, 0);
        }
        for edge in std::mem::take(&mut self.edges) {
            self.edge(edge);
        }
        fields.insert("nodes".to_owned(), Value::Object(self.made_nodes));
        fields.insert("edges".to_owned(), Value::Array(self.made_edges));
        let Self { problems, open, places, .. } = self;
        Resolved { document: Value::Object(fields), problems, complete: true, open, places }
    }

    fn edge(&mut self, edge: Piece) {
        self.places.insert(format!("/edges/{}", self.made_edges.len()), edge.place);
        self.made_edges.push(edge.value);
    }

    /// Puts a node into the graph: itself, or what fills it.
    fn emit(&mut self, id: &str, piece: Piece, inside: Option<&str>, depth: usize) {
        if is_slot(&piece.value) {
            let piece = self.again.get(id).cloned().unwrap_or(piece);
            return self.expand(id, &piece, inside, depth);
        }
        let Piece { mut value, place } = piece;
        if let (Some(inside), Some(fields)) = (inside, value.as_object_mut()) {
            fields.entry("in").or_insert_with(|| Value::from(inside));
        }
        self.places.insert(child("/nodes", id), place);
        self.made_nodes.insert(id.to_owned(), value);
    }

    fn is_new(&mut self, id: &str, place: &Place) -> bool {
        let new = self.taken.insert(id.to_owned());
        if !new {
            self.problem(place, |at| {
                let problem = Problem::error("SLOT_ID_CLASH", at, format!("there is a node `{id}` already"));
                problem.fix("choose another id").on(id)
            });
        }
        new
    }

    fn expand(&mut self, id: &str, piece: &Piece, inside: Option<&str>, depth: usize) {
        let Some(mut slot) = self.slot(piece) else { return };
        if let Some(inside) = inside {
            slot.fields.entry("in").or_insert_with(|| Value::from(inside));
        }
        if depth >= NESTED_MAX {
            self.problem(&piece.place, |at| {
                Problem::error("TEMPLATE_DEPTH", at, "slots are in each other too deep").fix("use fewer").on(id)
            });
            return;
        }
        let content = match self.fills.get(id) {
            Some(content) => Some(content.clone()),
            None => self.default_of(id, &slot),
        };
        let empty = match content {
            None => None,
            Some(Content::Empty(place)) => Some(place),
            Some(content) => return self.put(id, &slot, content, depth),
        };
        if slot.required() {
            self.open.insert(id.to_owned());
            if self.filled {
                let at = match &empty {
                    Some(Place::Here(pointer)) => pointer.clone(),
                    _ => "/slots".to_owned(),
                };
                let message = format!("nothing fills the slot `{id}`, which must be filled");
                let problem = Problem::error("SLOT_UNFILLED", at, message).on(id);
                self.problems.push(problem.fix(format!("add `{id}` to `slots`")));
            }
        }
        // Nothing stands in it: it is passed at once.
        let value = with_frame(&json!({ "type": "stage", "steps": [] }), &slot);
        self.emit(id, Piece { value, place: empty.unwrap_or_else(|| piece.place.clone()) }, inside, depth + 1);
    }

    fn default_of(&mut self, id: &str, slot: &Slot) -> Option<Content> {
        let default = slot.default()?.clone();
        self.content_of(id, &default, slot, &slot.place.below("default"))
    }

    fn put(&mut self, id: &str, slot: &Slot, content: Content, depth: usize) {
        match content {
            Content::Empty(_) => {}
            Content::Node(piece) => {
                let value = with_frame(&piece.value, slot);
                self.emit(id, Piece { value, ..piece }, None, depth + 1);
            }
            Content::Graph { nodes, edges, place } => {
                let around = with_frame(&json!({ "type": "stage" }), slot);
                self.emit(id, Piece { value: around, place }, None, depth + 1);
                for (inner, piece) in nodes {
                    if self.is_new(&inner, &piece.place) {
                        self.emit(&inner, piece, Some(id), depth + 1);
                    }
                }
                for edge in edges {
                    self.edge(edge);
                }
            }
            Content::Steps { steps, merge, timeout, place } => {
                let stage = stage(slot, &steps, merge, timeout);
                self.emit(id, Piece { value: with_frame(&stage, slot), place }, None, depth + 1);
                for (index, step) in steps.into_iter().enumerate() {
                    let at = format!("{}/steps/{index}", child("/nodes", id));
                    self.places.insert(format!("{at}/run"), step.place.below("id"));
                    self.places.insert(at, step.place);
                    if self.is_new(&step.id, &step.node.place) {
                        self.emit(&step.id, step.node, Some(id), depth + 1);
                    }
                }
            }
        }
    }
}

fn is_slot(value: &Value) -> bool {
    value.get("type").and_then(Value::as_str) == Some("slot")
}

/// What a slot says of the node that stands for it, where that does not say it itself.
fn with_frame(value: &Value, slot: &Slot) -> Value {
    let mut value = value.clone();
    let Some(fields) = value.as_object_mut() else { return value };
    for name in ["in", "title", "notes"] {
        if let Some(said) = slot.fields.get(name).filter(|_| !fields.contains_key(name)) {
            fields.insert(name.to_owned(), said.clone());
        }
    }
    value
}

/// The stage that runs the steps of a slot.
fn stage(slot: &Slot, steps: &[Step], merge: Map<String, Value>, timeout: Option<Value>) -> Value {
    let sync = slot.fields.get("sync").filter(|sync| sync.is_boolean());
    let list = steps.iter().map(|step| {
        let mut entry = step.said.clone();
        entry.insert("run".to_owned(), Value::from(step.id.as_str()));
        if let Some(sync) = sync.filter(|_| !entry.contains_key("sync")) {
            entry.insert("sync".to_owned(), sync.clone());
        }
        Value::Object(entry)
    });
    let mut stage = json!({ "type": "stage", "steps": list.collect::<Vec<_>>() });
    for name in ["onFailure", "merge", "compensation", "timeout", "on", "listeners", "lock"] {
        if let Some(said) = slot.fields.get(name) {
            stage[name] = said.clone();
        }
    }
    // The slot's rules are for whoever is in their group.
    let groups: BTreeSet<&str> = steps.iter().filter_map(|step| step.said.get("group")?.as_str()).collect();
    if let Some(rules) = stage.get_mut("merge").and_then(Value::as_object_mut) {
        rules.retain(|group, _| groups.contains(group.as_str()));
    }
    if let Some(timeout) = timeout {
        stage["timeout"] = timeout;
    }
    if !merge.is_empty() {
        let rules = stage.as_object_mut().map(|stage| stage.entry("merge").or_insert_with(|| json!({})));
        if let Some(Value::Object(rules)) = rules {
            rules.extend(merge);
        }
    }
    stage
}

impl Resolved {
    /// Takes a problem of the graph to its place in the document.
    pub fn place(&self, problem: &mut Problem) {
        let mut at = problem.pointer.as_str();
        loop {
            if let Some(place) = self.places.get(at) {
                let rest = problem.pointer[at.len()..].to_owned();
                match place {
                    Place::Here(pointer) => problem.pointer = format!("{pointer}{rest}"),
                    Place::Template(name) => {
                        problem.message = format!("in `{name}`{}: {}", problem.pointer, problem.message);
                        "/extends".clone_into(&mut problem.pointer);
                    }
                }
                return;
            }
            match at.rfind('/') {
                Some(end) => at = &at[..end],
                None => return,
            }
        }
    }
}
