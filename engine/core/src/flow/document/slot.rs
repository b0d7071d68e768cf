//! Slots of templates, and what fills them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    BoundaryDocument, CompensationDocument, EdgeDocument, ListenerDocument, MergeDocument, NodeDocument,
    OnFailureDocument, Title,
};

/// A place in a template that the flows that extend it fill. It is left by `done`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlotDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// Who extends the template must fill it. One that is not required and has no default is passed at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// `node` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes: Option<TakesDocument>,
    /// What stands in it unless it is filled otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<FillDocument>")]
    pub default: Option<Value>,
    /// Of steps: each begins when the one before has ended, unless it says otherwise itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<bool>,
    /// Of steps, as of a stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailureDocument>,
    /// Of steps, as of a stage.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub merge: BTreeMap<String, MergeDocument>,
    /// Of steps, as of a stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<CompensationDocument>,
    /// Of steps: one deadline for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Of steps, as of a stage.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub on: BTreeMap<String, BoundaryDocument>,
    /// Of steps, as of a stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerDocument>,
    /// Of steps, as of a stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TakesDocument {
    /// One node, or a small graph.
    #[default]
    Node,
    /// A list of steps; the slot is their stage.
    Steps,
}

/// What fills a slot: null leaves it empty.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FillDocument {
    Steps(Vec<StepFillDocument>),
    Node(Box<NodeDocument>),
    Graph(GraphFillDocument),
    Change(StepsPatchDocument),
    Nothing(()),
}

/// A small graph; the slot is the stage around it. It begins with the nodes that no edge leads to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GraphFillDocument {
    #[schemars(with = "BTreeMap<String, NodeDocument>")]
    pub nodes: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<EdgeDocument>")]
    pub edges: Vec<Value>,
}

/// A step, and how the stage runs it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepFillDocument {
    /// Of its node.
    pub id: String,
    #[schemars(with = "NodeDocument")]
    pub node: Value,
    /// Smaller ones begin first; ties by place in the list. 0 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<i32>,
    /// Later steps begin when it has ended. As the slot says unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its failure leaves null in its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Its result: a template, which reads the step's node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Of one that is added: the step it stands before in the list. The end unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// Inherits the steps of the template, and changes them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepsPatchDocument {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<StepFillDocument>,
    /// Steps that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// Other nodes for steps, which keep their places.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, NodeDocument>")]
    pub replace: BTreeMap<String, Value>,
    /// Rules for groups, beside those of the slot.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub merge: BTreeMap<String, MergeDocument>,
    /// In place of the slot's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}
