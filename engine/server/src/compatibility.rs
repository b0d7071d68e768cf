//! What a build changes for the flows there are: the difference to the one it replaces (`core::compat`), and what the
//! checker says of every document that uses it, with it in force.
//!
//! Versions that are published stay pinned to what they have. That one "would break" says that it could not be published
//! again as it stands.
//!
//! Not here: publishing them again (`rollforward`).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use stepwell_core::catalog::Catalog;
use stepwell_core::compat::{self, Build, Report};
use stepwell_core::problem::{Problem, Severity};
use stepwell_runtime::journal::Unavailable;
use stepwell_sandbox::{PluginInfo, Ready};

use crate::http::App;

/// Flows that are looked at; more have to be published again to be known of.
const FLOWS_MAX: u32 = 2_000;
/// Documents that are named.
const BROKEN_MAX: usize = 100;
const PROBLEMS_MAX: usize = 10;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Compatibility {
    /// The build that it is compared with.
    pub replaces: Replaced,
    pub report: Report,
    /// Documents that use it: drafts, and versions that starts get.
    pub checked: usize,
    /// Those of them that would have errors they do not have now.
    pub broken: Vec<Broken>,
    /// All of them were looked at, and all that would break are named.
    pub whole: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Replaced {
    pub version: String,
    pub digest: String,
}

/// A document that could not go on as it is.
#[derive(Debug, Serialize)]
pub(crate) struct Broken {
    pub flow: String,
    /// None: its draft.
    pub version: Option<u32>,
    pub problems: Vec<Problem>,
}

/// The report on a build; `None` where there is nothing that it replaces. `Err`: `against` names no build of its name.
pub(crate) async fn of(
    app: &App,
    ready: &Ready,
    against: Option<&str>,
) -> Result<Result<Option<Compatibility>, Problem>, Unavailable> {
    let new = ready.info();
    let old = match against {
        None => newest(app, &new),
        Some(against) => match against.parse().ok().and_then(|digest| app.engine.nodes().plugin(&digest)) {
            Some(old) if old.name == new.name => Some(old),
            _ => {
                let message = format!("there is no build {against} of {} to compare with", new.name);
                return Ok(Err(Problem::error("PLUGIN_NOT_COMPARED", "", message)));
            }
        },
    };
    let Some(old) = old else { return Ok(Ok(None)) };
    let report = compat::compare(build(&old), build(&new));
    let mut uses: BTreeSet<String> = old.node_types.iter().chain(&new.node_types).map(|one| one.uses.clone()).collect();
    let aliases = app.engine.journal().aliases().await?;
    uses.extend(
        aliases.into_iter().filter(|(_, target)| uses.contains(target)).map(|(name, _)| name).collect::<Vec<_>>(),
    );
    let (checked, broken, whole) = broken(app, &uses, &app.engine.nodes().catalog_with(ready)).await?;
    let replaces = Replaced { version: old.version, digest: old.digest.to_string() };
    Ok(Ok(Some(Compatibility { replaces, report, checked, broken, whole })))
}

fn build(info: &PluginInfo) -> Build<'_> {
    Build { version: &info.version, effect: info.effect, imports: &info.imports, node_types: &info.node_types }
}

/// The one that flows get now: of its own version if there is one, else of the highest.
fn newest(app: &App, new: &PluginInfo) -> Option<PluginInfo> {
    let of_name =
        app.engine.nodes().plugins().into_iter().filter(|one| one.name == new.name && one.digest != new.digest);
    let (same, others): (Vec<_>, Vec<_>) = of_name.partition(|one| one.version == new.version);
    same.into_iter().chain(others).max_by_key(|one| (one.version == new.version, one.precedence()))
}

/// How many documents use one of these node types, which of them `node_types` would break, and whether that is all.
async fn broken(
    app: &App,
    uses: &BTreeSet<String>,
    node_types: &Catalog,
) -> Result<(usize, Vec<Broken>, bool), Unavailable> {
    let store = app.engine.journal();
    let (mut checked, mut broken) = (0, Vec::new());
    let flows = store.flows(None, FLOWS_MAX + 1).await?;
    let mut whole = flows.len() <= FLOWS_MAX as usize;
    for flow in flows.into_iter().take(FLOWS_MAX as usize) {
        let mut documents: Vec<(Option<u32>, Arc<Value>)> = Vec::new();
        if flow.has_draft
            && let Some(draft) = store.draft(&flow.key).await?
        {
            documents.push((None, draft.document));
        }
        for version in started(app, &flow.key) {
            if let Some(found) = store.version(&flow.key, Some(version)).await? {
                documents.push((Some(version), found.definition.document));
            }
        }
        for (version, document) in documents.into_iter().filter(|(_, document)| names(document, uses)) {
            checked += 1;
            let problems = new_errors(app, &document, node_types).await;
            if problems.is_empty() {
                continue;
            }
            if broken.len() == BROKEN_MAX {
                whole = false;
            } else {
                broken.push(Broken { flow: flow.key.clone(), version, problems });
            }
        }
    }
    Ok((checked, broken, whole))
}

/// The versions of a flow that starts get by themselves: the newest, and what its binding names.
fn started(app: &App, flow: &str) -> BTreeSet<u32> {
    let Some(known) = app.library.table().flow(flow) else { return BTreeSet::new() };
    let bound = known.binding.as_ref().map(|binding| binding.named().to_vec()).unwrap_or_default();
    bound.into_iter().chain([known.newest]).collect()
}

/// Does a document use one of these, at any depth?
pub(crate) fn names(document: &Value, uses: &BTreeSet<String>) -> bool {
    match document {
        Value::Object(map) => {
            map.get("uses").and_then(Value::as_str).is_some_and(|one| uses.contains(one))
                || map.values().any(|value| names(value, uses))
        }
        Value::Array(list) => list.iter().any(|value| names(value, uses)),
        _ => false,
    }
}

/// Errors that a document has with these node types, and not with those at hand.
async fn new_errors(app: &App, document: &Value, node_types: &Catalog) -> Vec<Problem> {
    let errors = |problems: Vec<Problem>| problems.into_iter().filter(|one| one.severity == Severity::Error);
    let then = Box::pin(app.library.check_under(document, node_types.clone())).await;
    let mut then: Vec<Problem> = errors(then.problems).collect();
    if then.is_empty() {
        return then;
    }
    let now: Vec<Problem> = errors(Box::pin(app.library.check(document)).await.problems).collect();
    then.retain(|one| now.iter().all(|known| (&known.code, &known.pointer) != (&one.code, &one.pointer)));
    then.truncate(PROBLEMS_MAX);
    then
}
