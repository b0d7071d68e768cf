//! `stepwell flow`: check, publish, export and import documents, on a running engine.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::ask::{At, escape, read};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Check a document against a running engine's plugins
    Check(Document),
    /// Publish a document as a version
    Publish(Publish),
    /// Write a published version's document
    Export(Export),
    /// Read a process of BPMN 2.0 as a flow, and say what could not be taken
    Import(Import),
}

#[derive(Args)]
pub(super) struct Document {
    /// The flow document; - reads standard input
    file: PathBuf,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
pub(super) struct Publish {
    #[command(flatten)]
    document: Document,
    /// A name for the version, such as 1.0.0
    #[arg(long)]
    label: Option<String>,
}

#[derive(Args)]
pub(super) struct Export {
    /// The flow's key
    flow: String,
    /// The newest unless given
    #[arg(long)]
    version: Option<u32>,
    /// Where to; standard output unless given
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
pub(super) struct Import {
    /// The .bpmn file
    file: PathBuf,
    /// The process by its id; the first that is executable unless given
    #[arg(long)]
    process: Option<String>,
    /// The node type of what the file binds a step to: com.StockDelegate=commerce/reserve-stock@1
    #[arg(long = "bind", value_name = "NAME=USES", value_parser = binding)]
    bindings: Vec<(String, String)>,
    /// Under this key instead of the process's id
    #[arg(long)]
    key: Option<String>,
    /// Save it as the flow's draft
    #[arg(long, conflicts_with = "publish")]
    draft: bool,
    /// Publish it
    #[arg(long)]
    publish: bool,
    /// Where the document goes; standard output unless it is saved or published
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

fn binding(text: &str) -> Result<(String, String), String> {
    let (name, uses) = text.split_once('=').ok_or("write NAME=PLUGIN/TYPE@MAJOR")?;
    Ok((name.to_owned(), uses.to_owned()))
}

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Check(asked) => check(asked),
        Command::Publish(asked) => publish(asked),
        Command::Export(asked) => export(asked),
        Command::Import(asked) => import(asked),
    }
}

fn check(asked: &Document) -> anyhow::Result<()> {
    let body = json!({ "document": read(&asked.file)? });
    let answer = asked.at.ask("POST", "/api/v1/flows/check", Some(&body))?;
    let errors = told(&answer["problems"]);
    anyhow::ensure!(errors == 0, "{}: {errors} errors", asked.file.display());
    Ok(())
}

/// Says what a checker found, and counts what keeps a document from being published.
fn told(problems: &Value) -> u32 {
    let mut errors = 0;
    for problem in problems.as_array().into_iter().flatten() {
        let text = |name: &str| problem[name].as_str().unwrap_or_default();
        errors += u32::from(text("severity") == "error");
        super::result(&format!("{} {} at {}: {}\n", text("severity"), text("code"), text("pointer"), text("message")));
        if let Some(fix) = problem["fix"].as_str() {
            super::result(&format!("  hint: {fix}\n"));
        }
    }
    errors
}

fn publish(asked: &Publish) -> anyhow::Result<()> {
    let document = read(&asked.document.file)?;
    let answer = published(&asked.document.at, &document, asked.label.as_deref())?;
    super::result(&format!("{}@{}\n", answer["key"].as_str().unwrap_or_default(), answer["version"]));
    Ok(())
}

fn published(at: &At, document: &Value, label: Option<&str>) -> anyhow::Result<Value> {
    let key = document["key"].as_str().context("the document has no key")?;
    let mut body = json!({ "document": document });
    if let Some(label) = label {
        body["label"] = json!(label);
    }
    at.ask("POST", &format!("/api/v1/flows/{}/publish", escape(key)), Some(&body))
}

fn export(asked: &Export) -> anyhow::Result<()> {
    let flow = format!("/api/v1/flows/{}", escape(&asked.flow));
    let version = match asked.version {
        Some(version) => version.into(),
        None => asked.at.ask("GET", &flow, None)?["latestVersion"].as_u64().context("no version is published")?,
    };
    let found = asked.at.ask("GET", &format!("{flow}/versions/{version}"), None)?;
    written(&found["document"], asked.out.as_ref())
}

fn written(document: &Value, out: Option<&PathBuf>) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(document)? + "\n";
    if let Some(file) = out {
        std::fs::write(file, text).with_context(|| file.display().to_string())
    } else {
        super::result(&text);
        Ok(())
    }
}

fn import(asked: &Import) -> anyhow::Result<()> {
    let xml = std::fs::read_to_string(&asked.file).with_context(|| asked.file.display().to_string())?;
    let bindings: Map<String, Value> = asked.bindings.iter().map(|(name, uses)| (name.clone(), json!(uses))).collect();
    let mut body = json!({ "xml": xml, "bindings": bindings });
    if let Some(process) = &asked.process {
        body["process"] = json!(process);
    }
    let answer = asked.at.ask("POST", "/api/v1/flows/import", Some(&body))?;
    let mut document = answer["document"].clone();
    if let Some(key) = &asked.key {
        document["key"] = json!(key);
    }
    super::say(&left(&answer["left"]));
    if asked.publish {
        let answer = published(&asked.at, &document, None)?;
        super::result(&format!("{}@{}\n", answer["key"].as_str().unwrap_or_default(), answer["version"]));
    } else if asked.draft {
        let key = document["key"].as_str().unwrap_or_default().to_owned();
        let path = format!("/api/v1/flows/{}/draft", escape(&key));
        asked.at.ask("PUT", &path, Some(&json!({ "document": document })))?;
        super::result(&format!("{key}: draft saved\n"));
    } else {
        written(&document, asked.out.as_ref())?;
    }
    Ok(())
}

/// What the flow does not have as the file has it, a line for each.
fn left(all: &Value) -> String {
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut said = match all.len() {
        0 => "everything was taken".to_owned(),
        1 => "1 element is not as the file has it:".to_owned(),
        many => format!("{many} elements are not as the file has them:"),
    };
    for one in all {
        let text = |name: &str| one[name].as_str().unwrap_or_default();
        let _ = write!(said, "\nline {}: {} {}: {}", one["line"], text("element"), text("id"), text("message"));
        if let Some(fix) = one["fix"].as_str() {
            let _ = write!(said, "\n  hint: {fix}");
        }
    }
    said
}
