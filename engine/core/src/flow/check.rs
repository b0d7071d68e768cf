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

mod beside;
mod compile;
mod containers;
mod edges;
mod fit;
mod graph;
mod listeners;
mod machine;
mod names;
mod open;
mod splice;
mod starts;
mod triggers;

pub use machine::with_plugged;
pub use triggers::SECRETS_MAX;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::document::{CompensationDocument, DocumentKind, JoinDocument, Note, Position, Title};
use super::evaluate::Plugged;
use super::extend;
use super::pointer::{child, nearest};
use super::read::Reader;
use super::{Body, BodyIx, Boundary, Compensation, Edge, Flow, Kind, Listener, Node, NodeIx, duration, hash};
use crate::catalog::{Catalog, NodeType};
use crate::expr::{Expr, expression_problem};
use crate::problem::{Problem, Severity};
use crate::schema::Schema;
use starts::Starts;

/// Most nodes of one flow.
pub const NODES_MAX: usize = 2_000;
/// Most nodes of a flow and all that it calls.
pub const NODES_WITH_CALLED_MAX: usize = 10_000;
/// Most edges of one flow.
pub const EDGES_MAX: usize = 8_000;
/// Longest document, as JSON text.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// Keys that would be mistaken for something else: `/api/v1/flows/check` is the checker.
const KEYS_RESERVED: [&str; 1] = ["check"];

/// The document's own fields.
const FIELDS: [&str; 18] = [
    "stepwell",
    "kind",
    "key",
    "title",
    "summary",
    "input",
    "businessKey",
    "businessKeyUnique",
    "priority",
    "retention",
    "timezone",
    "compensation",
    "triggers",
    "listeners",
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

/// Checks a document against the node types at hand. What extends a template, or is one, is checked as the graph that
/// comes of it.
pub fn check(document: &Value, catalog: &Catalog) -> Checked {
    check_plugged(document, catalog, &[])
}

/// The same of a machine whose actions have changed since it was published.
pub fn check_plugged(document: &Value, catalog: &Catalog, plugged: &[Plugged]) -> Checked {
    if !extend::has_slots(document) {
        return check_graph(document, document, catalog, plugged);
    }
    let resolved = extend::resolve(document, catalog);
    let mut checked = check_graph(&resolved.document, document, catalog, &[]);
    if resolved.complete {
        for problem in &mut checked.problems {
            resolved.place(problem);
        }
    } else {
        // Without its template nothing is known of it.
        checked.problems.clear();
    }
    if !resolved.problems.is_empty() {
        checked.flow = None;
        checked.problems.extend(resolved.problems);
    }
    sort(&mut checked.problems);
    checked
}

fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| (&a.pointer, &a.code, &a.message).cmp(&(&b.pointer, &b.code, &b.message)));
    problems.dedup();
}

/// Checks a graph that came of `source`, or a machine.
fn check_graph(document: &Value, source: &Value, catalog: &Catalog, plugged: &[Plugged]) -> Checked {
    let mut problems = Vec::new();
    let flow = match document.as_object() {
        None => {
            problems.push(Problem::error("WRONG_TYPE", "", "a flow document is an object"));
            None
        }
        Some(fields) if too_large(document, fields, &mut problems) => None,
        Some(fields) if is_machine(document) => {
            let (graph, parts, mut found) = machine::graph(fields, plugged);
            let catalog = machine::with_plugged(catalog, plugged);
            let mut checker = Checker { machine: Some(&parts), ..Checker::new(&graph, &catalog) };
            let flow = checker.run();
            found.extend(checker.reader.problems.into_iter().filter_map(|problem| parts.place(problem)));
            problems = found;
            flow
        }
        Some(fields) => {
            let mut checker = Checker::new(fields, catalog);
            let flow = checker.run();
            problems = checker.reader.problems;
            flow
        }
    };
    sort(&mut problems);
    let hash = hash::hash(source, &pins(source, document, catalog));
    let valid = problems.iter().all(|problem| problem.severity == Severity::Warning);
    let flow = flow.filter(|_| valid).map(|flow| Flow { hash: hash.clone(), ..flow });
    Checked { flow, problems, hash }
}

