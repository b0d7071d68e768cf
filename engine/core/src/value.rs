//! A value an instance holds, and where in the journal it stands.
//!
//! Values that came in by an event live once, in that event's journal row; a snapshot names the
//! row instead of repeating them. Values the core computed are written out.
//!
//! Not here: how rows are read back (`machine::snapshot` says which, `store` reads them).

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
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

/// `{"r": 12}` for a value that stands in a journal row, `{"v": …}` for a computed one.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Row { r: u64 },
    Value { v: Arc<Value> },
}

impl Serialize for Held {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.row {
            Some(r) => Form::Row { r },
            None => Form::Value { v: self.value.clone() },
        }
        .serialize(serializer)
    }
}

/// A value that stands in a row comes back empty; `machine::snapshot` fills it in.
impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Form::deserialize(deserializer)? {
            Form::Row { r } => Self { value: Arc::new(Value::Null), row: Some(r) },
            Form::Value { v } => Self { value: v, row: None },
        })
    }
}
