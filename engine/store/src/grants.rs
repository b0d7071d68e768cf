//! What plugins may reach: connections, the secrets they put in, and who was granted what.
//!
//! Invariants:
//! - A secret comes here sealed and leaves sealed; the audit names it and its version, no more.
//! - Nothing is granted of a connection that is not there, and a connection or a secret that something
//!   names does not go.
//! - Whatever changes something writes its audit row in the same transaction, and tells the other engines.
//!
//! Not here: keys (`server::sealing`), what follows from grants (`sandbox`).

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use stepwell_runtime::journal::Unavailable;

use crate::administration::audit;
use crate::feed::{Change, notice};
use crate::rows::{integer, json as read_json, natural, text};
use crate::sql::{Error, Result, Row, values};
use crate::tx::Tx;
use crate::{Act, Store};

/// What changes of grants, connections and secrets wait for each other on.
const TURN: &str = "grants";

/// A named target that plugins may be granted.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    pub name: String,
    /// As the API shows it; values of secrets are not in it.
    pub spec: Json,
    pub updated_ms: u64,
    pub updated_by: String,
}

/// What a row of a grant is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantedKind {
    Connection,
    Records,
    Limits,
}

/// One thing that a plugin may do.
#[derive(Debug, Clone, PartialEq)]
pub struct Granted {
    /// `name`, `name@1`, `name@1.2.0` or a digest.
    pub plugin: String,
    /// `*`: all.
    pub namespace: String,
    pub kind: GrantedKind,
    /// Of the connection or the type of records; empty for limits.
    pub name: String,
    pub spec: Json,
    pub granted_ms: u64,
    pub granted_by: String,
}

/// What became of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantKept {
    Kept,
    /// It was so before.
    Same,
    NoConnection(String),
}

/// What became of something that was to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dropped {
    Gone,
    NotThere,
    /// By these.
    Used(Vec<String>),
}

/// A value, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub key_id: String,
    /// Base64.
    pub text: String,
}

/// A secret as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSecret {
    pub name: String,
    pub version: u64,
    pub sealed: Sealed,
    pub changed_ms: u64,
    pub changed_by: String,
}

impl GrantedKind {
    fn text(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Records => "records",
            Self::Limits => "limits",
        }
    }

    fn read(row: &Row<'_>, column: usize) -> Result<Self> {
        match row.get::<String>(column)?.as_str() {
            "connection" => Ok(Self::Connection),
            "records" => Ok(Self::Records),
            "limits" => Ok(Self::Limits),
            _ => Err(Error::Column { column, holds: "no kind of grant" }),
        }
    }
}

impl Store {
    pub async fn connections(&self) -> std::result::Result<Vec<Connection>, Unavailable> {
        self.read(|db| {
            db.query("select name, spec, updated_ms, updated_by from connection order by name", &[], |row| {
                Ok(Connection {
                    name: row.get(0)?,
                    spec: read_json(row, 1)?,
                    updated_ms: natural(row, 2)?,
                    updated_by: row.get(3)?,
                })
            })
        })
        .await
    }

    /// Makes or replaces a connection, with the secrets that came with it.
    pub async fn put_connection(
        &self,
        act: Act,
        name: &str,
        spec: &Json,
        secrets: Vec<(String, Sealed)>,
    ) -> std::result::Result<(), Unavailable> {
        let (name, spec) = (name.to_owned(), text(spec)?);
        self.write(move |tx| {
            tx.hold(TURN)?;
            for (secret, sealed) in &secrets {
                put_secret(tx, &act, secret, sealed)?;
            }
            tx.db.execute(
                "insert into connection (name, spec, updated_ms, updated_by) values (?1, ?2, ?3, ?4)
                 on conflict (name) do update set spec = excluded.spec, updated_ms = excluded.updated_ms,
                                                  updated_by = excluded.updated_by",
                &values![&name, &spec, integer(act.at_ms), &act.by],
            )?;
            audit(tx, &act.by, act.at_ms, "connection.put", &name, &Json::Null)?;
            notice(tx, act.at_ms, &Change::Grants)
        })
        .await
    }

    /// Takes a connection away that nobody is granted.
    pub async fn delete_connection(&self, act: Act, name: &str) -> std::result::Result<Dropped, Unavailable> {
        let name = name.to_owned();
        self.write(move |tx| {
            tx.hold(TURN)?;
            let users =
                "select distinct plugin from plugin_grant where kind = 'connection' and name = ?1 order by plugin";
            let users = tx.db.query(users, &values![&name], |row| row.get::<String>(0))?;
            if !users.is_empty() {
                return Ok(Dropped::Used(users));
            }
            if tx.db.execute("delete from connection where name = ?1", &values![&name])? == 0 {
                return Ok(Dropped::NotThere);
            }
            audit(tx, &act.by, act.at_ms, "connection.delete", &name, &Json::Null)?;
            notice(tx, act.at_ms, &Change::Grants)?;
            Ok(Dropped::Gone)
        })
        .await
    }

