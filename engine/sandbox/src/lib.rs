//! Runs node plugins: WebAssembly components, each call in a store of its own.
//!
//! The way of a call: [`Nodes::call`] finds the plugin by digest (`registry`), waits for a slot,
//! makes a store with its limits (`limits`) and host state (`host`), enters the guest (`call`), and
//! tells what came of it. The way of a plugin: [`Sandbox::load`] (`load`, `capabilities`, `compile`,
//! `manifest`, `examples`).
//!
//! Invariants:
//! - Nothing a guest does ends or blocks the process; nothing it sees outlives its call.
//! - What a guest can reach is decided by the linker and by grants, never by its good will.
//!
//! Not here: when a node is called, and what follows from its answer (`runtime`, `core`).

mod breaker;
mod cache;
mod call;
mod capabilities;
mod cases;
mod check;
mod compile;
mod contract;
mod engine;
mod examples;
mod grants;
mod host;
mod http;
mod limits;
mod load;
mod manifest;
mod pause;
mod problems;
mod reach;
mod records;
mod registry;
mod reuse;
mod said;
mod shelf;
mod slots;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use stepwell_core::bind::namespace;
use stepwell_core::catalog::{Catalog, EffectClass, NodeType};
use stepwell_core::machine::{self, Call, CutReason, Failure, Outcome, Signal};
use stepwell_core::problem::Problem;
use stepwell_runtime::Nodes;
use stepwell_runtime::lease::Lease;
use stepwell_runtime::nodes::{About, Answer};

pub use crate::breaker::{BreakerState, BreakerView};
pub use crate::cache::CacheView;
pub use crate::capabilities::{Imported, imported};
pub use crate::cases::{Case, Expected, Export, Played};
pub use crate::compile::{Caps, Program, compile_for_parent};
pub use crate::grants::{ALL_NAMESPACES, Allowed, Build, Grant, Grants, MEMORY_MIB_MAX, Narrowed, Taken, allowed};
pub use crate::http::Tried;
pub use crate::http::connections::{Connection, ConnectionScheme, PLACEHOLDER, Secret, placeholders};
pub use crate::limits::Limits;
pub use crate::load::{Hears, Rehearsed, Stage};
pub use crate::pause::Probed;
pub use crate::records::{Committed, Reading, Told, Wanted};

use crate::cache::Cache;
use crate::call::{Attempt, CallContext, NodeCall, Operation, Stopped, cut};
use crate::compile::Compiler;
use crate::engine::Engines;
use crate::host::Ways;
use crate::http::client::Client;
use crate::http::{Network, Outgoing};
use crate::load::{Examples, Plugin};
use crate::pause::Gates;
use crate::reach::{Caller, InForce, May};
use crate::records::Way;
use crate::shelf::{NotYet, Shelf};
use crate::slots::Slots;

/// SHA-256 of a plugin's `.wasm`; shown and read as lower-case hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(wasm: &[u8]) -> Self {
        Self(Sha256::digest(wasm).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Not 64 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("not a digest: {0}")]
pub struct NotADigest(String);

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let wrong = || NotADigest(text.chars().take(80).collect());
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

/// Why there is no sandbox. All are of the machine, none of a plugin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no WebAssembly engine: {0}")]
    Engine(String),
    #[error("the folder for machine code cannot be used: {0}")]
    Cache(#[source] std::io::Error),
    #[error("no TLS: {0}")]
    Tls(String),
}

/// A plugin as the console lists it.
#[derive(Debug, Clone)]
pub struct PluginInfo {
    pub name: String,
    pub version: String,
    pub licence: String,
    pub digest: Digest,
    pub effect: EffectClass,
    /// Interfaces it imports functions of, with their versions.
    pub imports: Vec<String>,
    pub node_types: Vec<NodeType>,
    /// How long its examples took when it was loaded; empty where they were not played.
    pub rehearsed: Vec<Rehearsed>,
}

impl PluginInfo {
    /// Sorts by version: by number, and a pre-release before its release.
    pub fn precedence(&self) -> impl Ord + use<> {
        registry::precedence(&self.version)
    }
}

/// A plugin that passed every check and is not live yet.
pub struct Ready(Arc<Plugin>);

