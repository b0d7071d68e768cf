//! The constructs: what a node of each kind is made of.

use std::sync::Arc;

use serde_json::Value;

use super::evaluate::Machine;
use super::{BodyIx, EdgeIx, NodeIx};
use crate::catalog::EffectClass;
use crate::decide::Table;
use crate::expr::{Expr, Template};
use crate::schema::Schema;

#[derive(Debug)]
pub enum Kind {
    Start,
    /// The scope's output is the last reached end's.
    End {
        output: Template,
        /// Stops every other token of the scope.
        terminate: bool,
    },
    Task(Box<Task>),
    Decision(Box<Decision>),
    /// The first edge in document order whose `when` holds, else the default.
    Exclusive,
    /// Every edge in document order whose `when` holds, else the default. Where several edges arrive,
    /// waits until no token is left that could still come by another of them.
    Inclusive,
    /// Waits for tokens as its join says, then sends one along every outgoing edge.
    Parallel(Join),
    /// Enters every receive and timer after it; the first that is over goes on, the others are dropped.
    EventGateway,
    Set(Writes),
    Timer(TimerKind),
    Receive {
        message: Arc<str>,
        key: Expr,
        timeout_ms: Option<u64>,
    },
    Reply {
        output: Template,
    },
    /// Fails the scope with a business error.
    Throw(Box<Throw>),
    /// Undoes the completed steps of the scope, then goes on along its edge.
    Compensate,
    /// Takes the tokens away from these nodes, then goes on.
    Cancel {
        nodes: Vec<NodeIx>,
    },
    UserTask(Box<UserTask>),
    ExternalTask(Box<ExternalTask>),
    /// Runs another flow, or this one again, as a scope of the instance.
    Call(Box<CallFlow>),
    ForEach(Box<ForEach>),
    Stage(Box<Stage>),
    /// Decides which action of a machine is run next. Of machines alone; no document has one.
    Evaluate(Box<Machine>),
}

/// What is written into the state of a flow.
#[derive(Debug, Default, Clone)]
pub struct Writes {
    /// In document order. None reads a variable that another one writes.
    pub vars: Vec<(Arc<str>, Template)>,
    /// The instance's from then on: a whole number, smaller is more urgent.
    pub priority: Option<Template>,
}

/// Something done beside the way of a flow, where it comes by.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Where in the document's list it stands.
    pub place: usize,
    pub on: Heard,
    pub call: Option<ListenerCall>,
    /// Written once the call, if there is one, has answered.
    pub writes: Writes,
    pub on_failure: ListenerFailure,
}

/// What a listener listens for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A token has come, and nothing has begun.
    Enter,
    /// It is done, and goes on by a port of its own.
    Leave,
    /// It has failed, and nothing is tried again.
    Error,
    /// It is over, one way or the other.
    End,
}

/// A node type that is called, and what it is given. It is not undone.
#[derive(Debug, Clone)]
pub struct ListenerCall {
    pub call: Callee,
    pub contract: Contract,
    pub with: Template,
    pub retry: Retry,
}

/// What comes of a listener that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListenerFailure {
    /// The flow goes on.
    Ignore,
    /// It stands until a person retries or skips the listener.
    #[default]
    Incident,
    /// The node fails with it.
    Fail,
}

/// When a gateway on which several edges arrive goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// Edges by which a token must have come; at most as many as arrive.
    pub wanted: usize,
    /// Tokens that each of them must have brought.
    pub tokens: usize,
    /// Edges that must be among them.
    pub must: Vec<EdgeIx>,
    pub rest: Rest,
    /// From the first token of a round on; then it leaves by [`super::TIMEOUT`].
    pub timeout_ms: Option<u64>,
    /// Tokens along each edge that leaves.
    pub sends: usize,
}

/// What becomes of the branches that a join did not wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rest {
    /// They run on; their tokens end at the join, which begins anew once all have come.
    #[default]
    Await,
    /// They are stopped.
    Cancel,
}

/// Work for a person.
#[derive(Debug)]
pub struct UserTask {
    /// A text, or one per language tag; null if it has none.
    pub title: Value,
    pub assignee: Option<Template>,
    pub users: Option<Template>,
    pub groups: Option<Template>,
    /// What the person is shown.
    pub with: Template,
    /// What the person's answer must match.
    pub form: Option<Schema>,
    /// The source of `form`, for those who draw it.
    pub form_source: Option<Arc<Value>>,
    pub due: Option<TimerKind>,
    pub timeout_ms: Option<u64>,
}