    /// All that was granted, by plugin and namespace.
    pub async fn grants(&self) -> std::result::Result<Vec<Granted>, Unavailable> {
        self.read(|db| {
            db.query(
                "select plugin, namespace, kind, name, spec, granted_ms, granted_by from plugin_grant
                 order by plugin, namespace, kind, name",
                &[],
                |row| {
                    Ok(Granted {
                        plugin: row.get(0)?,
                        namespace: row.get(1)?,
                        kind: GrantedKind::read(row, 2)?,
                        name: row.get(3)?,
                        spec: read_json(row, 4)?,
                        granted_ms: natural(row, 5)?,
                        granted_by: row.get(6)?,
                    })
                },
            )
        })
        .await
    }

    /// Grants things beside what a plugin has in a namespace, or `whole: true` in place of it.
    pub async fn put_grant(
        &self,
        act: Act,
        plugin: &str,
        namespace: &str,
        things: Vec<(GrantedKind, String, Json)>,
        whole: bool,
    ) -> std::result::Result<GrantKept, Unavailable> {
        let (plugin, namespace) = (plugin.to_owned(), namespace.to_owned());
        self.write(move |tx| {
            tx.hold(TURN)?;
            for (_, name, _) in things.iter().filter(|(kind, ..)| *kind == GrantedKind::Connection) {
                if !tx.db.exists("select 1 from connection where name = ?1", &values![name])? {
                    return Ok(GrantKept::NoConnection(name.clone()));
                }
            }
            let mut changed = 0;
            if whole {
                changed += drop_others(tx, &plugin, &namespace, &things)?;
            }
            for (kind, name, spec) in &things {
                let spec = spec.to_string();
                changed += tx.db.execute(
                    "insert into plugin_grant (plugin, namespace, kind, name, spec, granted_ms, granted_by)
                     values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     on conflict (plugin, namespace, kind, name) do update
                     set spec = excluded.spec, granted_ms = excluded.granted_ms, granted_by = excluded.granted_by
                     where plugin_grant.spec <> excluded.spec",
                    &values![&plugin, &namespace, kind.text(), name, &spec, integer(act.at_ms), &act.by],
                )?;
            }
            if changed == 0 {
                return Ok(GrantKept::Same);
            }
            let things: Vec<Json> = things
                .iter()
                .map(|(kind, name, spec)| json!({ "kind": kind.text(), "name": name, "spec": spec }))
                .collect();
            let detail = json!({ "namespace": namespace, "granted": things, "whole": whole });
            audit(tx, &act.by, act.at_ms, "grant.put", &plugin, &detail)?;
            notice(tx, act.at_ms, &Change::Grants)?;
            Ok(GrantKept::Kept)
        })
        .await
    }

    /// Takes back what a plugin was granted in a namespace, or of it one thing. False: there was nothing.
    pub async fn delete_grant(
        &self,
        act: Act,
        plugin: &str,
        namespace: &str,
        thing: Option<(GrantedKind, &str)>,
    ) -> std::result::Result<bool, Unavailable> {
        let (plugin, namespace) = (plugin.to_owned(), namespace.to_owned());
        let thing = thing.map(|(kind, name)| (kind, name.to_owned()));
        self.write(move |tx| {
            tx.hold(TURN)?;
            let gone = match &thing {
                Some((kind, name)) => tx.db.execute(
                    "delete from plugin_grant where plugin = ?1 and namespace = ?2 and kind = ?3 and name = ?4",
                    &values![&plugin, &namespace, kind.text(), name],
                )?,
                None => tx.db.execute(
                    "delete from plugin_grant where plugin = ?1 and namespace = ?2",
                    &values![&plugin, &namespace],
                )?,
            };
            if gone > 0 {
                let thing = thing.as_ref().map(|(kind, name)| json!({ "kind": kind.text(), "name": name }));
                let detail = json!({ "namespace": namespace, "taken": thing });
                audit(tx, &act.by, act.at_ms, "grant.delete", &plugin, &detail)?;
                notice(tx, act.at_ms, &Change::Grants)?;
            }
            Ok(gone > 0)
        })
        .await
    }

