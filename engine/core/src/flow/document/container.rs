//! Calls of other flows, and nodes that hold nodes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BoundaryDocument, ListenerDocument, RestDocument, Title};

/// Runs another flow as a part of this one.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// Nodes with one lock exclude each other: in one run of the flow one is under way at a time, the others wait
    /// for it in the order they were reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// `key@version`, or `key`: its newest version when this flow is published. This flow's own key: itself.
    pub flow: String,
    /// Its input: a template.
    #[serde(default, rename = "with", skip_serializing_if = "Option::is_none")]
    pub with: Option<Value>,
    /// Of the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub on: BTreeMap<String, BoundaryDocument>,
    /// What is done beside its way when a token comes to it, and when it is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerDocument>,
}

/// Runs the nodes in it once for each item.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForEachDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// Nodes with one lock exclude each other: in one run of the flow one is under way at a time, the others wait
    /// for it in the order they were reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// A list, or an expression that gives one. The nodes see `item` and `index`.
    pub items: Value,
    /// Most items at the same time, 1 to 1000; 1 unless given: one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// An item's result: a template. Without it, the output of the end it came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailureDocument>,
    /// It goes on when so many items have completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UntilDocument>,
    /// Then the others are stopped and undone (`cancel`, unless given), or run on without effect (`await`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<RestDocument>,
    /// Brings further items while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<MoreDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<CompensationDocument>,
    /// Of the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub on: BTreeMap<String, BoundaryDocument>,
    /// What is done beside its way when a token comes to it, and when it is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerDocument>,
}

/// When enough items have completed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum UntilDocument {
    Count(u32),
    /// An expression that is looked at each time an item has completed. It sees `results`, the list of those that
    /// have, and `count`, how many items there are so far: `=len(results) >= 0.9 * count`.
    When(String),
}

/// A message that brings one more item.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoreDocument {
    /// Its payload is the item.
    pub message: String,
    /// Which of them: an expression, as `=input.orderId`.
    pub key: String,
    /// An expression, without `=`. Where it does not hold, the message brings nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// A part of the flow with handlers and undo of its own: one graph, or steps in order.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StageDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// Nodes with one lock exclude each other: in one run of the flow one is under way at a time, the others wait
    /// for it in the order they were reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// The nodes in it that are run as steps. Without any, its nodes are one graph; an empty list and nothing in it: it
    /// is passed at once, and gives an empty object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailureDocument>,
    /// How the results of a group become one, by the group's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub merge: BTreeMap<String, MergeDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<CompensationDocument>,
    /// Of the whole: one deadline for all steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub on: BTreeMap<String, BoundaryDocument>,
    /// What is done beside its way when a token comes to it, and when it is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerDocument>,
}

/// One step of a stage. Its node has 2 s in all, tries and the waits between them together, unless it says a `timeout`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepDocument {
    /// The node.
    pub run: String,
    /// Smaller ones begin first; ties by place in the list. 0 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<i32>,
    /// Later steps begin when it has ended; otherwise at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sync: bool,
    /// Its result stands under this name, with those of the same group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its failure leaves null in its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Its result: a template, which reads the step's node. Without it, what the node gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailureDocument {
    /// The first failure stops and undoes the others.
    Stop,
    /// The others run on. A for-each has the error among its results; a stage fails at its end.
    Collect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MergeDocument {
    /// An object of results by step.
    Named,
    /// A list in step order.
    List,
    /// One object of all their fields; a later step's win.
    Fields,
    /// The first result that is not null.
    First,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompensationDocument {
    /// The last step first, one at a time.
    Reverse,
    /// All at once.
    Parallel,
}
