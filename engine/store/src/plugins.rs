//! Component packages as they were loaded. The bytes are the source of truth; what is compiled from
//! them is a cache elsewhere.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stepwell_runtime::journal::Unavailable;

use crate::administration::audit;
use crate::feed::{Change, PluginStatus, notice};
use crate::needs::PLUGINS;
use crate::revocations::is_revoked;
use crate::rows::{integer, json as read_json, natural, text};
use crate::sql::values;
use crate::{Act, Store};

/// A package without its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// Hex sha256 of the component.
    pub digest: String,
    pub name: String,
    pub version: String,
    pub status: PluginStatus,
    pub effect: String,
    /// When it was loaded, or last came to stand for its name and version again.
    pub loaded_ms: u64,
    pub loaded_by: String,
    pub bytes: u64,
    /// What the loader found out: node types, imports, problems.
    pub manifest: Value,
}

#[derive(Debug, Clone)]
pub struct NewPlugin {
    pub digest: String,
    pub name: String,
    pub version: String,
    pub status: PluginStatus,
    pub effect: String,
    pub manifest: Value,
    pub wasm: Vec<u8>,
    pub act: Act,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginKept {
    New,
    /// The same bytes were there; they are live (or what was said) again, their manifest is the new one.
    Same,
    /// These bytes were taken back; nothing was kept.
    Revoked,
}

impl Store {
    /// Keeps a build. One that is live takes the place of every other of its name and version.
    pub async fn put_plugin(&self, plugin: NewPlugin) -> Result<PluginKept, Unavailable> {
        let manifest = text(&plugin.manifest)?;
        self.write(move |tx| {
            let NewPlugin { digest, name, version, status, effect, wasm, act, .. } = &plugin;
            tx.hold_all(&BTreeSet::from([("", name.as_str()), ("", PLUGINS)]))?;
            if is_revoked(tx.db, digest)? {
                return Ok(PluginKept::Revoked);
            }
            let known: Option<(u8, String)> =
                tx.db.first("select status, manifest from plugin where digest = ?1", &values![digest], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            let same_name = "name = ?1 and version = ?2 and digest <> ?3 and status = 0";
            let mut supersedes: Vec<String> = Vec::new();
            if *status == PluginStatus::Live {
                let others = format!("select digest from plugin where {same_name} order by digest");
                supersedes = tx.db.query(&others, &values![name, version, digest], |row| row.get(0))?;
            }
            let as_it_was = |(was, text): &(u8, String)| *was == number(*status) && *text == manifest;
            if supersedes.is_empty() && known.as_ref().is_some_and(as_it_was) {
                return Ok(PluginKept::Same);
            }
            tx.db.execute(
                "insert into plugin (digest, name, version, status, effect, loaded_ms, loaded_by, bytes, manifest, wasm)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 on conflict (digest) do update set status = excluded.status, manifest = excluded.manifest,
                     loaded_ms = case when plugin.status = excluded.status then plugin.loaded_ms
                                      else excluded.loaded_ms end",
                &values![
                    digest,
                    name,
                    version,
                    number(*status),
                    effect,
                    integer(act.at_ms),
                    &act.by,
                    integer(wasm.len() as u64),
                    &manifest,
                    wasm,
                ],
            )?;
            if !supersedes.is_empty() {
                let update = format!("update plugin set status = 1 where {same_name}");
                tx.db.execute(&update, &values![name, version, digest])?;
            }
            let (name, version, digest, status) = (name.clone(), version.clone(), digest.clone(), *status);
            let target = format!("{name}@{version}");
            audit(
                tx,
                &act.by,
                act.at_ms,
                "plugin.load",
                &target,
                &json!({ "digest": digest, "supersedes": supersedes }),
            )?;
            notice(tx, act.at_ms, &Change::Plugin { name, version, digest, status })?;
            Ok(if known.is_some() { PluginKept::Same } else { PluginKept::New })
        })
        .await
    }

    /// All of them, by name, version and time of loading.
    pub async fn plugins(&self) -> Result<Vec<Plugin>, Unavailable> {
        self.read(|db| {
            db.query(
                "select digest, name, version, status, effect, loaded_ms, loaded_by, bytes, manifest from plugin
                 order by name, version, loaded_ms",
                &[],
                |row| {
                    Ok(Plugin {
                        digest: row.get(0)?,
                        name: row.get(1)?,
                        version: row.get(2)?,
                        status: match row.get::<u8>(3)? {
                            0 => PluginStatus::Live,
                            1 => PluginStatus::Superseded,
                            _ => PluginStatus::Failed,
                        },
                        effect: row.get(4)?,
                        loaded_ms: natural(row, 5)?,
                        loaded_by: row.get(6)?,
                        bytes: natural(row, 7)?,
                        manifest: read_json(row, 8)?,
                    })
                },
            )
        })
        .await
    }

    /// The component's bytes.
    pub async fn plugin_wasm(&self, digest: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        let digest = digest.to_owned();
        self.read(move |db| db.first("select wasm from plugin where digest = ?1", &values![&digest], |row| row.get(0)))
            .await
    }
}

fn number(status: PluginStatus) -> u8 {
    match status {
        PluginStatus::Live => 0,
        PluginStatus::Superseded => 1,
        PluginStatus::Failed => 2,
    }
}
