//! From bytes to a plugin that can be called: size and form, imports, machine code, `describe`,
//! manifest, examples. Each step says all that is wrong before the next is tried, and each is told of
//! when it begins.
//!
//! Invariant: a [`Plugin`] exists only if every step went well; nothing is live before.
//!
//! Not here: making it live (`registry`), keeping its bytes (`store`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use stepwell_core::catalog::EffectClass;
use stepwell_core::problem::Problem;
use tokio::sync::OnceCell;
use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, Instance, Lift, Linker, Lower};

use crate::breaker::Breaker;
use crate::call::{self, Exports, Prepared, Stopped};
use crate::capabilities::{self, Imports};
use crate::compile::{self, Compiler};
use crate::engine::Engines;
use crate::examples::Rehearsal;
use crate::host::CallState;
use crate::limits::Limits;
use crate::manifest::{self, Described, Facts};
use crate::{Digest, contract, problems};

/// What a manifest may weigh: icons, schemas, examples of all node types.
const MANIFEST_BYTES_MAX: usize = 4 << 20;

/// How far a plugin has come on its way in, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Size and first bytes.
    Size,
    /// What it imports, and the effect class that follows.
    Imports,
    /// To machine code; left out where that is known.
    Compile,
    /// `describe`, with nothing linked but stubs.
    Describe,
    /// The manifest and its schemas.
    Schemas,
    Examples,
}

/// Hears of each stage as it begins.
pub type Hears<'a> = dyn Fn(Stage) + Send + Sync + 'a;

/// How long an example took in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// Without the package.
    pub node_type: String,
    /// Its place among the examples of the node type.
    pub example: usize,
    pub took_us: u64,
}

/// A loaded component and all that is known of it.
pub(crate) struct Plugin {
    pub(crate) digest: Digest,
    pub(crate) class: EffectClass,
    pub(crate) described: Described,
    pub(crate) first: Prepared,
    /// Made when the pool is first exhausted.
    spare: OnceCell<Prepared>,
    pub(crate) imports: Imports,
    pub(crate) breaker: Breaker,
    /// Empty where its examples were not played.
    pub(crate) rehearsed: Vec<Rehearsed>,
}

impl Plugin {
    /// The same component on the engine that allocates on demand.
    pub(crate) async fn spare(&self, engines: &Engines) -> wasmtime::Result<&Prepared> {
        let make = async || {
            let component = compile::transfer(self.first.pre.component(), &engines.spare)?;
            prepare(&component, &self.imports.linker(&engines.spare)?)
        };
        self.spare.get_or_try_init(make).await
    }
}

/// What becomes of a plugin's examples when it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Examples {
    /// Played: the plugin is refused if one is not true.
    Play,
    /// Of a plugin whose examples were played before.
    Drop,
    /// Left to the caller, with what they are held to.
    Keep,
}

pub(crate) struct Loader<'a> {
    pub(crate) engines: &'a Engines,
    pub(crate) compiler: &'a Compiler,
    pub(crate) limits: &'a Limits,
}

