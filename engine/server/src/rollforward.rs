//! Publishes anew, with another build of a plugin, the flows whose newest version is pinned to an older one.
//!
//! Invariants:
//! - Each flow is on its own: it is checked, and published or left as it is, whatever becomes of the others.
//! - A flow or template goes before those that call or extend it, so that these are pinned to its new version.
//!
//! Not here: how a document becomes a version (`library`).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use stepwell_core::catalog::Catalog;
use stepwell_core::problem::{Problem, Severity};
use stepwell_runtime::journal::Unavailable;
use stepwell_sandbox::{Digest, PluginInfo};
use stepwell_store::Act;

use crate::http::App;
use crate::library::{PublishError, Request};

const PROBLEMS_MAX: usize = 20;

/// What became of a flow, or would.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Moved {
    pub flow: String,
    /// Its newest version, as it was.
    pub from_version: u32,
    pub outcome: Outcome,
    /// The version that was published.
    pub version: Option<u32>,
    /// Why it would break, or stays.
    pub problems: Vec<Problem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Published anew.
    Done,
    /// It can be.
    Ready,
    /// The checker refuses it with the other build.
    WouldBreak,
    /// It calls a version by its number, and that stays as it is.
    Stays,
    /// Only older versions use the build.
    NotNeeded,
}

/// Why nothing can be rolled forward.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// No such build is loaded.
    Unknown(String),
    /// It cannot take the other's place.
    Unfit(String),
}

/// From one build to another.
pub(crate) struct Way {
    from: PluginInfo,
    pub to: PluginInfo,
    /// As it is once `to` stands for all that `from` did.
    node_types: Catalog,
}

impl Way {
    /// `to`: what flows get now, unless a digest is given.
    pub(crate) fn find(app: &App, from: &str, to: Option<&str>) -> Result<Self, Unfit> {
        let sandbox = app.engine.nodes();
        let loaded = |digest: &str| {
            let found = digest.parse().ok().and_then(|digest: Digest| sandbox.plugin(&digest));
            found.ok_or_else(|| Unfit::Unknown(format!("no build with digest {digest} is loaded")))
        };
        let from = loaded(from)?;
        let mut node_types = sandbox.catalog();
        let to = if let Some(to) = to {
            loaded(to)?
        } else {
            let now = from.node_types.iter().find_map(|one| node_types.get(&one.uses));
            let now = now.filter(|now| now.digest != from.digest.to_string());
            let none = || Unfit::Unfit(format!("no other build of {}@{} is live", from.name, major(&from.version)));
            loaded(&now.ok_or_else(none)?.digest.clone())?
        };
        let unfit = |why: String| Err(Unfit::Unfit(why));
        if to.digest == from.digest {
            return unfit("it is the same build".to_owned());
        }
        if to.name != from.name || major(&to.version) != major(&from.version) {
            let (from, to) = (format!("{}@{}", from.name, from.version), format!("{}@{}", to.name, to.version));
            return unfit(format!("{to} does not stand for {from}: a flow that uses it names another node type"));
        }
        if sandbox.revoked().contains_key(&to.digest) {
            return unfit(format!("{}@{} is revoked", to.name, to.version));
        }
        node_types.node_types.retain(|_, one| one.digest != from.digest.to_string());
        node_types.node_types.extend(to.node_types.iter().map(|one| (one.uses.clone(), one.clone())));
        Ok(Self { from, to, node_types })
    }

    /// Takes each flow over, or says what would come of it.
    pub(crate) async fn go(&self, app: &App, dry_run: bool, act: &Act) -> Result<Vec<Moved>, Unavailable> {
        let mut pending = pending(app, &self.from.digest.to_string()).await?;
        let mut moved: Vec<Moved> = Vec::new();
        pending.retain(|one| {
            if !one.needed {
                moved.push(one.is(Outcome::NotNeeded));
            }
            one.needed
        });
        let mut gone: BTreeSet<String> = BTreeSet::new();
        while !pending.is_empty() {
            let waits = |one: &Pending| pending.iter().any(|other| one.calls.contains(&other.flow));
            let next = pending.iter().position(|one| !waits(one)).unwrap_or_default();
            let one = pending.remove(next);
            let came = Box::pin(self.one(app, &one, dry_run, act, &gone)).await?;
            if matches!(came.outcome, Outcome::Done | Outcome::Ready) {
                gone.insert(one.flow);
            }
            moved.push(came);
        }
        Ok(moved)
    }

