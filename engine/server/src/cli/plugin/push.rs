//! `stepwell plugin push` and `list`: over the HTTP API of a running engine.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use super::super::ask::{At, escape, problems};
use super::super::result;
use super::progress;
use crate::uploads::STAGES;

const ASKS_EVERY: Duration = Duration::from_millis(150);
/// Longer than an engine takes for any component.
const ENDS_WITHIN: Duration = Duration::from_mins(10);
const BROKEN_SHOWN: usize = 20;

#[derive(Args)]
pub(in super::super) struct Push {
    /// The component [default: the one that `plugin build` left here]
    #[arg(default_value = "build/plugin.wasm")]
    file: PathBuf,
    /// Say what it would change, and leave everything as it is
    #[arg(long)]
    dry_run: bool,
    /// Compare with this build (a digest) [default: the newest of its name]
    #[arg(long, value_name = "DIGEST")]
    against: Option<String>,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(asked: &Push) -> anyhow::Result<()> {
    let upload = bring(&asked.at, &asked.file, asked.dry_run, asked.against.as_deref())?;
    let mut shown = String::new();
    show_report(&mut shown, &upload["compatibility"]);
    if asked.dry_run {
        let _ = writeln!(shown, "would be live: {}", named(&upload));
    } else {
        let _ = writeln!(shown, "{}", live(&asked.at, &upload)?);
    }
    result(&shown);
    Ok(())
}

/// Loads a component; says as what it is live.
pub(super) fn push(at: &At, file: &Path) -> anyhow::Result<String> {
    let upload = bring(at, file, false, None)?;
    live(at, &upload)
}

/// As what it is live, and which node types flows may use now.
fn live(at: &At, upload: &Value) -> anyhow::Result<String> {
    let text = |name: &str| escape(upload[name].as_str().unwrap_or_default());
    let plugin = at.ask("GET", &format!("/api/v1/plugins/{}/{}", text("name"), text("version")), None)?;
    Ok(format!("live: {}  {}", named(upload), node_types(&plugin)))
}

fn node_types(plugin: &Value) -> String {
    let types = plugin["nodeTypes"].as_array().into_iter().flatten();
    types.filter_map(|one| one["uses"].as_str()).collect::<Vec<_>>().join(", ")
}

/// Hands a component over and follows it to its end.
fn bring(at: &At, file: &Path, dry_run: bool, against: Option<&str>) -> anyhow::Result<Value> {
    let wasm = std::fs::read(file).with_context(|| format!("{}\nhint: stepwell plugin build", file.display()))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut path = format!("/api/v1/plugins?wait=0s&dryRun={dry_run}&file={}", escape(&name));
    if let Some(against) = against {
        let _ = write!(path, "&against={}", escape(against));
    }
    let answer = at.upload(&path, "application/wasm", wasm, |done, of| {
        if done < of {
            progress::bar("push", done, of);
        } else {
            progress::clear();
        }
    })?;
    // One that was known here was at its end before it could be asked about.
    let id = answer["upload"].as_str().or_else(|| answer["id"].as_str()).context("the engine names no upload")?;
    follow(at, id)
}

fn follow(at: &At, id: &str) -> anyhow::Result<Value> {
    let begun = Instant::now();
    loop {
        let upload = at.ask("GET", &format!("/api/v1/plugins/uploads/{id}"), None);
        let upload = match upload {
            // Taken in, and not written down yet.
            Err(_) if begun.elapsed() < Duration::from_secs(2) => Value::Null,
            other => other?,
        };
        let stage =
            upload["stages"].as_array().and_then(|stages| stages.last()?["stage"].as_str()).unwrap_or(STAGES[0]);
        match upload["state"].as_str().unwrap_or("running") {
            "running" => {}
            "live" | "tried" => {
                progress::clear();
                return Ok(upload);
            }
            "lost" => anyhow::bail!("the engine ended before it was done; push again"),
            _ => {
                progress::clear();
                anyhow::bail!("PLUGIN_REFUSED at {stage}: what was live stays live{}", problems(&upload));
            }
        }
        anyhow::ensure!(begun.elapsed() < ENDS_WITHIN, "no end in sight at {stage}; ask for upload {id} later");
        progress::stages(&STAGES, stage, begun.elapsed());
        thread::sleep(ASKS_EVERY);
    }
}

fn named(upload: &Value) -> String {
    let text = |name: &str| upload[name].as_str().unwrap_or_default().to_owned();
    let digest: String = text("digest").chars().take(12).collect();
    format!("{}@{}  {digest}  {}", text("name"), text("version"), text("effect"))
}

/// What it changes: a line for each difference, and for each flow that it would break.
fn show_report(out: &mut String, compatibility: &Value) {
    let report = &compatibility["report"];
    if report.is_null() {
        return;
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mark = |value: &Value| if value["breaking"] == true { "BREAKING" } else { "        " };
    let _ = writeln!(out, "{} → {}", text(&report["from"]), text(&report["to"]));
    for change in list(&report["changes"]) {
        let _ = writeln!(out, "  {} {}", mark(&change), text(&change["message"]));
    }
    for node_type in list(&report["nodeTypes"]) {
        let _ = writeln!(out, "  {} {}: {}", mark(&node_type), text(&node_type["name"]), text(&node_type["kind"]));
        for change in list(&node_type["changes"]) {
            let at = format!("{}{}", text(&change["of"]), text(&change["pointer"]));
            let _ = writeln!(out, "    {} {at}: {}", mark(&change), text(&change["message"]));
        }
    }
    let broken = list(&compatibility["broken"]);
    let _ = writeln!(out, "{} documents use it, {} would break", compatibility["checked"], broken.len());
    if compatibility["whole"] == false {
        let _ = writeln!(out, "there are more documents than were looked at: these are not all");
    }
    for one in broken.iter().take(BROKEN_SHOWN) {
        let version = one["version"].as_u64().map_or_else(|| "draft".to_owned(), |version| version.to_string());
        let _ = writeln!(out, "  {}@{version}{}", text(&one["flow"]), problems(one).replace('\n', "\n    "));
    }
}

pub(super) fn list(at: &At) -> anyhow::Result<()> {
    let answer = at.ask("GET", "/api/v1/plugins", None)?;
    for one in answer["items"].as_array().into_iter().flatten() {
        let text = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
        let digest: String = text("digest").chars().take(12).collect();
        let used = one["usedBy"].as_array().map_or(0, Vec::len);
        let status = if one["revoked"].is_object() { "revoked".to_owned() } else { text("status") };
        result(&format!(
            "{:<24} {:<13} {digest}  {status:<10} {:>10}  used by {used}  {}\n",
            format!("{}@{}", text("name"), text("version")),
            text("effect"),
            progress::bytes(one["bytes"].as_u64().unwrap_or_default()),
            node_types(one)
        ));
    }
    if answer["items"].as_array().is_none_or(Vec::is_empty) {
        result("no plugins\n");
    }
    Ok(())
}
