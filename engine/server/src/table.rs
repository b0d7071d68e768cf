//! What starts are decided by, held in memory and compiled: the versions that can be started, each
//! flow's binding, and what each path below `/t/` leads to.
//!
//! Invariant: a table is one reading of the store, whole; it is replaced, never changed.
//!
//! Not here: when it is read anew (`library`, `follow`), and what rules mean (`core::bind`).

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwell_core::bind::{Binding, Checked, Route, Versions};
use stepwell_core::table::{self, Published};
use stepwell_store::Doors;

/// How long the caller of a flow's own path (`/t/<key>`) is kept.
const OWN_PATH_WAIT_MS: u64 = 10_000;

/// A published flow.
#[derive(Debug)]
pub(crate) struct Known {
    pub key: Arc<str>,
    pub versions: Versions,
    pub newest: u32,
    pub binding: Option<Binding>,
}

/// How a path that a flow names is served; kept with the version it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TriggerSpec {
    /// Anyone who reaches the port may ask.
    pub open: bool,
    /// Who asks is known by a signature; the flow says which.
    #[serde(default)]
    pub signed: bool,
    pub wait_ms: u64,
}

/// What a path leads to.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    Flow(Arc<Known>, TriggerSpec),
    Route(Arc<Route>),
}

impl Way {
    /// Whether anyone may ask, and how long a caller is kept.
    pub(crate) fn spec(&self) -> TriggerSpec {
        match self {
            Self::Flow(_, spec) => *spec,
            Self::Route(route) => TriggerSpec { open: route.open, signed: false, wait_ms: route.wait_ms },
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    flows: HashMap<Arc<str>, Arc<Known>>,
    paths: HashMap<String, Way>,
    /// The tables that routes ask, in their newest versions.
    tables: HashMap<String, (u32, Arc<Published>)>,
}

impl Table {
    pub(crate) fn new(mut doors: Doors) -> Self {
        let mut table = Self::default();
        for (key, version, document) in doors.tables {
            if let Some(asked) = table::check(&document).table {
                table.tables.insert(key, (version, Arc::new(asked)));
            } else {
                tracing::error!(key, version, "a published table cannot be read by this engine");
            }
        }
        for route in doors.routes {
            let checked = Route::check(&route.spec, |flow| doors.flows.get(flow));
            if let Some(rules) = sound("route", &route.name, checked) {
                table.paths.insert(route.name, Way::Route(Arc::new(rules)));
            }
        }
        let mut bindings: HashMap<String, Binding> = HashMap::new();
        for binding in doors.bindings {
            let Some(versions) = doors.flows.get(&binding.name) else { continue };
            if let Some(rules) = sound("binding", &binding.name, Binding::check(&binding.spec, versions)) {
                bindings.insert(binding.name, rules);
            }
        }
        for (key, versions) in std::mem::take(&mut doors.flows) {
            let Some(newest) = versions.newest() else { continue };
            let (binding, key) = (bindings.remove(&key), Arc::<str>::from(key));
            table.flows.insert(key.clone(), Arc::new(Known { key, versions, newest, binding }));
        }
        for row in doors.triggers {
            let Some(known) = table.flows.get(row.flow.as_str()) else { continue };
            match serde_json::from_value(row.spec) {
                Ok(spec) => {
                    table.paths.insert(row.path, Way::Flow(known.clone(), spec));
                }
                Err(error) => tracing::error!(path = row.path, %error, "a stored trigger cannot be read"),
            }
        }
        table
    }

    pub(crate) fn flow(&self, key: &str) -> Option<Arc<Known>> {
        self.flows.get(key).cloned()
    }

    /// What a path below `/t/` leads to: what a flow or a route names, or else the flow of that key.
    pub(crate) fn way(&self, path: &str) -> Option<Way> {
        let own = TriggerSpec { open: false, signed: false, wait_ms: OWN_PATH_WAIT_MS };
        self.paths.get(path).cloned().or_else(|| Some(Way::Flow(self.flow(path)?, own)))
    }

    /// The newest version of a table that a route asks.
    pub(crate) fn asked(&self, key: &str) -> Option<(u32, Arc<Published>)> {
        self.tables.get(key).cloned()
    }

    /// Checks a route against the flows of this moment.
    pub(crate) fn check_route(&self, document: &serde_json::Value) -> Checked<Route> {
        Route::check(document, |flow| self.flows.get(flow).map(|known| &known.versions))
    }
}

/// Rules that were kept go on, also where something they name is gone; the log says so.
fn sound<T>(kind: &str, name: &str, checked: Checked<T>) -> Option<T> {
    for problem in &checked.problems {
        tracing::warn!(kind, name, at = problem.pointer, problem.message, "stored rules are not as they were");
    }
    if checked.rules.is_none() {
        tracing::error!(kind, name, "stored rules cannot be used");
    }
    checked.rules
}