impl Ready {
    pub fn info(&self) -> PluginInfo {
        info(&self.0)
    }

    /// The examples of a plugin that was [examined](Sandbox::examine).
    pub fn examples(&self) -> Vec<(Case, Expected)> {
        cases::examples(&self.0)
    }
}

/// Loads plugins and calls them.
pub struct Sandbox {
    shelf: Arc<Shelf>,
    limits: Limits,
    slots: Slots,
    client: Arc<Client>,
    reach: Arc<InForce>,
    gates: Arc<Gates>,
    /// Builds of which no call is made, with the reason.
    revoked: RwLock<Arc<BTreeMap<Digest, String>>>,
    cache: Cache,
    lease: Lease,
    reading: Option<Arc<Reading>>,
}

/// Where the bytes of a build can be had that is not loaded here.
pub type Source = Box<dyn Fn(Digest) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>> + Send + Sync>;

impl Sandbox {
    /// `cache` is the folder for machine code; without one, every start compiles anew.
    pub fn new(cache: Option<PathBuf>, limits: Limits) -> Result<Self, Error> {
        let engines = Engines::new(&limits).map_err(|error| Error::Engine(format!("{error:#}")))?;
        let compiler = Compiler::new(cache, &limits).map_err(Error::Cache)?;
        Ok(Self {
            shelf: Arc::new(Shelf::new(engines, compiler, limits.clone())),
            slots: Slots::new(limits.calls_max as usize),
            client: Arc::new(Client::new().map_err(|error| Error::Tls(error.to_string()))?),
            reach: Arc::default(),
            gates: Arc::default(),
            revoked: RwLock::default(),
            cache: Cache::default(),
            lease: Lease::default(),
            reading: None,
            limits,
        })
    }

    /// Compiles in a child process, which is this program. Without it, components are compiled here.
    #[must_use]
    pub fn compiled_by(mut self, program: Program) -> Self {
        // Nobody else has it yet: nothing was called.
        if let Some(shelf) = Arc::get_mut(&mut self.shelf) {
            shelf.compiler.in_child(program);
        }
        self
    }

    /// Sends requests only while the engine's lease is not over.
    #[must_use]
    pub fn under(self, lease: Lease) -> Self {
        Self { lease, ..self }
    }

