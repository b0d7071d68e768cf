//! The flow document as it is written: the serde types `flows/flow.schema.json` is generated from.
//!
//! The reader (`read`) takes a document piece by piece through these types, so that it finds every
//! problem and not only the first. What a well-formed document means is `check`'s to say.
//!
//! Not here: rules that look at more than one field.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::trigger::TriggerDocument;

/// A flow: a graph of nodes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Stepwell flow")]
pub struct FlowDocument {
    /// The version of this format: 1.
    pub stepwell: u32,
    pub kind: DocumentKind,
    /// Names the flow for good: small letters, digits, `_`, `-` and `.`, at most 64.
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
    /// IANA name; dates without a zone are read in it. UTC unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerDocument>,
    /// The nodes by id. An id is a plain word, because expressions say `nodes.<id>`.
    pub nodes: BTreeMap<String, NodeDocument>,
    #[serde(default)]
    pub edges: Vec<EdgeDocument>,
    /// Where nodes are drawn. Apart from the meaning: not in the hash.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub layout: BTreeMap<String, Position>,
    /// Remarks on the canvas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentKind {
    Graph,
}

/// A text, or one per language tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Title {
    Text(String),
    /// `{ "en": …, "zh-CN": … }`
    PerLanguage(BTreeMap<String, String>),
}

/// A JSON Schema: an object, or true or false.
pub type Schema = Value;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Position {
    pub x: f64,
    pub y: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Note {
    pub text: String,
    pub x: f64,
    pub y: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<f64>,
}

/// A box of the flow, by its `type`. A string that begins with `=` is an expression; `'=…` is the
/// text `=…`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum NodeDocument {
    Start(PlainDocument),
    End(OutputDocument),
    Task(Box<TaskDocument>),
    Decision(DecisionDocument),
    Exclusive(PlainDocument),
    Inclusive(PlainDocument),
    Parallel(PlainDocument),
    EventGateway(PlainDocument),
    Set(SetDocument),
    Timer(TimerDocument),
    Receive(ReceiveDocument),
    Reply(OutputDocument),
    Throw(ThrowDocument),
    Compensate(PlainDocument),
}

/// A node with nothing of its own to say. Start: where an instance begins. Exclusive: the first
/// edge whose `when` holds, else the default. Inclusive: every edge whose `when` holds, else the
/// default; where several arrive, waits until no more can come. Parallel: waits for all edges that
/// arrive, then leaves by all. Event gateway: waits for the first of the receives and timers after
/// it. Compensate: undoes the completed steps, then goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlainDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// An end gives the instance its output; a reply answers the caller and goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

/// Fails the flow with a business error: completed steps are undone, and the caller is told the code.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThrowDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Capital letters, digits and `_`, at most 64.
    pub code: String,
    /// For people: a text, or an expression that gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// Work done by a plugin's node type.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// `plugin/type@major`
    pub uses: String,
    /// Literal JSON that fits the node type's config schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Map<String, Value>>,
    /// The input: a template, or one expression for the whole.
    #[serde(default, rename = "with", skip_serializing_if = "Option::is_none")]
    pub with: Option<Value>,
    /// For each attempt: 3 s unless given, at most 1 h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryDocument>,
    /// Boundary handlers by port: an edge leaves from each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub on: BTreeMap<String, BoundaryDocument>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryDocument {
    /// All tries together, 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Before the second try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<String>,
    /// Each wait is this much longer than the one before, 1 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// No wait is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
}

/// How a completed step is undone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum UndoDocument {
    /// By the node type itself, or not at all.
    Own(bool),
    By(UndoByDocument),
}

/// By another node type. Expressions in `with` may read `step.input` and `step.output`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoByDocument {
    /// `plugin/type@major`
    pub uses: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Map<String, Value>>,
    #[serde(default, rename = "with", skip_serializing_if = "Option::is_none")]
    pub with: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryDocument {
    AtLeastOnce,
    /// The intent is committed first; a call that was cut off is an incident.
    AtMostOnce,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundaryDocument {
    #[serde(rename = "type")]
    pub kind: BoundaryKind,
    /// Of the failure; without one, any failure is caught.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Always true in this release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupting: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BoundaryKind {
    Error,
    Timeout,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// A decision table in the JDM shape: `hitPolicy`, `inputs`, `outputs`, `rules`.
    pub table: Value,
    /// What the table's columns see by name; without it they see the flow's context.
    #[serde(default, rename = "with", skip_serializing_if = "Option::is_none")]
    pub with: Option<Value>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Templates by the variable's name. None may read a variable that another one writes.
    pub vars: BTreeMap<String, Value>,
}

/// One of `after` and `until`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimerDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// A duration: `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// An expression that gives an RFC 3339 time or milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Waits for a message.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiveDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The message's name.
    pub message: String,
    /// Which of them: an expression, as `=input.orderId`.
    pub key: String,
    /// Then the token leaves by the port `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EdgeDocument {
    pub from: String,
    /// The node's first port unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    pub to: String,
    /// An expression, without `=`. On edges that leave an exclusive or inclusive node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Taken when no other edge of its exclusive or inclusive node is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
}

/// The JSON Schema of a flow document, as `flows/flow.schema.json` holds it.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(FlowDocument).to_value();
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("$id".to_owned(), Value::from("https://stepwell.dev/schema/flow-1.json"));
    }
    schema
}
