//! The record of who did what, and what an administrator sets: connections, grants, settings.
//!
//! Invariant: whatever changes something writes its audit row in the same transaction.
//!
//! Not here: how that record is read (`audit`).

use serde_json::{Value as Json, json};
use stepwell_runtime::journal::Unavailable;

use crate::feed::{Change, notice};
use crate::rows::{integer, json as read_json, natural, text};
use crate::sql::Kind::{Int, Text};
use crate::sql::{Each, Result, values};
use crate::tx::Tx;
use crate::{Act, Store};

/// A named target that plugins may be granted.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    pub name: String,
    /// As the API takes it.
    pub spec: Json,
    pub updated_ms: u64,
    pub updated_by: String,
}

/// A plugin may use a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub plugin: String,
    pub connection: String,
    pub granted_ms: u64,
    pub granted_by: String,
}

/// What somebody did, for the audit.
pub(crate) struct Deed<'a> {
    pub(crate) by: &'a str,
    pub(crate) at_ms: u64,
    pub(crate) action: &'a str,
    pub(crate) target: &'a str,
    pub(crate) detail: Json,
}

static AUDIT: Each<6> = Each::new(
    [Int, Int, Text, Text, Text, Text],
    "insert into audit (n, at_ms, who, action, target, detail) select ?1, ?2, ?3, ?4, ?5, ?6 {from each}",
);

/// Writes audit rows, as part of the transaction of what they tell of.
pub(crate) fn audit_all(tx: &mut Tx<'_>, deeds: &[Deed<'_>]) -> Result<()> {
    let rows: Vec<_> = deeds
        .iter()
        .map(|one| {
            let n = tx.next_id();
            values![n, integer(one.at_ms), one.by, one.action, one.target, one.detail.to_string()]
        })
        .collect();
    tx.db.execute_each(&AUDIT, &rows)?;
    Ok(())
}

/// Writes one audit row.
pub(crate) fn audit(tx: &mut Tx<'_>, by: &str, at_ms: u64, action: &str, target: &str, detail: &Json) -> Result<()> {
    audit_all(tx, &[Deed { by, at_ms, action, target, detail: detail.clone() }])
}

impl Store {
    /// Keeps a row of what was done where nothing else is kept (a login, a refused upload).
    pub async fn audit(
        &self,
        act: Act,
        action: &str,
        target: &str,
        detail: Json,
    ) -> std::result::Result<(), Unavailable> {
        let (action, target) = (action.to_owned(), target.to_owned());
        self.write(move |tx| audit(tx, &act.by, act.at_ms, &action, &target, &detail)).await
    }

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

    /// Makes or replaces a connection. Its values may be secret: the audit names it and no more.
    pub async fn put_connection(&self, act: Act, name: &str, spec: &Json) -> std::result::Result<(), Unavailable> {
        let (name, spec) = (name.to_owned(), text(spec)?);
        self.write(move |tx| {
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

    pub async fn grants(&self) -> std::result::Result<Vec<Grant>, Unavailable> {
        self.read(|db| {
            db.query(
                "select plugin, connection, granted_ms, granted_by from plugin_grant order by plugin, connection",
                &[],
                |row| {
                    Ok(Grant {
                        plugin: row.get(0)?,
                        connection: row.get(1)?,
                        granted_ms: natural(row, 2)?,
                        granted_by: row.get(3)?,
                    })
                },
            )
        })
        .await
    }

    /// Lets a plugin use a connection. False: there is no such connection.
    pub async fn grant(&self, act: Act, plugin: &str, connection: &str) -> std::result::Result<bool, Unavailable> {
        let (plugin, name) = (plugin.to_owned(), connection.to_owned());
        self.write(move |tx| {
            if !tx.db.exists("select 1 from connection where name = ?1", &values![&name])? {
                return Ok(false);
            }
            let added = tx.db.execute(
                "insert into plugin_grant (plugin, connection, granted_ms, granted_by) values (?1, ?2, ?3, ?4)
                 on conflict do nothing",
                &values![&plugin, &name, integer(act.at_ms), &act.by],
            )?;
            if added == 1 {
                audit(tx, &act.by, act.at_ms, "grant.put", &plugin, &json!({ "connection": name }))?;
                notice(tx, act.at_ms, &Change::Grants)?;
            }
            Ok(true)
        })
        .await
    }

    /// Takes a grant back. False: there was none.
    pub async fn ungrant(&self, act: Act, plugin: &str, connection: &str) -> std::result::Result<bool, Unavailable> {
        let (plugin, name) = (plugin.to_owned(), connection.to_owned());
        self.write(move |tx| {
            let gone = tx
                .db
                .execute("delete from plugin_grant where plugin = ?1 and connection = ?2", &values![&plugin, &name])?;
            if gone == 1 {
                audit(tx, &act.by, act.at_ms, "grant.delete", &plugin, &json!({ "connection": name }))?;
                notice(tx, act.at_ms, &Change::Grants)?;
            }
            Ok(gone == 1)
        })
        .await
    }

    pub async fn setting(&self, name: &str) -> std::result::Result<Option<Json>, Unavailable> {
        let name = name.to_owned();
        self.read(move |db| {
            db.first("select value from setting where name = ?1", &values![&name], |row| read_json(row, 0))
        })
        .await
    }

    /// Keeps a value, or `fresh: true` only where none is kept yet. Returns the value that is kept now.
    pub async fn put_setting(&self, name: &str, value: &Json, fresh: bool) -> std::result::Result<Json, Unavailable> {
        let (name, value) = (name.to_owned(), text(value)?);
        self.write(move |tx| {
            let sql = if fresh {
                "insert into setting (name, value) values (?1, ?2) on conflict do nothing"
            } else {
                "insert into setting (name, value) values (?1, ?2)
                 on conflict (name) do update set value = excluded.value"
            };
            tx.db.execute(sql, &values![&name, &value])?;
            tx.db.only("select value from setting where name = ?1", &values![&name], |row| read_json(row, 0))
        })
        .await
    }
}
