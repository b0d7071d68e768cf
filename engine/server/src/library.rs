//! Published flows: how a document becomes a version, and the table that starts are decided by.
//!
//! Invariants:
//! - A version is published only if its check, made now against the plugins at hand, finds no error.
//! - The table is the store's, read again after each change of it; after one by another engine a moment
//!   later (`follow`). What it says wrong meanwhile, the commit of the start finds out.
//!
//! Not here: what stands in the table (`table`); drafts (`http::drafts`); what the checks are (`core`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};
use stepwell_core::catalog::{CalledFlow, Catalog};
use stepwell_core::flow::check::{self, Checked};
use stepwell_core::flow::evaluate::settled;
use stepwell_core::flow::schedule::Schedule;
use stepwell_core::flow::trigger::{Trigger, TriggerAuth};
use stepwell_core::flow::{Flow, Kind, extend};
use stepwell_core::problem::{Problem, Severity};
use stepwell_core::table;
use stepwell_runtime::journal::Unavailable;
use stepwell_sandbox::Digest;
use stepwell_store::{Act, Draft, NewSchedule, Publish, Published, Store};

use crate::Engine;
use crate::table::{Table, TriggerSpec};

const REVOKED_FIX: &str = "use a build that is not revoked, or publish again the flows that it calls";
/// Flows that one flow may call.
const CALLS_MAX: usize = 100;

/// A publication that took place, or had before.
#[derive(Debug)]
pub(crate) struct Publication {
    pub key: String,
    pub version: u32,
    pub hash: String,
    pub warnings: Vec<Problem>,
    /// The newest version has this content already: nothing was done.
    pub known: bool,
}

/// What is to be published, and by whom.
#[derive(Debug)]
pub(crate) struct Request {
    pub document: Arc<Value>,
    pub label: Option<String>,
    /// The draft's revision that is published.
    pub revision: Option<u64>,
    /// The sha256 of the watched file it comes from.
    pub file: Option<String>,
    /// What it is pinned to, unless those at hand.
    pub node_types: Option<Catalog>,
    /// Whoever asks may publish in every namespace.
    pub everywhere: bool,
    pub act: Act,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// Correct the document.
    #[error("{} problems", .0.len())]
    Problems(Vec<Problem>),
    /// Look at the draft as it is now.
    #[error("the draft has moved")]
    DraftMoved(Option<Box<Draft>>),
    /// What it does is not up to who designs in its namespace alone; why.
    #[error("{0}")]
    Everywhere(String),
    /// The same file was published before: nothing to do.
    #[error("the file was published before")]
    FileSeen,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

pub(crate) struct Library {
    engine: Engine,
    table: RwLock<Arc<Table>>,
    /// Held while the table is read anew, so that an older reading never comes after a newer one.
    reading: tokio::sync::Mutex<()>,
}

impl Library {
    /// Reads what was published before.
    pub(crate) async fn open(engine: Engine) -> Result<Self, Unavailable> {
        let library = Self { engine, table: RwLock::default(), reading: tokio::sync::Mutex::default() };
        library.read_all().await?;
        Ok(library)
    }

    fn store(&self) -> &Store {
        self.engine.journal()
    }

    /// Reads the table again.
    pub(crate) async fn read_all(&self) -> Result<(), Unavailable> {
        let _turn = self.reading.lock().await;
        let table = Arc::new(Table::new(self.store().doors().await?));
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        Ok(())
    }

    /// What starts are decided by, as it was last read.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything that is wrong with a document, as things are now.
    pub(crate) async fn check(&self, document: &Value) -> Checked {
        self.check_under(document, self.engine.nodes().catalog()).await
    }

    /// Everything that would be wrong with it if these were the node types.
    pub(crate) async fn check_under(&self, document: &Value, node_types: Catalog) -> Checked {
        if table::is_table(document) {
            let table::Checked { table, problems } = table::check(document);
            return Checked { flow: None, problems, hash: table.map(|table| table.hash).unwrap_or_default() };
        }
        self.check_with(document, &self.with_published(document, node_types).await).await
    }