    async fn one(
        &self,
        app: &App,
        one: &Pending,
        dry_run: bool,
        act: &Act,
        gone: &BTreeSet<String>,
    ) -> Result<Moved, Unavailable> {
        let checked = app.library.check_under(&one.document, self.node_types.clone()).await;
        let Some(flow) = checked.flow else { return Ok(one.broken(checked.problems)) };
        let from = self.from.digest.to_string();
        let stays = flow.callees().any(|callee| *callee.digest == *from);
        // In a dry run, what it calls has not been published yet.
        let follows = dry_run && one.calls.iter().any(|called| gone.contains(called));
        if stays && !follows {
            let message = "a flow that it calls stays pinned to the older build".to_owned();
            let problem = Problem::error("STAYS_PINNED", "/nodes", message)
                .fix("publish it with a call of the newer version of that flow");
            return Ok(Moved { problems: vec![problem], ..one.is(Outcome::Stays) });
        }
        if dry_run {
            return Ok(one.is(Outcome::Ready));
        }
        let request = Request {
            document: Arc::clone(&one.document),
            label: None,
            revision: None,
            file: None,
            node_types: Some(self.node_types.clone()),
            // Only who may do so in all of them rolls forward.
            everywhere: true,
            act: act.clone(),
        };
        match app.library.publish(request).await {
            Ok(done) if done.known => Ok(one.is(Outcome::NotNeeded)),
            Ok(done) => Ok(Moved { version: Some(done.version), ..one.is(Outcome::Done) }),
            Err(PublishError::Problems(problems)) => Ok(one.broken(problems)),
            Err(PublishError::Unavailable(error)) => Err(error),
            // Neither a draft's revision nor a file was named, nor is anything out of reach.
            Err(error @ (PublishError::DraftMoved(_) | PublishError::FileSeen | PublishError::Everywhere(_))) => {
                Err(Unavailable(error.to_string()))
            }
        }
    }
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or_default()
}

/// A flow with a version that is pinned to the older build.
struct Pending {
    flow: String,
    version: u32,
    document: Arc<Value>,
    /// Its newest version is.
    needed: bool,
    /// Flows that it calls.
    calls: BTreeSet<String>,
}

impl Pending {
    fn is(&self, outcome: Outcome) -> Moved {
        Moved { flow: self.flow.clone(), from_version: self.version, outcome, version: None, problems: Vec::new() }
    }

    fn broken(&self, problems: Vec<Problem>) -> Moved {
        let errors = problems.into_iter().filter(|one| one.severity == Severity::Error);
        Moved { problems: errors.take(PROBLEMS_MAX).collect(), ..self.is(Outcome::WouldBreak) }
    }
}

async fn pending(app: &App, digest: &str) -> Result<Vec<Pending>, Unavailable> {
    let store = app.engine.journal();
    let users = store.plugin_used(digest).await?.map(|(versions, _)| versions).unwrap_or_default();
    let flows: BTreeSet<String> = users.iter().filter(|user| !user.retired).map(|user| user.flow.clone()).collect();
    let mut pending = Vec::with_capacity(flows.len());
    for flow in flows {
        let Some(newest) = store.version(&flow, None).await? else { continue };
        let needed = users.iter().any(|user| user.flow == flow && user.version == newest.version);
        let catalog: Catalog = serde_json::from_value((*newest.definition.catalog).clone())
            .map_err(|error| Unavailable(format!("the node types of {flow} cannot be read: {error}")))?;
        let calls =
            catalog.flows.into_values().chain(catalog.templates.into_values()).map(|called| called.key).collect();
        pending.push(Pending { flow, version: newest.version, document: newest.definition.document, needed, calls });
    }
    Ok(pending)
}
