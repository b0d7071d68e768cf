//! A value an instance holds, and where in the journal it stands.
//!
//! Values that came in by an event live once, in that event's journal row; a snapshot names the
//! row instead of repeating them. Values the core computed are written out.
//!
//! Values are bounded: what comes in from outside in depth, what an expression computes in depth and size.
//!
//! Not here: how rows are read back (`machine::snapshot` says which, `store` reads them); how large a body or
//! a node's output may be (`server`, `sandbox`).

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Deepest value. Journal and snapshot wrap values in some levels more, and readers of JSON stop at 128.
pub const VALUE_DEPTH_MAX: usize = 100;
/// Most bytes, as JSON text, that one mapping, table or expression makes.
pub const COMPUTED_BYTES_MAX: usize = 1024 * 1024;

/// Whether lists and objects stand in each other more than [`VALUE_DEPTH_MAX`] deep.
pub fn too_deep(value: &Value) -> bool {
    deeper_than(value, VALUE_DEPTH_MAX)
}

fn deeper_than(value: &Value, levels: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        Value::Array(_) | Value::Object(_) if levels == 0 => true,
        Value::Array(items) => items.iter().any(|item| deeper_than(item, levels - 1)),
        Value::Object(fields) => fields.values().any(|field| deeper_than(field, levels - 1)),
    }
}

/// Counts what a computation makes, before it is made: a list that is doubled in a loop is refused
/// while it still fits in memory.
#[derive(Debug, Default)]
pub(crate) struct Measure {
    bytes: usize,
}

impl Measure {
    /// Counts a value that will stand `depth` levels deep.
    pub(crate) fn value(&mut self, value: &Value, depth: usize) -> Result<(), TooLarge> {
        match value {
            Value::Null | Value::Bool(_) => self.bytes(5),
            Value::Number(number) if number.is_f64() => self.bytes(25),
            Value::Number(_) => self.bytes(20),
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.level(depth)?;
                self.bytes(2 + items.len())?;
                items.iter().try_for_each(|item| self.value(item, depth + 1))
            }
            Value::Object(fields) => {
                self.level(depth)?;
                self.bytes(2)?;
                fields.iter().try_for_each(|(key, field)| {
                    self.text(key)?;
                    self.value(field, depth + 1)
                })
            }
        }
    }

    /// Counts a text as JSON writes it, with its quotes and what follows them.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), TooLarge> {
        let escaped = |byte: u8| match byte {
            b'"' | b'\\' => 2,
            0..=0x1f => 6,
            _ => 1,
        };
        self.bytes(text.bytes().map(escaped).sum::<usize>() + 4)
    }

    /// Counts punctuation, and scalars at their longest.
    pub(crate) fn bytes(&mut self, bytes: usize) -> Result<(), TooLarge> {
        self.bytes += bytes;
        if self.bytes > COMPUTED_BYTES_MAX { Err(TooLarge::Bytes) } else { Ok(()) }
    }

    /// A list or object that will stand `depth` levels deep.
    #[allow(clippy::unused_self, reason = "one counter, two limits: callers need not know which is kept")]
    pub(crate) fn level(&self, depth: usize) -> Result<(), TooLarge> {
        if depth >= VALUE_DEPTH_MAX { Err(TooLarge::Depth) } else { Ok(()) }
    }
}

/// Why a value is not computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooLarge {
    #[error("a value of more than {COMPUTED_BYTES_MAX} bytes")]
    Bytes,
    #[error("a value of more than {VALUE_DEPTH_MAX} levels")]
    Depth,
}

/// A shared, immutable JSON value with its provenance.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    pub value: Arc<Value>,
    /// The journal sequence number of the event that carried it; `None` for a computed value.
    pub row: Option<u64>,
    /// Where in that event's value it stands: a JSON pointer; `None`: it is the whole.
    pub at: Option<Arc<str>>,
}

impl Held {
    pub fn computed(value: Value) -> Self {
        Self { value: Arc::new(value), row: None, at: None }
    }

    pub fn from_row(value: Arc<Value>, row: u64) -> Self {
        Self { value, row: Some(row), at: None }
    }

    /// What stands there in it, by JSON pointer: a part of a value that stands in a row stands there as well.
    pub fn part(&self, pointer: &str) -> Option<Self> {
        if pointer.is_empty() {
            return Some(self.clone());
        }
        let value = Arc::new(self.value.pointer(pointer)?.clone());
        let at = self.row.map(|_| format!("{}{pointer}", self.at.as_deref().unwrap_or_default()).into());
        Some(Self { value, row: self.row, at })
    }

    /// Fills in a value that was read back from a snapshot; `whole` is what its row carries.
    pub fn fill(&mut self, whole: &Arc<Value>) -> bool {
        let found = match &self.at {
            None => Some(whole.clone()),
            Some(at) => whole.pointer(at).cloned().map(Arc::new),
        };
        let there = found.is_some();
        self.value = found.unwrap_or_default();
        there
    }
}

/// `{"r": 12}` for a value that stands in a journal row, with `"at"` for a part of it; `{"v": …}` for a computed one.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Row {
        r: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Arc<str>>,
    },
    Value {
        v: Arc<Value>,
    },
}

impl Serialize for Held {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.row {
            Some(r) => Form::Row { r, at: self.at.clone() },
            None => Form::Value { v: self.value.clone() },
        }
        .serialize(serializer)
    }
}

/// A value that stands in a row comes back empty; `machine::snapshot` fills it in.
impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Form::deserialize(deserializer)? {
            Form::Row { r, at } => Self { value: Arc::new(Value::Null), row: Some(r), at },
            Form::Value { v } => Self { value: v, row: None, at: None },
        })
    }
}
