//! Flows and their published versions.
//!
//! Invariants:
//! - A version never changes, but that one without a label may get one. What the newest version holds is
//!   not published again, unless under another label; what an older one holds is, as a new version: that
//!   is how a flow goes back.
//! - A trigger's path belongs to one flow; a flow's triggers are those of its newest version.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use stepwell_core::machine::State;
use stepwell_runtime::journal::{Definition, Unavailable};

use crate::administration::audit;
use crate::bindings::{PathOwner, path_owner};
use crate::drafts::{self, name_flow};
use crate::feed::{Change, notice};
use crate::machines;
use crate::needs::{self, PLUGINS};
use crate::revocations::is_revoked;
use crate::rows::{STATES, integer, json as read_json, natural, shared, state, text};
use crate::sql::{Db, Result, Row, Value, values};
use crate::tx::Tx;
use crate::within::Within;
use crate::{Act, Draft, NewSchedule, Store, schedules};

/// How many of a flow's instances were chosen by what.
#[derive(Debug, Clone, PartialEq)]
pub struct ChoiceCounts {
    /// As on the instance: `split/b`.
    pub bound_by: String,
    pub version: u32,
    pub counts: Counts,
}

/// How many instances are in each state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    pub fn get(&self, state: State) -> u64 {
        self.0.get(state.name()).copied().unwrap_or_default()
    }

    /// Every state, in the order of the glossary, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (State, u64)> {
        STATES.into_iter().map(|state| (state, self.get(state)))
    }

    fn add(&mut self, state: State, instances: u64) {
        *self.0.entry(state.name()).or_default() += instances;
    }
}

