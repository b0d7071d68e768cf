//! Who needs what: which versions and plugins are in use and by whom, and taking away what nobody needs.
//!
//! Invariants:
//! - A version is needed while it is the newest, a binding or a route names it, or an instance that has
//!   not ended runs on it. A flow that calls it has a copy of its own. A plugin is needed while a version
//!   that can be started is pinned to it; an instance that has not ended needs its version, and so its
//!   plugins.
//! - It is decided in the transaction that takes it away. A start shares its version's row until its
//!   commit (`admission`), and whoever takes the version back locks that row first: either the start is
//!   seen here, or the start sees that the version is gone. Publishing holds [`PLUGINS`], as removing does.
//! - A version that kept instances ran on, be it before they were migrated, is not deleted but taken back: their
//!   history needs its drawing.
//!
//! Not here: what a binding or a route names (`core::bind`).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value as Json, json};
use stepwell_core::bind::{Route, Versions};
use stepwell_runtime::journal::Unavailable;

use crate::administration::audit;
use crate::bindings::{binding, in_force, routes};
use crate::feed::{Change, notice};
use crate::flows::PATHS;
use crate::rows::{integer, json as read_json, natural};
use crate::sql::{Db, Result, values};
use crate::tx::Tx;
use crate::{Act, Store, Within};

/// Stands for all plugins; none can be called that.
pub(crate) const PLUGINS: &str = "/plugins/";
/// Of each kind, taken away by one collection.
const GARBAGE_MAX: usize = 1_000;

/// Why something cannot go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Need {
    /// Starts get the newest version.
    Newest { flow: String, version: u32 },
    /// The flow's binding names it.
    Binding { flow: String, version: u32 },
    /// A route names it.
    Route { path: String, flow: String, version: u32 },
    /// Instances that have not ended run on it.
    Instances { flow: String, version: u32, count: u64 },
    /// A version that can be started is pinned to it.
    Version { flow: String, version: u32 },
}

impl Need {
    /// Of the version that is needed, or that needs it.
    pub fn flow(&self) -> &str {
        match self {
            Self::Newest { flow, .. }
            | Self::Binding { flow, .. }
            | Self::Route { flow, .. }
            | Self::Instances { flow, .. }
            | Self::Version { flow, .. } => flow,
        }
    }
}

/// What became of a wish to take something away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    Gone,
    /// Kept for the history of its instances; nothing is started on it any more.
    Retired,
    /// All who need it. Nothing was done.
    Needed(Vec<Need>),
    Unknown,
}

/// A flow, and who uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhereUsed {
    /// The newest first.
    pub versions: Vec<VersionUse>,
    /// Paths below `/t/` that its newest version names, beside its key.
    pub triggers: Vec<String>,
    /// Paths of routes that lead to it, or ask it.
    pub routes: Vec<String>,
    pub has_binding: bool,
    /// Versions of other documents that call it, extend it, or use it.
    pub called_by: Vec<UsedBy>,
    /// Those whose draft does.
    pub drafts: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionUse {
    pub version: u32,
    pub label: Option<String>,
    /// Nothing is started on it any more.
    pub retired: bool,
    /// Instances that have not ended.
    pub live: u64,
    /// Ended instances that are kept.
    pub ended: u64,
    /// Empty: it can be deleted.
    pub needed_by: Vec<Need>,
}

/// A version that uses something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsedBy {
    pub flow: String,
    pub version: u32,
    pub retired: bool,
    /// Instances that have not ended.
    pub live: u64,
    /// Why the version itself cannot go.
    pub needed_by: Vec<Need>,
}

