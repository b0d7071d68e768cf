//! What a start runs, as people set it: each flow's binding, and the routes of paths.
//!
//! Invariants:
//! - What is kept was sound in the moment of its commit: it is checked in its own transaction, beside
//!   which nothing it names can be taken back.
//! - Nobody overwrites what they have not seen: every write says which revision it was made from.
//! - A path belongs to one flow or one route.
//!
//! Not here: what the rules mean (`core::bind`), what is needed by whom (`needs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use stepwell_core::bind::{Binding, Route, Startable, Versions};
use stepwell_core::problem::Problem;
use stepwell_runtime::journal::Unavailable;

use crate::administration::audit;
use crate::feed::{Change, notice};
use crate::flows::PATHS;
use crate::rows::{integer, json as read_json, natural, shared, text};
use crate::sql::{Db, Result, Row, values};
use crate::tx::Tx;
use crate::{Act, Expect, Store, TriggerRow};

/// A binding or a route as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The flow's key, or the path.
    pub name: String,
    pub spec: Arc<Json>,
    /// 1, 2, 3 …; the `ETag`.
    pub revision: u64,
    pub updated_ms: u64,
    pub updated_by: String,
}

#[derive(Debug, Clone)]
pub struct SaveRules {
    pub name: String,
    pub spec: Arc<Json>,
    pub expect: Expect,
    pub act: Act,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RulesSaved {
    /// With what is worth a warning.
    Saved(Rules, Vec<Problem>),
    /// Nothing was changed: this is what stands there (`None`: nothing does).
    Conflict(Option<Rules>),
    /// Nothing was changed: all that is wrong with it.
    Refused(Vec<Problem>),
}

/// All that decides what a start runs, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct Doors {
    pub flows: BTreeMap<String, Versions>,
    pub bindings: Vec<Rules>,
    pub routes: Vec<Rules>,
    pub triggers: Vec<TriggerRow>,
    /// The tables that routes ask, in their newest versions: key, version, document.
    pub tables: Vec<(String, u32, Arc<Json>)>,
}

/// Rules of up to this size stand in the audit as they were set: its lists are read whole.
const AUDITED_BYTES_MAX: usize = 4 * 1024;

/// Where rules of a kind are kept, and how they are spoken of.
struct Kind {
    table: &'static str,
    key: &'static str,
    action: &'static str,
    change: fn(String) -> Change,
}

const BINDING: Kind =
    Kind { table: "binding", key: "flow", action: "binding", change: |flow| Change::Binding { flow } };
const ROUTE: Kind = Kind { table: "route", key: "path", action: "route", change: |path| Change::Route { path } };

impl Kind {
    fn find(&self, db: &mut Db, name: &str) -> Result<Option<Rules>> {
        let Self { table, key, .. } = self;
        let sql = format!("select {key}, spec, revision, updated_ms, updated_by from {table} where {key} = ?1");
        db.first(&sql, &values![name], rules)
    }

    fn all(&self, db: &mut Db) -> Result<Vec<Rules>> {
        let Self { table, key, .. } = self;
        let sql = format!("select {key}, spec, revision, updated_ms, updated_by from {table} order by {key}");
        db.query(&sql, &[], rules)
    }

    /// Writes over what its writer has seen; `problems` are those of a sound document.
    fn save(&self, tx: &mut Tx<'_>, save: &SaveRules, spec: &str, problems: Vec<Problem>) -> Result<RulesSaved> {
        let SaveRules { name, expect, act, .. } = save;
        let current = self.find(tx.db, name)?;
        let revision = match (expect, &current) {
            (Expect::None, None) => 1,
            (Expect::Revision(expected), Some(rules)) if rules.revision == *expected => expected + 1,
            (Expect::None | Expect::Revision(_), _) => return Ok(RulesSaved::Conflict(current)),
        };
        let Self { table, key, action, change } = self;
        tx.db.execute(
            &format!(
                "insert into {table} ({key}, spec, revision, updated_ms, updated_by) values (?1, ?2, ?3, ?4, ?5)
                 on conflict ({key}) do update set spec = excluded.spec, revision = excluded.revision,
                     updated_ms = excluded.updated_ms, updated_by = excluded.updated_by"
            ),
            &values![name, spec, integer(revision), integer(act.at_ms), &act.by],
        )?;
        let mut detail = json!({ "revision": revision });
        if spec.len() <= AUDITED_BYTES_MAX {
            detail["spec"] = Json::clone(&save.spec);
        }
        audit(tx, &act.by, act.at_ms, &format!("{action}.put"), name, &detail)?;
        notice(tx, act.at_ms, &change(name.clone()))?;
        let saved = Rules {
            name: name.clone(),
            spec: save.spec.clone(),
            revision,
            updated_ms: act.at_ms,
            updated_by: act.by.clone(),
        };
        Ok(RulesSaved::Saved(saved, problems))
    }

