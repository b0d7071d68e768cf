//! An instance as text, and back. Values that stand in journal rows are named, not repeated.
//!
//! Nodes and edges are written by index with a table of what is meant, so that a snapshot can be
//! read against any compilation of its flow.
//!
//! Invariant: `snapshot` then `parse` and `hydrate` with the named rows gives the same instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::instance::{Done, Instance, Step};
use super::token::{At, Visit};
use super::{Entry, Next};
use crate::flow::{EdgeIx, Flow, NodeIx};
use crate::planted;
use crate::value::Held;

/// An instance whose text is longer is given [`Event::LimitReached`](super::Event), and so becomes an incident.
pub const SNAPSHOT_BYTES_MAX: usize = 1024 * 1024;

/// Why a stored snapshot cannot be used. Retrying cannot help; the journal still holds the instance.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the snapshot cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("the snapshot has form {0}, newer than this engine's")]
    Newer(u32),
    #[error("the flow has no node {0}")]
    NoNode(String),
    #[error("the flow has no such edge: {0}")]
    NoEdge(String),
    #[error("journal row {0} is missing or holds no value")]
    NoRow(u64),
}

/// A snapshot whose values are still to be filled in.
#[derive(Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// The form of this text; readers take it and every older one.
    form: u32,
    /// The nodes that the instance's indices mean.
    nodes: BTreeMap<NodeIx, Arc<str>>,
    /// The edges by which tokens came to joins.
    #[serde(default)]
    edges: BTreeMap<EdgeIx, EdgeName>,
    instance: Instance,
}

/// An edge as the document has it; of parallel ones with equal names, the n-th.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct EdgeName {
    from: Arc<str>,
    port: Arc<str>,
    to: Arc<str>,
    #[serde(default, skip_serializing_if = "is_first")]
    nth: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_first(nth: &usize) -> bool {
    *nth == 0
}

impl EdgeName {
    pub(super) fn of(flow: &Flow, edge: EdgeIx) -> Self {
        let one = &flow.edges[edge];
        let nth = Self::alike(flow, one.from, &one.port, one.to).position(|other| other == edge).unwrap_or(0);
        let id = |node: NodeIx| flow.name(node);
        Self { from: id(one.from), port: one.port.clone(), to: id(one.to), nth }
    }

    pub(super) fn find(&self, flow: &Flow) -> Option<EdgeIx> {
        Self::alike(flow, flow.named(&self.from)?, &self.port, flow.named(&self.to)?).nth(self.nth)
    }

    /// Between the nodes that these are called now.
    pub(super) fn renamed(mut self, nodes: &BTreeMap<String, String>) -> Self {
        for end in [&mut self.from, &mut self.to] {
            if let Some(new) = nodes.get(&**end) {
                *end = new.as_str().into();
            }
        }
        self
    }

    fn alike<'f>(flow: &'f Flow, from: NodeIx, port: &'f str, to: NodeIx) -> impl Iterator<Item = EdgeIx> + 'f {
        let out = flow.nodes[from].out.iter().copied();
        out.filter(move |&edge| flow.edges[edge].to == to && *flow.edges[edge].port == *port)
    }
}

/// 3: values by their place in a row. 2: scopes.
const FORM: u32 = 3;

/// Writes an instance as text.
///
/// # Errors
///
/// Only if a value cannot be written as JSON, which no value that came in as JSON can cause.
pub fn snapshot(flow: &Flow, instance: &Instance) -> Result<String, SnapshotError> {
    let mut nodes = BTreeMap::new();
    let mut edges = BTreeMap::new();
    each_index(&mut instance.clone(), &mut |index| match index {
        Index::Node(ix) => drop(nodes.insert(*ix, flow.name(*ix))),
        Index::Edge(ix) => drop(edges.insert(*ix, EdgeName::of(flow, *ix))),
    });
    Ok(serde_json::to_string(&SnapshotRef { form: FORM, nodes, edges, instance })?)
}

