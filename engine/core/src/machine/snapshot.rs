//! An instance as text, and back. Values that stand in journal rows are named, not repeated.
//!
//! Nodes and edges are written by index with a table of what is meant, so that a snapshot can be
//! read against any compilation of its flow.
//!
//! Invariant: `snapshot` then `parse` and `hydrate` with the named rows gives the same instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Entry;
use super::instance::{At, Instance, Visit};
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
struct EdgeName {
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
    fn of(flow: &Flow, edge: EdgeIx) -> Self {
        let one = &flow.edges[edge];
        let nth = Self::alike(flow, one.from, &one.port, one.to).position(|other| other == edge).unwrap_or(0);
        let id = |node: NodeIx| flow.nodes[node].id.clone();
        Self { from: id(one.from), port: one.port.clone(), to: id(one.to), nth }
    }

    fn find(&self, flow: &Flow) -> Option<EdgeIx> {
        Self::alike(flow, flow.node(&self.from)?, &self.port, flow.node(&self.to)?).nth(self.nth)
    }

    fn alike<'f>(flow: &'f Flow, from: NodeIx, port: &'f str, to: NodeIx) -> impl Iterator<Item = EdgeIx> + 'f {
        let out = flow.nodes[from].out.iter().copied();
        out.filter(move |&edge| flow.edges[edge].to == to && *flow.edges[edge].port == *port)
    }
}

const FORM: u32 = 1;

/// Writes an instance as text.
///
/// # Errors
///
/// Only if a value cannot be written as JSON, which no value that came in as JSON can cause.
pub fn snapshot(flow: &Flow, instance: &Instance) -> Result<String, SnapshotError> {
    let mut nodes = BTreeMap::new();
    let tokens = instance.tokens.values().map(|token| token.node);
    let done = instance.done.iter().map(|done| done.node);
    for ix in tokens.chain(done) {
        nodes.insert(ix, flow.nodes[ix].id.clone());
    }
    for token in instance.tokens.values() {
        if let Some(done) = token.at.visit().and_then(|visit| visit.undoing.as_ref()) {
            nodes.insert(done.node, flow.nodes[done.node].id.clone());
        }
    }
    let joining = instance.tokens.values().filter_map(|token| match token.at {
        At::Joining { edge } => Some((edge, EdgeName::of(flow, edge))),
        _ => None,
    });
    let edges = joining.collect();
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
        let mut one: Self = serde_json::from_str(text)?;
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
        let mut index = BTreeMap::new();
        for (was, name) in &self.nodes {
            index.insert(*was, flow.node(name).ok_or_else(|| SnapshotError::NoNode(name.to_string()))?);
        }
        let find = |ix: &mut NodeIx| match index.get(ix) {
            Some(now) => {
                *ix = *now;
                Ok(())
            }
            None => Err(SnapshotError::NoNode(ix.to_string())),
        };
        for token in self.instance.tokens.values_mut() {
            find(&mut token.node)?;
            if let Some(done) = token.at.visit_mut().and_then(|visit| visit.undoing.as_mut()) {
                find(&mut done.node)?;
            }
            if let At::Joining { edge } = &mut token.at {
                let name = self.edges.get(edge).ok_or_else(|| SnapshotError::NoEdge(edge.to_string()))?;
                *edge = name.find(flow).ok_or_else(|| SnapshotError::NoEdge(format!("{name:?}")))?;
            }
        }
        for done in &mut self.instance.done {
            find(&mut done.node)?;
        }
        let mut missing = None;
        each_held(&mut self.instance, &mut |held| {
            let Some(row) = held.row else { return };
            let found = entries.binary_search_by_key(&row, |entry| entry.seq).ok();
            match found.and_then(|at| entries[at].event.value()) {
                Some(value) => held.value = value.clone(),
                None => missing = Some(row),
            }
        });
        if let Some(row) = missing {
            return Err(SnapshotError::NoRow(row));
        }
        self.instance.id = id;
        Ok(self.instance)
    }
}

fn each_held(it: &mut Instance, see: &mut impl FnMut(&mut Held)) {
    see(&mut it.input);
    it.vars.values_mut().for_each(&mut *see);
    it.outputs.values_mut().for_each(&mut *see);
    it.reply.iter_mut().for_each(&mut *see);
    it.output.iter_mut().for_each(&mut *see);
    for done in &mut it.done {
        see(&mut done.input);
        done.output.iter_mut().for_each(&mut *see);
    }
    for token in it.tokens.values_mut() {
        let Some(visit) = token.at.visit_mut() else { continue };
        see(&mut visit.input);
        visit.memo.iter_mut().for_each(&mut *see);
        if let Some(done) = &mut visit.undoing {
            see(&mut done.input);
            done.output.iter_mut().for_each(&mut *see);
        }
    }
}

impl At {
    /// The call state a token holds, if it holds one.
    pub fn visit(&self) -> Option<&Visit> {
        match self {
            Self::Calling(visit) | Self::Retrying { visit, .. } => Some(visit),
            Self::Waiting { visit, .. } | Self::Incident { visit, .. } => visit.as_deref(),
            Self::Timer { .. } | Self::Joining { .. } | Self::Compensating => None,
        }
    }

    fn visit_mut(&mut self) -> Option<&mut Visit> {
        match self {
            Self::Calling(visit) | Self::Retrying { visit, .. } => Some(visit),
            Self::Waiting { visit, .. } | Self::Incident { visit, .. } => visit.as_deref_mut(),
            Self::Timer { .. } | Self::Joining { .. } | Self::Compensating => None,
        }
    }
}
