//! Validates JSON against a JSON Schema (2020-12), compiled once.
//!
//! Invariant: no schema reaches out: a `$ref` to anything but the schema itself is refused.
//!
//! Not here: which schema goes with what (`flow::check`, `runtime::admission`).
#[derive(Debug)]
pub struct Schema;
