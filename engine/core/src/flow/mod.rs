//! A flow as the machine runs it: checked, with every name resolved to an index, every expression
//! compiled and every node type pinned to a digest.
//!
//! [`check`](check::check) makes it from a document and a catalogue, or says everything that is
//! wrong. A [`Flow`] is immutable and shared by all instances of its version.
//!
//! Invariants:
//! - Every index in a [`Flow`] is in range; every edge's port exists on its source.
//! - Two documents that differ in `layout` alone have one [`Flow::hash`].
//!
//! Not here: versions, drafts and bindings (`store`); what happens at run time (`machine`).

pub mod check;
pub mod document;
pub mod duration;
mod hash;
pub(crate) mod pointer;
mod read;
pub mod schedule;
pub mod trigger;

use std::sync::Arc;

use serde_json::Value;

use crate::catalog::EffectClass;
use crate::decide::Table;
use crate::expr::{Expr, Template};
use crate::schema::Schema;
use schedule::Schedule;
use trigger::Trigger;

/// Index into [`Flow::nodes`].
pub type NodeIx = usize;
/// Index into [`Flow::edges`].
pub type EdgeIx = usize;

/// The port an edge without `port` leaves from, on nodes that do not name their own.
pub const DONE: &str = "done";
/// The port a wait leaves by when its time is up.
pub const TIMEOUT: &str = "timeout";

/// One immutable, checked version of a flow.
#[derive(Debug)]
pub struct Flow {
    pub key: String,
    /// Hex sha256 of the document without layout, keys sorted, and of the digests it is pinned to.
    pub hash: String,
    /// What `input` must match; `None` takes anything.
    pub input: Option<Schema>,
    /// Makes a business key from the input where the caller gave none (`"businessKey": "=input.orderId"`).
    pub business_key: Option<Expr>,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    pub start: NodeIx,
    /// IANA name; dates without a zone are read in it.
    pub timezone: String,
    pub triggers: Vec<Trigger>,
    pub schedules: Vec<Schedule>,
}

#[derive(Debug)]
pub struct Node {
    pub id: Arc<str>,
    pub kind: Kind,
    /// Edges that leave, in document order.
    pub out: Vec<EdgeIx>,
    /// Edges that arrive, in document order.
    pub incoming: Vec<EdgeIx>,
    /// Boundary handlers, in document order.
    pub on: Vec<Boundary>,
    /// Some expression of the flow reads `nodes.<id>`. Outputs nobody reads are not kept in the
    /// instance (the journal has them all the same).
    pub read: bool,
}

#[derive(Debug)]
pub struct Edge {
    pub from: NodeIx,
    /// Never empty: an edge without `port` leaves from the node type's first port, or [`DONE`].
    pub port: Arc<str>,
    pub to: NodeIx,
    pub when: Option<Expr>,
    pub default: bool,
}

/// The constructs of this release.
#[derive(Debug)]
pub enum Kind {
    Start,
    /// The instance's output is the last reached end's.
    End {
        output: Template,
    },
    Task(Box<Task>),
    Decision(Box<Decision>),
    /// The first edge in document order whose `when` holds, else the default.
    Exclusive,
    /// Every edge in document order whose `when` holds, else the default. Where several edges arrive,
    /// waits until no token is left that could still come by another of them.
    Inclusive,
    /// Waits for a token on every incoming edge, then sends one along every outgoing edge.
    Parallel,
    /// Enters every receive and timer after it; the first that is over goes on, the others are dropped.
    EventGateway,
    /// Writes `vars`, in document order; later entries see earlier ones.
    Set {
        vars: Vec<(Arc<str>, Template)>,
    },
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
    pub undo: Undo,
    pub delivery: Delivery,
}

/// What a node type takes and gives; held at every call of a task, on both sides of it. An undo is not
/// kept from being called: it must tolerate what it gets.
#[derive(Debug, Default)]
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
    /// `nodes.<id>.input` and `nodes.<id>.output` … the checker names what is allowed.
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
    /// What the table's columns see; without it they see the flow's whole context.
    pub with: Option<Template>,
}

/// A handler at the edge of an activity. Edges leave from its `port`.
#[derive(Debug)]
pub struct Boundary {
    pub port: Arc<str>,
    pub catches: Catch,
    pub interrupting: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Catch {
    /// A failure with this code; `None` takes any.
    Error { code: Option<Arc<str>> },
    /// The attempt timed out (with no attempts left), or a wait of the node did.
    Timeout,
}

impl Flow {
    pub fn node(&self, id: &str) -> Option<NodeIx> {
        self.nodes.iter().position(|node| &*node.id == id)
    }

    /// The edge that leaves `node` by `port`, if one is drawn. At most one, but for parallel nodes.
    pub fn edge(&self, node: NodeIx, port: &str) -> Option<EdgeIx> {
        self.nodes[node].out.iter().copied().find(|&edge| &*self.edges[edge].port == port)
    }
}