    /// Builds that are called and not loaded here are had from there.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        if let Some(shelf) = Arc::get_mut(&mut self.shelf) {
            shelf.source = Some(source);
        }
        self
    }

    /// Committed records are had from there. Without it, there are no record types.
    #[must_use]
    pub fn reading(self, reading: Reading) -> Self {
        Self { reading: Some(Arc::new(reading)), ..self }
    }

    /// Checks, compiles and rehearses a plugin and makes it live; the whole of DESIGN's load order.
    ///
    /// # Errors
    ///
    /// All that is wrong with it. Nothing has changed then: an older version stays live.
    pub async fn load(&self, wasm: impl Into<Arc<[u8]>>) -> Result<PluginInfo, Vec<Problem>> {
        let ready = self.prepare(wasm, &|_| {}).await?;
        Ok(self.put_in_force(ready))
    }

    /// Checks, compiles and rehearses a plugin; what is live stays as it is until
    /// [`put_in_force`](Self::put_in_force). One that is loaded already is ready at once.
    pub async fn prepare(&self, wasm: impl Into<Arc<[u8]>>, told: &Hears<'_>) -> Result<Ready, Vec<Problem>> {
        self.bring(wasm.into(), Examples::Play, told).await
    }

    /// Checks and compiles a plugin to be tried with [`play`](Self::play), its own examples among it.
    pub async fn examine(&self, wasm: impl Into<Arc<[u8]>>) -> Result<Ready, Vec<Problem>> {
        self.bring(wasm.into(), Examples::Keep, &|_| {}).await
    }

    /// Makes one call of a plugin as the engine would, with a tape in place of the world. `Err`: the case itself
    /// could not come about in a flow.
    pub async fn play(&self, ready: &Ready, case: &Case) -> Result<Played, String> {
        cases::play(&ready.0, &self.limits, case).await
    }

    /// From now on the plugin stands for its name and version.
    pub fn put_in_force(&self, ready: Ready) -> PluginInfo {
        info(&self.shelf.registry.insert(ready.0))
    }

    /// Brings back a plugin that was loaded before, without running its examples again.
    pub async fn restore(&self, wasm: impl Into<Arc<[u8]>>) -> Result<PluginInfo, Vec<Problem>> {
        let ready = self.bring(wasm.into(), Examples::Drop, &|_| {}).await?;
        Ok(self.put_in_force(ready))
    }

    async fn bring(&self, wasm: Arc<[u8]>, examples: Examples, told: &Hears<'_>) -> Result<Ready, Vec<Problem>> {
        self.shelf.bring(wasm, examples, told).await.map(Ready)
    }

    /// Makes a build that is loaded stand for its name and version again. `false`: it is not loaded, or did.
    pub fn stand(&self, digest: &Digest) -> bool {
        self.shelf.registry.stand(digest)
    }

    /// Whether these bytes were loaded, be it that others stand for their name now.
    pub fn knows(&self, digest: &Digest) -> bool {
        self.shelf.registry.get(digest).is_some()
    }

    /// Takes a plugin out: new calls fail with `PLUGIN_MISSING`, calls in flight finish.
    pub fn remove(&self, digest: &Digest) -> bool {
        self.reach.now().forget(digest);
        self.shelf.registry.remove(digest)
    }

    /// The plugins that stand for their name and version.
    pub fn plugins(&self) -> Vec<PluginInfo> {
        self.shelf.registry.all().iter().map(|plugin| info(plugin)).collect()
    }

    /// The node types that flows may use now.
    pub fn catalog(&self) -> Catalog {
        self.shelf.registry.catalog(None, &self.revoked())
    }

    /// The node types that flows could use if this plugin were in force.
    pub fn catalog_with(&self, ready: &Ready) -> Catalog {
        self.shelf.registry.catalog(Some(&ready.0), &self.revoked())
    }

    /// From now on no call is made of these builds, and flows cannot use them; each with the reason. What is under way
    /// goes on.
    pub fn set_revoked(&self, revoked: BTreeMap<Digest, String>) {
        *self.revoked.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(revoked);
    }

    /// The builds of which no call is made.
    pub fn revoked(&self) -> Arc<BTreeMap<Digest, String>> {
        Arc::clone(&self.revoked.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A build that is loaded, be it that others stand for its name.
    pub fn plugin(&self, digest: &Digest) -> Option<PluginInfo> {
        self.shelf.registry.get(digest).map(|plugin| info(&plugin))
    }

    /// Puts grants in force for every call made and every request sent from now on.
    ///
    /// # Errors
    ///
    /// All that is wrong with them; the ones before stay in force.
    pub fn set_grants(&self, grants: &Grants) -> Result<(), Vec<Problem>> {
        self.reach.set(grants)
    }

    /// What all memories and tables of a call may take where nothing else was granted.
    pub fn memory_bytes_max(&self) -> usize {
        self.limits.memory_bytes_max
    }

    /// Sends one request to a connection, as its plugins would, and tells how it was answered; the answer itself is
    /// not read. `None`: there is no such connection.
    pub async fn try_out(&self, connection: &str, method: &str, path: &str) -> Option<Tried> {
        let target = self.reach.now().target(connection)?;
        Some(http::try_out(&self.client, &target, method, path).await)
    }

    /// Whether a build of a plugin is broken off, here. `None`: it is not loaded.
    pub fn breaker(&self, digest: &Digest) -> Option<BreakerView> {
        Some(self.shelf.registry.get(digest)?.breaker.view(Instant::now()))
    }

    /// Lets a build of a plugin be called again. `None`: it is not loaded; `false`: it was not broken off.
    pub fn reset_breaker(&self, digest: &Digest) -> Option<bool> {
        Some(self.shelf.registry.get(digest)?.breaker.reset())
    }

    /// Drops instances that waited too long for another call. To be called every now and then.
    pub fn prune(&self) {
        self.reach.now().prune(Instant::now());
    }

    /// What became of the answers that may be given again.
    pub fn cache(&self) -> CacheView {
        self.cache.view()
    }

    /// From now on no call is made of these: `node-type <plugin>/<type>`, `connection <name>`.
    pub fn set_pauses(&self, keys: impl IntoIterator<Item = String>) {
        self.gates.set(keys);
    }

    /// Lets the next call of something that is paused through. `false`: it is not paused.
    pub fn let_one_through(&self, key: &str) -> bool {
        self.gates.let_one_through(key)
    }

    /// What came of calls that were let through, once there is something to say.
    pub async fn probed(&self) -> Vec<Probed> {
        self.gates.told().await
    }

    /// What a plugin has against a node's configuration that its schema cannot see. Empty where the
    /// node type offers no check or the plugin is not loaded; `config` holds no expressions.
    pub async fn check(&self, digest: &Digest, node_type: &str, config: &serde_json::Value) -> Vec<Problem> {
        let Some(plugin) = self.shelf.registry.get(digest) else { return Vec::new() };
        let offers = plugin.described.node_types.iter().any(|one| one.name == node_type && one.has_check);
        if !offers {
            return Vec::new();
        }
        let _slot = self.slots.acquire(0).await;
        Box::pin(check::run(&plugin, &self.limits, node_type, config)).await
    }

    /// Makes a call again whose answer is only looked at. It goes by what is paused or broken off, tells neither of
    /// them anything, is served by an instance of its own, and can send nothing and see no records.
    pub async fn again(&self, about: &About, call: &Call) -> Outcome {
        let plugin = match self.callee(call).await {
            Ok(plugin) => plugin,
            Err(outcome) => return outcome,
        };
        let priority = call.priority;
        let (may, mut call) = (self.may(&plugin, namespace(&about.flow)), node_call(about, call));
        call.timeout_ms = may.limits.time_ms.map_or(call.timeout_ms, |most| most.min(call.timeout_ms));
        let patience = Duration::from_millis(call.timeout_ms);
        let Ok(_slot) = tokio::time::timeout(patience, self.slots.acquire(priority)).await else {
            return Outcome::Cut(cut(CutReason::Deadline, "no free slot"));
        };
        let granted = may.limits.memory_mib.map(|mib| self.limits.with_memory(mib));
        let limits = granted.as_ref().unwrap_or(&self.limits);
        let (ways, deadline) = (Ways::default(), Instant::now() + patience);
        let attempt = Attempt { call: &call, class: plugin.class, limits, ways, deadline, reuse: None };
        Box::pin(self.attempted(&plugin, &attempt)).await.outcome
    }

    fn may(&self, plugin: &Plugin, namespace: &str) -> Arc<May> {
        let described = &plugin.described;
        self.reach.now().of(&described.name, &described.version, &plugin.digest, namespace)
    }

    async fn answer(&self, about: &About, call: &Call) -> Answer {
        let plugin = match self.callee(call).await {
            Ok(plugin) => plugin,
            Err(outcome) => return unsaid(outcome),
        };
        let mut probing = None;
        if let Some((key, gate)) = self.gates.of_node_type(&plugin.described.name, &call.callee.node_type) {
            if !gate.admits() {
                return unsaid(Outcome::Cut(cut(CutReason::Paused, key)));
            }
            probing = Some(key);
        }
        let answer = self.answer_by(&plugin, about, call).await;
        if let Some(key) = probing {
            self.gates.tell(pause::judged(key, &answer.outcome));
        }
        answer
    }

    /// The build that is called; or what comes of the call without it.
    async fn callee(&self, call: &Call) -> Result<Arc<Plugin>, Outcome> {
        if let Some(reason) = self.revocation(&call.callee.digest) {
            let message = format!("the build is revoked: {reason}");
            return Err(Outcome::Cut(cut(CutReason::Revoked, message)));
        }
        let (digest, timeout_ms) = (&call.callee.digest, call.callee.timeout_ms);
        match self.shelf.find(digest, Duration::from_millis(timeout_ms)).await {
            Ok(Some(plugin)) => Ok(plugin),
            Ok(None) => {
                let message = format!("no plugin with digest {digest} is loaded");
                Err(Outcome::Cut(cut(CutReason::Missing, message)))
            }
            // Nothing was called yet.
            Err(NotYet) => Err(Outcome::Failed(Failure::Transient {
                message: format!("the build {digest} is being loaded: it was not ready within {timeout_ms} ms"),
                retry_after_ms: None,
            })),
        }
    }

    fn revocation(&self, digest: &str) -> Option<String> {
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        if revoked.is_empty() { None } else { revoked.get(&digest.parse().ok()?).cloned() }
    }

    async fn answer_by(&self, plugin: &Plugin, about: &About, call: &Call) -> Answer {
        let (priority, may_be_kept) = (call.priority, call.callee.cache && plugin.class == EffectClass::Pure);
        let described = &plugin.described;
        let namespace = namespace(&about.flow);
        let may = self.may(plugin, namespace);
        let mut call = node_call(about, call);
        call.timeout_ms = may.limits.time_ms.map_or(call.timeout_ms, |most| most.min(call.timeout_ms));
        let mut kept_as = None;
        if let (true, Operation::Run { input }) = (may_be_kept, &call.operation) {
            let key = cache::key(&plugin.digest, call.node_type, &call.config, input);
            if let Some(outcome) = self.cache.get(&key) {
                return unsaid(outcome);
            }
            // Whoever asks next is another: the guest learns of nobody.
            call.context = CallContext::default();
            kept_as = Some(key);
        }
        // Asked of calls that are made: an answer that is kept must not use up the one that tries for all.
        if let Err(left) = plugin.breaker.admit(Instant::now()) {
            let message = format!("{} keeps trapping and is not called for {left:.0?}", described.name);
            return unsaid(Outcome::Cut(cut(CutReason::Breaker, message)));
        }
        let patience = Duration::from_millis(call.timeout_ms);
        // A slot is waited for as long as the call may take: nothing has happened yet.
        let Ok(_slot) = tokio::time::timeout(patience, self.slots.acquire(priority)).await else {
            let running = self.limits.calls_max;
            return busy(format!("no free slot within {} ms: {running} calls are running", call.timeout_ms));
        };
        let deadline = Instant::now() + patience;
        let granted = may.limits.memory_mib.map(|mib| self.limits.with_memory(mib));
        let limits = granted.as_ref().unwrap_or(&self.limits);
        let records = self.way_to_records(plugin, about, &may);
        let ways = Ways { outgoing: self.way_out(plugin, namespace, &call.context, deadline), records };
        // An answer that is kept follows from nothing that an earlier call left behind.
        let reuse = may.limits.reuse.filter(|_| kept_as.is_none()).map(|calls| (&may.idle, calls));
        let attempt = Attempt { call: &call, class: plugin.class, limits, ways, deadline, reuse };
        let answer = self.attempted(plugin, &attempt).await;
        note(plugin, &answer);
        if let Some(key) = kept_as {
            self.cache.keep(key, &answer.outcome);
        }
        answer
    }

    /// On the pool, or where it has no room.
    async fn attempted(&self, plugin: &Plugin, attempt: &Attempt<'_>) -> Answer {
        // Slots of the pool are made for the engine's own limit.
        let fits = attempt.limits.memory_bytes_max <= self.limits.memory_bytes_max;
        let first = if fits { attempt.on(&plugin.first).await } else { Err(Stopped::PoolExhausted) };
        let answered = match first {
            Err(Stopped::PoolExhausted) => match plugin.spare(&self.shelf.engines).await {
                Ok(spare) => attempt.on(spare).await,
                Err(error) => Err(Stopped::Cut(cut(CutReason::Trap, format!("{error:#}")))),
            },
            other => other,
        };
        match answered {
            Ok(answer) => answer,
            Err(Stopped::Cut(cut)) => unsaid(Outcome::Cut(cut)),
            Err(Stopped::PoolExhausted) => busy("no memory for another instance".to_owned()),
        }
    }

    fn way_out(&self, plugin: &Plugin, namespace: &str, context: &CallContext, deadline: Instant) -> Outgoing {
        if plugin.class < EffectClass::External {
            return Outgoing::default();
        }
        let (client, reach) = (Arc::clone(&self.client), Arc::clone(&self.reach));
        let caller = Caller::of(plugin, namespace);
        let route = Network { client, reach, caller, gates: Arc::clone(&self.gates), hold: self.lease.hold() };
        Outgoing::network(route, context, deadline, &self.limits)
    }

    fn way_to_records(&self, plugin: &Plugin, about: &About, may: &May) -> Way {
        let Some(reading) = self.reading.as_ref().filter(|_| plugin.imports.records) else { return Way::Shut };
        let (granted, whose) = (Arc::clone(&may.records), Arc::clone(&may.whose));
        Way::Open { reading: Arc::clone(reading), granted, whose, desk: about.records.clone() }
    }
}

impl Nodes for Sandbox {
    async fn call(&self, about: &About, call: &Call) -> Answer {
        // Boxed: a call's state is large, and the driver holds many futures.
        Box::pin(self.answer(about, call)).await
    }
}

/// The core's call as the guest gets it: JSON becomes text.
fn node_call<'a>(about: &About, call: &'a Call) -> NodeCall<'a> {
    let input = || call.input.to_string();
    let operation = match call.export {
        machine::Export::Run => Operation::Run { input: input() },
        machine::Export::Undo => {
            Operation::Undo { input: input(), output: call.output.as_ref().map(ToString::to_string) }
        }
        machine::Export::Query => Operation::Query { input: input() },
        machine::Export::Resume => {
            let memo = call.memo.as_ref().map_or_else(|| "null".to_owned(), ToString::to_string);
            let (signal, payload) = match &call.signal {
                Some(Signal::Message { payload }) => (contract::SignalKind::Message, payload.to_string()),
                Some(Signal::Timeout) => (contract::SignalKind::Timeout, "null".to_owned()),
                Some(Signal::Cancelled) | None => (contract::SignalKind::Cancelled, "null".to_owned()),
            };
            Operation::Resume { memo, signal, payload }
        }
    };
    NodeCall {
        node_type: &call.callee.node_type,
        operation,
        context: CallContext {
            instance: Arc::clone(&about.instance),
            flow: Arc::clone(&about.flow),
            version: about.version,
            node: Arc::clone(&call.node),
            visit: call.visit,
            attempt: call.attempt,
            key: call.key.clone(),
            forward_key: call.forward_key.clone(),
            business_key: about.business_key.clone(),
            traceparent: about.traceparent.clone(),
        },
        config: call.callee.config.to_string(),
        visit_started_ms: call.visit_started_ms,
        timeout_ms: call.callee.timeout_ms,
    }
}

