//! A machine: states, and actions that take an instance from one to the next.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    CompensationDocument, ListenerDocument, NodeDocument, Note, Position, PriorityDocument, Schema, Title,
    UniqueDocument,
};
use crate::flow::trigger::TriggerDocument;

/// A machine: a pool of states, and actions that are run in them by priority until none can be.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Stepwell machine")]
pub struct MachineDocument {
    /// The version of this format: 1.
    pub stepwell: u32,
    pub kind: MachineKind,
    /// Names the machine for good, as a flow's key does: both are of one catalogue.
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Title>,
    /// JSON Schema (2020-12) of the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Schema>,
    /// The caller's name for an instance, made from its input: `=input.orderId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_key: Option<String>,
    /// A second start under a business key is refused: `running` while an instance of this machine (of any version)
    /// has it that has not ended, `always` as long as one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_key_unique: Option<UniqueDocument>,
    /// How urgent an instance is where its caller does not say. A state it enters may change that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<PriorityDocument>,
    /// How long an instance is kept once it has ended, such as `30d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<String>,
    /// IANA name; dates without a zone are read in it. UTC unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// How completed actions are undone when the machine fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<CompensationDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerDocument>,
    /// The code of the state an instance begins in, or an expression that gives one from the input, so that what
    /// exists already is loaded in the state it has.
    pub initial: String,
    /// `live` (unless given): each evaluation takes the actions as they are then, those plugged in later as well.
    /// `frozen`: those there were when the instance was first evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actions_policy: Option<ActionsPolicyDocument>,
    /// The state pool.
    pub states: Vec<StateDocument>,
    /// In the order that decides between equal priorities.
    pub actions: Vec<ActionDocument>,
    /// What an instance gives that has come to a terminal state: a template. The state's code, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Where states are drawn, by code. Apart from the meaning: not in the hash.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub layout: BTreeMap<String, Position>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MachineKind {
    Machine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActionsPolicyDocument {
    Live,
    Frozen,
}

/// A row of the state pool.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateDocument {
    /// `OS0000`: letters, digits, `_` and `-`, at most 64.
    pub code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    /// Which service the state belongs to, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// How urgent an instance is from then on that enters the state: smaller is more urgent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Numbers the states in the order of the work, for lists and comparisons: expressions read it as `machine.order`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<i32>,
    /// An instance that comes here has completed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub terminal: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// What can be done in some states, and which state follows.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionDocument {
    /// A plain word, because expressions say `nodes.<name>`.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The codes of the states it can be run in.
    pub states: Vec<String>,
    /// Of the actions of a state the smallest is run first; 0 unless given. Equal ones in the order of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// An expression, without `=`: it is run only where this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    /// It is run only when somebody asks for it by name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub manual: bool,
    /// It is run so long after the state was entered, such as `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// It is run when this message comes. What the message carries is `machine.context`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<ActionMessageDocument>,
    /// What is done: a node as a flow has it. Nothing but the change of state, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Box<NodeDocument>>")]
    pub run: Option<Value>,
    /// Runs the called flow or machine once for each item, and goes on when all are back. It sees `item` and `index`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<EachDocument>,
    /// What follows: a state's code, or cases of which the first that fits is taken. The state stays, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextDocument>,
    /// Then no other action is looked for: the machine rests until something comes from outside.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exit: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionMessageDocument {
    pub message: String,
    /// Which of its messages: a text, or an expression that gives one.
    pub key: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EachDocument {
    /// An expression that gives a list.
    Items(String),
    With(EachWithDocument),
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EachWithDocument {
    /// A list, or an expression that gives one.
    pub items: Value,
    /// Most items at the same time, 1 to 1000; 1000 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `stop` (unless given): the first failure stops the others. `collect`: it stands among the results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<super::OnFailureDocument>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NextDocument {
    State(String),
    Cases(Vec<NextCaseDocument>),
}

/// What follows an action where the port and the condition fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NextCaseDocument {
    /// By which port it was left; any, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// An expression, without `=`. It sees `result`, what the action gave, and `port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The state's code; the state stays, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Then no other action is looked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exit: bool,
}