    /// False: there were none.
    fn delete(&self, tx: &mut Tx<'_>, name: &str, act: &Act) -> Result<bool> {
        let Self { table, key, action, change } = self;
        if tx.db.execute(&format!("delete from {table} where {key} = ?1"), &values![name])? == 0 {
            return Ok(false);
        }
        audit(tx, &act.by, act.at_ms, &format!("{action}.delete"), name, &Json::Null)?;
        notice(tx, act.at_ms, &change(name.to_owned()))?;
        Ok(true)
    }
}

fn rules(row: &Row<'_>) -> Result<Rules> {
    Ok(Rules {
        name: row.get(0)?,
        spec: shared(read_json(row, 1)?),
        revision: natural(row, 2)?,
        updated_ms: natural(row, 3)?,
        updated_by: row.get(4)?,
    })
}

/// What can be started: of one flow, or of all. Templates and tables are not.
pub(crate) fn startable(db: &mut Db, flow: Option<&str>) -> Result<BTreeMap<String, Versions>> {
    let mut flows = in_force(db, flow)?;
    let others = "select key from flow where kind in ('template', 'table') and (?1 = '' or key = ?1)";
    for key in db.query(others, &values![flow.unwrap_or_default()], |row| row.get::<String>(0))? {
        flows.remove(&key);
    }
    Ok(flows)
}

/// The versions that are not taken back, of documents of every kind.
pub(crate) fn in_force(db: &mut Db, flow: Option<&str>) -> Result<BTreeMap<String, Versions>> {
    let mut flows: BTreeMap<String, Versions> = BTreeMap::new();
    let rows = db.query(
        "select flow, version, label from version where retired_ms is null and (?1 = '' or flow = ?1)
         order by flow, version",
        &values![flow.unwrap_or_default()],
        |row| Ok((row.get(0)?, Startable { version: row.get(1)?, label: row.get(2)? })),
    )?;
    for (flow, one) in rows {
        flows.entry(flow).or_default().0.push(one);
    }
    Ok(flows)
}

/// What the binding of a flow names, as far as it is there.
pub(crate) fn binding(db: &mut Db, flow: &str, versions: &Versions) -> Result<Option<Binding>> {
    let found = BINDING.find(db, flow)?;
    Ok(found.and_then(|found| Binding::check(&found.spec, versions).rules))
}

/// All routes, and what they name.
pub(crate) fn routes(db: &mut Db, flows: &BTreeMap<String, Versions>) -> Result<Vec<(String, Route)>> {
    let found = ROUTE.all(db)?.into_iter();
    Ok(found.filter_map(|one| Some((one.name, Route::check(&one.spec, |flow| flows.get(flow)).rules?))).collect())
}

/// The newest version of a table.
fn newest_table(db: &mut Db, key: &str) -> Result<Option<(String, u32, Arc<Json>)>> {
    db.first(
        "select v.flow, v.version, v.document from version as v join flow as f on f.key = v.flow
         where v.flow = ?1 and f.kind = 'table' and v.retired_ms is null order by v.version desc limit 1",
        &values![key],
        |row| Ok((row.get(0)?, row.get(1)?, shared(read_json(row, 2)?))),
    )
}

/// The tables that routes ask before their rules.
fn tables_asked(db: &mut Db, routes: &[Rules]) -> Result<Vec<(String, u32, Arc<Json>)>> {
    let names = routes.iter().filter_map(|route| route.spec.get("resolve")?.get("table")?.as_str());
    let mut tables = Vec::new();
    for name in names.collect::<BTreeSet<_>>() {
        tables.extend(newest_table(db, name)?);
    }
    Ok(tables)
}

/// Who is started by a path below `/t/`: a flow, or a route. `but` is whoever asks.
pub(crate) fn path_owner(db: &mut Db, path: &str, but: &str) -> Result<Option<PathOwner>> {
    let flow = db.first(
        "select flow from http_trigger where path = ?1 and flow <> ?2
         union all select key from flow where key = ?1 and key <> ?2",
        &values![path, but],
        |row| row.get(0).map(PathOwner::Flow),
    )?;
    if flow.is_some() {
        return Ok(flow);
    }
    db.first("select path from route where path = ?1", &values![path], |_| Ok(PathOwner::Route))
}