impl Loader<'_> {
    /// Loads a component.
    pub(crate) async fn load(
        &self,
        wasm: Arc<[u8]>,
        examples: Examples,
        told: &Hears<'_>,
    ) -> Result<Plugin, Vec<Problem>> {
        told(Stage::Size);
        let digest = Digest::of(&wasm);
        self.look_at(&wasm).map_err(|problem| vec![*problem])?;
        let engine = self.engines.first();
        let component = self.compiler.compile(engine, &digest, wasm, told).await.map_err(Vec::from)?;
        let imports = capabilities::classify(engine, &component)?;
        let class = imports.class;
        let first = Self::prepare(&component, imports.linker(engine))?;
        told(Stage::Describe);
        let manifest = self.describe(&first).await?;
        told(Stage::Schemas);
        let facts = Facts { digest: &digest, class, exports: &first.exports };
        let mut described = manifest::read(manifest, &facts)?;
        let mut rehearsed = Vec::new();
        if examples == Examples::Play {
            told(Stage::Examples);
            let limits = self.limits;
            let rehearsal = Rehearsal { prepared: &first, described: &described, class, limits };
            rehearsed = rehearsal.run().await?;
        }
        for node_type in described.node_types.iter_mut().filter(|_| examples != Examples::Keep) {
            node_type.proof = None;
        }
        let (spare, breaker) = (OnceCell::new(), Breaker::default());
        Ok(Plugin { digest, class, described, first, spare, imports, breaker, rehearsed })
    }

    /// Size and first bytes, before anything reads on.
    fn look_at(&self, wasm: &[u8]) -> Result<(), Box<Problem>> {
        let max = self.limits.wasm_bytes_max;
        let problem = match wasm {
            _ if wasm.len() > max => problems::too_large(wasm.len(), max),
            // A component, or a core module that one can be made of.
            [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] | [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => return Ok(()),
            [0x7f, b'E', b'L', b'F', ..] => {
                problems::not_a_component("the file is machine code (`.cwasm` or a program): it is never accepted")
            }
            _ => problems::not_a_component("the file is no WebAssembly"),
        };
        Err(Box::new(problem))
    }

    fn prepare(component: &Component, linker: wasmtime::Result<Linker<CallState>>) -> Result<Prepared, Vec<Problem>> {
        let linker = linker.map_err(|error| vec![problems::not_compiled(format!("{error:#}"))])?;
        let missing = |export: &str| problems::export_missing("", export).fix("export the interface `node` of wit/");
        if exports(component).is_none() {
            return Err(vec![missing(contract::NODE)]);
        }
        prepare(component, &linker)
            .map_err(|error| vec![problems::not_compiled(format!("cannot be linked: {error:#}"))])
    }

    /// Type-checks every export the engine may call, then asks the plugin what it offers.
    async fn describe(&self, prepared: &Prepared) -> Result<contract::Manifest, Vec<Problem>> {
        let limits = self.limits;
        let mut store = call::new_store(prepared, CallState::inert(limits.memory_bytes_max), MANIFEST_BYTES_MAX);
        let deadline = Instant::now() + Duration::from_millis(limits.describe_ms_max);
        let work = async {
            let instance = prepared.pre.instantiate_async(&mut store).await.map_err(Err)?;
            let mistyped = mistyped(&mut store, &instance, &prepared.exports);
            if !mistyped.is_empty() {
                return Err(Ok(mistyped));
            }
            let described = call::invoke(&mut store, &instance, Some(&prepared.exports.describe), ()).await;
            described.map(|(manifest,): contract::DescribeResult| manifest).map_err(Err)
        };
        let result = tokio::time::timeout_at(deadline.into(), work).await;
        match result {
            Ok(Ok(manifest)) => Ok(manifest),
            Ok(Err(Ok(problems))) => Err(problems),
            Ok(Err(Err(error))) => {
                let message = match call::stopped(&error, &store.data().ledger, limits) {
                    Stopped::Cut(cut) => format!("`describe` was cut ({:?}): {}", cut.reason, cut.message),
                    Stopped::PoolExhausted => "no free instance to run `describe` in".into(),
                };
                Err(vec![problems::not_described(message)])
            }
            Err(_) => {
                let message = format!("`describe` gave no answer within {} ms", limits.describe_ms_max);
                Err(vec![problems::not_described(message)])
            }
        }
    }
}

fn prepare(component: &Component, linker: &Linker<CallState>) -> wasmtime::Result<Prepared> {
    let Some(exports) = exports(component) else { wasmtime::bail!("no export {}", contract::NODE) };
    Ok(Prepared { pre: linker.instantiate_pre(component)?, exports })
}

/// None without `describe` and `run`.
fn exports(component: &Component) -> Option<Exports> {
    let find = |interface: &str, function: &str| -> Option<ComponentExportIndex> {
        let interface = component.get_export_index(None, interface)?;
        component.get_export_index(Some(&interface), function)
    };
    Some(Exports {
        describe: find(contract::NODE, "describe")?,
        run: find(contract::NODE, "run")?,
        undo: find(contract::UNDO, "undo"),
        resume: find(contract::RESUME, "resume"),
        query: find(contract::QUERY, "query"),
        check: find(contract::CHECK, "check"),
    })
}

fn mistyped(store: &mut Store<CallState>, instance: &Instance, exports: &Exports) -> Vec<Problem> {
    use contract::{
        CheckParams, CheckResult, DescribeResult, QueryParams, QueryResult, ResumeParams, RunParams, RunResult,
        UndoParams, UndoResult,
    };
    let checks = [
        typed::<(), DescribeResult>(store, instance, Some(&exports.describe), "node.describe"),
        typed::<RunParams<'_>, RunResult>(store, instance, Some(&exports.run), "node.run"),
        typed::<UndoParams<'_>, UndoResult>(store, instance, exports.undo.as_ref(), contract::UNDO),
        typed::<ResumeParams<'_>, RunResult>(store, instance, exports.resume.as_ref(), contract::RESUME),
        typed::<QueryParams<'_>, QueryResult>(store, instance, exports.query.as_ref(), contract::QUERY),
        typed::<CheckParams<'_>, CheckResult>(store, instance, exports.check.as_ref(), contract::CHECK),
    ];
    checks.into_iter().flatten().collect()
}

fn typed<P, R>(
    store: &mut Store<CallState>,
    instance: &Instance,
    export: Option<&ComponentExportIndex>,
    name: &str,
) -> Option<Problem>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let error = instance.get_typed_func::<P, R>(store, export?).err()?;
    Some(problems::export_mistyped(name, &error.root_cause().to_string()))
}
