//! Turns a component's bytes into machine code, and keeps the code of earlier starts (`cache`).
//!
//! An engine compiles in a child: its own program, run again under limits of time, memory and size
//! (`child` is the parent's side, `inside` the child's). Who has no such program (the sandbox's own
//! tests, a plugin's author at his own machine) compiles here. Either way it is [`translate`] that does it.
//!
//! Invariants:
//! - Machine code reaches the unsafe `deserialize` only if this program made it, a moment ago or as
//!   the cache can prove. A damaged file is compiled anew.
//! - No bytes from outside are ever deserialized: a `.cwasm` that is uploaded is refused (`load`).
//! - At most [`AT_ONCE`] compilations at a time, so that hostile components cost so many cores for one while.
#![allow(unsafe_code, reason = "machine code made by this program is loaded back; see the SAFETY comments")]

mod cache;
pub(crate) mod child;
mod inside;

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stepwell_core::problem::Problem;
use tokio::sync::Semaphore;
use wasmtime::component::Component;
use wasmtime::{Engine, Precompiled};

use crate::limits::Limits;
use crate::load::{Hears, Stage};
use crate::{Digest, capabilities, problems};
use cache::Cache;
pub use child::Program;
pub use inside::{Caps, compile_for_parent};

/// Compilations at a time: a long one does not keep the next waiting, and no more than two cores are lost.
const AT_ONCE: usize = 2;

/// Why there is no machine code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    /// The component is at fault; all that is wrong with it.
    #[error("{}", .0.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Problem>),
    /// It took too long. The same bytes will take as long again.
    #[error("not compiled within {0} ms")]
    TooSlow(u64),
    /// It took more memory than a compilation may have.
    #[error("compiling it takes more than {0} bytes of memory")]
    TooHungry(u64),
    #[error("its machine code is larger than {0} bytes")]
    TooLarge(u64),
    /// The compiler fell over it.
    #[error("the compiler ended with {0}")]
    Crashed(String),
    /// The machine is at fault: nothing was found out about the component.
    #[error("no compiler could be started: {0}")]
    NotStarted(#[source] io::Error),
}

impl From<CompileError> for Vec<Problem> {
    fn from(error: CompileError) -> Self {
        let message = error.to_string();
        vec![match error {
            CompileError::Refused(problems) => return problems,
            CompileError::TooSlow(_) => problems::compile("PLUGIN_COMPILE_TIME", message)
                .fix("split very large functions (tables of data are better as data), or build for size"),
            CompileError::TooHungry(_) => problems::compile("PLUGIN_COMPILE_MEMORY", message)
                .fix("split very large functions, or build for size: opt-level=s, LTO; `wasm-opt -Os`"),
            CompileError::TooLarge(_) => problems::compile("PLUGIN_COMPILE_SIZE", message)
                .fix("build for size: opt-level=s, LTO, strip; `wasm-opt -Os`"),
            CompileError::Crashed(_) => problems::compile("PLUGIN_COMPILER_CRASHED", message)
                .fix("build it with another version of your toolchain; the engine goes on unharmed"),
            CompileError::NotStarted(_) => problems::compile("PLUGIN_COMPILER_NOT_STARTED", message)
                .fix("the machine lacks processes or memory: see the engine's log, then upload again"),
        }]
    }
}

pub(crate) struct Compiler {
    cache: Option<Cache>,
    /// Without one, compiled here.
    program: Option<Program>,
    turns: Arc<Semaphore>,
    limits: Limits,
}

impl Compiler {
    pub(crate) fn new(folder: Option<PathBuf>, limits: &Limits) -> io::Result<Self> {
        let cache = folder.map(Cache::open).transpose()?;
        Ok(Self { cache, program: None, turns: Arc::new(Semaphore::new(AT_ONCE)), limits: limits.clone() })
    }

    pub(crate) fn in_child(&mut self, program: Program) {
        self.program = Some(program);
    }

