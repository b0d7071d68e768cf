//! Every rule a document must meet, and the way from a document to a [`Flow`].
//!
//! A check reads the document (`read`), compiles its nodes and edges (`compile`, `edges`), and then
//! asks what the whole means: the graph (`graph`), the names expressions use (`names`), and whether
//! values fit the node types' schemas (`fit`). `docs/problems.md` lists every code.
//!
//! Invariants:
//! - All problems are returned, sorted by where they stand; one mistake hides no other, and what
//!   could not be read is not complained about twice.
//! - The same document and catalogue give the same answer, here and in the browser.

mod compile;
mod edges;
mod fit;
mod graph;
mod names;
mod triggers;

pub use triggers::SECRETS_MAX;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::document::{DocumentKind, Note, Position, Title};
use super::pointer::{child, nearest};
use super::read::Reader;
use super::schedule::Schedule;
use super::trigger::Trigger;
use super::{Boundary, Edge, Flow, Kind, Node, NodeIx, duration, hash};
use crate::catalog::{Catalog, NodeType};
use crate::expr::{Expr, expression_problem};
use crate::problem::{Problem, Severity};
use crate::schema::Schema;

/// Most nodes of one flow.
pub const NODES_MAX: usize = 2_000;
/// Most edges of one flow.
pub const EDGES_MAX: usize = 8_000;
/// Longest document, as JSON text.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// Keys that would be mistaken for something else: `/api/v1/flows/check` is the checker.
const KEYS_RESERVED: [&str; 1] = ["check"];

/// The document's own fields.
const FIELDS: [&str; 13] = [
    "stepwell",
    "kind",
    "key",
    "title",
    "summary",
    "input",
    "businessKey",
    "timezone",
    "triggers",
    "nodes",
    "edges",
    "layout",
    "notes",
];

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// There when no problem is an error.
    pub flow: Option<Flow>,
    /// Sorted by pointer, then code.
    pub problems: Vec<Problem>,
    /// Of the document without its layout, and of the digests its node types resolve to.
    pub hash: String,
}

/// Checks a document against the node types at hand.
pub fn check(document: &Value, catalog: &Catalog) -> Checked {
    let mut problems = Vec::new();
    let flow = match document.as_object() {
        None => {
            problems.push(Problem::error("WRONG_TYPE", "", "a flow document is an object"));
            None
        }
        Some(fields) if too_large(document, fields, &mut problems) => None,
        Some(fields) => {
            let mut checker = Checker::new(fields, catalog);
            let flow = checker.run();
            problems = checker.reader.problems;
            flow
        }
    };
    problems.sort_by(|a, b| (&a.pointer, &a.code, &a.message).cmp(&(&b.pointer, &b.code, &b.message)));
    problems.dedup();
    let digests = digests(document, catalog);
    let hash = hash::hash(document, &digests);
    let valid = problems.iter().all(|problem| problem.severity == Severity::Warning);
    let flow = flow.filter(|_| valid).map(|flow| Flow { hash: hash.clone(), ..flow });
    Checked { flow, problems, hash }
}

/// The digest of each node type the document names, as far as it is at hand.
fn digests<'d>(document: &'d Value, catalog: &'d Catalog) -> BTreeMap<&'d str, &'d str> {
    let nodes = document.get("nodes").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let uses = nodes.flat_map(|node| [node.get("uses"), node.get("undo").and_then(|undo| undo.get("uses"))]);
    let types = uses.flatten().filter_map(|uses| catalog.get(uses.as_str()?));
    types.map(|found| (found.uses.as_str(), found.digest.as_str())).collect()
}

fn too_large(document: &Value, fields: &Map<String, Value>, problems: &mut Vec<Problem>) -> bool {
    let nodes = fields.get("nodes").and_then(Value::as_object).map_or(0, Map::len);
    let edges = fields.get("edges").and_then(Value::as_array).map_or(0, Vec::len);
    let bytes = json_bytes(document);
    for (pointer, what, count, most) in [
        ("/nodes", "nodes", nodes, NODES_MAX),
        ("/edges", "edges", edges, EDGES_MAX),
        ("", "bytes", bytes, DOCUMENT_BYTES_MAX),
    ] {
        if count > most {
            let message = format!("{count} {what}; a flow has at most {most}");
            problems.push(Problem::error("FLOW_TOO_LARGE", pointer, message).fix("split the flow"));
        }
    }
    !problems.is_empty()
}

/// How long the document is as compact JSON text, without making the text.
fn json_bytes(document: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting bytes cannot fail.
    let _ = serde_json::to_writer(&mut count, document);
    count.0
}

