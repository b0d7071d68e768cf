//! The flow document as it is written: the serde types `flows/flow.schema.json` is generated from.
//!
//! The reader (`read`) takes a document piece by piece through these types, so that it finds every
//! problem and not only the first. What a well-formed document means is `check`'s to say.
//!
//! Not here: rules that look at more than one field.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

mod container;
mod listener;
mod machine;
mod slot;
mod task;

pub use container::{
    CallDocument, CompensationDocument, ForEachDocument, MergeDocument, MoreDocument, OnFailureDocument, StageDocument,
    StepDocument, UntilDocument,
};
pub use listener::{HeardDocument, ListenerDocument, ListenerFailureDocument};
pub use machine::{
    ActionDocument, ActionMessageDocument, ActionsPolicyDocument, EachDocument, EachWithDocument, MachineDocument,
    MachineKind, NextCaseDocument, NextDocument, StateDocument,
};
pub use slot::{FillDocument, GraphFillDocument, SlotDocument, StepFillDocument, StepsPatchDocument, TakesDocument};
pub use task::{
    BoundaryDocument, BoundaryKind, DeliveryDocument, ExternalTaskDocument, RetryDocument, TaskDocument,
    UndoByDocument, UndoDocument, UserTaskDocument,
};

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
    /// A second start under a business key is refused: `running` while an instance of this flow (of any version) has it
    /// that has not ended, `always` as long as one is kept. Each start must then have a business key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_key_unique: Option<UniqueDocument>,
    /// How urgent an instance is where its caller does not say: a whole number, or an expression that gives one from
    /// the input: `=input.rush ? -10 : 0`. Smaller is more urgent; 0 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<PriorityDocument>,
    /// How long an instance is kept once it has ended, such as `30d`: then it is forgotten, journal and all. It is kept
    /// for good unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<String>,
    /// IANA name; dates without a zone are read in it. UTC unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// How completed steps are undone when the flow fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<CompensationDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerDocument>,
    /// What is done beside the flow when it begins, and when it is over. Of a flow that is called as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerDocument>,
    /// `key@version` of a template, or `key`: its newest version when this is published. Its graph is this flow's, with
    /// the slots filled; there are no `nodes` and `edges` here then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// What stands in the slots of the template, by the slot's id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slots: BTreeMap<String, FillDocument>,
    /// The nodes by id. An id is a plain word, because expressions say `nodes.<id>`.
    #[serde(default)]
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

/// How far a business key is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UniqueDocument {
    Running,
    Always,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PriorityDocument {
    Number(i32),
    /// `=…`
    Expression(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentKind {
    Graph,
    /// A graph with slots that flows extend; nothing is started on it.
    Template,
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
    /// Of a container's frame, where somebody has drawn it larger than what is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<f64>,
    /// A container drawn as one box.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub collapsed: bool,
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
    End(EndDocument),
    Task(Box<TaskDocument>),
    Decision(DecisionDocument),
    Exclusive(PlainDocument),
    Inclusive(PlainDocument),
    Parallel(ParallelDocument),
    EventGateway(PlainDocument),
    Set(SetDocument),
    Timer(TimerDocument),
    Receive(ReceiveDocument),
    Reply(OutputDocument),
    Throw(ThrowDocument),
    Compensate(PlainDocument),
    Cancel(CancelDocument),
    UserTask(Box<UserTaskDocument>),
    ExternalTask(Box<ExternalTaskDocument>),
    Call(Box<CallDocument>),
    ForEach(Box<ForEachDocument>),
    Stage(Box<StageDocument>),
    Slot(Box<SlotDocument>),
}

impl NodeDocument {
    /// What it shares with nodes that it may not be under way with.
    pub fn lock(&self) -> Option<&str> {
        let lock = match self {
            Self::Task(node) => &node.lock,
            Self::UserTask(node) => &node.lock,
            Self::ExternalTask(node) => &node.lock,
            Self::Call(node) => &node.lock,
            Self::ForEach(node) => &node.lock,
            Self::Stage(node) => &node.lock,
            _ => &None,
        };
        lock.as_deref()
    }

    pub fn listeners(&self) -> &[ListenerDocument] {
        match self {
            Self::Task(node) => &node.listeners,
            Self::UserTask(node) => &node.listeners,
            Self::ExternalTask(node) => &node.listeners,
            Self::Call(node) => &node.listeners,
            Self::ForEach(node) => &node.listeners,
            Self::Stage(node) => &node.listeners,
            Self::Receive(node) => &node.listeners,
            _ => &[],
        }
    }

    /// The container the node says it is in.
    pub fn inside(&self) -> Option<&str> {
        let inside = match self {
            Self::Start(node)
            | Self::Exclusive(node)
            | Self::Inclusive(node)
            | Self::EventGateway(node)
            | Self::Compensate(node) => &node.inside,
            Self::End(node) => &node.inside,
            Self::Task(node) => &node.inside,
            Self::Cancel(node) => &node.inside,
            Self::Decision(node) => &node.inside,
            Self::Parallel(node) => &node.inside,
            Self::Set(node) => &node.inside,
            Self::Timer(node) => &node.inside,
            Self::Receive(node) => &node.inside,
            Self::Reply(node) => &node.inside,
            Self::Throw(node) => &node.inside,
            Self::UserTask(node) => &node.inside,
            Self::ExternalTask(node) => &node.inside,
            Self::Call(node) => &node.inside,
            Self::ForEach(node) => &node.inside,
            Self::Stage(node) => &node.inside,
            Self::Slot(node) => &node.inside,
        };
        inside.as_deref()
    }
}

/// A node with nothing of its own to say. Start: where an instance begins. Exclusive: the first
/// edge whose `when` holds, else the default. Inclusive: every edge whose `when` holds, else the
/// default; where several arrive, waits until no more can come. Event gateway: waits for the first of the receives and timers after
/// it. Compensate: undoes the completed steps, then goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlainDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
}

/// Gives what it ends (the instance, an item, a called flow) its output.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Stops every other branch; otherwise only its own ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub terminate: bool,
}

