//! A token: where it stands, what it does there, and the calls of its visit.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::instance::{Error, ROOT, ScopeId, Step, TokenId};
use super::{Hook, Op, Signal};
use crate::flow::{EdgeIx, NodeIx};
use crate::planted;
use crate::value::Held;

/// Where an instance stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    #[serde(default, skip_serializing_if = "is_root")]
    pub scope: ScopeId,
    pub node: NodeIx,
    pub visit: u32,
    /// When the visit started.
    pub since_ms: u64,
    pub at: At,
    /// Of a container that is a step and says no time of its own: when its time is over. (A `timeout` it says is a
    /// token beside it, [`At::Guard`].)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// The waits after one event gateway: the first that is over drops the others of its race.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub race: Option<TokenId>,
}

/// What a token is doing there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// A call is under way.
    Calling(Box<Visit>),
    /// The next attempt is due then.
    Retrying {
        visit: Box<Visit>,
        due_ms: u64,
        error: Error,
    },
    /// A node, or a `receive` (no visit), waits for a message. The visit holds the memo.
    Waiting {
        message: Arc<str>,
        key: String,
        due_ms: Option<u64>,
        visit: Option<Box<Visit>>,
    },
    Timer {
        due_ms: u64,
    },
    /// Arrived at a join by this edge.
    Joining {
        edge: EdgeIx,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_ms: Option<u64>,
    },
    /// Needs a person.
    Incident {
        error: Error,
        visit: Option<Box<Visit>>,
        /// The wait that a limit stopped, and that a retry goes back to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stopped: Option<Wait>,
    },
    /// A `compensate` node, until everything is undone.
    Compensating,
    /// A container or call, while its scope is run.
    Inside,
    /// Work that somebody outside does: a person, or a worker that fetches it.
    Open {
        visit: Box<Visit>,
        due_ms: Option<u64>,
    },
    /// A call that was given up while it was under way: its answer is awaited only to know what it did.
    Abandoned(Box<Visit>),
    /// A call that is not made while the instance is suspended.
    Halted(Box<Visit>),
    /// A machine that is about to be evaluated.
    Evaluating,
    /// A machine in which nothing is left to be run, until something comes from outside.
    Resting,
    /// Waits for a lock that another token holds.
    Locked,
    /// A boundary handler that waits beside the token of its node.
    Guard {
        host: TokenId,
        /// The handler's port; none for the node's own `timeout`.
        port: Option<Arc<str>>,
        wait: Wait,
    },
}

/// A wait as it stood when it was stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    Message {
        message: Arc<str>,
        key: String,
        due_ms: Option<u64>,
    },
    Timer {
        due_ms: u64,
    },
    /// For somebody outside.
    Open {
        due_ms: Option<u64>,
    },
}

/// One visit's call state: what is needed to make the same call again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    pub op: Op,
    /// Counts all calls of the visit, so that a late answer can be told.
    pub attempt: u32,
    /// Counts the calls of this `op` since it was last due: what `retry.attempts` limits.
    pub tries: u32,
    pub key: String,
    pub input: Held,
    /// An earlier attempt may have had its effect.
    pub maybe_done: bool,
    /// Resume only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memo: Option<Held>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// Undo only: the step that is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoing: Option<Box<Step>>,
    /// Resume only: when the wait that was resumed would have ended. A wait that follows without an end
    /// of its own keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_due_ms: Option<u64>,
    /// When the step that this is has used up its time, if all its tries share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Query only: the failure that made us ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Error>,
    /// Listen only: what it is called for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<Box<Hook>>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_root(scope: &ScopeId) -> bool {
    *scope == ROOT
}

impl At {
    /// Something will move the token by and by; otherwise it needs another token or a person's help.
    pub fn moves(&self) -> bool {
        match self {
            Self::Calling(_)
            | Self::Retrying { .. }
            | Self::Waiting { .. }
            | Self::Timer { .. }
            | Self::Inside
            | Self::Open { .. }
            | Self::Abandoned(_)
            | Self::Halted(_)
            | Self::Evaluating
            | Self::Resting
            | Self::Joining { due_ms: Some(_), .. } => true,
            Self::Joining { due_ms: None, .. }
            | Self::Incident { .. }
            | Self::Compensating
            | Self::Locked
            | Self::Guard { .. } => false,
        }
    }

    pub fn due_ms(&self) -> Option<u64> {
        match self {
            Self::Timer { .. } if planted::on("timer-lost") => None,
            Self::Retrying { due_ms, .. }
            | Self::Timer { due_ms }
            | Self::Guard { wait: Wait::Timer { due_ms }, .. } => Some(*due_ms),
            Self::Waiting { due_ms, .. }
            | Self::Open { due_ms, .. }
            | Self::Joining { due_ms, .. }
            | Self::Guard { wait: Wait::Message { due_ms, .. } | Wait::Open { due_ms }, .. } => *due_ms,
            Self::Calling(_)
            | Self::Incident { .. }
            | Self::Compensating
            | Self::Inside
            | Self::Abandoned(_)
            | Self::Evaluating
            | Self::Resting
            | Self::Locked
            | Self::Halted(_) => None,
        }
    }
}
