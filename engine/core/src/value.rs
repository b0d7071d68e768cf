//! A value an instance holds, and where in the journal it stands.
//!
//! Values that came in by an event live once, in that event's journal row; a snapshot names the
//! row instead of repeating them. Values the core computed are written out.
//!
//! Not here: how rows are read back (`machine::snapshot` says which, `store` reads them).

use std::sync::Arc;

use serde_json::Value;

/// A shared, immutable JSON value with its provenance.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    pub value: Arc<Value>,
    /// The journal sequence number of the event that carried it; `None` for a computed value.
    pub row: Option<u64>,
}

impl Held {
    pub fn computed(value: Value) -> Self {
        Self { value: Arc::new(value), row: None }
    }

    pub fn from_row(value: Arc<Value>, row: u64) -> Self {
        Self { value, row: Some(row) }
    }
}