#[derive(Serialize)]
struct SnapshotRef<'a> {
    form: u32,
    nodes: BTreeMap<NodeIx, Arc<str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    edges: BTreeMap<EdgeIx, EdgeName>,
    instance: &'a Instance,
}

impl Snapshot {
    pub fn parse(text: &str) -> Result<Self, SnapshotError> {
        let mut one: Self = match serde_json::from_str(text) {
            Ok(one) => one,
            Err(error) => serde_json::from_value(of_form_1(serde_json::from_str(text)?).ok_or(error)?)?,
        };
        if one.form > FORM {
            return Err(SnapshotError::Newer(one.form));
        }
        one.instance.id = Arc::from("");
        Ok(one)
    }

    /// The journal rows to read before [`Snapshot::hydrate`], ascending, each once.
    pub fn rows(&mut self) -> Vec<u64> {
        let mut rows = Vec::new();
        each_held(&mut self.instance, &mut |held| rows.extend(held.row));
        if planted::on("row-not-named") {
            rows.truncate(1);
        }
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// The instance, with values from `entries` (those [`Snapshot::rows`] named).
    pub fn hydrate(mut self, flow: &Flow, id: Arc<str>, entries: &[Entry]) -> Result<Instance, SnapshotError> {
        let mut refused = None;
        each_index(&mut self.instance, &mut |index| {
            let moved = match index {
                Index::Node(ix) => match self.nodes.get(ix) {
                    None => Err(SnapshotError::NoNode(ix.to_string())),
                    Some(name) => {
                        flow.named(name).map(|now| *ix = now).ok_or_else(|| SnapshotError::NoNode(name.to_string()))
                    }
                },
                Index::Edge(ix) => match self.edges.get(ix) {
                    None => Err(SnapshotError::NoEdge(ix.to_string())),
                    Some(name) => {
                        name.find(flow).map(|now| *ix = now).ok_or_else(|| SnapshotError::NoEdge(format!("{name:?}")))
                    }
                },
            };
            refused = refused.take().or(moved.err());
        });
        if let Some(refused) = refused {
            return Err(refused);
        }
        let mut missing = None;
        each_held(&mut self.instance, &mut |held| {
            let Some(row) = held.row else { return };
            let found = entries.binary_search_by_key(&row, |entry| entry.seq).ok();
            match found.and_then(|at| entries[at].event.value()) {
                Some(value) if held.fill(value) => {}
                _ => missing = Some(row),
            }
        });
        if let Some(row) = missing {
            return Err(SnapshotError::NoRow(row));
        }
        self.instance.id = id;
        Ok(self.instance)
    }
}

/// A place in the flow that an instance speaks of.
pub(super) enum Index<'a> {
    Node(&'a mut NodeIx),
    Edge(&'a mut EdgeIx),
}

pub(super) fn each_index(it: &mut Instance, see: &mut impl FnMut(Index<'_>)) {
    for arrival in &mut it.halted {
        see(Index::Node(&mut arrival.node));
        arrival.by.iter_mut().for_each(|by| see(Index::Edge(by)));
    }
    for token in it.tokens.values_mut() {
        see(Index::Node(&mut token.node));
        if let At::Joining { edge, .. } = &mut token.at {
            see(Index::Edge(edge));
        }
        let Some(visit) = token.at.visit_mut() else { continue };
        if let Some(step) = &mut visit.undoing {
            see(Index::Node(&mut step.node));
        }
        if let Some(Next::Enter { by: Some(by) }) = visit.hook.as_mut().map(|hook| &mut hook.then) {
            see(Index::Edge(by));
        }
    }
    for scope in it.scopes.values_mut() {
        if let Some(within) = &mut scope.within {
            see(Index::Node(&mut within.node));
        }
        for (mut node, mut edges) in std::mem::take(&mut scope.joins) {
            see(Index::Node(&mut node));
            for edge in &mut edges {
                see(Index::Edge(edge));
            }
            scope.joins.insert(node, edges);
        }
        for done in &mut scope.done {
            if let Done::Step(step) = done {
                see(Index::Node(&mut step.node));
            }
        }
    }
}

/// A snapshot of the first form, which knew one scope, as one of this form.
fn of_form_1(mut text: Value) -> Option<Value> {
    if text.get("form")?.as_u64()? != 1 {
        return None;
    }
    let it = text.get_mut("instance")?.as_object_mut()?;
    let mut root = serde_json::Map::new();
    for field in ["input", "vars", "outputs", "visits", "output"] {
        root.extend(it.remove(field).map(|value| (field.to_owned(), value)));
    }
    let done = it.remove("done").and_then(|done| done.as_array().cloned()).unwrap_or_default();
    root.insert("done".to_owned(), done.into_iter().map(|step| json!({ "step": step })).collect());
    if let Some(mut unwinding) = it.remove("unwinding") {
        let by = unwinding.as_object_mut()?.remove("by").filter(|by| !by.is_null());
        unwinding["then"] = by.map_or_else(|| json!("end"), |by| json!({ "token": by }));
        root.insert("unwinding".to_owned(), unwinding);
    }
    it.insert("scopes".to_owned(), json!({ "0": root }));
    it.insert("next_scope".to_owned(), json!(1));
    Some(text)
}

fn each_held(it: &mut Instance, see: &mut impl FnMut(&mut Held)) {
    it.reply.iter_mut().for_each(&mut *see);
    for scope in it.scopes.values_mut() {
        scope.input.iter_mut().for_each(&mut *see);
        scope.vars.values_mut().for_each(&mut *see);
        scope.outputs.values_mut().for_each(&mut *see);
        scope.output.iter_mut().for_each(&mut *see);
        scope.machine.iter_mut().filter_map(|machine| machine.context.as_mut()).for_each(&mut *see);
        if let Some(progress) = &mut scope.progress {
            see(&mut progress.items);
            progress.results.values_mut().for_each(&mut *see);
        }
        if let Some(item) = scope.within.as_mut().and_then(|within| within.item.as_mut()) {
            see(&mut item.value);
        }
        for done in &mut scope.done {
            if let Done::Step(step) = done {
                each_held_of(step, see);
            }
        }
    }
    for token in it.tokens.values_mut() {
        let Some(visit) = token.at.visit_mut() else { continue };
        see(&mut visit.input);
        visit.memo.iter_mut().for_each(&mut *see);
        visit.hook.iter_mut().filter_map(|hook| hook.output.as_mut()).for_each(&mut *see);
        if let Some(step) = &mut visit.undoing {
            each_held_of(step, see);
        }
    }
}

fn each_held_of(step: &mut Step, see: &mut impl FnMut(&mut Held)) {
    see(&mut step.input);
    step.output.iter_mut().for_each(see);
}

impl At {
    /// The call state a token holds, if it holds one.
    pub fn visit(&self) -> Option<&Visit> {
        match self {
            Self::Calling(visit)
            | Self::Retrying { visit, .. }
            | Self::Open { visit, .. }
            | Self::Abandoned(visit)
            | Self::Halted(visit) => Some(visit),
            Self::Waiting { visit, .. } | Self::Incident { visit, .. } => visit.as_deref(),
            Self::Timer { .. }
            | Self::Joining { .. }
            | Self::Compensating
            | Self::Inside
            | Self::Evaluating
            | Self::Resting
            | Self::Locked
            | Self::Guard { .. } => None,
        }
    }

    fn visit_mut(&mut self) -> Option<&mut Visit> {
        match self {
            Self::Calling(visit)
            | Self::Retrying { visit, .. }
            | Self::Open { visit, .. }
            | Self::Abandoned(visit)
            | Self::Halted(visit) => Some(visit),
            Self::Waiting { visit, .. } | Self::Incident { visit, .. } => visit.as_deref_mut(),
            Self::Timer { .. }
            | Self::Joining { .. }
            | Self::Compensating
            | Self::Inside
            | Self::Evaluating
            | Self::Resting
            | Self::Locked
            | Self::Guard { .. } => None,
        }
    }
}