    /// The component, ready for `engine`.
    pub(crate) async fn compile(
        &self,
        engine: &Engine,
        digest: &Digest,
        wasm: Arc<[u8]>,
        told: &Hears<'_>,
    ) -> Result<Component, CompileError> {
        let place = self.cache.as_ref().map(|cache| cache.place(engine, digest));
        if let Some(place) = place.clone() {
            let engine = engine.clone();
            let kept = aside(move || {
                let code = place.read()?;
                load(&engine, &code)
                    .inspect_err(|reason| tracing::warn!(%reason, "cached machine code does not fit and is made anew"))
                    .ok()
            });
            if let Some(component) = kept.await? {
                return Ok(component);
            }
        }
        let code = self.translated(engine, wasm, told).await?;
        let engine = engine.clone();
        aside(move || {
            if let Some(place) = place
                && let Err(reason) = place.write(&code)
            {
                // The next start is slower, that is all.
                tracing::warn!(%reason, "machine code was not cached");
            }
            load(&engine, &code)
                .map_err(|error| CompileError::Refused(vec![problems::not_compiled(format!("{error:#}"))]))
        })
        .await?
    }

    async fn translated(&self, engine: &Engine, wasm: Arc<[u8]>, told: &Hears<'_>) -> Result<Vec<u8>, CompileError> {
        // Never closed.
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        if let Some(program) = &self.program {
            return child::compile(program, &self.limits, &wasm, told).await;
        }
        told(Stage::Imports);
        let engine = engine.clone();
        let work = aside(move || {
            // The turn goes with the thread: a compilation that overruns keeps it until it ends.
            let _turn = turn;
            translate(&engine, &wasm, || {})
        });
        let limit_ms = self.limits.compile_ms_max;
        match tokio::time::timeout(Duration::from_millis(limit_ms), work).await {
            Ok(code) => code?,
            Err(_) => Err(CompileError::TooSlow(limit_ms)),
        }
    }
}

/// Work that holds a thread for a while.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, CompileError> {
    tokio::task::spawn_blocking(work).await.map_err(|panic| CompileError::Crashed(panic.to_string()))
}

/// Looks at what a component imports, says so with `looked`, and compiles it.
fn translate(engine: &Engine, wasm: &[u8], looked: impl FnOnce()) -> Result<Vec<u8>, CompileError> {
    let component = as_component(wasm)?;
    // Before minutes are spent on it. What was compiled is looked at again (`load`), and that decides.
    let refused = capabilities::refused_early(&component);
    if !refused.is_empty() {
        return Err(CompileError::Refused(refused));
    }
    looked();
    engine
        .precompile_component(&component)
        .map_err(|error| CompileError::Refused(vec![problems::not_compiled(format!("{error:#}"))]))
}

/// A component as it is; a core module, as `cargo build --target wasm32-unknown-unknown` leaves it,
/// wrapped into one.
fn as_component(wasm: &[u8]) -> Result<Cow<'_, [u8]>, CompileError> {
    if wasm.starts_with(b"\0asm\x0d\0\x01\0") {
        return Ok(Cow::Borrowed(wasm));
    }
    let encoder = wit_component::ComponentEncoder::default().validate(true).module(wasm);
    let component = encoder.and_then(|mut encoder| encoder.encode());
    component.map(Cow::Owned).map_err(|error| {
        let why = format!("the file is a core module that no component can be made of: {error:#}");
        CompileError::Refused(vec![problems::not_a_component(&why)])
    })
}

fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    if Engine::detect_precompiled(code) != Some(Precompiled::Component) {
        wasmtime::bail!("it is no machine code of a component");
    }
    // SAFETY: `code` was made by this program: here or in its child a moment ago, or `cache` has found
    // it under this installation's own seal.
    unsafe { Component::deserialize(engine, code) }
}

/// The same component for another engine with the same settings but for allocation.
pub(crate) fn transfer(component: &Component, engine: &Engine) -> wasmtime::Result<Component> {
    let code = component.serialize()?;
    // SAFETY: the bytes come from a live component, so an engine of this process made them.
    unsafe { Component::deserialize(engine, code) }
}
