//! Records under flows, on either database: races for one record, crashes, failures, and what is seen by whom.
//!
//! The nodes are those of `tests/wasm/guests/clerk`, which do what their input lists, and of `reader`, which is external.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests fail by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "documents are written where they are used")]

mod by_hand;
mod races;
mod sight;

use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::records::prepare;
use stepwell_tests::{Client, Options, Stepwell, until};

pub(crate) const SOON: Duration = Duration::from_mins(1);

/// An engine with the record type, the guests and what they may reach.
pub(crate) async fn engine() -> Stepwell {
    let engine = Stepwell::start(Options::default()).await;
    prepare(&engine, env!("CARGO_TARGET_TMPDIR"), &["clerk", "reader"]).await;
    engine
}

/// Starts an instance and waits for its end.
pub(crate) async fn run(engine: &Client, flow: &str, input: &Value) -> Value {
    let path = format!("/api/v1/flows/{flow}/instances?wait=30s");
    let reply = engine.post(&path, &json!({ "input": input })).await;
    assert!(reply.status < 300, "{}", reply.text());
    reply.json()
}

/// The record as it is committed; null: there is none.
pub(crate) async fn record(engine: &Client, id: &str) -> Value {
    let reply = engine.get(&format!("/api/v1/records/order/{id}")).await;
    if reply.status == 404 { Value::Null } else { reply.expect(200).json() }
}

/// `PAYING@2`
pub(crate) async fn at(engine: &Client, id: &str) -> String {
    let found = record(engine, id).await;
    if found.is_null() {
        return String::new();
    }
    format!("{}@{}", found["status"].as_str().unwrap(), found["revision"].as_str().unwrap())
}

/// Waits until so many instances of a flow are in a state.
pub(crate) async fn count(engine: &Client, flow: &str, state: &str, expected: u64) {
    until(&format!("{expected} of {flow} are {state}"), SOON, async || {
        let counts = engine.get(&format!("/api/v1/flows/{flow}")).await.expect(200).json()["counts"].clone();
        (counts[state] == expected).then_some(())
    })
    .await;
}