/// What nobody needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Garbage {
    pub versions: Vec<Unneeded>,
    pub plugins: Vec<UnneededPlugin>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unneeded {
    pub flow: String,
    pub version: u32,
    pub label: Option<String>,
    /// Kept instances ran on it: it is taken back, and its row stays.
    pub kept: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnneededPlugin {
    pub digest: String,
    pub name: String,
    pub version: String,
    pub bytes: u64,
}

/// The digests that a version's catalogue names, for itself and for the flows it calls.
pub(crate) fn digests(catalog: &Json) -> BTreeSet<&str> {
    let each = |part: &str| catalog.get(part).and_then(Json::as_object).into_iter().flat_map(serde_json::Map::values);
    let own = each("nodeTypes").filter_map(|one| one.get("digest")?.as_str());
    let called = each("flows").filter_map(|one| one.get("catalog")).flat_map(digests);
    own.chain(called).collect()
}

/// What decides over versions, as of one moment.
struct Scene {
    flows: BTreeMap<String, Versions>,
    routes: Vec<(String, Route)>,
}

impl Scene {
    fn read(db: &mut Db) -> Result<Self> {
        let flows = in_force(db, None)?;
        let routes = routes(db, &flows)?;
        Ok(Self { flows, routes })
    }

    /// All who need a version.
    fn needs(&self, db: &mut Db, flow: &str, version: u32) -> Result<Vec<Need>> {
        let mut needs = Vec::new();
        let none = Versions::default();
        let versions = self.flows.get(flow).unwrap_or(&none);
        let of = |flow: &str| (flow.to_owned(), version);
        if versions.newest() == Some(version) {
            let (flow, version) = of(flow);
            needs.push(Need::Newest { flow, version });
        }
        if binding(db, flow, versions)?.is_some_and(|binding| binding.named().contains(&version)) {
            let (flow, version) = of(flow);
            needs.push(Need::Binding { flow, version });
        }
        for (path, route) in &self.routes {
            if route.named().iter().any(|(named, one)| **named == *flow && *one == Some(version)) {
                let (flow, version) = of(flow);
                needs.push(Need::Route { path: path.clone(), flow, version });
            }
        }
        let count = live(db, flow, version)?;
        if count > 0 {
            let (flow, version) = of(flow);
            needs.push(Need::Instances { flow, version, count });
        }
        Ok(needs)
    }
}

/// Instances of a version that have not ended.
fn live(db: &mut Db, flow: &str, version: u32) -> Result<u64> {
    // The first half says to the planner that the partial index covers it.
    let sql = "select count(*) from instance {by instance_by_state}
               where state <> 5 and state <= 4 and flow = ?1 and version = ?2";
    db.only(sql, &values![flow, version], |row| natural(row, 0))
}

/// Instances of a version that are kept, whatever their state: the tally is written with them.
fn kept(db: &mut Db, flow: &str, version: u32) -> Result<u64> {
    let sql = "select cast(coalesce(sum(instances), 0) as bigint) from tally where flow = ?1 and version = ?2";
    db.only(sql, &values![flow, version], |row| natural(row, 0))
}

/// Kept instances that ran on a version before they were migrated to another.
fn moved_on(db: &mut Db, flow: &str, version: u32) -> Result<u64> {
    let sql = "select count(*) from ran_before where flow = ?1 and version = ?2";
    db.only(sql, &values![flow, version], |row| natural(row, 0))
}

fn remove_version(tx: &mut Tx<'_>, act: &Act, flow: &str, version: u32) -> Result<Removed> {
    tx.hold_all(&BTreeSet::from([("", PATHS), ("", flow)]))?;
    // From here on no start can be committed on it that is not seen below.
    let found: Option<bool> = tx.db.first(
        "select v.retired_ms is not null from version as v where v.flow = ?1 and v.version = ?2 {lock v}",
        &values![flow, version],
        |row| row.get(0),
    )?;
    let Some(retired) = found else { return Ok(Removed::Unknown) };
    let needs = Scene::read(tx.db)?.needs(tx.db, flow, version)?;
    if !needs.is_empty() {
        return Ok(Removed::Needed(needs));
    }
    let kept = kept(tx.db, flow, version)? + moved_on(tx.db, flow, version)?;
    if retired && kept > 0 {
        return Ok(Removed::Retired);
    }
    if kept > 0 {
        let sql = "update version set retired_ms = ?3 where flow = ?1 and version = ?2";
        tx.db.execute(sql, &values![flow, version, integer(act.at_ms)])?;
    } else {
        tx.db.execute("delete from version where flow = ?1 and version = ?2", &values![flow, version])?;
        tx.db.execute("delete from machine_action where flow = ?1 and version = ?2", &values![flow, version])?;
    }
    let detail = json!({ "version": version, "kept": kept });
    audit(tx, &act.by, act.at_ms, "version.delete", flow, &detail)?;
    notice(tx, act.at_ms, &Change::Retired { flow: flow.to_owned(), version })?;
    Ok(if kept > 0 { Removed::Retired } else { Removed::Gone })
}

/// A version and the builds that its own node types are pinned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    pub flow: String,
    pub version: u32,
    pub digests: BTreeSet<String>,
}