/// Who has a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathOwner {
    Flow(String),
    Route,
}

impl std::fmt::Display for PathOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flow(flow) => write!(f, "starts flow {flow}"),
            Self::Route => f.write_str("is a route"),
        }
    }
}

fn save_binding(tx: &mut Tx<'_>, save: &SaveRules, spec: &str) -> Result<RulesSaved> {
    tx.hold(&save.name)?;
    let versions = startable(tx.db, Some(&save.name))?.remove(&save.name).unwrap_or_default();
    let checked = Binding::check(&save.spec, &versions);
    if !checked.is_sound() {
        return Ok(RulesSaved::Refused(checked.problems));
    }
    BINDING.save(tx, save, spec, checked.problems)
}

fn save_route(tx: &mut Tx<'_>, save: &SaveRules, spec: &str) -> Result<RulesSaved> {
    let flows = startable(tx.db, None)?;
    let checked = Route::check(&save.spec, |flow| flows.get(flow));
    let named = checked.rules.iter().flat_map(Route::named);
    let held: BTreeSet<_> = named.map(|(flow, _)| ("", &**flow)).chain([("", PATHS)]).collect();
    tx.hold_all(&held)?;
    // As it is now that nothing of it can be taken back.
    let flows = startable(tx.db, None)?;
    let mut checked = Route::check(&save.spec, |flow| flows.get(flow));
    if ROUTE.find(tx.db, &save.name)?.is_none()
        && let Some(owner) = path_owner(tx.db, &save.name, "")?
    {
        let message = format!("/t/{} {owner}", save.name);
        checked.problems.push(Problem::error("TRIGGER_PATH_TAKEN", "", message).fix("choose another path"));
    }
    let asked = checked.rules.as_ref().and_then(|route| route.resolve.as_ref()).map(|resolve| resolve.table.clone());
    if let Some(table) = asked
        && newest_table(tx.db, &table)?.is_none()
    {
        let problem = Problem::error("TABLE_MISSING", "/resolve/table", format!("no table `{table}` is published"));
        checked.problems.push(problem.fix("publish it first"));
    }
    if !checked.is_sound() {
        return Ok(RulesSaved::Refused(checked.problems));
    }
    ROUTE.save(tx, save, spec, checked.problems)
}

type Answer<T> = std::result::Result<T, Unavailable>;

impl Store {
    pub async fn binding(&self, flow: &str) -> Answer<Option<Rules>> {
        let flow = flow.to_owned();
        self.read(move |db| BINDING.find(db, &flow)).await
    }

    /// The flow must be published.
    pub async fn put_binding(&self, save: SaveRules) -> Answer<RulesSaved> {
        let spec = text(&*save.spec)?;
        self.write(move |tx| save_binding(tx, &save, &spec)).await
    }

    /// False: there was none.
    pub async fn delete_binding(&self, act: Act, flow: &str) -> Answer<bool> {
        let flow = flow.to_owned();
        self.write(move |tx| {
            tx.hold(&flow)?;
            BINDING.delete(tx, &flow, &act)
        })
        .await
    }

    pub async fn route(&self, path: &str) -> Answer<Option<Rules>> {
        let path = path.to_owned();
        self.read(move |db| ROUTE.find(db, &path)).await
    }

    /// By path.
    pub async fn routes(&self) -> Answer<Vec<Rules>> {
        self.read(|db| ROUTE.all(db)).await
    }

    pub async fn put_route(&self, save: SaveRules) -> Answer<RulesSaved> {
        let spec = text(&*save.spec)?;
        self.write(move |tx| save_route(tx, &save, &spec)).await
    }

    /// False: there was none.
    pub async fn delete_route(&self, act: Act, path: &str) -> Answer<bool> {
        let path = path.to_owned();
        self.write(move |tx| {
            tx.hold(PATHS)?;
            ROUTE.delete(tx, &path, &act)
        })
        .await
    }

    /// What every start is decided by.
    pub async fn doors(&self) -> Answer<Doors> {
        self.read(|db| {
            let routes = ROUTE.all(db)?;
            Ok(Doors {
                flows: startable(db, None)?,
                bindings: BINDING.all(db)?,
                tables: tables_asked(db, &routes)?,
                routes,
                triggers: crate::flows::triggers(db)?,
            })
        })
        .await
    }
}
