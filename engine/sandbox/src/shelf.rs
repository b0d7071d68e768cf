//! Builds as they come to be loaded: brought by somebody, or called and had from where they are kept.
//!
//! Invariants:
//! - A build that is called and not here is loaded once, however many calls ask for it meanwhile, one build at a time.
//! - Nobody waits longer than their call may take; the loading goes on without them.
//!
//! Not here: the steps of a load (`load`), which build stands for its name (`registry`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stepwell_core::problem::Problem;
use tokio::sync::watch;

use crate::compile::Compiler;
use crate::engine::Engines;
use crate::limits::Limits;
use crate::load::{Examples, Hears, Loader, Plugin};
use crate::registry::Registry;
use crate::{Digest, Source};

pub(crate) struct Shelf {
    pub(crate) engines: Engines,
    pub(crate) compiler: Compiler,
    pub(crate) limits: Limits,
    pub(crate) registry: Registry,
    pub(crate) source: Option<Source>,
    /// Builds that are being fetched; of each, what came of it once that is known.
    fetching: Mutex<HashMap<Digest, watch::Receiver<Option<Fetched>>>>,
    /// Held while one is: each takes a processor and memory.
    turn: tokio::sync::Mutex<()>,
}

/// `None`: it is nowhere, or cannot be loaded.
type Fetched = Option<Arc<Plugin>>;

/// It is being loaded, and was not ready in time.
pub(crate) struct NotYet;

impl Shelf {
    pub(crate) fn new(engines: Engines, compiler: Compiler, limits: Limits) -> Self {
        let (registry, source) = (Registry::default(), None);
        let (fetching, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { engines, compiler, limits, registry, source, fetching, turn }
    }

    pub(crate) async fn bring(
        &self,
        wasm: Arc<[u8]>,
        examples: Examples,
        told: &Hears<'_>,
    ) -> Result<Arc<Plugin>, Vec<Problem>> {
        if let Some(plugin) = self.registry.get(&Digest::of(&wasm)) {
            return Ok(plugin);
        }
        let loader = Loader { engines: &self.engines, compiler: &self.compiler, limits: &self.limits };
        loader.load(wasm, examples, told).await.map(Arc::new)
    }

    /// A build that is loaded, or can be now: another engine may have taken it in a moment ago.
    pub(crate) async fn find(self: &Arc<Self>, digest: &str, within: Duration) -> Result<Fetched, NotYet> {
        let Ok(digest) = digest.parse() else { return Ok(None) };
        if let Some(plugin) = self.registry.get(&digest) {
            return Ok(Some(plugin));
        }
        if self.source.is_none() {
            return Ok(None);
        }
        let mut fetched = self.fetched(digest);
        match tokio::time::timeout(within, fetched.wait_for(Option::is_some)).await {
            Ok(told) => Ok(told.ok().and_then(|told| told.clone().flatten())),
            Err(_) => Err(NotYet),
        }
    }

    /// Where it is told what came of fetching a build, which begins unless it is under way.
    fn fetched(self: &Arc<Self>, digest: Digest) -> watch::Receiver<Option<Fetched>> {
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = fetching.get(&digest) {
            return told.clone();
        }
        let (tell, told) = watch::channel(None);
        fetching.insert(digest, told.clone());
        let under_way = UnderWay { shelf: Arc::clone(self), digest };
        tokio::spawn(async move {
            let found = Box::pin(under_way.shelf.fetch(digest)).await;
            drop(under_way);
            tell.send_replace(Some(found));
        });
        told
    }

    async fn fetch(&self, digest: Digest) -> Fetched {
        let source = self.source.as_ref()?;
        let _turn = self.turn.lock().await;
        if let Some(plugin) = self.registry.get(&digest) {
            return Some(plugin);
        }
        let wasm = source(digest).await?;
        // Kept under another name than it is asked for by, it is not what instances are pinned to.
        if Digest::of(&wasm) != digest {
            tracing::error!(%digest, "the bytes that are kept are not those of the digest");
            return None;
        }
        match self.bring(wasm.into(), Examples::Drop, &|_| {}).await {
            Ok(plugin) => {
                tracing::info!(%digest, plugin = plugin.described.name, "a build was loaded because it is called");
                // Called by what is pinned to it; whether new flows see it is not decided here.
                Some(self.registry.keep(plugin))
            }
            Err(problems) => {
                let why = problems.first().map_or("", |problem| problem.message.as_str());
                tracing::error!(%digest, why, "a build that is called cannot be loaded");
                None
            }
        }
    }
}

/// A build that is being fetched, until this is dropped, whatever becomes of the task.
struct UnderWay {
    shelf: Arc<Shelf>,
    digest: Digest,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.shelf.fetching.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.digest);
    }
}