/// One check under way.
struct Checker<'d> {
    reader: Reader<'d>,
    catalog: &'d Catalog,
    timezone: Tz,
    input_schema: Option<&'d Value>,
    nodes: Vec<Entry<'d>>,
    by_id: BTreeMap<&'d str, NodeIx>,
    edges: Vec<Line>,
    readings: Vec<Reading>,
    /// Compiled schemas of node types, by the address of their source in the catalogue.
    schemas: BTreeMap<usize, Option<Schema>>,
}

/// A node of the document, as far as it could be understood.
struct Entry<'d> {
    id: &'d str,
    pointer: String,
    kind: Option<Kind>,
    on: Vec<Boundary>,
    node_type: Option<&'d NodeType>,
    /// The first one is where an edge without `port` leaves; `None` when they are not known.
    ports: Option<Vec<Arc<str>>>,
}

/// An edge of the document whose ends exist.
struct Line {
    pointer: String,
    from: NodeIx,
    to: NodeIx,
    port: Arc<str>,
    when: Option<Expr>,
    default: bool,
}

/// An expression, and where it stands.
struct Reading {
    node: Option<NodeIx>,
    pointer: String,
    expr: Expr,
    sees: Sees,
}

/// Which names an expression may use.
#[derive(Clone)]
enum Sees {
    /// `input`, `vars`, `nodes`, `flow`.
    Flow,
    /// Those and `step`, the step to be undone.
    Undo,
    /// `input` alone: nothing has run yet.
    Input,
    /// The fields of a decision's own input; `None` when they are not known.
    Fields(Option<Vec<String>>),
}

impl<'d> Checker<'d> {
    fn new(fields: &'d Map<String, Value>, catalog: &'d Catalog) -> Self {
        Self {
            reader: Reader::new(fields),
            catalog,
            timezone: Tz::UTC,
            input_schema: None,
            nodes: Vec::new(),
            by_id: BTreeMap::new(),
            edges: Vec::new(),
            readings: Vec::new(),
            schemas: BTreeMap::new(),
        }
    }

    fn problem(&mut self, problem: Problem) {
        self.reader.problems.push(problem);
    }

    /// A problem drawn on a node.
    fn on(&mut self, node: NodeIx, problem: Problem) {
        let problem = problem.on(self.nodes[node].id);
        self.problem(problem);
    }

    fn run(&mut self) -> Option<Flow> {
        self.reader.unknown_fields(&FIELDS);
        let key = self.head();
        self.timezone();
        let input = self.input();
        let business_key = self.business_key();
        let (triggers, schedules) = self.triggers();
        self.compile_nodes();
        self.compile_edges();
        self.check_layout();
        self.check_graph();
        self.check_names();
        self.finish(key?, input, business_key, triggers, schedules)
    }

    fn head(&mut self) -> Option<String> {
        self.reader.required("stepwell", "add \"stepwell\": 1");
        self.reader.required("kind", "add \"kind\": \"graph\"");
        self.reader.required("key", "add a key such as \"community_order\"");
        self.reader.required("nodes", "add a start and an end");
        if let Some(version) = self.reader.field::<u32>("stepwell")
            && version != 1
        {
            let message = format!("format {version} is not known here");
            self.problem(Problem::error("FORMAT_VERSION", "/stepwell", message).fix("use 1"));
        }
        self.reader.field::<DocumentKind>("kind");
        self.reader.field::<Title>("title");
        self.reader.field::<Title>("summary");
        let key = self.reader.field::<String>("key")?;
        let letters = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_-.".contains(&letter);
        let well_formed = (1..=64).contains(&key.len())
            && key.bytes().all(letters)
            && key.starts_with(|first: char| first.is_ascii_alphanumeric());
        if !well_formed {
            let problem = Problem::error("FLOW_KEY", "/key", format!("`{key}` is no key for a flow"));
            self.problem(
                problem.fix("use small letters, digits, `_`, `-` and `.`, at most 64, a letter or digit first"),
            );
        }
        if KEYS_RESERVED.contains(&key.as_str()) {
            let problem = Problem::error("FLOW_KEY", "/key", format!("`{key}` has a meaning of its own in paths"));
            self.problem(problem.fix("choose another key"));
        }
        Some(key)
    }

    fn timezone(&mut self) {
        let Some(name) = self.reader.field::<String>("timezone") else { return };
        if let Ok(zone) = name.parse() {
            self.timezone = zone;
            return;
        }
        let problem = Problem::error("TIMEZONE", "/timezone", format!("`{name}` is no time zone"));
        self.problem(problem.fix("use an IANA name such as Asia/Shanghai"));
    }