/// What the document's names resolve to, as far as it is at hand: the digest of each node type, the version of each
/// called flow, table and template. `source` is what the document was made of.
fn pins<'d>(source: &'d Value, document: &'d Value, catalog: &'d Catalog) -> BTreeMap<&'d str, String> {
    let found = node_types_used(document).into_iter().filter_map(|uses| catalog.get(uses));
    let mut pins: BTreeMap<&str, String> = found.map(|one| (one.uses.as_str(), one.digest.clone())).collect();
    let named = |field: &'static str| nodes_of(document).filter_map(move |node| node.get(field)?.as_str());
    let flows = named("flow").filter_map(|name| Some((name, catalog.flows.get(name)?)));
    let tables = named("table").filter_map(|name| Some((name, catalog.tables.get(name)?)));
    let templates = source.get("extends").and_then(Value::as_str);
    let templates = templates.and_then(|name| Some((name, catalog.templates.get(name)?)));
    for (name, found) in flows.chain(tables).chain(templates) {
        pins.insert(name, format!("{} {}", found.version, found.hash));
    }
    pins
}

fn is_machine(document: &Value) -> bool {
    document.get("kind").and_then(Value::as_str) == Some("machine")
}

/// What is run somewhere in a document: the nodes of a flow, or what a machine's actions do.
pub fn nodes_of(document: &Value) -> impl Iterator<Item = &Value> + Clone {
    let nodes = document.get("nodes").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let actions = document.get("actions").and_then(Value::as_array).into_iter().flatten();
    nodes.chain(actions.filter_map(|action| action.get("run")))
}

/// The flows that a document calls, as it names them.
pub fn flows_called(document: &Value) -> BTreeSet<&str> {
    let calls = nodes_of(document).filter(|node| node.get("type").and_then(Value::as_str) == Some("call"));
    calls.filter_map(|call| call.get("flow")?.as_str()).collect()
}

/// The tables that a document's decisions name.
pub fn tables_used(document: &Value) -> BTreeSet<&str> {
    let decisions = nodes_of(document).filter(|node| node.get("type").and_then(Value::as_str) == Some("decision"));
    decisions.filter_map(|decision| decision.get("table")?.as_str()).collect()
}

/// The node types that a document names, of tasks, undos and listeners.
pub fn node_types_used(document: &Value) -> BTreeSet<&str> {
    let nodes = nodes_of(document);
    let own = nodes.clone().flat_map(|node| [Some(node), node.get("undo")]).flatten();
    let lists = nodes.chain([document]).filter_map(|one| one.get("listeners")?.as_array());
    let heard = lists.flatten();
    own.chain(heard).filter_map(|one| one.get("uses")?.as_str()).collect()
}