/// Tells the breaker, and the log where an operator should know.
fn note(plugin: &Plugin, answer: &Answer) {
    match &answer.outcome {
        // Slow or too talkative is the doing of one input or script, not of the component.
        Outcome::Cut(cut) if matches!(cut.reason, CutReason::Deadline | CutReason::Output | CutReason::Paused) => {}
        Outcome::Cut(cut) => {
            plugin.breaker.trapped(Instant::now());
            let (name, reason, message) = (&plugin.described.name, cut.reason, &cut.message);
            tracing::warn!(plugin = %name, ?reason, %message, "a node call was cut");
        }
        Outcome::Done { .. } | Outcome::Waiting { .. } | Outcome::NeverRan | Outcome::Failed(_) => {
            plugin.breaker.went_well();
        }
    }
}

/// Nothing was sent and nothing was run: trying again is safe, whatever the class.
fn busy(message: String) -> Answer {
    unsaid(Outcome::Failed(Failure::Transient { message, retry_after_ms: None }))
}

/// An answer of the host's: the guest was not asked.
fn unsaid(outcome: Outcome) -> Answer {
    Answer { outcome, duration_us: 0, logs: Vec::new() }
}

fn info(plugin: &Plugin) -> PluginInfo {
    let described = &plugin.described;
    PluginInfo {
        name: described.name.clone(),
        version: described.version.clone(),
        licence: described.licence.clone(),
        digest: plugin.digest,
        effect: plugin.class,
        imports: plugin.imports.names.clone(),
        node_types: described.node_types.iter().map(|node_type| node_type.entry.clone()).collect(),
        rehearsed: plugin.rehearsed.clone(),
    }
}
