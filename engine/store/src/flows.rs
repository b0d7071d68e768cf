//! Flows and their published versions.
//!
//! Invariants:
//! - A version never changes. What the newest version holds is not published again; what an older one
//!   holds is, as a new version: that is how a flow goes back.
//! - A trigger's path belongs to one flow; a flow's triggers are those of its newest version.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Value, json};
use stepwell_core::machine::State;
use stepwell_runtime::journal::{Definition, Unavailable};

use crate::administration::audit;
use crate::drafts::{self, name_flow};
use crate::feed::{Change, notice};
use crate::rows::{STATES, integer, json as read_json, natural, shared, state, text};
use crate::{Act, Draft, Store};

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
    pub title: Value,
    pub latest_version: Option<u32>,
    pub has_draft: bool,
    /// Publishing the draft would make a new version, as far as its hash tells.
    pub draft_differs: bool,
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
    pub definition: Definition,
}

/// What is published. The checker has passed it.
#[derive(Debug, Clone)]
pub struct Publish {
    pub flow: String,
    pub document: Arc<Value>,
    /// The node types it is pinned to (a `Catalog`).
    pub catalog: Arc<Value>,
    pub hash: String,
    pub label: Option<String>,
    /// The draft's revision that was read; `None` publishes without regard to a draft.
    pub revision: Option<u64>,
    /// (path, spec): the HTTP paths that start it.
    pub triggers: Vec<(String, Value)>,
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
    /// Another flow has this path.
    PathTaken {
        path: String,
        flow: String,
    },
}

/// An HTTP path that starts a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerRow {
    pub path: String,
    pub flow: String,
    pub spec: Value,
}

impl Store {
    /// Freezes a version; the draft it came from counts as published.
    pub async fn publish(&self, publish: Publish) -> Result<Published, Unavailable> {
        let (document, catalog) = (text(&*publish.document)?, text(&*publish.catalog)?);
        self.write(move |tx| {
            let Publish { flow, hash, label, act, triggers, .. } = &publish;
            if let Some(refused) = refuse(tx.connection(), &publish)? {
                return Ok(refused);
            }
            let at_ms = integer(act.at_ms);
            if let Some(file) = &publish.file {
                tx.execute(
                    "insert into published_file (flow, content, at_ms) values (?1, ?2, ?3)",
                    (flow, file, at_ms),
                )?;
            }
            let newest: Option<(u32, String)> = tx
                .prepare("select version, hash from version where flow = ?1 order by version desc limit 1")?
                .query_row([flow], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            if let Some((version, _)) = newest.as_ref().filter(|(_, newest)| newest == hash) {
                tx.execute("update draft set base_version = ?2 where flow = ?1 and hash = ?3", (flow, version, hash))?;
                return Ok(Published::Same(*version));
            }
            name_flow(tx, flow, &publish.document, act.at_ms)?;
            let version = newest.map_or(1, |(newest, _)| newest + 1);
            tx.execute(
                "insert into version (flow, version, hash, label, published_ms, published_by, document, catalog)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                (flow, version, hash, label, at_ms, &act.by, &document, &catalog),
            )?;
            if let Some(revision) = publish.revision {
                tx.execute(
                    "update draft set base_version = ?2, hash = ?3 where flow = ?1 and revision = ?4",
                    (flow, version, hash, integer(revision)),
                )?;
            }
            tx.execute("delete from http_trigger where flow = ?1", [flow])?;
            for (path, spec) in triggers {
                tx.execute(
                    "insert into http_trigger (path, flow, spec) values (?1, ?2, ?3) on conflict do nothing",
                    (path, flow, spec.to_string()),
                )?;
            }
            let detail = json!({ "version": version, "hash": hash, "label": label });
            audit(tx, &act.by, act.at_ms, "flow.publish", flow, &detail)?;
            notice(tx, act.at_ms, &Change::Published { flow: flow.clone(), version })?;
            Ok(Published::New(version))
        })
        .await
    }

    /// Was a watched file with this content published before?
    pub async fn file_seen(&self, flow: &str, content: &str) -> Result<bool, Unavailable> {
        let (flow, content) = (flow.to_owned(), content.to_owned());
        self.read(move |connection| {
            connection
                .prepare_cached("select 1 from published_file where flow = ?1 and content = ?2")?
                .exists((flow, content))
        })
        .await
    }

    /// Flows by key, at most `limit` after `after`.
    pub async fn flows(&self, after: Option<String>, limit: u32) -> Result<Vec<FlowSummary>, Unavailable> {
        self.read(move |connection| {
            let mut flows =
                summaries(connection, "f.key > ?1 order by f.key limit ?2", (after.unwrap_or_default(), limit))?;
            for flow in &mut flows {
                flow.counts = counts(connection, Some(&flow.key))?.values().fold(Counts::default(), sum);
            }
            Ok(flows)
        })
        .await
    }

    pub async fn flow(&self, key: &str) -> Result<Option<FlowDetail>, Unavailable> {
        let key = key.to_owned();
        self.read(move |connection| {
            let Some(mut summary) = summaries(connection, "f.key = ?1 and ?2 = ?2", (&key, 0))?.pop() else {
                return Ok(None);
            };
            let by_version = counts(connection, Some(&key))?;
            let versions = connection
                .prepare_cached(
                    "select version, label, hash, published_ms, published_by from version
                     where flow = ?1 order by version desc",
                )?
                .query_map([&key], |row| {
                    let version = row.get(0)?;
                    Ok(VersionSummary {
                        version,
                        label: row.get(1)?,
                        hash: row.get(2)?,
                        published_ms: natural(row, 3)?,
                        published_by: row.get(4)?,
                        counts: by_version.get(&(key.clone(), version)).cloned().unwrap_or_default(),
                    })
                })?
                .collect::<rusqlite::Result<_>>()?;
            summary.counts = by_version.values().fold(Counts::default(), sum);
            Ok(Some(FlowDetail { summary, versions }))
        })
        .await
    }

    /// One version; `None` as version asks for the newest.
    pub async fn version(&self, flow: &str, version: Option<u32>) -> Result<Option<Version>, Unavailable> {
        let flow = flow.to_owned();
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "select flow, version, label, hash, published_ms, published_by, document, catalog from version
                     where flow = ?1 and version = coalesce(?2, (select max(version) from version where flow = ?1))",
                )?
                .query_row((flow, version), |row| {
                    Ok(Version {
                        flow: row.get(0)?,
                        version: row.get(1)?,
                        label: row.get(2)?,
                        hash: row.get(3)?,
                        published_ms: natural(row, 4)?,
                        published_by: row.get(5)?,
                        definition: Definition {
                            document: shared(read_json(row, 6)?),
                            catalog: shared(read_json(row, 7)?),
                        },
                    })
                })
                .optional()
        })
        .await
    }

    pub(crate) async fn definition(&self, flow: &str, version: u32) -> Result<Option<Definition>, Unavailable> {
        Ok(self.version(flow, Some(version)).await?.map(|version| version.definition))
    }

    pub async fn triggers(&self) -> Result<Vec<TriggerRow>, Unavailable> {
        self.read(|connection| {
            connection
                .prepare_cached("select path, flow, spec from http_trigger order by path")?
                .query_map([], |row| Ok(TriggerRow { path: row.get(0)?, flow: row.get(1)?, spec: read_json(row, 2)? }))?
                .collect()
        })
        .await
    }

    pub async fn trigger(&self, path: &str) -> Result<Option<TriggerRow>, Unavailable> {
        let path = path.to_owned();
        self.read(move |connection| {
            connection
                .prepare_cached("select path, flow, spec from http_trigger where path = ?1")?
                .query_row([path], |row| {
                    Ok(TriggerRow { path: row.get(0)?, flow: row.get(1)?, spec: read_json(row, 2)? })
                })
                .optional()
        })
        .await
    }

    /// Instances by (flow, version): for metrics and the status page.
    pub async fn counts(&self) -> Result<BTreeMap<(String, u32), Counts>, Unavailable> {
        self.read(|connection| counts(connection, None)).await
    }
}