/// Whether a text can be the key of a flow, template or table.
pub(crate) fn is_key(key: &str) -> bool {
    let letters = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_-.".contains(&letter);
    (1..=64).contains(&key.len())
        && key.bytes().all(letters)
        && key.starts_with(|first: char| first.is_ascii_alphanumeric())
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
pub(crate) fn json_bytes(document: &Value) -> usize {
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
    /// The variables that are written, by set nodes and listeners.
    writes: Vec<Write>,
    /// Nodes that are steps of a stage.
    steps: BTreeSet<&'d str>,
    /// Flows that are called, each once.
    called: Vec<Called>,
    /// What the document says of joins, until the edges are known.
    joins: Vec<(NodeIx, JoinDocument)>,
    /// Of containers.
    compensations: Vec<(NodeIx, Compensation)>,
    /// Of the machine that the graph stands for.
    machine: Option<&'d machine::Parts>,
    /// Compiled schemas of node types, by the address of their source in the catalogue.
    schemas: BTreeMap<usize, Option<Schema>>,
}

/// A flow that is called: this one, or another as it was published.
enum Called {
    Own,
    Other { key: Arc<str>, version: u32, flow: Option<Box<Flow>> },
}

/// A node of the document, as far as it could be understood.
struct Entry<'d> {
    id: &'d str,
    pointer: String,
    /// The container it is in.
    inside: Option<NodeIx>,
    /// The body it holds, if it is a container.
    holds: Option<BodyIx>,
    kind: Option<Kind>,
    lock: Option<Arc<str>>,
    on: Vec<Boundary>,
    listeners: Vec<Listener>,
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

/// A variable that a node writes.
struct Write {
    node: NodeIx,
    name: Arc<str>,
    pointer: String,
}

/// Which names an expression may use.
#[derive(Clone)]
enum Sees {
    /// `input`, `vars`, `nodes`, `flow`.
    Flow,
    /// Those of the nodes in a container, and of the item they are run for.
    Within(NodeIx),
    /// Those and the `results` and the `count` of a for-each.
    Results,
    /// Those and `step`, the step to be undone.
    Undo,
    /// Those and `event`, of a listener.
    Event,
    /// Those and `result`, what its call gave.
    Heard,
    /// Those of the flow, `result`, what an action gave, and the `port` it was left by.
    Outcome,
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
            writes: Vec::new(),
            steps: BTreeSet::new(),
            called: Vec::new(),
            joins: Vec::new(),
            compensations: Vec::new(),
            machine: None,
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
        let starts = self.starts();
        let (triggers, schedules) = self.triggers();
        let compensation = self.reader.field::<CompensationDocument>("compensation");
        self.compile_nodes();
        let listeners = self.flow_listeners();
        if self.machine.is_some() {
            self.compile_machine();
        } else {
            self.compile_edges();
            self.complete_joins();
        }
        self.check_layout();
        self.check_containers();
        self.check_locks();
        self.check_listeners();
        if self.machine.is_none() {
            self.check_graph();
        }
        self.check_names();
        let key = key?;
        let compensation = containers::compensation(compensation);
        let own = Body {
            key: key.as_str().into(),
            version: None,
            container: None,
            entries: Vec::new(),
            compensation,
            input: input.clone(),
            listeners,
        };
        let (nodes, edges, bodies) = self.assemble(own)?;
        let timezone = self.timezone.name().to_owned();
        let Starts { business_key, unique, priority, retention_ms } = starts;
        let hash = String::new();
        let flow = Flow {
            key,
            hash,
            input,
            business_key,
            bodies,
            unique,
            priority,
            retention_ms,
            nodes,
            edges,
            timezone,
            triggers,
            schedules,
            has_stages: false,
        };
        let mut flow = splice::call(flow, std::mem::take(&mut self.called));
        flow.has_stages = flow.nodes.iter().any(|node| matches!(node.kind, Kind::Stage(_)));
        if flow.nodes.len() > NODES_WITH_CALLED_MAX {
            let message =
                format!("{} nodes with those of the flows it calls; at most {NODES_WITH_CALLED_MAX}", flow.nodes.len());
            self.problem(Problem::error("FLOW_TOO_LARGE", "/nodes", message).fix("call fewer flows"));
        }
        Some(flow)
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
        if !is_key(&key) {
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

    fn assemble(&mut self, own: Body) -> Option<(Vec<Node>, Vec<Edge>, Vec<Body>)> {
        let read = self.nodes_read();
        let body_of: Vec<BodyIx> = (0..self.nodes.len()).map(|node| self.body_of(node)).collect();
        let holds: Vec<Option<BodyIx>> = self.nodes.iter().map(|entry| entry.holds).collect();
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for (index, (entry, read)) in self.nodes.drain(..).zip(read).enumerate() {
            let (id, kind, body) = (entry.id.into(), entry.kind?, body_of[index]);
            nodes.push(Node {
                id,
                body,
                kind,
                lock: entry.lock,
                out: Vec::new(),
                incoming: Vec::new(),
                on: entry.on,
                listeners: entry.listeners,
                read,
            });
        }
        let mut edges = Vec::with_capacity(self.edges.len());
        for (index, line) in self.edges.drain(..).enumerate() {
            nodes[line.from].out.push(index);
            nodes[line.to].incoming.push(index);
            edges.push(Edge { from: line.from, port: line.port, to: line.to, when: line.when, default: line.default });
        }
        let mut bodies = vec![own];
        for (container, _) in holds.iter().enumerate().filter(|(_, holds)| holds.is_some()) {
            let said = self.compensations.iter().find(|(node, _)| *node == container);
            let compensation = said.map_or(Compensation::default(), |(_, compensation)| *compensation);
            let listeners = Vec::new();
            bodies.push(Body { container: Some(container), compensation, input: None, listeners, ..bodies[0].clone() });
        }
        for (index, node) in nodes.iter().enumerate() {
            let begins = if node.body == 0 { matches!(node.kind, Kind::Start) } else { node.incoming.is_empty() };
            if begins {
                bodies[node.body].entries.push(index);
            }
        }
        (!bodies[0].entries.is_empty()).then_some((nodes, edges, bodies))
    }

    /// Which nodes' outputs some expression reads: all of them where `nodes` is read as a whole.
    fn nodes_read(&self) -> Vec<bool> {
        // A stage gathers the results of its steps.
        let mut read: Vec<bool> = self.nodes.iter().map(|entry| self.steps.contains(entry.id)).collect();
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
        self.results_read(&mut read);
        read
    }

    fn near_id(&self, id: &str) -> Option<&'d str> {
        nearest(id, self.by_id.keys().copied())
    }
}
