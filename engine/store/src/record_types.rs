//! Record types, published as versions; and which plugin may reach records of which type.
//!
//! Invariants:
//! - The newest version of a type is in force; the same content again is no new version.
//! - A grant names a type that need not be there yet.
//!
//! Not here: what a document may say (`core::record`), the records themselves (`records`).

use std::sync::Arc;

use serde_json::{Value as Json, json};
use stepwell_runtime::journal::Unavailable;

use crate::administration::audit;
use crate::flows::is_fresh;
use crate::rows::{integer, json as read_json, natural, shared, text};
use crate::sql::{Result, Row, values};
use crate::{Act, Store};

/// A version of a record type.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordTypeVersion {
    pub key: String,
    pub version: u32,
    pub document: Arc<Json>,
    pub hash: String,
    pub published_ms: u64,
    pub published_by: String,
}

/// What is published. The checker has passed it.
#[derive(Debug, Clone)]
pub struct PublishRecordType {
    pub key: String,
    pub document: Arc<Json>,
    pub hash: String,
    /// The sha256 of the watched file it comes from.
    pub file: Option<String>,
    pub act: Act,
}

const NEWEST: &str = "select key, version, document, hash, published_ms, published_by from record_type as t
     where version = (select max(version) from record_type where key = t.key)";

fn version(row: &Row<'_>) -> Result<RecordTypeVersion> {
    Ok(RecordTypeVersion {
        key: row.get(0)?,
        version: row.get(1)?,
        document: shared(read_json(row, 2)?),
        hash: row.get(3)?,
        published_ms: natural(row, 4)?,
        published_by: row.get(5)?,
    })
}

impl Store {
    /// Publishes a version; `false` beside it: the newest has this content already, or the file was published before.
    pub async fn publish_record_type(
        &self,
        publish: PublishRecordType,
    ) -> std::result::Result<(RecordTypeVersion, bool), Unavailable> {
        let document = text(&*publish.document)?;
        self.write(move |tx| {
            let PublishRecordType { key, hash, act, .. } = &publish;
            tx.hold(&format!("record-type {key}"))?;
            let newest = tx.db.first(&format!("{NEWEST} and key = ?1"), &values![key], version)?;
            let is_fresh = match &publish.file {
                // Its name there is none that a flow could have.
                Some(file) => is_fresh(tx, &format!("record {key}"), file, act.at_ms)?,
                None => true,
            };
            if let Some(same) = newest.as_ref().filter(|newest| newest.hash == *hash || !is_fresh) {
                return Ok((same.clone(), false));
            }
            let made = RecordTypeVersion {
                key: key.clone(),
                version: newest.map_or(1, |newest| newest.version + 1),
                document: publish.document.clone(),
                hash: hash.clone(),
                published_ms: act.at_ms,
                published_by: act.by.clone(),
            };
            tx.db.execute(
                "insert into record_type (key, version, document, hash, published_ms, published_by)
                 values (?1, ?2, ?3, ?4, ?5, ?6)",
                &values![key, made.version, &document, hash, integer(act.at_ms), &act.by],
            )?;
            let detail = json!({ "version": made.version, "hash": hash });
            audit(tx, &act.by, act.at_ms, "record-type.publish", key, &detail)?;
            Ok((made, true))
        })
        .await
    }

    /// The newest version of each type, by key.
    pub async fn record_types(&self) -> std::result::Result<Vec<RecordTypeVersion>, Unavailable> {
        self.read(|db| db.query(&format!("{NEWEST} order by key"), &[], version)).await
    }

    /// The newest version of a type.
    pub async fn record_type(&self, key: &str) -> std::result::Result<Option<RecordTypeVersion>, Unavailable> {
        let key = key.to_owned();
        self.read(move |db| db.first(&format!("{NEWEST} and key = ?1"), &values![&key], version)).await
    }

    /// Which version of a type is in force.
    pub async fn record_type_version(&self, key: &str) -> std::result::Result<Option<u32>, Unavailable> {
        let key = key.to_owned();
        let sql = "select version from record_type where key = ?1 order by version desc limit 1";
        self.read(move |db| db.first(sql, &values![&key], |row| row.get(0))).await
    }
}
