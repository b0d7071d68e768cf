//! An author's cases: files in `cases/`, each a call and what is expected of it. `stepwell plugin test` plays the same
//! files in the engine's sandbox; the format is in `docs/plugins/testing.md`.
//!
//! An expectation names only what it is about: what it leaves out of a failure or a wait may be anything. Outputs, memos
//! and data are compared whole.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use crate::{Call, Emission, Error, Outcome, Plugin, Signal, SignalKind, Waiting};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// Values that are the author's own, and so are compared whole.
const WHOLE: [&str; 3] = ["output", "memo", "data"];

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Case {
    title: String,
    /// May be left out where the plugin has one node type.
    node: Option<String>,
    #[serde(default)]
    call: Export,
    #[serde(default = "empty")]
    config: Value,
    #[serde(default = "empty")]
    input: Value,
    output: Option<Value>,
    #[serde(default)]
    memo: Value,
    signal: Option<SignalRow>,
    /// Read only where the plugin can send.
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "nothing is sent"))]
    http_tape: Option<Value>,
    expect: Value,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Export {
    #[default]
    Run,
    Undo,
    Resume,
    Query,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignalRow {
    kind: SignalWord,
    #[serde(default)]
    payload: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SignalWord {
    Message,
    Timeout,
    Cancelled,
}

fn empty() -> Value {
    Value::Object(Map::new())
}

/// Plays every case of a folder; one that is not there has none.
///
/// # Panics
///
/// Where a file does not read or an answer is not what is expected.
pub(crate) fn play<P: Plugin>(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        let text = fs::read_to_string(file).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let cases = if value.is_array() { value } else { Value::Array(vec![value]) };
        let cases: Vec<Case> =
            serde_json::from_value(cases).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in cases {
            let got = answer::<P>(&case);
            assert!(
                fits(&case.expect, &got),
                "{}, {}\n  expected {}\n       got {got}",
                file.display(),
                case.title,
                case.expect
            );
            #[cfg(feature = "http")]
            crate::http::tape::assert_played(&case.title);
        }
    }
}

fn answer<P: Plugin>(case: &Case) -> Value {
    #[cfg(feature = "http")]
    crate::http::tape::put(&case.http_tape.as_ref().map_or_else(|| "[]".to_owned(), Value::to_string));
    let only = || P::manifest().node_types.first().map(|one| one.name.clone()).unwrap_or_default();
    let node = case.node.clone().unwrap_or_else(only);
    let (config, input) = (case.config.to_string(), case.input.to_string());
    let outcome = match case.call {
        Export::Run => P::run(&node, &call(case), &config, &input),
        Export::Undo => {
            let output = case.output.as_ref().map(Value::to_string);
            match P::undo(&node, &call(case), &config, &input, output.as_deref()) {
                Ok(None) => return json!({ "undone": true }),
                Ok(Some(waiting)) => Ok(Outcome::Wait(waiting)),
                Err(error) => Err(error),
            }
        }
        Export::Resume => P::resume(&node, &call(case), &config, &case.memo.to_string(), &signal(case)),
        Export::Query => match P::query(&node, &call(case), &config, &input) {
            Ok(None) => return json!({ "never-ran": true }),
            Ok(Some(outcome)) => Ok(outcome),
            Err(error) => Err(error),
        },
    };
    shown(outcome)
}

fn call(case: &Case) -> Call {
    if matches!(case.call, Export::Undo) { crate::testing::undo_call() } else { crate::testing::call() }
}

fn signal(case: &Case) -> Signal {
    let Some(SignalRow { kind, payload }) = &case.signal else {
        return Signal { kind: SignalKind::Message, payload: "null".to_owned() };
    };
    let kind = match kind {
        SignalWord::Message => SignalKind::Message,
        SignalWord::Timeout => SignalKind::Timeout,
        SignalWord::Cancelled => SignalKind::Cancelled,
    };
    Signal { kind, payload: payload.to_string() }
}

fn shown(outcome: Result<Outcome, Error>) -> Value {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error} in {text}"));
    match outcome {
        Ok(Outcome::Done(Emission { port, output })) => json!({ "port": port, "output": parsed(&output) }),
        Ok(Outcome::Wait(Waiting { message, key, timeout_ms, memo })) => {
            json!({ "wait": { "message": message, "key": key, "timeout-ms": timeout_ms, "memo": parsed(&memo) } })
        }
        Err(Error::Rejected { code, message, data }) => {
            let data = data.map_or(Value::Null, |data| parsed(&data));
            json!({ "rejected": { "code": code, "message": message, "data": data } })
        }
        Err(Error::Transient { message, retry_after_ms }) => {
            json!({ "transient": { "message": message, "retry-after-ms": retry_after_ms } })
        }
        Err(Error::Permanent(message)) => json!({ "permanent": { "message": message } }),
        Err(Error::Unknown(message)) => json!({ "unknown": { "message": message } }),
    }
}

fn fits(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => expected.iter().all(|(name, expected)| {
            got.get(name)
                .is_some_and(|got| if WHOLE.contains(&name.as_str()) { expected == got } else { fits(expected, got) })
        }),
        _ => expected == got,
    }
}

#[cfg(test)]
mod tests {
    use super::fits;
    use serde_json::json;

    #[test]
    fn an_expectation_is_met_where_it_says_something() {
        for (expected, got, fit) in [
            (json!({ "port": "out" }), json!({ "port": "out", "output": { "a": 1 } }), true),
            (json!({ "output": { "a": 1 } }), json!({ "port": "out", "output": { "a": 1, "b": 2 } }), false),
            (json!({ "rejected": { "code": "A" } }), json!({ "rejected": { "code": "A", "message": "no" } }), true),
            (json!({ "rejected": { "code": "A" } }), json!({ "rejected": { "code": "B", "message": "no" } }), false),
            (json!({ "rejected": {} }), json!({ "permanent": { "message": "no" } }), false),
            (json!({}), json!({ "undone": true }), true),
        ] {
            assert_eq!(fits(&expected, &got), fit, "{expected} {got}");
        }
    }
}
