//! `stepwell plugin push` and `list`: over the HTTP API of a running engine.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::super::ask::At;
use super::super::result;
use super::progress;

#[derive(Args)]
pub(in super::super) struct Push {
    /// The component [default: the one that `plugin build` left here]
    #[arg(default_value = "build/plugin.wasm")]
    file: PathBuf,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(asked: &Push) -> anyhow::Result<()> {
    let live = push(&asked.at, &asked.file)?;
    result(&(live + "\n"));
    Ok(())
}

/// Loads a component; says as what it is live.
pub(super) fn push(at: &At, file: &Path) -> anyhow::Result<String> {
    let wasm = std::fs::read(file).with_context(|| format!("{}\nhint: stepwell plugin build", file.display()))?;
    let answer = at.upload("/api/v1/plugins", "application/wasm", wasm, |done, of| {
        if done < of {
            progress::bar("push", done, of);
        } else {
            progress::clear();
        }
    })?;
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let types: Vec<&str> =
        answer["nodeTypes"].as_array().into_iter().flatten().filter_map(|one| one["uses"].as_str()).collect();
    let digest: String = text("digest").chars().take(12).collect();
    Ok(format!("live: {}@{}  {digest}  {}  {}", text("name"), text("version"), text("effect"), types.join(", ")))
}

pub(super) fn list(at: &At) -> anyhow::Result<()> {
    let answer = at.ask("GET", "/api/v1/plugins", None)?;
    for one in answer["items"].as_array().into_iter().flatten() {
        let text = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
        let digest: String = text("digest").chars().take(12).collect();
        let types: Vec<&str> =
            one["nodeTypes"].as_array().into_iter().flatten().filter_map(|one| one["uses"].as_str()).collect();
        let used = one["usedBy"].as_array().map_or(0, Vec::len);
        result(&format!(
            "{:<24} {:<13} {digest}  {:<10} {:>10}  used by {used}  {}\n",
            format!("{}@{}", text("name"), text("version")),
            text("effect"),
            text("status"),
            progress::bytes(one["bytes"].as_u64().unwrap_or_default()),
            types.join(", ")
        ));
    }
    if answer["items"].as_array().is_none_or(Vec::is_empty) {
        result("no plugins\n");
    }
    Ok(())
}