    /// The node types that flows may use now, by their own names and by aliases.
    pub(crate) async fn node_types(&self) -> Result<Catalog, Unavailable> {
        let mut catalog = self.engine.nodes().catalog();
        add_aliases(&mut catalog, self.store().aliases().await?);
        Ok(catalog)
    }

    /// What the document comes to with its template, if it has one, and how it differs from it.
    pub(crate) async fn resolve(&self, document: &Value) -> Option<(Value, Option<extend::Comparison>)> {
        if !extend::has_slots(document) {
            return None;
        }
        let catalog = self.with_published(document, Catalog::default()).await;
        Some((extend::resolve(document, &catalog).document, extend::compare(document, &catalog)))
    }

    /// Node types with their aliases, and beside them what the document names that is published: its template, and
    /// the flows and tables that it, or the graph it has from its template, calls and uses.
    pub(crate) async fn with_published(&self, document: &Value, mut catalog: Catalog) -> Catalog {
        match self.store().aliases().await {
            Ok(aliases) => add_aliases(&mut catalog, aliases),
            // As good as not given: who checks is told so, and may ask again.
            Err(error) => tracing::warn!(%error, "aliases could not be read"),
        }
        if let Some(name) = document.get("extends").and_then(Value::as_str)
            && let Some(mut template) = self.found(name).await
        {
            // What a template names is looked up for those that extend it; of its own, only its templates count.
            template.catalog = Catalog { templates: template.catalog.templates, ..Catalog::default() };
            catalog.templates.insert(name.to_owned(), template);
        }
        let resolved = extend::has_slots(document).then(|| extend::resolve(document, &catalog).document);
        let graph = resolved.as_ref().unwrap_or(document);
        let named = |kind: &'static str, field: &'static str| -> BTreeSet<String> {
            let nodes = check::nodes_of(graph).filter(|node| node.get("type").and_then(Value::as_str) == Some(kind));
            nodes.filter_map(|node| Some(node.get(field)?.as_str()?.to_owned())).take(CALLS_MAX).collect()
        };
        for name in named("call", "flow") {
            if let Some(flow) = self.found(&name).await {
                catalog.flows.insert(name, flow);
            }
        }
        for name in named("decision", "table") {
            if let Some(table) = self.found(&name).await {
                catalog.tables.insert(name, table);
            }
        }
        catalog
    }

    async fn found(&self, name: &str) -> Option<CalledFlow> {
        match self.published(name).await {
            Ok(found) => found,
            // As good as not published: who checks is told so, and may ask again.
            Err(error) => {
                tracing::warn!(name, %error, "what a document names could not be read");
                None
            }
        }
    }

    /// The version that `key@version` or `key` means now.
    async fn published(&self, name: &str) -> Result<Option<CalledFlow>, Unavailable> {
        let (key, version) = match name.split_once('@') {
            None => (name, None),
            Some((key, version)) => match version.parse() {
                Ok(version) => (key, Some(version)),
                Err(_) => return Ok(None),
            },
        };
        let found = self.store().version(key, version).await?.filter(|found| found.retired_ms.is_none());
        let Some(found) = found else { return Ok(None) };
        let catalog = serde_json::from_value((*found.definition.catalog).clone())
            .map_err(|error| Unavailable(format!("the node types of {name} cannot be read: {error}")))?;
        // A machine is called with the actions it has now: those of a caller's version do not change.
        let plugged = &found.definition.plugged;
        let document = settled(&found.definition.document, plugged);
        let catalog = check::with_plugged(&catalog, plugged);
        let hash = plugged.last().map_or(found.hash.clone(), |last| format!("{}+{}", found.hash, last.revision));
        Ok(Some(CalledFlow { key: found.flow, version: found.version, hash, document, catalog }))
    }

