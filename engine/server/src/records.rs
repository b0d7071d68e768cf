//! Record types as records are held to them, and how the sandbox reads records.
//!
//! Invariant: the version in force is asked of the store each time; only what it was compiled to is remembered.
//!
//! Not here: what a type may say (`core::record`), how records are written (`runtime`, `http::records`).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use stepwell_core::record::{self, RecordType};
use stepwell_runtime::journal::Unavailable;
use stepwell_sandbox::{Committed, Reading, Wanted};
use stepwell_store::{Record, RecordFilter, Store};

/// Record types, compiled once per version.
pub(crate) struct RecordTypes {
    store: Store,
    known: RwLock<HashMap<String, (u32, Arc<RecordType>)>>,
}

impl RecordTypes {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, known: RwLock::default() }
    }

    /// The version in force of a type; `None`: there is no such type.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Arc<RecordType>>, Unavailable> {
        let Some(version) = self.store.record_type_version(key).await? else { return Ok(None) };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let Some((_, record_type)) = known.filter(|(known, _)| *known == version) {
            return Ok(Some(record_type));
        }
        let Some(newest) = self.store.record_type(key).await? else { return Ok(None) };
        let Some(compiled) = record::check(&newest.document).record.map(Arc::new) else {
            // An older engine than the one that published it.
            return Err(Unavailable(format!("record type {key} as stored cannot be read by this engine")));
        };
        let entry = (newest.version, compiled.clone());
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), entry);
        Ok(Some(compiled))
    }
}

/// What the sandbox asks.
pub(crate) fn reading(store: &Store) -> (Arc<RecordTypes>, Reading) {
    let types = Arc::new(RecordTypes::new(store.clone()));
    let (of_type, one, several) = (types.clone(), store.clone(), store.clone());
    let reading = Reading {
        record_type: Box::new(move |kind| {
            let (types, kind) = (of_type.clone(), kind.to_owned());
            Box::pin(async move { types.get(&kind).await })
        }),
        record: Box::new(move |kind, id| {
            let (store, kind, id) = (one.clone(), kind.to_owned(), id.to_owned());
            Box::pin(async move { Ok(store.record(&kind, &id).await?.map(committed)) })
        }),
        records: Box::new(move |kind, wanted| {
            let (store, kind) = (several.clone(), kind.to_owned());
            Box::pin(async move {
                let Wanted { status, min, max, after, limit } = wanted;
                let filter = RecordFilter { status, min, max, after };
                let (found, more) = store.records(&kind, filter, limit).await?;
                Ok((found.into_iter().map(committed).collect(), more))
            })
        }),
    };
    (types, reading)
}

fn committed(record: Record) -> Committed {
    let Record { id, status, status_code, revision, body, .. } = record;
    Committed { id, status, status_code, revision, body }
}