    pub async fn secrets(&self) -> std::result::Result<Vec<KeptSecret>, Unavailable> {
        self.read(|db| {
            let sql = "select name, version, key_id, sealed, changed_ms, changed_by from secret order by name";
            db.query(sql, &[], |row| {
                Ok(KeptSecret {
                    name: row.get(0)?,
                    version: natural(row, 1)?,
                    sealed: Sealed { key_id: row.get(2)?, text: row.get(3)? },
                    changed_ms: natural(row, 4)?,
                    changed_by: row.get(5)?,
                })
            })
        })
        .await
    }

    /// Keeps a secret's next value; returns its version.
    pub async fn put_secret(&self, act: Act, name: &str, sealed: Sealed) -> std::result::Result<u64, Unavailable> {
        let name = name.to_owned();
        self.write(move |tx| {
            tx.hold(TURN)?;
            let version = put_secret(tx, &act, &name, &sealed)?;
            notice(tx, act.at_ms, &Change::Grants)?;
            Ok(version)
        })
        .await
    }

    /// Takes a secret away that no connection names.
    pub async fn delete_secret(&self, act: Act, name: &str) -> std::result::Result<Dropped, Unavailable> {
        let name = name.to_owned();
        self.write(move |tx| {
            tx.hold(TURN)?;
            let specs = tx.db.query("select name, spec from connection order by name", &[], |row| {
                Ok((row.get::<String>(0)?, read_json::<Json>(row, 1)?))
            })?;
            let names = |spec: &Json| spec["secrets"].as_array().is_some_and(|all| all.iter().any(|one| one == &*name));
            let users: Vec<String> =
                specs.into_iter().filter(|(_, spec)| names(spec)).map(|(connection, _)| connection).collect();
            if !users.is_empty() {
                return Ok(Dropped::Used(users));
            }
            if tx.db.execute("delete from secret where name = ?1", &values![&name])? == 0 {
                return Ok(Dropped::NotThere);
            }
            audit(tx, &act.by, act.at_ms, "secret.delete", &name, &Json::Null)?;
            notice(tx, act.at_ms, &Change::Grants)?;
            Ok(Dropped::Gone)
        })
        .await
    }

    /// Seals a secret with another key. Its value and version stay; false: it was changed meanwhile.
    pub async fn reseal(
        &self,
        act: Act,
        before: &KeptSecret,
        sealed: Sealed,
    ) -> std::result::Result<bool, Unavailable> {
        let before = before.clone();
        self.write(move |tx| {
            let done = tx.db.execute(
                "update secret set key_id = ?3, sealed = ?4 where name = ?1 and version = ?2 and sealed = ?5",
                &values![&before.name, integer(before.version), &sealed.key_id, &sealed.text, &before.sealed.text],
            )?;
            if done == 1 {
                let detail = json!({ "from": before.sealed.key_id, "to": sealed.key_id });
                audit(tx, &act.by, act.at_ms, "secret.reseal", &before.name, &detail)?;
            }
            Ok(done == 1)
        })
        .await
    }
}

fn put_secret(tx: &mut Tx<'_>, act: &Act, name: &str, sealed: &Sealed) -> Result<u64> {
    let version = tx.db.only(
        "insert into secret (name, version, key_id, sealed, changed_ms, changed_by) values (?1, 1, ?2, ?3, ?4, ?5)
         on conflict (name) do update
         set version = secret.version + 1, key_id = excluded.key_id, sealed = excluded.sealed,
             changed_ms = excluded.changed_ms, changed_by = excluded.changed_by
         returning version",
        &values![name, &sealed.key_id, &sealed.text, integer(act.at_ms), &act.by],
        |row| natural(row, 0),
    )?;
    audit(tx, &act.by, act.at_ms, "secret.put", name, &json!({ "version": version }))?;
    Ok(version)
}

/// Takes away what a whole grant does not name any more.
fn drop_others(tx: &mut Tx<'_>, plugin: &str, namespace: &str, keep: &[(GrantedKind, String, Json)]) -> Result<usize> {
    let keep: BTreeSet<(GrantedKind, &str)> = keep.iter().map(|(kind, name, _)| (*kind, name.as_str())).collect();
    let sql = "select kind, name from plugin_grant where plugin = ?1 and namespace = ?2";
    let there =
        tx.db.query(sql, &values![plugin, namespace], |row| Ok((GrantedKind::read(row, 0)?, row.get::<String>(1)?)))?;
    let mut gone = 0;
    for (kind, name) in there.iter().filter(|(kind, name)| !keep.contains(&(*kind, name.as_str()))) {
        gone += tx.db.execute(
            "delete from plugin_grant where plugin = ?1 and namespace = ?2 and kind = ?3 and name = ?4",
            &values![plugin, namespace, kind.text(), name],
        )?;
    }
    Ok(gone)
}