/// Work that a worker outside fetches.
#[derive(Debug)]
pub struct ExternalTask {
    pub topic: Arc<str>,
    pub with: Template,
    /// What the answer must match.
    pub output: Option<Schema>,
    pub retry: Retry,
    pub undo: Undo,
    pub timeout_ms: Option<u64>,
    /// See [`Task::whole_ms`].
    pub whole_ms: Option<u64>,
}

#[derive(Debug)]
pub struct CallFlow {
    pub body: BodyIx,
    pub with: Template,
    pub timeout_ms: Option<u64>,
    /// See [`Task::whole_ms`].
    pub whole_ms: Option<u64>,
}

#[derive(Debug)]
pub struct ForEach {
    pub body: BodyIx,
    pub items: Template,
    /// Most items under way at once; 1 is one after the other.
    pub limit: usize,
    /// An item's result; without it that of the end it came to.
    pub output: Option<Template>,
    pub on_failure: OnFailure,
    /// It goes on when enough items have completed.
    pub until: Option<Until>,
    /// What then becomes of the others.
    pub rest: Rest,
    pub more: Option<More>,
    pub timeout_ms: Option<u64>,
    /// See [`Task::whole_ms`].
    pub whole_ms: Option<u64>,
}

#[derive(Debug)]
pub enum Until {
    Count(usize),
    /// Sees `results` and `count`.
    When(Expr),
}

/// A message that brings one more item of a `for-each`.
#[derive(Debug)]
pub struct More {
    pub message: Arc<str>,
    pub key: Expr,
    pub when: Option<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The first failure stops the others and fails the container.
    #[default]
    Stop,
    /// The others run on; the failure stands among the results.
    Collect,
}

/// A container: one graph, or steps in order.
#[derive(Debug)]
pub struct Stage {
    pub body: BodyIx,
    /// In the order they begin. None: the body is one graph.
    pub steps: Vec<StageStep>,
    pub on_failure: OnFailure,
    /// How the results of each group become one; [`Merge::Named`] where nothing is said.
    pub merge: Vec<(Arc<str>, Merge)>,
    pub timeout_ms: Option<u64>,
    /// See [`Task::whole_ms`].
    pub whole_ms: Option<u64>,
}

#[derive(Debug)]
pub struct StageStep {
    pub node: NodeIx,
    /// Later steps begin when it has ended.
    pub sync: bool,
    pub group: Option<Arc<str>>,
    /// Its failure leaves null in its place.
    pub optional: bool,
    /// Its result; without it what the node gives.
    pub output: Option<Template>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Merge {
    /// An object of results by step.
    #[default]
    Named,
    /// A list in step order.
    List,
    /// One object of all their fields; a later step's win.
    Fields,
    /// The first result that is not null.
    First,
}

#[derive(Debug)]
pub struct Throw {
    pub code: String,
    pub message: Template,
    pub data: Option<Template>,
}

#[derive(Debug)]
pub enum TimerKind {
    AfterMs(u64),
    /// An expression that gives an RFC 3339 time or milliseconds since the Unix epoch.
    Until(Expr),
}

#[derive(Debug)]
pub struct Task {
    pub call: Callee,
    pub contract: Contract,
    /// The mapped input.
    pub with: Template,
    pub retry: Retry,
    /// All tries together, and the waits between them: of a step that says no time of its own.
    pub whole_ms: Option<u64>,
    pub undo: Undo,
    pub delivery: Delivery,
}

/// What a node type takes and gives; held at every call of a task, on both sides of it. An undo is not
/// kept from being called: it must tolerate what it gets.
#[derive(Debug, Default, Clone)]
pub struct Contract {
    /// Of the mapped input.
    pub input: Option<Schema>,
    /// By port, of what leaves by it.
    pub ports: Vec<(Arc<str>, Option<Schema>)>,
}

impl Contract {
    /// Why `input` may not be handed over.
    pub fn refuses_input(&self, input: &Value) -> Option<String> {
        let schema = self.input.as_ref().filter(|schema| !schema.is_valid(input))?;
        Some(first_mismatch("the mapped input does not fit", schema, input))
    }

