//! A call of a node's code, as the core asks for it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Signal, TokenId};
use crate::flow::Callee;

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    Run,
    Undo,
    Resume,
    Query,
    /// Of a listener: the `run` of its node type.
    Listen,
}

/// Which export is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Export {
    Run,
    Undo,
    Resume,
    Query,
}

impl Op {
    /// The export of a node type that is called for this itself.
    pub fn export(self) -> Export {
        match self {
            Self::Run | Self::Listen => Export::Run,
            Self::Undo => Export::Undo,
            Self::Resume => Export::Resume,
            Self::Query => Export::Query,
        }
    }
}

/// Everything one call needs. The same call is made again after a crash, with the same key.
#[derive(Debug, Clone)]
pub struct Call {
    pub token: TokenId,
    /// The node the token stands on; for an undo, the node that is undone.
    pub node: Arc<str>,
    pub visit: u32,
    pub attempt: u32,
    /// What the call is for; the answer's event repeats it.
    pub op: Op,
    /// That of `op`, but for an undo by another node type, which is a `run`.
    pub export: Export,
    pub callee: Callee,
    /// Idempotency key, made when the visit was; an undo has its own.
    pub key: String,
    /// Undo only: the key of the forward call.
    pub forward_key: Option<String>,
    /// The mapped input; for resume the forward call's.
    pub input: Arc<Value>,
    /// Undo only: what the forward call answered; `None` when that is not known.
    pub output: Option<Arc<Value>>,
    /// Resume only.
    pub memo: Option<Arc<Value>>,
    pub signal: Option<Signal>,
    /// The instance's: smaller is more urgent.
    pub priority: i32,
    /// When the visit started, milliseconds since the Unix epoch: the wall clock of recorded nodes.
    pub visit_started_ms: u64,
}
