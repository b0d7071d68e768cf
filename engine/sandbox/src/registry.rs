//! Which plugins are loaded, by digest, and which of them new flows see.
//!
//! Invariants:
//! - A digest, once here, is never replaced: calls in flight and instances pinned to it keep it.
//! - A plugin appears whole or not at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use stepwell_core::catalog::Catalog;

use crate::Digest;
use crate::load::Plugin;

#[derive(Default)]
pub(crate) struct Registry {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    by_digest: HashMap<Digest, Arc<Plugin>>,
    /// The digest that stands for (name, version); the last one loaded.
    live: BTreeMap<(String, String), Digest>,
}

impl Registry {
    pub(crate) fn get(&self, digest: &Digest) -> Option<Arc<Plugin>> {
        self.read(|state| state.by_digest.get(digest).cloned())
    }

    /// Makes a plugin stand for its name and version. Returns the one that is in force for its digest:
    /// the one that was here first.
    pub(crate) fn insert(&self, plugin: Arc<Plugin>) -> Arc<Plugin> {
        let name = (plugin.described.name.clone(), plugin.described.version.clone());
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.live.insert(name, plugin.digest);
        Arc::clone(state.by_digest.entry(plugin.digest).or_insert(plugin))
    }

    /// Keeps a plugin without making it stand for its name. Returns the one that is in force for its digest.
    pub(crate) fn keep(&self, plugin: Arc<Plugin>) -> Arc<Plugin> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(state.by_digest.entry(plugin.digest).or_insert(plugin))
    }

    /// Makes a plugin that is here stand for its name and version. `false`: it is not here, or did already.
    pub(crate) fn stand(&self, digest: &Digest) -> bool {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let Some(plugin) = state.by_digest.get(digest) else { return false };
        let name = (plugin.described.name.clone(), plugin.described.version.clone());
        state.live.insert(name, *digest) != Some(*digest)
    }

    /// Calls in flight finish; later ones find nothing.
    pub(crate) fn remove(&self, digest: &Digest) -> bool {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.live.retain(|_, live| live != digest);
        state.by_digest.remove(digest).is_some()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Plugin>> {
        self.read(|state| state.live.values().filter_map(|digest| state.by_digest.get(digest)).cloned().collect())
    }

    /// Of each `plugin/type@major`, the highest version that is not revoked; `more` as if it were here and stood for its
    /// name and version.
    pub(crate) fn catalog(&self, more: Option<&Arc<Plugin>>, revoked: &BTreeMap<Digest, String>) -> Catalog {
        let mut plugins = self.all();
        if let Some(more) = more {
            let named = |one: &Plugin| (one.described.name.clone(), one.described.version.clone());
            plugins.retain(|one| named(one) != named(more));
            plugins.push(Arc::clone(more));
        }
        plugins.retain(|one| !revoked.contains_key(&one.digest));
        // The catalogue keeps the last of those that share a name.
        plugins.sort_by_cached_key(|plugin| precedence(&plugin.described.version));
        let node_types = plugins.iter().flat_map(|plugin| &plugin.described.node_types);
        Catalog::new(node_types.map(|node_type| node_type.entry.clone()))
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Order of semantic versions: by number, and a pre-release before its release.
pub(crate) fn precedence(version: &str) -> (Vec<u64>, bool, String) {
    let version = version.split('+').next().unwrap_or_default();
    let (core, pre) = version.split_once('-').map_or((version, None), |(core, pre)| (core, Some(pre)));
    let numbers = core.split('.').map(|number| number.parse().unwrap_or(0)).collect();
    (numbers, pre.is_none(), pre.unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::precedence;

    #[test]
    fn versions_are_ordered_by_meaning() {
        let ordered = ["0.9.0", "1.0.0-alpha", "1.0.0-beta", "1.0.0", "1.2.0", "1.10.0", "2.0.0"];
        assert!(ordered.is_sorted_by_key(|version| precedence(version)));
    }
}
