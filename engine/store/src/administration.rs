//! The record of who did what, and what an administrator sets: connections, grants, settings.
//!
//! Invariant: whatever changes something writes its audit row in the same transaction.

use rusqlite::OptionalExtension as _;
use serde_json::{Value, json};
use stepwell_runtime::journal::Unavailable;

use crate::rows::{integer, json as read_json, natural, text};
use crate::tx::Tx;
use crate::{Act, Cursor, Page, Store};

/// One thing somebody did.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    pub n: u64,
    pub at_ms: u64,
    pub who: String,
    /// `flow.publish`, `instance.cancel` …
    pub action: String,
    /// What it was done to: a flow's key, an instance's id …
    pub target: String,
    pub detail: Value,
}

/// A named target that plugins may be granted.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    pub name: String,
    /// As the API takes it.
    pub spec: Value,
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

/// Writes an audit row, as part of the transaction of what it tells of.
pub(crate) fn audit(
    tx: &Tx<'_>,
    by: &str,
    at_ms: u64,
    action: &str,
    target: &str,
    detail: &Value,
) -> rusqlite::Result<()> {
    tx.execute(
        "insert into audit (at_ms, who, action, target, detail) values (?1, ?2, ?3, ?4, ?5)",
        (integer(at_ms), by, action, target, detail.to_string()),
    )
    .map(|_| ())
}

impl Store {
    /// Keeps a row of what was done where nothing else is kept (a login, a refused upload).
    pub async fn audit(&self, act: Act, action: &str, target: &str, detail: Value) -> Result<(), Unavailable> {
        let (action, target) = (action.to_owned(), target.to_owned());
        self.write(move |tx| audit(tx, &act.by, act.at_ms, &action, &target, &detail)).await
    }

    /// The newest first; `target` narrows to what was done to one thing.
    pub async fn audit_page(
        &self,
        target: Option<String>,
        cursor: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<AuditEntry>, Unavailable> {
        self.read(move |connection| {
            let before = cursor.map_or(i64::MAX, |cursor| cursor.0);
            let sql = if target.is_some() {
                "select n, at_ms, who, action, target, detail from audit
                 where target = ?3 and n < ?1 order by n desc limit ?2"
            } else {
                "select n, at_ms, who, action, target, detail from audit
                 where n < ?1 and ?3 is null order by n desc limit ?2"
            };
            let items = connection
                .prepare_cached(sql)?
                .query_map((before, limit.saturating_add(1), target), |row| {
                    Ok(AuditEntry {
                        n: natural(row, 0)?,
                        at_ms: natural(row, 1)?,
                        who: row.get(2)?,
                        action: row.get(3)?,
                        target: row.get(4)?,
                        detail: read_json(row, 5)?,
                    })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(Page::new(items, limit, |entry| Cursor(integer(entry.n))))
        })
        .await
    }

    pub async fn connections(&self) -> Result<Vec<Connection>, Unavailable> {
        self.read(|connection| {
            connection
                .prepare_cached("select name, spec, updated_ms, updated_by from connection order by name")?
                .query_map([], |row| {
                    Ok(Connection {
                        name: row.get(0)?,
                        spec: read_json(row, 1)?,
                        updated_ms: natural(row, 2)?,
                        updated_by: row.get(3)?,
                    })
                })?
                .collect()
        })
        .await
    }

    /// Makes or replaces a connection. Its values may be secret: the audit names it and no more.
    pub async fn put_connection(&self, act: Act, name: &str, spec: &Value) -> Result<(), Unavailable> {
        let (name, spec) = (name.to_owned(), text(spec)?);
        self.write(move |tx| {
            tx.execute(
                "insert into connection (name, spec, updated_ms, updated_by) values (?1, ?2, ?3, ?4)
                 on conflict (name) do update set spec = excluded.spec, updated_ms = excluded.updated_ms,
                                                  updated_by = excluded.updated_by",
                (&name, &spec, integer(act.at_ms), &act.by),
            )?;
            audit(tx, &act.by, act.at_ms, "connection.put", &name, &Value::Null)
        })
        .await
    }

    pub async fn grants(&self) -> Result<Vec<Grant>, Unavailable> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "select plugin, connection, granted_ms, granted_by from plugin_grant order by plugin, connection",
                )?
                .query_map([], |row| {
                    Ok(Grant {
                        plugin: row.get(0)?,
                        connection: row.get(1)?,
                        granted_ms: natural(row, 2)?,
                        granted_by: row.get(3)?,
                    })
                })?
                .collect()
        })
        .await
    }

    /// Lets a plugin use a connection. False: there is no such connection.
    pub async fn grant(&self, act: Act, plugin: &str, connection: &str) -> Result<bool, Unavailable> {
        let (plugin, name) = (plugin.to_owned(), connection.to_owned());
        self.write(move |tx| {
            if !tx.prepare("select 1 from connection where name = ?1")?.exists([&name])? {
                return Ok(false);
            }
            let added = tx.execute(
                "insert into plugin_grant (plugin, connection, granted_ms, granted_by) values (?1, ?2, ?3, ?4)
                 on conflict do nothing",
                (&plugin, &name, integer(act.at_ms), &act.by),
            )?;
            if added == 1 {
                audit(tx, &act.by, act.at_ms, "grant.put", &plugin, &json!({ "connection": name }))?;
            }
            Ok(true)
        })
        .await
    }

    /// Takes a grant back. False: there was none.
    pub async fn ungrant(&self, act: Act, plugin: &str, connection: &str) -> Result<bool, Unavailable> {
        let (plugin, name) = (plugin.to_owned(), connection.to_owned());
        self.write(move |tx| {
            let gone =
                tx.execute("delete from plugin_grant where plugin = ?1 and connection = ?2", (&plugin, &name))?;
            if gone == 1 {
                audit(tx, &act.by, act.at_ms, "grant.delete", &plugin, &json!({ "connection": name }))?;
            }
            Ok(gone == 1)
        })
        .await
    }

    pub async fn setting(&self, name: &str) -> Result<Option<Value>, Unavailable> {
        let name = name.to_owned();
        self.read(move |connection| {
            connection
                .prepare_cached("select value from setting where name = ?1")?
                .query_row([name], |row| read_json(row, 0))
                .optional()
        })
        .await
    }

    /// Keeps a value, or `fresh: true` only where none is kept yet. Returns the value that is kept now.
    pub async fn put_setting(&self, name: &str, value: &Value, fresh: bool) -> Result<Value, Unavailable> {
        let (name, value) = (name.to_owned(), text(value)?);
        self.write(move |tx| {
            let sql = if fresh {
                "insert into setting (name, value) values (?1, ?2) on conflict do nothing"
            } else {
                "insert into setting (name, value) values (?1, ?2)
                 on conflict (name) do update set value = excluded.value"
            };
            tx.execute(sql, (&name, &value))?;
            tx.prepare("select value from setting where name = ?1")?.query_row([&name], |row| read_json(row, 0))
        })
        .await
    }
}
