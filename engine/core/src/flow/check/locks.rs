//! Locks: their names, and that no node waits for one that is held until it is done.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Checker;
use crate::flow::NodeIx;
use crate::flow::pointer::child;
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
            let held = self.around(node).filter_map(|container| self.nodes[container].lock.as_ref());
            let held = held.cloned().find(|held| after.contains(held));
            if let Some(held) = held {
                let pointer = child(&self.nodes[node].pointer, "lock");
                let message = format!("this waits for a lock while a container around it holds `{held}`");
                let problem = Problem::error("LOCK_ORDER", pointer, message);
                self.on(node, problem.fix("remove this lock, or take the locks in one order everywhere"));
            }
        }
    }
}