    fn input(&mut self) -> Option<Schema> {
        let source = self.reader.raw("input")?;
        match Schema::compile(source) {
            Ok(schema) => {
                self.input_schema = Some(source);
                Some(schema)
            }
            Err(error) => {
                self.problem(Problem::error("SCHEMA_INVALID", "/input", format!("no JSON Schema: {error}")));
                None
            }
        }
    }

    fn business_key(&mut self) -> Option<Expr> {
        let text = self.reader.field::<String>("businessKey")?;
        self.expression(&text, "/businessKey", None, Sees::Input)
    }

    /// A text field that is an expression if it begins with `=`, and itself if not.
    fn expression(&mut self, text: &str, pointer: &str, node: Option<NodeIx>, sees: Sees) -> Option<Expr> {
        match text.strip_prefix('=') {
            Some(text) => self.compiled(text, pointer, node, sees),
            None => Some(Expr::literal(Value::from(text))),
        }
    }

    fn compiled(&mut self, text: &str, pointer: &str, node: Option<NodeIx>, sees: Sees) -> Option<Expr> {
        match Expr::parse_in(text, self.timezone) {
            Ok(expr) => {
                self.readings.push(Reading { node, pointer: pointer.to_owned(), expr: expr.clone(), sees });
                Some(expr)
            }
            Err(error) => {
                let problem = expression_problem(&error, pointer);
                match node {
                    Some(node) => self.on(node, problem),
                    None => self.problem(problem),
                }
                None
            }
        }
    }

    /// A duration within bounds; absent and wrong are both `None`.
    fn duration(
        &mut self,
        text: Option<&str>,
        pointer: &str,
        bounds: std::ops::RangeInclusive<u64>,
        node: Option<NodeIx>,
    ) -> Option<u64> {
        let problem = match duration::parse_ms(text?) {
            Ok(ms) if bounds.contains(&ms) => return Some(ms),
            Ok(_) => {
                let (least, most) = (bounds.start(), bounds.end());
                let message = format!("{} is outside of {least} ms to {most} ms", text?);
                Problem::error("DURATION_OUT_OF_BOUNDS", pointer, message)
            }
            Err(error) => Problem::error("DURATION", pointer, error),
        };
        match node {
            Some(node) => self.on(node, problem),
            None => self.problem(problem),
        }
        None
    }

    /// Positions of nodes that are gone hurt nobody; what is no position does.
    fn check_layout(&mut self) {
        if let Some(layout) = self.reader.raw("layout") {
            match layout.as_object() {
                Some(positions) => {
                    for (id, position) in positions {
                        self.reader.piece::<Position>(position, &child("/layout", id));
                    }
                }
                None => self.problem(Problem::error("WRONG_TYPE", "/layout", "`layout` is an object of positions")),
            }
        }
        self.reader.list::<Note>("notes");
    }

    fn finish(
        &mut self,
        key: String,
        input: Option<Schema>,
        business_key: Option<Expr>,
        triggers: Vec<Trigger>,
        schedules: Vec<Schedule>,
    ) -> Option<Flow> {
        let read = self.nodes_read();
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for (entry, read) in self.nodes.drain(..).zip(read) {
            let kind = entry.kind?;
            nodes.push(Node { id: entry.id.into(), kind, out: Vec::new(), incoming: Vec::new(), on: entry.on, read });
        }
        let mut edges = Vec::with_capacity(self.edges.len());
        for (index, line) in self.edges.drain(..).enumerate() {
            nodes[line.from].out.push(index);
            nodes[line.to].incoming.push(index);
            edges.push(Edge { from: line.from, port: line.port, to: line.to, when: line.when, default: line.default });
        }
        let start = nodes.iter().position(|node| matches!(node.kind, Kind::Start))?;
        let timezone = self.timezone.name().to_owned();
        Some(Flow { key, hash: String::new(), input, business_key, nodes, edges, start, timezone, triggers, schedules })
    }

    /// Which nodes' outputs some expression reads: all of them where `nodes` is read as a whole.
    fn nodes_read(&self) -> Vec<bool> {
        let mut read = vec![false; self.nodes.len()];
        for path in self.readings.iter().flat_map(|reading| reading.expr.reads()) {
            match path.as_slice() {
                [root, id, ..] if &**root == "nodes" => {
                    if let Some(&node) = self.by_id.get(&**id) {
                        read[node] = true;
                    }
                }
                [root] if &**root == "nodes" => read.fill(true),
                _ => {}
            }
        }
        read
    }

    fn near_id(&self, id: &str) -> Option<&'d str> {
        nearest(id, self.by_id.keys().copied())
    }
}
