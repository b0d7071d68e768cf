//! The seam to node code.

use std::future::Future;
use std::sync::Arc;

use stepwell_core::machine::{Call, Outcome};

use crate::records::Desk;

/// Runs a node's code. The real one is the sandbox.
pub trait Nodes: Send + Sync + 'static {
    /// Makes one call and says what came of it. Total: whatever goes wrong is an [`Outcome`].
    /// Dropping the future ends the call; of an external node the outcome is then not known.
    fn call(&self, about: &About, call: &Call) -> impl Future<Output = Answer> + Send;
}

/// What a call is told of the instance it belongs to.
#[derive(Debug, Clone)]
pub struct About {
    pub instance: Arc<str>,
    pub flow: Arc<str>,
    pub version: u32,
    pub business_key: Option<String>,
    /// W3C trace context of the request that started or woke the instance.
    pub traceparent: Option<String>,
    /// Where a transactional call works on records; others have none, and see committed ones at most.
    pub records: Option<Arc<Desk>>,
}

/// What came back, and what the engine saw on the way.
#[derive(Debug)]
pub struct Answer {
    pub outcome: Outcome,
    pub duration_us: u64,
    pub logs: Vec<LogLine>,
}

/// A line the guest logged: at most 64 of 1 KiB each per call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// `trace`, `debug`, `info`, `warn`, `error`.
    pub level: &'static str,
    pub message: String,
}
