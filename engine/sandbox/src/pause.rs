//! Calls that are paused: by node type, asked before a guest is entered; by connection, asked before
//! its first request is sent.
//!
//! Invariants:
//! - What is paused is not called, but for one call each time [`Sandbox::let_one_through`](crate::Sandbox::let_one_through) says so.
//! - A call that a connection holds back has sent nothing; one that had sent something to another
//!   connection before fails as transient instead.
//!
//! Not here: who pauses what, and whose calls wait (`server`, `store`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use stepwell_core::machine::{CutReason, Failure, Outcome};
use tokio::sync::Notify;

/// What came of a call that was let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// What is paused.
    pub key: String,
    pub well: bool,
    /// For people.
    pub message: String,
}

/// Results that nobody fetched yet; more are not worth keeping.
const PROBED_MAX: usize = 256;

/// Of one thing that is paused.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    open_once: AtomicBool,
}

impl Gate {
    /// Whether this call is the one that is let through.
    pub(crate) fn admits(&self) -> bool {
        self.open_once.swap(false, Ordering::AcqRel)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Gates {
    by_key: RwLock<Arc<HashMap<String, Arc<Gate>>>>,
    probed: Mutex<Vec<Probed>>,
    told: Notify,
}

impl Gates {
    pub(crate) fn set(&self, keys: impl IntoIterator<Item = String>) {
        let mut by_key = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        // A call that may go through still may.
        let next = keys.into_iter().map(|key| {
            let gate = by_key.get(&key).cloned().unwrap_or_default();
            (key, gate)
        });
        *by_key = Arc::new(next.collect());
    }

    pub(crate) fn let_one_through(&self, key: &str) -> bool {
        let by_key = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        by_key.get(key).is_some_and(|gate| {
            gate.open_once.store(true, Ordering::Release);
            true
        })
    }

    /// The gate and its key, where calls of a node type are paused.
    pub(crate) fn of_node_type(&self, plugin: &str, node_type: &str) -> Option<(String, Arc<Gate>)> {
        self.find(|| format!("node-type {plugin}/{node_type}"))
    }

    pub(crate) fn of_connection(&self, connection: &str) -> Option<(String, Arc<Gate>)> {
        self.find(|| format!("connection {connection}"))
    }

    fn find(&self, key: impl FnOnce() -> String) -> Option<(String, Arc<Gate>)> {
        let by_key = Arc::clone(&self.by_key.read().unwrap_or_else(PoisonError::into_inner));
        // Mostly nothing is paused, and then no name is made.
        if by_key.is_empty() {
            return None;
        }
        let key = key();
        let gate = by_key.get(&key)?;
        Some((key, Arc::clone(gate)))
    }

    pub(crate) fn tell(&self, probed: Probed) {
        let mut all = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < PROBED_MAX {
            all.push(probed);
        }
        drop(all);
        self.told.notify_one();
    }

    /// Results since the last time, once there are some.
    pub(crate) async fn told(&self) -> Vec<Probed> {
        loop {
            let all = std::mem::take(&mut *self.probed.lock().unwrap_or_else(PoisonError::into_inner));
            if !all.is_empty() {
                return all;
            }
            self.told.notified().await;
        }
    }
}

/// A request that was let through: whatever becomes of it is told.
pub(crate) struct Probe {
    gates: Arc<Gates>,
    key: Option<String>,
}

impl Probe {
    pub(crate) fn new(gates: Arc<Gates>, key: String) -> Self {
        Self { gates, key: Some(key) }
    }

    pub(crate) fn came_to(mut self, well: bool, message: String) {
        if let Some(key) = self.key.take() {
            self.gates.tell(Probed { key, well, message });
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.gates.tell(Probed { key, well: false, message: "no answer in time".to_owned() });
        }
    }
}

/// What a node type's call says of what it depends on.
pub(crate) fn judged(key: String, outcome: &Outcome) -> Probed {
    let (well, message) = match outcome {
        Outcome::Done { .. } | Outcome::Waiting { .. } | Outcome::NeverRan => (true, "it answered".to_owned()),
        Outcome::Failed(Failure::Rejected(rejection)) => (true, format!("it answered {}", rejection.code)),
        Outcome::Failed(
            Failure::Transient { message, .. } | Failure::Permanent { message, .. } | Failure::Unknown { message },
        ) => (false, message.clone()),
        // Something else it needs is paused.
        Outcome::Cut(cut) if cut.reason == CutReason::Paused => (false, format!("held by {}", cut.message)),
        Outcome::Cut(cut) => (false, cut.message.clone()),
    };
    Probed { key, well, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_is_let_through_each_time() {
        let gates = Gates::default();
        let admitted = || gates.of_node_type("shop", "ship").map(|(_, gate)| gate.admits());
        assert_eq!(admitted(), None);
        assert!(!gates.let_one_through("node-type shop/ship"), "nothing is paused");
        gates.set(["node-type shop/ship".to_owned(), "connection bank".to_owned()]);
        assert_eq!(admitted(), Some(false));
        assert!(gates.let_one_through("node-type shop/ship"));
        gates.set(["node-type shop/ship".to_owned()]);
        assert_eq!((admitted(), admitted()), (Some(true), Some(false)));
        assert!(gates.of_node_type("shop", "stock").is_none());
        assert!(gates.of_connection("bank").is_none());
        gates.set([]);
        assert_eq!(admitted(), None);
    }
}
