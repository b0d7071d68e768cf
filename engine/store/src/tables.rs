//! Decision tables as they are read. They are published and kept as flows are.
//!
//! Not here: publishing (`flows`), what a table says (`core::table`).

use std::sync::Arc;

use serde_json::Value as Json;
use stepwell_runtime::journal::Unavailable;

use crate::Store;
use crate::rows::{json as read_json, natural, shared};
use crate::sql::{Result, Row, values};
use crate::within::Within;

/// A version of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableVersion {
    pub key: String,
    pub version: u32,
    pub document: Arc<Json>,
    pub hash: String,
    pub published_ms: u64,
    pub published_by: String,
}

const TABLES: &str = "select v.flow, v.version, v.document, v.hash, v.published_ms, v.published_by
     from version as v join flow as f on f.key = v.flow where f.kind = 'table'";
const NEWEST: &str = "v.version = (select max(version) from version where flow = v.flow)";

fn table(row: &Row<'_>) -> Result<TableVersion> {
    Ok(TableVersion {
        key: row.get(0)?,
        version: row.get(1)?,
        document: shared(read_json(row, 2)?),
        hash: row.get(3)?,
        published_ms: natural(row, 4)?,
        published_by: row.get(5)?,
    })
}

impl Store {
    /// The newest version of each table of these namespaces, by key.
    pub async fn tables_within(&self, within: Within) -> std::result::Result<Vec<TableVersion>, Unavailable> {
        self.read(move |db| {
            let sql = format!("{TABLES} and {NEWEST} and {} order by v.flow", within.condition("f.key"));
            db.query(&sql, &[], table)
        })
        .await
    }

    /// One version of a table; `None` as version asks for the newest.
    pub async fn table(
        &self,
        key: &str,
        version: Option<u32>,
    ) -> std::result::Result<Option<TableVersion>, Unavailable> {
        let key = key.to_owned();
        let sql = format!(
            "{TABLES} and v.flow = ?1 and v.version = coalesce(?2, (select max(version) from version where flow = ?1))"
        );
        self.read(move |db| db.first(&sql, &values![&key, version], table)).await
    }
}