/// What keeps a version from being published; looked at before anything is written.
fn refuse(connection: &Connection, publish: &Publish) -> rusqlite::Result<Option<Published>> {
    let Publish { flow, .. } = publish;
    if let Some(file) = &publish.file
        && connection
            .prepare_cached("select 1 from published_file where flow = ?1 and content = ?2")?
            .exists((flow, file))?
    {
        return Ok(Some(Published::FileSeen));
    }
    if let Some(revision) = publish.revision {
        let current = drafts::find(connection, flow)?;
        if current.as_ref().is_none_or(|draft| draft.revision != revision) {
            return Ok(Some(Published::DraftMoved(current)));
        }
    }
    for (path, _) in &publish.triggers {
        let owner: Option<String> = connection
            .prepare_cached("select flow from http_trigger where path = ?1 and flow <> ?2")?
            .query_row((path, flow), |row| row.get(0))
            .optional()?;
        if let Some(owner) = owner {
            return Ok(Some(Published::PathTaken { path: path.clone(), flow: owner }));
        }
    }
    Ok(None)
}

fn summaries(
    connection: &Connection,
    narrowed: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<FlowSummary>> {
    let sql = format!(
        "select f.key, f.kind, f.title, f.updated_ms, v.version, d.flow is not null,
                d.flow is not null and (v.version is null or d.hash is not v.hash)
         from flow as f
         left join version as v on v.flow = f.key
              and v.version = (select max(version) from version where flow = f.key)
         left join draft as d on d.flow = f.key
         where {narrowed}"
    );
    connection
        .prepare_cached(&sql)?
        .query_map(params, |row| {
            Ok(FlowSummary {
                key: row.get(0)?,
                kind: row.get(1)?,
                title: read_json(row, 2)?,
                updated_ms: natural(row, 3)?,
                latest_version: row.get(4)?,
                has_draft: row.get(5)?,
                draft_differs: row.get(6)?,
                counts: Counts::default(),
            })
        })?
        .collect()
}

/// The tally, of one flow or of all.
fn counts(connection: &Connection, flow: Option<&str>) -> rusqlite::Result<BTreeMap<(String, u32), Counts>> {
    let sql = if flow.is_some() {
        "select flow, version, state, instances from tally where flow = ?1 and instances > 0"
    } else {
        "select flow, version, state, instances from tally where ?1 is null and instances > 0"
    };
    let mut counts: BTreeMap<(String, u32), Counts> = BTreeMap::new();
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([flow])?;
    while let Some(row) = rows.next()? {
        counts.entry((row.get(0)?, row.get(1)?)).or_default().add(state(row, 2)?, natural(row, 3)?);
    }
    Ok(counts)
}

fn sum(mut total: Counts, one: &Counts) -> Counts {
    for (state, instances) in one.iter().filter(|&(_, instances)| instances > 0) {
        total.add(state, instances);
    }
    total
}
