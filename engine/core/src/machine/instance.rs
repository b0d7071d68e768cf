//! The state of one instance, and what can be read off it.
//!
//! Invariants:
//! - An ended instance has no tokens.
//! - A token's id is never used again within its instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FailureClass, Op, Signal};
use crate::flow::NodeIx;
use crate::value::Held;

/// Unique within an instance, in the order of making.
pub type TokenId = u32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Some call is under way or about to be.
    Running,
    /// Every token waits for time or a message.
    Waiting,
    /// Some token needs a person, and nothing else moves.
    Incident,
    Suspended,
    /// Steps are being undone before the end.
    Compensating,
    Completed,
    Failed,
    Compensated,
    Cancelled,
}

impl State {
    pub fn ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Compensated | Self::Cancelled)
    }

    /// As in JSON, SQL and the console.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Incident => "incident",
            Self::Suspended => "suspended",
            Self::Compensating => "compensating",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Compensated => "compensated",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    #[serde(skip, default = "no_id")]
    pub id: Arc<str>,
    /// The flow's version, for expressions that read `flow.version`.
    pub version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_key: Option<String>,
    pub priority: i32,
    /// The sequence number of the last event taken; 0 before the first.
    pub seq: u64,
    pub started_ms: u64,
    /// The last event's time.
    pub now_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    pub input: Held,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<Arc<str>, Held>,
    /// Last outputs, of the nodes that some expression reads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<Arc<str>, Held>,
    pub tokens: BTreeMap<TokenId, Token>,
    pub next_token: TokenId,
    /// Visits so far, by node.
    pub visits: BTreeMap<Arc<str>, u32>,
    /// Steps that can be undone, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<Done>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwinding: Option<Unwinding>,
    /// The first reply; it never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Held>,
    /// The output of the last `end` reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Held>,
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    pub state: State,
    pub error: Option<Error>,
}

/// What went wrong, as people and callers see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Error {
    pub class: FailureClass,
    /// A business code of the node's, or a code of ours (`TIMEOUT`, `TRAP`, `NOT_GRANTED` …).
    pub code: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Arc<Value>>,
}

/// Where an instance stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    pub node: NodeIx,
    pub visit: u32,
    /// When the visit started.
    pub since_ms: u64,
    pub at: At,
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
    /// Arrived at a join by this edge (index into the flow's edges).
    Joining {
        edge: usize,
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
}

/// A wait as it stood when it was stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    Message { message: Arc<str>, key: String, due_ms: Option<u64> },
    Timer { due_ms: u64 },
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
    pub undoing: Option<Box<Done>>,
    /// Resume only: when the wait that was resumed would have ended. A wait that follows without an end
    /// of its own keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_due_ms: Option<u64>,
    /// Query only: the failure that made us ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Error>,
}

/// A completed step (or one that may have completed) that can be undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    pub node: NodeIx,
    pub visit: u32,
    pub key: String,
    pub input: Held,
    /// `None`: the outcome of the forward call is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Held>,
}

/// A compensation under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unwinding {
    /// Steps that were undone, or skipped, so far.
    pub undone: u32,
    /// The `compensate` token to go on with; `None`: the instance ends compensated.
    pub by: Option<TokenId>,
    pub cause: Option<Error>,
}

/// A message some token waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub token: TokenId,
    pub message: Arc<str>,
    pub key: String,
}

fn no_id() -> Arc<str> {
    Arc::from("")
}

impl Instance {
    /// An instance before its first event.
    pub fn new(id: Arc<str>, version: u32) -> Self {
        Self {
            id,
            version,
            business_key: None,
            priority: 0,
            seq: 0,
            started_ms: 0,
            now_ms: 0,
            end: None,
            input: Held::computed(Value::Null),
            vars: BTreeMap::new(),
            outputs: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next_token: 1,
            visits: BTreeMap::new(),
            done: Vec::new(),
            unwinding: None,
            reply: None,
            output: None,
        }
    }

    pub fn state(&self) -> State {
        if let Some(end) = &self.end {
            return end.state;
        }
        if self.seq == 0 {
            return State::Running;
        }
        let calling = self.tokens.values().any(|token| matches!(token.at, At::Calling(_)));
        let incident = self.tokens.values().any(|token| matches!(token.at, At::Incident { .. }));
        match (calling, incident, self.unwinding.is_some()) {
            (false, true, _) => State::Incident,
            (_, _, true) => State::Compensating,
            (true, _, _) => State::Running,
            (false, false, false) => State::Waiting,
        }
    }

    /// Whether this call's answer would still be taken.
    pub fn awaits(&self, token: TokenId, attempt: u32, op: Op) -> bool {
        let at = self.tokens.get(&token).map(|token| &token.at);
        matches!(at, Some(At::Calling(visit)) if visit.attempt == attempt && visit.op == op)
    }

    /// The next time something is due, milliseconds since the Unix epoch.
    pub fn due_ms(&self) -> Option<u64> {
        self.tokens.values().filter_map(|token| token.at.due_ms()).min()
    }

    /// The messages that tokens wait for, in token order.
    pub fn subscriptions(&self) -> Vec<Subscription> {
        let mut all = Vec::new();
        for (&token, one) in &self.tokens {
            if let At::Waiting { message, key, .. } = &one.at {
                all.push(Subscription { token, message: message.clone(), key: key.clone() });
            }
        }
        all
    }

    /// Calls that are not made because such calls are paused: the token, when it looks again by itself, and by what.
    pub fn held(&self) -> impl Iterator<Item = (TokenId, u64, &str)> {
        self.tokens.iter().filter_map(|(&token, one)| match &one.at {
            At::Retrying { due_ms, error, .. } if error.code == super::fail::PAUSED => {
                Some((token, *due_ms, error.data.as_ref()?.as_str()?))
            }
            At::Calling(_)
            | At::Retrying { .. }
            | At::Waiting { .. }
            | At::Timer { .. }
            | At::Joining { .. }
            | At::Incident { .. }
            | At::Compensating => None,
        })
    }

    /// The error an ended or stuck instance shows: its end's, else its first incident's.
    pub fn error(&self) -> Option<&Error> {
        match &self.end {
            Some(end) => end.error.as_ref(),
            None => self.tokens.values().find_map(|token| match &token.at {
                At::Incident { error, .. } => Some(error),
                At::Calling(_)
                | At::Retrying { .. }
                | At::Waiting { .. }
                | At::Timer { .. }
                | At::Joining { .. }
                | At::Compensating => None,
            }),
        }
    }
}

impl At {
    /// Something will move the token by and by; otherwise it needs another token or a person.
    pub fn moves(&self) -> bool {
        match self {
            Self::Calling(_) | Self::Retrying { .. } | Self::Waiting { .. } | Self::Timer { .. } => true,
            Self::Joining { .. } | Self::Incident { .. } | Self::Compensating => false,
        }
    }

    pub fn due_ms(&self) -> Option<u64> {
        match self {
            Self::Retrying { due_ms, .. } | Self::Timer { due_ms } => Some(*due_ms),
            Self::Waiting { due_ms, .. } => *due_ms,
            Self::Calling(_) | Self::Joining { .. } | Self::Incident { .. } | Self::Compensating => None,
        }
    }
}