    async fn check_with(&self, document: &Value, catalog: &Catalog) -> Checked {
        let mut checked = check::check(document, catalog);
        if let Some(flow) = &checked.flow {
            let mut found = self.ask_plugins(flow, document).await;
            if extend::has_slots(document) {
                let resolved = extend::resolve(document, catalog);
                for problem in &mut found {
                    resolved.place(problem);
                }
            }
            if found.iter().any(|problem| problem.severity == Severity::Error) {
                checked.flow = None;
            }
            checked.problems.extend(found);
        }
        checked
    }

    /// What plugins that look at their own configs (a script's syntax) find in them.
    pub(crate) async fn ask_plugins(&self, flow: &Flow, document: &Value) -> Vec<Problem> {
        let mut found = Vec::new();
        for node in flow.own_nodes() {
            let own = place(document, &node.id);
            let task = match &node.kind {
                Kind::Task(task) => Some((own.clone(), &task.call)),
                _ => None,
            };
            let listeners = if matches!(node.kind, Kind::Start) { &flow.bodies[0].listeners } else { &node.listeners };
            let at = if matches!(node.kind, Kind::Start) { "" } else { &own };
            let heard = listeners
                .iter()
                .filter_map(|one| Some((format!("{at}/listeners/{}", one.place), &one.call.as_ref()?.call)));
            for (pointer, call) in task.into_iter().chain(heard) {
                let Ok(digest) = call.digest.parse::<Digest>() else { continue };
                for mut problem in self.engine.nodes().check(&digest, &call.node_type, &call.config).await {
                    problem.pointer = format!("{pointer}/config{}", problem.pointer);
                    found.push(problem.on(&*node.id));
                }
            }
        }
        found
    }

    /// Freezes a document into a version.
    pub(crate) async fn publish(&self, request: Request) -> Result<Publication, PublishError> {
        if table::is_table(&request.document) {
            return self.publish_table(request).await;
        }
        let node_types = request.node_types.unwrap_or_else(|| self.engine.nodes().catalog());
        let catalog = self.with_published(&request.document, node_types).await;
        let checked = self.check_with(&request.document, &catalog).await;
        let Some(flow) = checked.flow else { return Err(PublishError::Problems(checked.problems)) };
        if let Some(reason) = flow.triggers.iter().find_map(beyond).filter(|_| !request.everywhere) {
            return Err(PublishError::Everywhere(reason));
        }
        let pinned = serde_json::to_value(pins(&flow, catalog))
            .map_err(|error| Unavailable(format!("the node types have no JSON form: {error}")))?;
        let publish = Publish {
            flow: flow.key.clone(),
            document: request.document,
            catalog: Arc::new(pinned),
            hash: flow.hash.clone(),
            label: request.label,
            revision: request.revision,
            triggers: triggers(&flow),
            schedules: schedules(&flow, request.act.at_ms),
            file: request.file,
            act: request.act,
        };
        let (version, known) = self.freeze(publish, &flow.triggers).await?;
        Ok(Publication { key: flow.key, version, hash: flow.hash, warnings: checked.problems, known })
    }

    async fn publish_table(&self, request: Request) -> Result<Publication, PublishError> {
        let table::Checked { table, problems } = table::check(&request.document);
        let Some(table) = table else { return Err(PublishError::Problems(problems)) };
        let publish = Publish {
            flow: table.key.clone(),
            document: request.document,
            catalog: Arc::new(json!({ "nodeTypes": {} })),
            hash: table.hash.clone(),
            label: request.label,
            revision: request.revision,
            triggers: Vec::new(),
            schedules: Vec::new(),
            file: request.file,
            act: request.act,
        };
        let (version, known) = self.freeze(publish, &[]).await?;
        Ok(Publication { key: table.key, version, hash: table.hash, warnings: problems, known })
    }