    /// Why an answer by `port` may not be taken.
    pub fn refuses_output(&self, port: &str, output: &Value) -> Option<String> {
        let Some((_, schema)) = self.ports.iter().find(|(name, _)| **name == *port) else {
            return Some(format!("left by port `{port}`, which the node type does not declare"));
        };
        let schema = schema.as_ref().filter(|schema| !schema.is_valid(output))?;
        Some(first_mismatch(&format!("the output of port `{port}` does not fit"), schema, output))
    }
}

fn first_mismatch(what: &str, schema: &Schema, value: &Value) -> String {
    match schema.check(value).into_iter().next() {
        Some(problem) if problem.pointer.is_empty() => format!("{what}: {}", problem.message),
        Some(problem) => format!("{what}: {}: {}", problem.pointer, problem.message),
        None => what.to_owned(),
    }
}

/// A node type pinned to code.
#[allow(clippy::struct_excessive_bools, reason = "each is said of a node type or a task, apart from the others")]
#[derive(Debug, Clone)]
pub struct Callee {
    /// `plugin/type@major`.
    pub uses: Arc<str>,
    /// The type's name inside its plugin (`reserve-stock`).
    pub node_type: Arc<str>,
    /// Hex sha256 of the component.
    pub digest: Arc<str>,
    pub effect: EffectClass,
    /// As the document has it; JSON text for the guest is made once.
    pub config: Arc<Value>,
    /// For each attempt of run, resume and undo, 3000 unless the document says otherwise.
    pub timeout_ms: u64,
    /// What the type's export offers.
    pub undo: bool,
    pub resume: bool,
    pub query: bool,
    /// Its answer may be one that was given before. Pure ones only.
    pub cache: bool,
}

#[derive(Debug, Clone)]
pub struct Retry {
    /// All tries together; 1 is no retry.
    pub attempts: u32,
    pub backoff_ms: u64,
    pub factor: f64,
    pub max_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 1, backoff_ms: 200, factor: 2.0, max_ms: 30_000 }
    }
}

#[derive(Debug)]
pub enum Undo {
    /// Not to be undone.
    No,
    /// The node type's own `undo` export.
    Own,
    /// Another node type's `run`; its mapped input sees the step's input and output as
    /// `step.input` and `step.output`.
    By { call: Callee, with: Template },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    AtLeastOnce,
    /// The intent is committed before the call; a call that was cut off is an incident.
    AtMostOnce,
}

#[derive(Debug)]
pub struct Decision {
    pub table: Table,
    /// The published table it is, as `key@version`; `None` where it stands in the node.
    pub from: Option<Arc<str>>,
    /// What the table's columns see; without it they see the flow's whole context.
    pub with: Option<Template>,
}

impl Kind {
    /// The graph inside of a container, or that a call runs.
    pub fn body(&self) -> Option<BodyIx> {
        match self {
            Self::Call(call) => Some(call.body),
            Self::ForEach(each) => Some(each.body),
            Self::Stage(stage) => Some(stage.body),
            _ => None,
        }
    }

    /// How what it did is taken back.
    pub fn undo(&self) -> &Undo {
        match self {
            Self::Task(task) => &task.undo,
            Self::ExternalTask(task) => &task.undo,
            _ => &Undo::No,
        }
    }

    /// How long the node as a whole may take, where it says so.
    pub fn timeout_ms(&self) -> Option<u64> {
        match self {
            Self::Call(call) => call.timeout_ms,
            Self::ForEach(each) => each.timeout_ms,
            Self::Stage(stage) => stage.timeout_ms,
            Self::UserTask(task) => task.timeout_ms,
            Self::ExternalTask(task) => task.timeout_ms,
            _ => None,
        }
    }

    /// How long a step may take that says no time of its own: all tries together.
    pub fn whole_ms(&self) -> Option<u64> {
        match self {
            Self::Call(call) => call.whole_ms,
            Self::ForEach(each) => each.whole_ms,
            Self::Stage(stage) => stage.whole_ms,
            Self::Task(task) => task.whole_ms,
            Self::ExternalTask(task) => task.whole_ms,
            _ => None,
        }
    }
}
