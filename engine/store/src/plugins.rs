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
    /// Digests whose place it takes.
    pub supersedes: Vec<String>,
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
    pub async fn put_plugin(&self, plugin: NewPlugin) -> Result<PluginKept, Unavailable> {
        let manifest = text(&plugin.manifest)?;
        self.write(move |tx| {
            let NewPlugin { digest, name, version, status, effect, wasm, supersedes, act, .. } = &plugin;
            tx.hold_all(&BTreeSet::from([("", name.as_str()), ("", PLUGINS)]))?;
            if is_revoked(tx.db, digest)? {
                return Ok(PluginKept::Revoked);
            }
            let known: Option<(u8, String)> =
                tx.db.first("select status, manifest from plugin where digest = ?1", &values![digest], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            if known.as_ref().is_some_and(|(was, text)| *was == number(*status) && *text == manifest) {
                return Ok(PluginKept::Same);
            }
            tx.db.execute(
                "insert into plugin (digest, name, version, status, effect, loaded_ms, loaded_by, bytes, manifest, wasm)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 on conflict (digest) do update set status = excluded.status, manifest = excluded.manifest",
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
            for other in supersedes.iter().filter(|other| *other != digest) {
                tx.db.execute("update plugin set status = 1 where digest = ?1 and status = 0", &values![other])?;
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
