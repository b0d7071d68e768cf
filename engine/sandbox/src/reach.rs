//! The grants in force: what each build may reach for flows of each namespace, made once and kept.
//!
//! Invariants:
//! - A change holds for the next request and the next call, also of calls under way.
//! - What was counted against a bound stays counted when other grants change.
//!
//! Not here: what follows from grants (`grants::allowed`), where connections lead (`http::connections`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use http::Method;
use stepwell_core::problem::Problem;

use crate::Digest;
use crate::grants::{self, Allowed, Build, Grant, Grants, Narrowed, Taken};
use crate::http::connections::Target;
use crate::http::throttle::{Bound, Throttle};
use crate::load::Plugin;
use crate::manifest::Described;
use crate::reuse::{Idle, Places};

/// What is in force now.
#[derive(Debug, Default)]
pub(crate) struct InForce(RwLock<Arc<Reach>>);

/// Who calls: a build, for flows of a namespace.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) digest: Digest,
    pub(crate) namespace: String,
}

#[derive(Debug, Default)]
pub(crate) struct Reach {
    grants: Vec<Grant>,
    targets: HashMap<String, Arc<Target>>,
    /// By plugin and namespace as the grant names them, and connection.
    throttles: BTreeMap<(String, String, String), Arc<Throttle>>,
    known: RwLock<HashMap<Digest, HashMap<String, Arc<May>>>>,
    /// Of instances that wait for a call.
    places: Places,
}

/// What a build may do for flows of a namespace, ready for use.
#[derive(Debug)]
pub(crate) struct May {
    connections: HashMap<String, Way>,
    /// Types of records.
    pub(crate) records: Arc<HashSet<String>>,
    pub(crate) limits: Taken,
    /// The plugin and the namespace.
    pub(crate) whose: Arc<(String, String)>,
    /// Instances that may serve another call.
    pub(crate) idle: Mutex<Idle>,
}

/// How a build may use a connection.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) target: Arc<Target>,
    methods: Vec<Method>,
    paths: Vec<String>,
    pub(crate) throttle: Arc<Throttle>,
}

impl InForce {
    pub(crate) fn now(&self) -> Arc<Reach> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, grants: &Grants) -> Result<(), Vec<Problem>> {
        let mut now = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *now = Arc::new(Reach::new(grants, &now)?);
        Ok(())
    }
}

impl Reach {
    fn new(grants: &Grants, before: &Self) -> Result<Self, Vec<Problem>> {
        let problems = grants.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut targets = HashMap::new();
        for (name, connection) in &grants.connections {
            let mut target = connection.target(name)?;
            let counted = before.targets.get(name).map(|before| &before.throttle);
            if let Some(counted) = counted.filter(|counted| counted.bound() == target.throttle.bound()) {
                target.throttle = Arc::clone(counted);
            }
            targets.insert(name.clone(), Arc::new(target));
        }
        let mut throttles = BTreeMap::new();
        for grant in &grants.grants {
            for (name, narrowed) in &grant.connections {
                let Narrowed { rate_per_second, concurrency, .. } = *narrowed;
                let bound = Bound { rate_per_second, concurrency };
                let key = (grant.plugin.clone(), grant.namespace.clone(), name.clone());
                let counted = before.throttles.get(&key).filter(|counted| counted.bound() == bound);
                throttles.insert(key, counted.map_or_else(|| Arc::new(Throttle::new(bound)), Arc::clone));
            }
        }
        Ok(Self {
            grants: grants.grants.clone(),
            targets,
            throttles,
            known: RwLock::default(),
            places: Arc::clone(&before.places),
        })
    }

    /// What a build may do, decided when it first asks.
    pub(crate) fn of(&self, name: &str, version: &str, digest: &Digest, namespace: &str) -> Arc<May> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(may) = known.get(digest).and_then(|known| known.get(namespace)) {
            return Arc::clone(may);
        }
        drop(known);
        let text = digest.to_string();
        let allowed = grants::allowed(&self.grants, Build { name, version, digest: &text }, namespace);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let known = known.entry(*digest).or_default().entry(namespace.to_owned());
        let whose = Arc::new((name.to_owned(), namespace.to_owned()));
        Arc::clone(known.or_insert_with(|| Arc::new(self.may(allowed, whose))))
    }

    fn may(&self, allowed: Allowed, whose: Arc<(String, String)>) -> May {
        let Allowed { connections, records, by, limits } = allowed;
        let way = |name: String, narrowed: Narrowed| {
            let (plugin, namespace) = by.get(&name)?;
            let throttle = self.throttles.get(&(plugin.clone(), namespace.clone(), name.clone()))?;
            let methods = narrowed.methods.iter().filter_map(|method| Method::from_bytes(method.as_bytes()).ok());
            let way = Way {
                target: Arc::clone(self.targets.get(&name)?),
                methods: methods.collect(),
                paths: narrowed.paths,
                throttle: Arc::clone(throttle),
            };
            Some((name, way))
        };
        let connections = connections.into_iter().filter_map(|(name, narrowed)| way(name, narrowed)).collect();
        let (records, idle) =
            (Arc::new(records.into_iter().collect()), Mutex::new(Idle::new(Arc::clone(&self.places))));
        May { connections, records, limits, whose, idle }
    }

    /// A connection, whoever may use it.
    pub(crate) fn target(&self, connection: &str) -> Option<Arc<Target>> {
        self.targets.get(connection).cloned()
    }

    /// Drops instances that waited too long for a call.
    pub(crate) fn prune(&self, now: Instant) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        for may in known.values().flat_map(HashMap::values) {
            may.idle.lock().unwrap_or_else(PoisonError::into_inner).prune(now);
        }
    }

    /// A build that is not called any more keeps no instances.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }
}

impl Caller {
    /// A build that is called for a flow of a namespace.
    pub(crate) fn of(plugin: &Plugin, namespace: &str) -> Self {
        let Described { name, version, .. } = &plugin.described;
        Self { name: name.clone(), version: version.clone(), digest: plugin.digest, namespace: namespace.to_owned() }
    }

    pub(crate) fn may(&self, reach: &Reach) -> Arc<May> {
        reach.of(&self.name, &self.version, &self.digest, &self.namespace)
    }
}

impl May {
    pub(crate) fn way(&self, connection: &str) -> Option<&Way> {
        self.connections.get(connection)
    }
}

impl Way {
    pub(crate) fn allows(&self, method: &Method) -> bool {
        self.target.allows(method) && (self.methods.is_empty() || self.methods.contains(method))
    }

    /// Whether a path, as the guest writes it, is one of those granted or below one.
    pub(crate) fn leads_to(&self, path: &str) -> bool {
        let below = |granted: &String| {
            let rest = path.strip_prefix(granted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || granted.ends_with('/'))
        };
        self.paths.is_empty() || self.paths.iter().any(below)
    }
}
