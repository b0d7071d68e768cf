//! The flow document as it is written: the serde types `flows/flow.schema.json` is generated from.