impl Store {
    /// What each version is pinned to, in one reading; `of` one build alone.
    pub async fn pinned(&self, within: Within, of: Option<&str>) -> std::result::Result<Vec<Pinned>, Unavailable> {
        let of = of.map_or_else(String::new, str::to_owned);
        self.read(move |db| {
            // A digest stands in a catalogue as nothing else. Catalogues are large: each is let go once it is looked at.
            let within = within.condition("flow");
            let sql = format!(
                "select flow, version, catalog from (select flow, version, catalog from version
                     union all select flow, version, catalog from machine_action) as pinned
                 where catalog like '%' || ?1 || '%' and {within} order by flow, version"
            );
            let mut all: Vec<Pinned> = db.query(&sql, &values![&of], |row| {
                let catalog: Json = read_json(row, 2)?;
                let own = catalog.get("nodeTypes").and_then(Json::as_object).into_iter().flatten();
                let digests = own.filter_map(|(_, one)| one.get("digest")?.as_str());
                let digests = digests.filter(|one| of.is_empty() || *one == of).map(str::to_owned).collect();
                Ok(Pinned { flow: row.get(0)?, version: row.get(1)?, digests })
            })?;
            // What was plugged into a machine is its version's.
            all.dedup_by(|next, one| {
                let same = (&next.flow, next.version) == (&one.flow, one.version);
                if same {
                    one.digests.append(&mut next.digests);
                }
                same
            });
            Ok(all)
        })
        .await
    }
}

