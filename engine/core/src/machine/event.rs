//! The facts given to [`step`](super::step), as they stand in the journal.
//!
//! Invariant: the JSON form is a published format. A variant or field is added, never renamed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Op, TokenId};

/// One journal entry: an event, when it was taken, and its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// 1, 2, 3 … within the instance.
    pub seq: u64,
    /// Milliseconds since the Unix epoch, UTC; never smaller than the entry before.
    pub at_ms: u64,
    #[serde(flatten)]
    pub event: Event,
}

/// A fact. Everything that happens to an instance is one of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// The first event of every instance.
    Started {
        input: Arc<Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        business_key: Option<String>,
        #[serde(default, skip_serializing_if = "is_zero")]
        priority: i32,
    },
    /// A call came back, or was cut off.
    NodeReturned {
        token: TokenId,
        /// The attempt that came back; a late answer of an earlier one is refused.
        attempt: u32,
        op: Op,
        outcome: Outcome,
    },
    /// A time the token waited for has come.
    TimerFired { token: TokenId, due_ms: u64 },
    /// A message reached the token that waits for it.
    MessageArrived {
        token: TokenId,
        /// The message's id; the same one is taken once.
        id: String,
        payload: Arc<Value>,
    },
    /// A person or a service asked for something.
    Commanded {
        #[serde(flatten)]
        command: Command,
        /// Who asked, for the journal's reader.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        by: String,
    },
    /// A machine is evaluated, with the actions of this revision.
    Evaluated { token: TokenId, revision: u32 },
    /// The instance has grown over a limit: what it waits for stops, and a person is asked.
    LimitReached {
        limit: Limit,
        /// What it came to, in the limit's unit.
        value: u64,
    },
}

/// What an instance may not grow over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// [`SNAPSHOT_BYTES_MAX`](super::SNAPSHOT_BYTES_MAX) bytes.
    SnapshotBytes,
}

impl Event {
    /// The one value the event carries, if it carries one: what a snapshot may refer to by row.
    pub fn value(&self) -> Option<&Arc<Value>> {
        match self {
            Self::Started { input, .. } => Some(input),
            Self::NodeReturned { outcome: Outcome::Done { output, .. }, .. }
            | Self::Commanded {
                command: Command::Complete { output, .. } | Command::Act { context: output, .. },
                ..
            } => Some(output),
            Self::NodeReturned { outcome: Outcome::Waiting { memo, .. }, .. } => Some(memo),
            Self::MessageArrived { payload, .. } => Some(payload),
            Self::NodeReturned { .. }
            | Self::TimerFired { .. }
            | Self::Commanded { .. }
            | Self::Evaluated { .. }
            | Self::LimitReached { .. } => None,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(priority: &i32) -> bool {
    *priority == 0
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Command {
    /// Ends the instance as it stands; nothing is undone.
    Cancel {
        #[serde(default)]
        reason: String,
    },
    /// Tries what stands in an incident again, under the same visit and key. No token: all of them.
    Retry {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<TokenId>,
        /// Under a new visit and key, as if the node were reached anew. What was done under the old key may be
        /// done twice.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        new_key: bool,
    },
    /// Stops everything and undoes the completed steps.
    Compensate {
        #[serde(default)]
        reason: String,
    },
    /// Gives up an undo that is an incident; the earlier ones go on.
    SkipUndo {
        token: TokenId,
    },
    /// Begins nothing new: no call, no timer, no message, until it is resumed. Calls under way come back.
    Suspend {
        #[serde(default)]
        reason: String,
    },
    Resume,
    /// Takes a token away and puts one on another node of the same graph, under a new visit and key. (A retry
    /// from an earlier node is this.)
    Move {
        token: TokenId,
        to: String,
    },
    /// Answers an open task: a person's form, a worker's output.
    Complete {
        token: TokenId,
        attempt: u32,
        output: Arc<Value>,
    },
    /// An open task cannot be done.
    Fail {
        token: TokenId,
        attempt: u32,
        failure: Failure,
    },
    /// Runs one action of a machine that rests, and no other, if its guard holds.
    Act {
        action: String,
        /// What the guard and the action see as `machine.context`.
        #[serde(default)]
        context: Arc<Value>,
        /// Of a machine that the instance has called; the instance itself, unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<TokenId>,
    },
    /// A machine that rests looks again at what it could run.
    Evaluate {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<TokenId>,
    },
    /// Goes on with another version of the flow; see [`migrate`](super::migrate()).
    Migrate {
        version: u32,
        /// The version it ran; the driver fills it in, so that a journal can be read from its start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<u32>,
        /// New node ids by old ones, where they differ.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        nodes: BTreeMap<String, String>,
    },
}

/// What a call came back with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Outcome {
    /// Done; the token leaves by `port`. For undo: undone. For query: it had run, with this result.
    Done { port: Arc<str>, output: Arc<Value> },
    /// The node waits for a message; it is resumed with `memo`.
    Waiting {
        message: Arc<str>,
        key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
        memo: Arc<Value>,
    },
    /// Query only: the forward call never ran.
    NeverRan,
    /// The node said no.
    Failed(Failure),
    /// The engine cut the call off.
    Cut(Cut),
}

/// The node's own word for what went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "class", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Failure {
    Rejected(Rejection),
    Transient {
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    Permanent {
        message: String,
        /// A stable code of the host's (`NOT_GRANTED`); the node's own failures have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
    },
    Unknown {
        message: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    pub code: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Arc<Value>>,
}

/// The engine ended an attempt. Of an external node the outcome is then not known; of every other
/// class the attempt did nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    pub reason: CutReason,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutReason {
    /// Past its timeout.
    Deadline,
    /// The guest trapped.
    Trap,
    /// A memory or table grew past its limit.
    Memory,
    /// The output was larger than allowed, or no JSON.
    Output,
    /// The plugin's breaker is open; the call was not made.
    Breaker,
    /// The digest is not loaded here; the call was not made.
    Missing,
    /// The engine stopped during the call, and the task may not be called twice.
    Crash,
    /// Such calls are paused, by what the message names; the call was not made.
    Paused,
    /// The build is revoked; the call was not made.
    Revoked,
    /// As `Paused`, of a call that was under way when the engine stopped: it may have been made.
    PausedAnew,
}

/// What a failure is, for the failure table, the API and the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    Rejected,
    Transient,
    Permanent,
    Unknown,
    TimedOut,
    Trap,
    /// The flow itself cannot go on (an expression without a value, a limit).
    Flow,
}

/// What a resumed node is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "signal", rename_all = "kebab-case")]
pub enum Signal {
    Message { payload: Arc<Value> },
    Timeout,
    Cancelled,
}

/// Why an event was not taken. The instance is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The instance has ended. Give up.
    #[error("the instance has ended")]
    Ended,
    /// No such token, or it no longer stands where the event says: late or duplicate. Drop it.
    #[error("nothing waits for this")]
    Late,
    /// The command has nothing to act on. Tell the caller.
    #[error("nothing to act on")]
    NothingToDo,
    /// The first event of an instance, and only the first, is `started`.
    #[error("an instance starts once")]
    NotFirst,
}