    /// The version, and whether it was there before.
    async fn freeze(&self, publish: Publish, named: &[Trigger]) -> Result<(u32, bool), PublishError> {
        let key = publish.flow.clone();
        let done = match self.store().publish(publish).await? {
            Published::New(version) => (version, false),
            Published::Same(version) => (version, true),
            Published::FileSeen => return Err(PublishError::FileSeen),
            Published::DraftMoved(draft) => return Err(PublishError::DraftMoved(draft.map(Box::new))),
            Published::PluginGone(digest) => {
                let message = format!("the plugin with digest {digest} was removed meanwhile");
                return Err(PublishError::Problems(vec![Problem::error("UNKNOWN_NODE_TYPE", "/nodes", message)]));
            }
            Published::PluginRevoked(digest) => {
                let message = format!("the plugin with digest {digest} is revoked");
                let problem = Problem::error("PLUGIN_REVOKED", "/nodes", message);
                return Err(PublishError::Problems(vec![problem.fix(REVOKED_FIX)]));
            }
            Published::PathTaken { path, owner } => {
                let at = named.iter().position(|trigger| trigger.path == path);
                let pointer = at.map_or_else(|| "/key".to_owned(), |at| format!("/triggers/{at}/path"));
                let message = format!("/t/{path} {owner}");
                let problem = Problem::error("TRIGGER_PATH_TAKEN", pointer, message);
                return Err(PublishError::Problems(vec![problem.fix("choose another path")]));
            }
            Published::OtherKind(kind) => {
                let problem = Problem::error("KIND_CHANGED", "/kind", format!("`{key}` is published as a {kind}"));
                return Err(PublishError::Problems(vec![problem.fix("choose another key")]));
            }
        };
        // What was known before may have a label since.
        self.read_all().await?;
        Ok(done)
    }
}

/// What a trigger reaches that is not its flow's namespace's own.
fn beyond(trigger: &Trigger) -> Option<String> {
    let path = &trigger.path;
    match (&trigger.message, &trigger.auth) {
        (Some(_), _) => Some(format!("/t/{path} posts messages, and instances of every namespace may wait for them")),
        (None, TriggerAuth::Signed(signed)) => Some(format!(
            "/t/{path} lets in who has secrets of the connection {}, which is everybody's",
            signed.connection
        )),
        (None, _) => None,
    }
}

/// Where in its document a node stands: of a machine, in the action it is of.
fn place(document: &Value, node: &str) -> String {
    let named = |action: &Value| action.get("name").and_then(Value::as_str) == Some(node);
    let action = document.get("actions").and_then(Value::as_array).and_then(|all| all.iter().position(named));
    action.map_or_else(|| format!("/nodes/{node}"), |index| format!("/actions/{index}/run"))
}

/// The paths a flow is started by, as they are stored.
fn triggers(flow: &Flow) -> Vec<(String, Value)> {
    let spec = |auth: &TriggerAuth, wait_ms| {
        let (open, signed) = (*auth == TriggerAuth::None, matches!(auth, TriggerAuth::Signed(_)));
        serde_json::to_value(TriggerSpec { open, signed, wait_ms }).unwrap_or_default()
    };
    flow.triggers.iter().map(|trigger| (trigger.path.clone(), spec(&trigger.auth, trigger.wait_ms))).collect()
}

/// When the flow starts by itself, from now on.
fn schedules(flow: &Flow, now_ms: u64) -> Vec<NewSchedule> {
    let new = |one: &Schedule| NewSchedule {
        name: one.name.clone(),
        spec: format!("{} {}", one.text, one.timezone),
        due_ms: one.after(now_ms),
    };
    flow.schedules.iter().map(new).collect()
}

/// The node types the flow uses, and no others, and the flows, templates and tables it names.
fn pins(flow: &Flow, mut catalog: Catalog) -> Catalog {
    let used: BTreeSet<&str> = flow.own_callees().map(|call| &*call.uses).collect();
    // By the name that the document says, which may be an alias.
    catalog.node_types.retain(|_, one| used.contains(one.uses.as_str()));
    catalog
}

/// A node type's own name goes before an alias.
fn add_aliases(catalog: &mut Catalog, aliases: BTreeMap<String, String>) {
    for (name, uses) in aliases {
        if let Some(node_type) = catalog.node_types.get(&uses).cloned() {
            catalog.node_types.entry(name).or_insert(node_type);
        }
    }
}