/// Versions pinned to a plugin: flow, version, taken back.
fn pinned(db: &mut Db, digest: &str) -> Result<Vec<(String, u32, bool)>> {
    // A digest stands in a catalogue as nothing else.
    let sql = "select flow, version, retired_ms is not null from version as v where catalog like '%' || ?1 || '%'
               or exists (select 1 from machine_action as a where a.flow = v.flow and a.version = v.version
                   and a.catalog like '%' || ?1 || '%')
               order by flow, version desc";
    db.query(sql, &values![digest], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

fn remove_plugin(tx: &mut Tx<'_>, act: &Act, digest: &str) -> Result<Removed> {
    tx.hold(PLUGINS)?;
    let named = "select name, version from plugin where digest = ?1";
    let found: Option<(String, String)> = tx.db.first(named, &values![digest], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some((name, version)) = found else { return Ok(Removed::Unknown) };
    let users = pinned(tx.db, digest)?.into_iter().filter(|(.., retired)| !retired);
    let needs: Vec<Need> = users.map(|(flow, version, _)| Need::Version { flow, version }).collect();
    if !needs.is_empty() {
        return Ok(Removed::Needed(needs));
    }
    tx.db.execute("delete from plugin where digest = ?1", &values![digest])?;
    let target = format!("{name}@{version}");
    audit(tx, &act.by, act.at_ms, "plugin.delete", &target, &json!({ "digest": digest }))?;
    notice(tx, act.at_ms, &Change::PluginRemoved { name, version, digest: digest.to_owned() })?;
    Ok(Removed::Gone)
}

/// `in_force` are digests that new versions would be pinned to.
fn garbage(db: &mut Db, before_ms: u64, in_force: &BTreeSet<String>) -> Result<Garbage> {
    let scene = Scene::read(db)?;
    let mut garbage = Garbage::default();
    // Since the next one was published, nobody got it by itself.
    let passed = db.query(
        "select v.flow, v.version, v.label, v.retired_ms is not null from version as v
         where exists (select 1 from version as next
             where next.flow = v.flow and next.version > v.version and next.published_ms < ?1)
         order by v.flow, v.version",
        &values![integer(before_ms)],
        |row| {
            Ok((Unneeded { flow: row.get(0)?, version: row.get(1)?, label: row.get(2)?, kept: 0 }, row.get::<bool>(3)?))
        },
    )?;
    for (mut one, retired) in passed {
        if garbage.versions.len() < GARBAGE_MAX && scene.needs(db, &one.flow, one.version)?.is_empty() {
            one.kept = kept(db, &one.flow, one.version)? + moved_on(db, &one.flow, one.version)?;
            // One that was taken back goes once nothing is kept that needs its drawing.
            if !retired || one.kept == 0 {
                garbage.versions.push(one);
            }
        }
    }
    let plugins = db.query(
        "select digest, name, version, bytes from plugin where loaded_ms < ?1 order by name, version, loaded_ms",
        &values![integer(before_ms)],
        |row| {
            let (digest, name, version) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(UnneededPlugin { digest, name, version, bytes: natural(row, 3)? })
        },
    )?;
    for one in plugins.into_iter().filter(|one| !in_force.contains(&one.digest)) {
        let goes =
            |flow: &str, version: u32| garbage.versions.iter().any(|gone| gone.flow == flow && gone.version == version);
        let users = pinned(db, &one.digest)?;
        if garbage.plugins.len() < GARBAGE_MAX && users.iter().all(|(flow, n, retired)| *retired || goes(flow, *n)) {
            garbage.plugins.push(one);
        }
    }
    Ok(garbage)
}

/// Does a document have an object for which this holds, at any depth?
fn any(document: &Json, holds: &impl Fn(&serde_json::Map<String, Json>) -> bool) -> bool {
    match document {
        Json::Object(map) => holds(map) || map.values().any(|value| any(value, holds)),
        Json::Array(list) => list.iter().any(|value| any(value, holds)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// What was plugged into machines since they were published, and names the flow somewhere.
fn plugged_callers(db: &mut Db, flow: &str) -> Result<Vec<(String, u32, Json)>> {
    db.query(
        "select a.flow, a.version, a.catalog from machine_action as a
         join version as v on v.flow = a.flow and v.version = a.version
         where v.retired_ms is null and a.catalog like '%\"key\":' || ?1 || '%'
         order by a.flow, a.version desc, a.revision",
        &values![Json::from(flow).to_string()],
        |row| Ok((row.get(0)?, row.get(1)?, read_json(row, 2)?)),
    )
}

/// Does a document call this flow, extend this template, or use this table, itself?
fn calls(document: &Json, flow: &str) -> bool {
    let called = |of: &str| of.strip_prefix(flow).is_some_and(|rest| rest.is_empty() || rest.starts_with('@'));
    let named =
        |fields: &serde_json::Map<String, Json>, field| fields.get(field).and_then(Json::as_str).is_some_and(called);
    any(document, &|node| match node.get("type").and_then(Json::as_str) {
        Some("call") => named(node, "flow"),
        Some("decision") => named(node, "table"),
        _ => node.contains_key("stepwell") && named(node, "extends"),
    })
}

/// Is a version pinned to this flow, template or table, itself or by its template?
fn is_pinned(catalog: &Json, flow: &str) -> bool {
    ["flows", "templates", "tables"].into_iter().any(|kind| {
        let pinned = catalog.get(kind).and_then(Json::as_object).into_iter().flat_map(serde_json::Map::values);
        pinned.into_iter().any(|one| one.get("key").and_then(Json::as_str) == Some(flow))
    })
}

fn drafts_where(db: &mut Db, holds: impl Fn(&Json) -> bool) -> Result<Vec<String>> {
    let drafts: Vec<(String, Json)> =
        db.query("select flow, document from draft order by flow", &[], |row| Ok((row.get(0)?, read_json(row, 1)?)))?;
    Ok(drafts.into_iter().filter(|(_, document)| holds(document)).map(|(flow, _)| flow).collect())
}

fn flow_used(db: &mut Db, flow: &str) -> Result<Option<WhereUsed>> {
    let scene = Scene::read(db)?;
    let versions: Vec<(u32, Option<String>, bool)> = db.query(
        "select version, label, retired_ms is not null from version where flow = ?1 order by version desc",
        &values![flow],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    if versions.is_empty() && !db.exists("select 1 from flow where key = ?1", &values![flow])? {
        return Ok(None);
    }
    let mut used = Vec::with_capacity(versions.len());
    for (version, label, retired) in versions {
        let (live, kept) = (live(db, flow, version)?, kept(db, flow, version)?);
        let needed_by = scene.needs(db, flow, version)?;
        used.push(VersionUse { version, label, retired, live, ended: kept.saturating_sub(live), needed_by });
    }
    let callers: Vec<(String, u32, Json)> = db.query(
        "select flow, version, catalog from version where retired_ms is null and catalog like '%\"key\":' || ?1 || '%'
         order by flow, version desc",
        &values![Json::from(flow).to_string()],
        |row| Ok((row.get(0)?, row.get(1)?, read_json(row, 2)?)),
    )?;
    let callers = callers.into_iter().chain(plugged_callers(db, flow)?);
    let callers = callers.filter(|(.., catalog)| is_pinned(catalog, flow));
    let mut callers: Vec<(String, u32, bool)> = callers.map(|(flow, version, _)| (flow, version, false)).collect();
    callers.sort_by(|one, other| (&one.0, std::cmp::Reverse(one.1)).cmp(&(&other.0, std::cmp::Reverse(other.1))));
    callers.dedup();
    let called_by = uses(db, &scene, callers)?;
    let leads = |route: &Route| {
        route.named().iter().any(|(named, _)| **named == *flow)
            || route.resolve.as_ref().is_some_and(|resolve| *resolve.table == *flow)
    };
    Ok(Some(WhereUsed {
        versions: used,
        triggers: db
            .query("select path from http_trigger where flow = ?1 order by path", &values![flow], |row| row.get(0))?,
        routes: scene.routes.iter().filter(|(_, route)| leads(route)).map(|(path, _)| path.clone()).collect(),
        has_binding: db.exists("select 1 from binding where flow = ?1", &values![flow])?,
        called_by,
        drafts: drafts_where(db, |document| calls(document, flow))?,
    }))
}

fn uses(db: &mut Db, scene: &Scene, versions: Vec<(String, u32, bool)>) -> Result<Vec<UsedBy>> {
    let mut all = Vec::with_capacity(versions.len());
    for (flow, version, retired) in versions {
        let live = live(db, &flow, version)?;
        let needed_by = if retired { Vec::new() } else { scene.needs(db, &flow, version)? };
        all.push(UsedBy { flow, version, retired, live, needed_by });
    }
    Ok(all)
}

type Answer<T> = std::result::Result<T, Unavailable>;

impl Store {
    /// Deletes a version that nobody needs, or takes it back where instances are kept that ran on it.
    pub async fn remove_version(&self, act: Act, flow: &str, version: u32) -> Answer<Removed> {
        let flow = flow.to_owned();
        self.write(move |tx| remove_version(tx, &act, &flow, version)).await
    }

    /// Deletes a plugin's bytes that no version needs.
    pub async fn remove_plugin(&self, act: Act, digest: &str) -> Answer<Removed> {
        let digest = digest.to_owned();
        self.write(move |tx| remove_plugin(tx, &act, &digest)).await
    }

    /// What nobody needs since `before_ms`. `in_force` are digests that new versions would be pinned to.
    pub async fn garbage(&self, before_ms: u64, in_force: BTreeSet<String>) -> Answer<Garbage> {
        self.read(move |db| garbage(db, before_ms, &in_force)).await
    }

    pub async fn flow_used(&self, flow: &str) -> Answer<Option<WhereUsed>> {
        let flow = flow.to_owned();
        self.read(move |db| flow_used(db, &flow)).await
    }

    /// Versions pinned to a plugin, and flows whose draft names one of its types. `None`: no such digest.
    pub async fn plugin_used(&self, digest: &str) -> Answer<Option<(Vec<UsedBy>, Vec<String>)>> {
        let digest = digest.to_owned();
        self.read(move |db| {
            let sql = "select manifest from plugin where digest = ?1";
            let Some(manifest) = db.first(sql, &values![&digest], |row| read_json::<Json>(row, 0))? else {
                return Ok(None);
            };
            let scene = Scene::read(db)?;
            let versions = pinned(db, &digest)?;
            let types = manifest.get("nodeTypes").and_then(Json::as_array).into_iter().flatten();
            let types: BTreeSet<&str> = types.filter_map(|one| one.get("uses")?.as_str()).collect();
            let names = |node: &serde_json::Map<String, Json>| {
                node.get("uses").and_then(Json::as_str).is_some_and(|uses| types.contains(uses))
            };
            let drafts = drafts_where(db, |document| any(document, &names))?;
            Ok(Some((uses(db, &scene, versions)?, drafts)))
        })
        .await
    }
}
