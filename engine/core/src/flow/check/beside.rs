//! What nodes do to each other: locks that are not waited for while they are held, and nodes that are cancelled.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Checker;
use crate::flow::document::CancelDocument;
use crate::flow::pointer::child;
use crate::flow::{Kind, NodeIx};
use crate::problem::Problem;

/// Longest name of a lock.
const LOCK_BYTES_MAX: usize = 64;

impl Checker<'_> {
    pub(super) fn lock(&mut self, node: NodeIx, lock: Option<&str>) {
        let Some(name) = lock else { return };
        if !(1..=LOCK_BYTES_MAX).contains(&name.len()) {
            let pointer = child(&self.nodes[node].pointer, "lock");
            self.on(node, Problem::error("LOCK_NAME", pointer, format!("a lock has 1 to {LOCK_BYTES_MAX} bytes")));
        }
        self.nodes[node].lock = Some(name.into());
    }

    pub(super) fn cancel(&mut self, node: NodeIx, cancel: &CancelDocument, pointer: &str) -> Kind {
        let pointer = child(pointer, "nodes");
        let inside = |id: &str| self.reader.raw("nodes").and_then(|nodes| nodes.get(id)?.get("in")).cloned();
        let own = inside(self.nodes[node].id);
        let (mut nodes, mut problems) = (Vec::new(), Vec::new());
        for (index, id) in cancel.nodes.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            match self.by_id.get(id.as_str()).copied() {
                None => {
                    let problem = Problem::error("UNKNOWN_REFERENCE", pointer, format!("there is no node `{id}`"));
                    let near = self.near_id(id).map(|near| format!("did you mean `{near}`?"));
                    problems.push(problem.fix(near.unwrap_or_else(|| "name a node of this flow".to_owned())));
                }
                Some(other) if other == node || inside(id) != own => {
                    let message = format!("`{id}` is not beside this node");
                    let problem = Problem::error("CANCEL_NODE", pointer, message);
                    problems
                        .push(problem.fix("name nodes of the same graph; a container stands for all that is in it"));
                }
                Some(other) => nodes.push(other),
            }
        }
        if cancel.nodes.is_empty() {
            let problem = Problem::error("CANCEL_NODE", &pointer, "nothing is cancelled here");
            problems.push(problem.fix("name the nodes to take the tokens from"));
        }
        for problem in problems {
            self.on(node, problem);
        }
        Kind::Cancel { nodes }
    }

    /// Locks that are taken while others are held are always taken in one order.
    pub(super) fn check_locks(&mut self) {
        let mut inner: BTreeSet<(Arc<str>, Arc<str>)> = BTreeSet::new();
        for node in 0..self.nodes.len() {
            let Some(own) = self.nodes[node].lock.clone() else { continue };
            let held = self.around(node).filter_map(|container| self.nodes[container].lock.clone());
            inner.extend(held.map(|held| (held, own.clone())));
        }
        for node in 0..self.nodes.len() {
            let Some(own) = self.nodes[node].lock.clone() else { continue };
            let mut after = BTreeSet::from([own]);
            while let Some(next) = inner.iter().find(|(held, own)| after.contains(held) && !after.contains(own)) {
                after.insert(next.1.clone());
            }
            let held = {
                let mut around = self.around(node).filter_map(|container| self.nodes[container].lock.as_ref());
                around.find(|held| after.contains(*held)).cloned()
            };
            if let Some(held) = held {
                let pointer = child(&self.nodes[node].pointer, "lock");
                let message = format!("this waits for a lock while a container around it holds `{held}`");
                let problem = Problem::error("LOCK_ORDER", pointer, message);
                self.on(node, problem.fix("remove this lock, or take the locks in one order everywhere"));
            }
        }
    }
}
