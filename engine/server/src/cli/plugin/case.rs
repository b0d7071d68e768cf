//! An author's cases, `cases/*.json`: each a call and what is expected of it. The format is in `docs/plugins/testing.md`;
//! the SDK for Rust plays the same files on the author's machine.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stepwell_core::machine::{Failure, Outcome, Rejection, Signal};
use stepwell_sandbox::{Case, Export, PluginInfo};

/// A file with more cases is a data set.
const CASES_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Row {
    title: String,
    /// May be left out where the plugin has one node type.
    node: Option<String>,
    #[serde(default)]
    call: Word,
    #[serde(default = "empty")]
    config: Value,
    #[serde(default = "empty")]
    input: Value,
    output: Option<Value>,
    #[serde(default)]
    memo: Value,
    signal: Option<SignalRow>,
    http_tape: Option<Value>,
    expect: Map<String, Value>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
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
    json!({})
}

/// A case and what is expected of it.
pub(super) struct Given {
    pub(super) file: String,
    pub(super) case: Case,
    pub(super) expect: Value,
}

/// All cases of a folder, by file; one that is not there has none.
pub(super) fn read(folder: &Path, plugin: &PluginInfo) -> anyhow::Result<Vec<Given>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut given = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        let text = std::fs::read_to_string(file)?;
        let rows = rows(&text).with_context(|| file.display().to_string())?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for row in rows {
            let expect = Value::Object(row.expect.clone());
            let title = row.title.clone();
            let case = case(row, plugin).with_context(|| format!("{}, {title}", file.display()))?;
            given.push(Given { file: name.clone(), case, expect });
        }
    }
    anyhow::ensure!(given.len() <= CASES_MAX, "{} cases, at most {CASES_MAX} are played", given.len());
    Ok(given)
}

fn rows(text: &str) -> anyhow::Result<Vec<Row>> {
    let value: Value = serde_json::from_str(text)?;
    let list = if value.is_array() { value } else { Value::Array(vec![value]) };
    Ok(serde_path_to_error::deserialize(list)?)
}

fn case(row: Row, plugin: &PluginInfo) -> anyhow::Result<Case> {
    let node_type = match (row.node, &plugin.node_types[..]) {
        (Some(node), _) => node,
        (None, [only]) => only.id.rsplit('/').next().unwrap_or_default().to_owned(),
        (None, _) => anyhow::bail!("`node` is missing, and the plugin has several node types"),
    };
    let export = match row.call {
        Word::Run => Export::Run,
        Word::Query => Export::Query,
        Word::Undo => Export::Undo { output: row.output },
        Word::Resume => Export::Resume { memo: row.memo, signal: signal(row.signal) },
    };
    let tape = row.http_tape.map(|tape| tape.to_string());
    Ok(Case { title: row.title, node_type, export, config: row.config, input: row.input, tape })
}

fn signal(row: Option<SignalRow>) -> Signal {
    match row {
        None => Signal::Message { payload: Value::Null.into() },
        Some(SignalRow { kind: SignalWord::Message, payload }) => Signal::Message { payload: payload.into() },
        Some(SignalRow { kind: SignalWord::Timeout, .. }) => Signal::Timeout,
        Some(SignalRow { kind: SignalWord::Cancelled, .. }) => Signal::Cancelled,
    }
}

/// An outcome in the words of an expectation.
pub(super) fn shown(outcome: &Outcome, export: &Export) -> Value {
    match outcome {
        Outcome::Done { .. } if matches!(export, Export::Undo { .. }) => json!({ "undone": true }),
        Outcome::Done { port, output } => json!({ "port": &**port, "output": &**output }),
        Outcome::Waiting { message, key, timeout_ms, memo } => {
            json!({ "wait": { "message": &**message, "key": key, "timeout-ms": timeout_ms, "memo": &**memo } })
        }
        Outcome::NeverRan => json!({ "never-ran": true }),
        Outcome::Cut(cut) => json!({ "cut": { "reason": cut.reason, "message": cut.message } }),
        Outcome::Failed(failure) => match failure {
            Failure::Rejected(Rejection { code, message, data }) => {
                json!({ "rejected": { "code": code, "message": message, "data": data.as_deref() } })
            }
            Failure::Transient { message, retry_after_ms } => {
                json!({ "transient": { "message": message, "retry-after-ms": retry_after_ms } })
            }
            Failure::Permanent { message, code: Some(code) } => {
                json!({ "permanent": { "message": message, "code": code } })
            }
            Failure::Permanent { message, code: None } => json!({ "permanent": { "message": message } }),
            Failure::Unknown { message } => json!({ "unknown": { "message": message } }),
        },
    }
}