/// Waits for all edges that arrive, or for as many as `join` says, then leaves by all.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParallelDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<JoinDocument>,
    /// So many tokens leave by each edge, 1 to 1000; 1 unless given. What follows is run so many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u32>,
}

/// How long a gateway waits. At most one of `count` and `percent`; neither means all, or those of `must`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinDocument {
    /// So many of the edges that arrive; 1 is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// So many of a hundred of them, rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    /// So many tokens of each edge become one, 1 to 1000; 1 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u32>,
    /// Nodes whose edges must be among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub must: Vec<String>,
    /// What becomes of the branches that were not waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<RestDocument>,
    /// From the first that comes on; then it is left by the port `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RestDocument {
    /// They run on and end at the gateway.
    Await,
    /// They are stopped.
    Cancel,
}

/// Takes the tokens away from other nodes, wherever in the graph they are, then goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// What is under way there is stopped: calls are given up, tasks withdrawn, containers undone.
    pub nodes: Vec<String>,
}

/// Answers the caller and goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
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
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// Capital letters, digits and `_`, at most 64.
    pub code: String,
    /// For people: a text, or an expression that gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// A template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// A decision table in the JDM shape: `hitPolicy`, `inputs`, `outputs`, `rules`. Or the name of a published one:
    /// `key@version`, or `key`, its newest version when this flow is published.
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
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// Templates by the variable's name. None may read a variable that another one writes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
    /// How urgent the instance is from then on: a whole number, or an expression. Smaller is more urgent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<PriorityDocument>,
}

/// One of `after` and `until`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimerDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
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
    /// The container it is in.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// The message's name.
    pub message: String,
    /// Which of them: an expression, as `=input.orderId`.
    pub key: String,
    /// Then the token leaves by the port `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub on: BTreeMap<String, BoundaryDocument>,
    /// What is done beside its way when a token comes to it, and when it is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerDocument>,
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

/// The JSON Schema of a flow's or a machine's document, as `flows/flow.schema.json` holds it.
pub fn schema() -> Value {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let flow = generator.subschema_for::<FlowDocument>();
    let machine = generator.subschema_for::<MachineDocument>();
    let definitions = generator.take_definitions(true);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://stepwell.dev/schema/flow-1.json",
        "title": "Stepwell flow or machine",
        "if": { "type": "object", "required": ["kind"], "properties": { "kind": { "const": "machine" } } },
        "then": machine,
        "else": flow,
        "$defs": definitions,
    })
}