/// What lists show of a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowSummary {
    pub key: String,
    pub kind: String,
    /// A string, or one per language.
    pub title: Json,
    pub latest_version: Option<u32>,
    pub has_draft: bool,
    /// Publishing the draft would make a new version, as far as its hash tells.
    pub draft_differs: bool,
    /// Rules pick the version of its starts.
    pub has_binding: bool,
    pub updated_ms: u64,
    pub counts: Counts,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FlowDetail {
    pub summary: FlowSummary,
    /// The newest first.
    pub versions: Vec<VersionSummary>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VersionSummary {
    pub version: u32,
    pub label: Option<String>,
    pub hash: String,
    pub published_ms: u64,
    pub published_by: String,
    /// Nothing is started on it any more since.
    pub retired_ms: Option<u64>,
    pub counts: Counts,
}

/// A published version, whole.
#[derive(Debug, Clone)]
pub struct Version {
    pub flow: String,
    pub version: u32,
    pub label: Option<String>,
    pub hash: String,
    pub published_ms: u64,
    pub published_by: String,
    /// Nothing is started on it any more since.
    pub retired_ms: Option<u64>,
    pub definition: Definition,
}

/// What is published. The checker has passed it.
#[derive(Debug, Clone)]
pub struct Publish {
    pub flow: String,
    pub document: Arc<Json>,
    /// The node types it is pinned to (a `Catalog`).
    pub catalog: Arc<Json>,
    pub hash: String,
    pub label: Option<String>,
    /// The draft's revision that was read; `None` publishes without regard to a draft.
    pub revision: Option<u64>,
    /// (path, spec): the HTTP paths that start it.
    pub triggers: Vec<(String, Json)>,
    /// When it starts by itself.
    pub schedules: Vec<NewSchedule>,
    /// The sha256 of the watched file it comes from.
    pub file: Option<String>,
    pub act: Act,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Published {
    New(u32),
    /// The newest version has this content already.
    Same(u32),
    /// A file with this content was published before; another version may have followed.
    FileSeen,
    /// The draft is not at that revision: this is what stands there.
    DraftMoved(Option<Draft>),
    /// Somebody else has this path.
    PathTaken {
        path: String,
        owner: PathOwner,
    },
    /// What is published under its key is of this kind.
    OtherKind(String),
    /// A plugin it is pinned to was removed since.
    PluginGone(String),
    /// A plugin it is pinned to was revoked since.
    PluginRevoked(String),
}

/// An HTTP path that starts a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerRow {
    pub path: String,
    pub flow: String,
    pub spec: Json,
}

impl Store {
    /// Freezes a version; the draft it came from counts as published.
    pub async fn publish(&self, publish: Publish) -> std::result::Result<Published, Unavailable> {
        let (document, catalog) = (text(&*publish.document)?, text(&*publish.catalog)?);
        self.write(move |tx| freeze(tx, &publish, &document, &catalog)).await
    }

    /// Was a watched file with this content published before?
    pub async fn file_seen(&self, flow: &str, content: &str) -> std::result::Result<bool, Unavailable> {
        let (flow, content) = (flow.to_owned(), content.to_owned());
        self.read(move |db| db.exists(FILE_SEEN, &values![&flow, &content])).await
    }

    /// Flows by key, at most `limit` after `after`.
    pub async fn flows(&self, after: Option<String>, limit: u32) -> std::result::Result<Vec<FlowSummary>, Unavailable> {
        self.flows_within(Within::Everything, after, limit).await
    }

    /// The same, of some namespaces.
    pub async fn flows_within(
        &self,
        within: Within,
        after: Option<String>,
        limit: u32,
    ) -> std::result::Result<Vec<FlowSummary>, Unavailable> {
        let after = after.unwrap_or_default();
        self.read(move |db| {
            let narrowed =
                format!("f.key > ?1 and f.kind <> 'table' and {} order by f.key limit ?2", within.condition("f.key"));
            let mut flows = summaries(db, &narrowed, &values![&after, limit])?;
            for flow in &mut flows {
                flow.counts = counts(db, Some(&flow.key))?.values().fold(Counts::default(), sum);
            }
            Ok(flows)
        })
        .await
    }

    pub async fn flow(&self, key: &str) -> std::result::Result<Option<FlowDetail>, Unavailable> {
        let key = key.to_owned();
        self.read(move |db| {
            let Some(mut summary) = summaries(db, "f.key = ?1", &values![&key])?.pop() else {
                return Ok(None);
            };
            let by_version = counts(db, Some(&key))?;
            let versions = db.query(
                "select version, label, hash, published_ms, published_by, retired_ms from version
                 where flow = ?1 order by version desc",
                &values![&key],
                |row| {
                    let version = row.get(0)?;
                    Ok(VersionSummary {
                        version,
                        label: row.get(1)?,
                        hash: row.get(2)?,
                        published_ms: natural(row, 3)?,
                        published_by: row.get(4)?,
                        retired_ms: row.get(5)?,
                        counts: by_version.get(&(key.clone(), version)).cloned().unwrap_or_default(),
                    })
                },
            )?;
            summary.counts = by_version.values().fold(Counts::default(), sum);
            Ok(Some(FlowDetail { summary, versions }))
        })
        .await
    }

    /// One version; `None` as version asks for the newest.
    pub async fn version(&self, flow: &str, version: Option<u32>) -> std::result::Result<Option<Version>, Unavailable> {
        let flow = flow.to_owned();
        self.read(move |db| {
            let found = db.first(
                "select flow, version, label, hash, published_ms, published_by, document, catalog, retired_ms from version
                 where flow = ?1 and version = coalesce(?2, (select max(version) from version where flow = ?1))",
                &values![&flow, version],
                |row| {
                    let retired_ms: Option<u64> = row.get(8)?;
                    Ok(Version {
                        flow: row.get(0)?,
                        version: row.get(1)?,
                        label: row.get(2)?,
                        hash: row.get(3)?,
                        published_ms: natural(row, 4)?,
                        published_by: row.get(5)?,
                        retired_ms,
                        definition: Definition {
                            document: shared(read_json(row, 6)?),
                            catalog: shared(read_json(row, 7)?),
                            retired: retired_ms.is_some(),
                            plugged: Vec::new(),
                        },
                    })
                },
            )?;
            let Some(mut version) = found else { return Ok(None) };
            let plugged = machines::plugged(db, &version.flow, version.version)?;
            version.definition.plugged = plugged.into_iter().map(|one| one.change).collect();
            Ok(Some(version))
        })
        .await
    }

    pub(crate) async fn definition(
        &self,
        flow: &str,
        version: u32,
    ) -> std::result::Result<Option<Definition>, Unavailable> {
        Ok(self.version(flow, Some(version)).await?.map(|version| version.definition))
    }

    pub async fn triggers(&self) -> std::result::Result<Vec<TriggerRow>, Unavailable> {
        self.read(triggers).await
    }

    pub async fn trigger(&self, path: &str) -> std::result::Result<Option<TriggerRow>, Unavailable> {
        let path = path.to_owned();
        self.read(move |db| {
            db.first("select path, flow, spec from http_trigger where path = ?1", &values![&path], trigger)
        })
        .await
    }

    /// Instances of a flow that a binding or a route chose the version of, by what chose it.
    pub async fn choice_counts(&self, flow: &str) -> std::result::Result<Vec<ChoiceCounts>, Unavailable> {
        let flow = flow.to_owned();
        self.read(move |db| {
            let mut found: BTreeMap<(String, u32), Counts> = BTreeMap::new();
            let rows = db.query(
                "select bound_by, version, state, cast(sum(instances) as bigint) from tally_by_choice where flow = ?1
                 group by bound_by, version, state having sum(instances) > 0",
                &values![&flow],
                |row| Ok((row.get::<String>(0)?, row.get::<u32>(1)?, state(row, 2)?, natural(row, 3)?)),
            )?;
            for (bound_by, version, state, instances) in rows {
                found.entry((bound_by, version)).or_default().add(state, instances);
            }
            Ok(found
                .into_iter()
                .map(|((bound_by, version), counts)| ChoiceCounts { bound_by, version, counts })
                .collect())
        })
        .await
    }

    /// Instances by (flow, version): for metrics and the status page.
    pub async fn counts(&self) -> std::result::Result<BTreeMap<(String, u32), Counts>, Unavailable> {
        self.read(|db| counts(db, None)).await
    }
}

/// Stands for the paths of all flows; no flow can be called that.
pub(crate) const PATHS: &str = "/t/";
const FILE_SEEN: &str = "select 1 from published_file where flow = ?1 and content = ?2";

/// Remembers a watched file's content; `false`: it was published before.
pub(crate) fn is_fresh(tx: &mut Tx<'_>, name: &str, content: &str, at_ms: u64) -> Result<bool> {
    let made = tx.db.execute(
        "insert into published_file (flow, content, at_ms) values (?1, ?2, ?3) on conflict do nothing",
        &values![name, content, integer(at_ms)],
    )?;
    Ok(made == 1)
}

pub(crate) fn triggers(db: &mut Db) -> Result<Vec<TriggerRow>> {
    db.query("select path, flow, spec from http_trigger order by path", &[], trigger)
}

fn trigger(row: &Row<'_>) -> Result<TriggerRow> {
    Ok(TriggerRow { path: row.get(0)?, flow: row.get(1)?, spec: read_json(row, 2)? })
}

fn freeze(tx: &mut Tx<'_>, publish: &Publish, document: &str, catalog: &str) -> Result<Published> {
    let Publish { flow, hash, label, act, triggers, .. } = publish;
    tx.hold_all(&BTreeSet::from([("", flow.as_str()), ("", PATHS), ("", PLUGINS)]))?;
    if let Some(refused) = refuse(tx.db, publish)? {
        return Ok(refused);
    }
    let at_ms = integer(act.at_ms);
    if let Some(file) = &publish.file {
        is_fresh(tx, flow, file, act.at_ms)?;
    }
    let newest: Option<(u32, String, Option<String>)> = tx.db.first(
        "select version, hash, label from version where flow = ?1 order by version desc limit 1",
        &values![flow],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let same = newest.as_ref().filter(|(_, newest, kept)| {
        // A label stays with its version. Another name for the same is another version.
        newest == hash && (label.is_none() || kept.is_none() || label == kept)
    });
    if let Some((version, _, kept)) = same {
        tx.db.execute(
            "update draft set base_version = ?2 where flow = ?1 and hash = ?3",
            &values![flow, *version, hash],
        )?;
        if label.is_some() && kept.is_none() {
            tx.db.execute(
                "update version set label = ?3 where flow = ?1 and version = ?2",
                &values![flow, *version, label],
            )?;
            audit(tx, &act.by, act.at_ms, "flow.label", flow, &json!({ "version": version, "label": label }))?;
            notice(tx, act.at_ms, &Change::Published { flow: flow.clone(), version: *version })?;
        }
        return Ok(Published::Same(*version));
    }
    name_flow(tx, flow, &publish.document, act.at_ms)?;
    let version = newest.map_or(1, |(newest, ..)| newest + 1);
    tx.db.execute(
        "insert into version (flow, version, hash, label, published_ms, published_by, document, catalog)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        &values![flow, version, hash, label, at_ms, &act.by, document, catalog],
    )?;
    if let Some(revision) = publish.revision {
        tx.db.execute(
            "update draft set base_version = ?2, hash = case when document = ?5 then ?3 else hash end
             where flow = ?1 and revision = ?4",
            &values![flow, version, hash, integer(revision), document],
        )?;
    }
    tx.db.execute("delete from http_trigger where flow = ?1", &values![flow])?;
    for (path, spec) in triggers {
        tx.db.execute(
            "insert into http_trigger (path, flow, spec) values (?1, ?2, ?3) on conflict do nothing",
            &values![path, flow, spec.to_string()],
        )?;
    }
    schedules::replace(tx, publish, version)?;
    let detail = json!({ "version": version, "hash": hash, "label": label });
    audit(tx, &act.by, act.at_ms, "flow.publish", flow, &detail)?;
    notice(tx, act.at_ms, &Change::Published { flow: flow.clone(), version })?;
    Ok(Published::New(version))
}

/// What keeps a version from being published; looked at before anything is written.
fn refuse(db: &mut Db, publish: &Publish) -> Result<Option<Published>> {
    let Publish { flow, .. } = publish;
    if let Some(file) = &publish.file
        && db.exists(FILE_SEEN, &values![flow, file])?
    {
        return Ok(Some(Published::FileSeen));
    }
    if let Some(revision) = publish.revision {
        let current = drafts::find(db, flow)?;
        if current.as_ref().is_none_or(|draft| draft.revision != revision) {
            return Ok(Some(Published::DraftMoved(current)));
        }
    }
    let kind = publish.document.get("kind").and_then(Json::as_str).unwrap_or("graph");
    let published =
        "select kind from flow where key = ?1 and kind <> ?2 and exists (select 1 from version where flow = ?1)";
    if let Some(other) = db.first(published, &values![flow, kind], |row| row.get(0))? {
        return Ok(Some(Published::OtherKind(other)));
    }
    // A flow's own path is its key; neither that nor a named path may be another flow's.
    for path in publish.triggers.iter().map(|(path, _)| path).chain([flow]) {
        if let Some(owner) = path_owner(db, path, flow)? {
            return Ok(Some(Published::PathTaken { path: path.clone(), owner }));
        }
    }
    for digest in needs::digests(&publish.catalog) {
        if !db.exists("select 1 from plugin where digest = ?1", &values![digest])? {
            return Ok(Some(Published::PluginGone(digest.to_owned())));
        }
        if is_revoked(db, digest)? {
            return Ok(Some(Published::PluginRevoked(digest.to_owned())));
        }
    }
    Ok(None)
}

fn summaries(db: &mut Db, narrowed: &str, values: &[Value<'_>]) -> Result<Vec<FlowSummary>> {
    let sql = format!(
        "select f.key, f.kind, f.title, f.updated_ms, v.version, d.flow is not null,
                d.flow is not null and (v.version is null or d.hash is distinct from v.hash), b.flow is not null
         from flow as f
         left join version as v on v.flow = f.key
              and v.version = (select max(version) from version where flow = f.key)
         left join draft as d on d.flow = f.key
         left join binding as b on b.flow = f.key
         where {narrowed}"
    );
    db.query(&sql, values, |row| {
        Ok(FlowSummary {
            key: row.get(0)?,
            kind: row.get(1)?,
            title: read_json(row, 2)?,
            updated_ms: natural(row, 3)?,
            latest_version: row.get(4)?,
            has_draft: row.get(5)?,
            draft_differs: row.get(6)?,
            has_binding: row.get(7)?,
            counts: Counts::default(),
        })
    })
}

/// The tally of all engines, of one flow or of all.
fn counts(db: &mut Db, flow: Option<&str>) -> Result<BTreeMap<(String, u32), Counts>> {
    let narrowed = if flow.is_some() { "where flow = ?1" } else { "" };
    let sql = format!(
        "select flow, version, state, cast(sum(instances) as bigint) from tally {narrowed}
         group by flow, version, state having sum(instances) > 0"
    );
    let values: Vec<Value<'_>> = flow.into_iter().map(Value::from).collect();
    let mut counts: BTreeMap<(String, u32), Counts> = BTreeMap::new();
    for (flow, version, state, instances) in
        db.query(&sql, &values, |row| Ok((row.get(0)?, row.get(1)?, state(row, 2)?, natural(row, 3)?)))?
    {
        counts.entry((flow, version)).or_default().add(state, instances);
    }
    Ok(counts)
}

fn sum(mut total: Counts, one: &Counts) -> Counts {
    for (state, instances) in one.iter().filter(|&(_, instances)| instances > 0) {
        total.add(state, instances);
    }
    total
}
