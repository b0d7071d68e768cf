//! Listeners: what is done beside the way of a flow.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{PriorityDocument, RetryDocument};

/// Calls a node type, or writes variables, where a node or the flow is entered, left, has failed, or is over.
///
/// Expressions also see `event` (`on`, `node`, `visit`, `port`, `output`, `error`); those of `set` and `priority` see
/// `result`, what the call gave. A listener is not undone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListenerDocument {
    pub on: HeardDocument,
    /// `plugin/type@major`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Map<String, Value>>,
    /// The input: a template.
    #[serde(default, rename = "with", skip_serializing_if = "Option::is_none")]
    pub with: Option<Value>,
    /// Of one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryDocument>,
    /// Templates by the variable's name, written once the call, if there is one, has answered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, Value>,
    /// How urgent the instance is from then on: a whole number, or an expression. Smaller is more urgent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<PriorityDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<ListenerFailureDocument>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeardDocument {
    /// A token has come, nothing has begun.
    Enter,
    /// It is done, and goes on by a port of its own.
    Leave,
    /// It has failed, and nothing is tried again: before a handler takes it, or what was done is undone.
    Error,
    /// It is over, one way or the other. Of a flow: also after what was done was undone.
    End,
}

/// What comes of a listener that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListenerFailureDocument {
    /// The flow goes on as if it had not failed.
    Ignore,
    /// Unless given: an incident, until a person retries or skips the listener.
    Incident,
    /// Of `enter` and `leave`: the node fails with it.
    Fail,
}
