//! Rust: cargo for `wasm32-unknown-unknown`, which imports nothing, then the component in this process.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

use super::project::Project;
use super::{progress, tools};

const TARGET: &str = "wasm32-unknown-unknown";
/// Part of the memory that every call starts with; the usual 1 MiB costs as much as anything a small node does.
const FLAGS: &str = "-C link-arg=-zstack-size=65536";

pub(super) fn build(project: &Project) -> anyhow::Result<Vec<u8>> {
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    anyhow::ensure!(
        tools::succeeds(&cargo, &["--version"]),
        "cargo is not there\nhint: install Rust from https://rustup.rs, then: rustup target add {TARGET}"
    );
    target_is_there()?;
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"]);
    command.current_dir(&project.folder).stdin(Stdio::null()).stderr(Stdio::inherit());
    if std::env::var_os("RUSTFLAGS").is_none() && std::env::var_os("CARGO_ENCODED_RUSTFLAGS").is_none() {
        command.env("RUSTFLAGS", FLAGS);
    }
    // Cargo draws its own progress.
    let output = command.output().context("cargo does not start")?;
    anyhow::ensure!(output.status.success(), "cargo build failed");
    let file = module(&project.folder, &String::from_utf8_lossy(&output.stdout))?;
    let core = std::fs::read(&file).with_context(|| file.display().to_string())?;
    let line = progress::Line::new("component");
    let core = stepwell_guests::started(&core)?.unwrap_or(core);
    let component = stepwell_guests::component(&core)?;
    drop(line);
    Ok(component)
}

fn target_is_there() -> anyhow::Result<()> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().context("rustc does not start")?;
    let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    anyhow::ensure!(
        Path::new(&sysroot).join("lib/rustlib").join(TARGET).is_dir(),
        "Rust's target {TARGET} is not there\nhint: rustup target add {TARGET}"
    );
    Ok(())
}

/// The module that cargo made of the package in `folder`.
fn module(folder: &Path, messages: &str) -> anyhow::Result<PathBuf> {
    let manifest = folder.join("Cargo.toml");
    let made = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|message| {
        message["reason"] == "compiler-artifact" && message["manifest_path"].as_str().map(Path::new) == Some(&manifest)
    });
    let files = made.flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default());
    let file = files
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .rfind(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    file.context("cargo made no .wasm\nhint: Cargo.toml needs [lib] with crate-type = [\"cdylib\"]")
}
