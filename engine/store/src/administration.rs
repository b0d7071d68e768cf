//! The record of who did what, and settings.
//!
//! Invariant: whatever changes something writes its audit row in the same transaction.
//!
//! Not here: how that record is read (`audit`).

use serde_json::Value as Json;
use stepwell_runtime::journal::Unavailable;

use crate::rows::{integer, json as read_json, text};
use crate::sql::Kind::{Int, Text};
use crate::sql::{Each, Result, values};
use crate::tx::Tx;
use crate::{Act, Store};

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
