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
pub mod evaluate;
pub mod extend;
mod hash;
mod kind;
pub(crate) mod pointer;
pub mod pool;
pub(crate) mod read;
pub mod schedule;
pub mod trigger;

use std::sync::Arc;

use crate::expr::Expr;
use crate::schema::Schema;
use schedule::Schedule;
use trigger::Trigger;

pub(crate) use hash::content_hash;
pub use kind::{
    CallFlow, Callee, Contract, Decision, Delivery, ExternalTask, ForEach, Heard, Join, Kind, Listener, ListenerCall,
    ListenerFailure, Merge, More, OnFailure, Rest, Retry, Stage, StageStep, Task, Throw, TimerKind, Undo, Until,
    UserTask, Writes,
};

/// Index into [`Flow::nodes`].
pub type NodeIx = usize;
/// Index into [`Flow::edges`].
pub type EdgeIx = usize;
/// Index into [`Flow::bodies`].
pub type BodyIx = usize;

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
    /// The graphs that are run: the flow's own (0), those inside its containers, and the flows it calls.
    pub bodies: Vec<Body>,
    /// Whether one business key may stand for more than one instance of the flow, whichever its version.
    pub unique: Option<Unique>,
    /// Makes a priority from the input where the caller gave none: a whole number, smaller is more urgent.
    pub priority: Option<Expr>,
    /// How long an instance is kept once it has ended; `None` keeps it for good.
    pub retention_ms: Option<u64>,
    /// Of all bodies.
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// IANA name; dates without a zone are read in it.
    pub timezone: String,
    pub triggers: Vec<Trigger>,
    pub schedules: Vec<Schedule>,
    /// Whether some node is a stage: their times are taken.
    pub has_stages: bool,
}

/// A graph that is run as one: a whole flow, or what a container holds.
#[derive(Debug, Clone)]
pub struct Body {
    /// Key of the flow it belongs to.
    pub key: Arc<str>,
    /// Version of that flow; `None` for the one an instance runs.
    pub version: Option<u32>,
    /// The container it is in; `None` for a whole flow.
    pub container: Option<NodeIx>,
    /// Where a run of it begins: a whole flow's start, a container's nodes that no edge leads to.
    pub entries: Vec<NodeIx>,
    pub compensation: Compensation,
    /// What a called flow's `input` must match.
    pub input: Option<Schema>,
    /// Of the whole flow, in document order, those of an end last.
    pub listeners: Vec<Listener>,
}

/// In which order the completed steps of a scope are undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compensation {
    #[default]
    Reverse,
    /// All at once.
    Parallel,
}

/// How far a business key stands for one instance of a flow, over all its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unique {
    /// Of those that have not ended, one has it.
    Running,
    /// One has it, for as long as the instance is kept.
    Always,
}

#[derive(Debug)]
pub struct Node {
    /// Unique in its flow; see [`Flow::name`] for a name that is unique among called flows as well.
    pub id: Arc<str>,
    pub body: BodyIx,
    pub kind: Kind,
    /// Edges that leave, in document order.
    pub out: Vec<EdgeIx>,
    /// Edges that arrive, in document order.
    pub incoming: Vec<EdgeIx>,
    /// Nodes with one lock are not under way at the same time in one run of their flow.
    pub lock: Option<Arc<str>>,
    /// Boundary handlers, in document order.
    pub on: Vec<Boundary>,
    /// In document order, those of an end last.
    pub listeners: Vec<Listener>,
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

/// A handler at the edge of an activity. Edges leave from its `port`.
#[derive(Debug)]
pub struct Boundary {
    pub port: Arc<str>,
    pub catches: Catch,
    pub interrupting: bool,
}

#[derive(Debug)]
pub enum Catch {
    /// A failure with this code; `None` takes any.
    Error {
        code: Option<Arc<str>>,
    },
    /// The attempt timed out (with no attempts left), or a wait of the node did.
    Timeout,
    /// So long after the visit began.
    After {
        ms: u64,
    },
    Message {
        message: Arc<str>,
        key: Expr,
    },
}

/// What a node calls: as a task, to undo it, and through its listeners.
fn called_of(node: &Node) -> impl Iterator<Item = &Callee> {
    let task = match &node.kind {
        Kind::Task(task) => Some(&task.call),
        _ => None,
    };
    let undo = match node.kind.undo() {
        Undo::By { call, .. } => Some(call),
        _ => None,
    };
    [task, undo].into_iter().flatten().chain(called_by(&node.listeners))
}

fn called_by(listeners: &[Listener]) -> impl Iterator<Item = &Callee> {
    listeners.iter().filter_map(|one| Some(&one.call.as_ref()?.call))
}

/// Whether a path below `/t/` is plain: letters, digits, `_`, `-`, and `.`, in parts that do not begin with a dot, with `/` between them.
pub fn is_trigger_path(path: &str) -> bool {
    let letters = |letter: u8| letter.is_ascii_alphanumeric() || b"_-./".contains(&letter);
    (1..=200).contains(&path.len())
        && path.bytes().all(letters)
        && path.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
}

impl Flow {
    /// The nodes of its own document, without those of the flows it calls.
    pub fn own_nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| self.bodies[node.body].version.is_none())
    }

    /// The node types its own document is pinned to: of tasks, undos and listeners.
    pub fn own_callees(&self) -> impl Iterator<Item = &Callee> {
        let of_the_flow = self.bodies.first().map_or(&[][..], |own| &own.listeners);
        self.own_nodes().flat_map(called_of).chain(called_by(of_the_flow))
    }

    /// Those, and what the flows that it calls are pinned to.
    pub fn callees(&self) -> impl Iterator<Item = &Callee> {
        let of_flows = self.bodies.iter().flat_map(|body| called_by(&body.listeners));
        self.nodes.iter().flat_map(called_of).chain(of_flows)
    }

    /// What a machine is; `None` of a flow that is a graph.
    pub fn machine(&self) -> Option<&evaluate::Machine> {
        self.own_nodes().find_map(|node| match &node.kind {
            Kind::Evaluate(machine) => Some(&**machine),
            _ => None,
        })
    }

    /// A node of the flow's own document.
    pub fn node(&self, id: &str) -> Option<NodeIx> {
        self.nodes.iter().position(|node| &*node.id == id && self.bodies[node.body].version.is_none())
    }

    /// A name that no other node has: the id, and before it the called flow it belongs to (`pay@3:begin`).
    pub fn name(&self, node: NodeIx) -> Arc<str> {
        let node = &self.nodes[node];
        let body = &self.bodies[node.body];
        match body.version {
            None => node.id.clone(),
            Some(version) => format!("{}@{version}:{}", body.key, node.id).into(),
        }
    }

    /// The node of this [`Flow::name`].
    pub fn named(&self, name: &str) -> Option<NodeIx> {
        match name.rsplit_once(':') {
            None => self.node(name),
            Some(_) => (0..self.nodes.len()).find(|&node| *self.name(node) == *name),
        }
    }

    /// The edge that leaves `node` by `port`, if one is drawn. At most one, but for parallel nodes.
    pub fn edge(&self, node: NodeIx, port: &str) -> Option<EdgeIx> {
        self.nodes[node].out.iter().copied().find(|&edge| &*self.edges[edge].port == port)
    }
}
