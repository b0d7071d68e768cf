//! Builds the core for the browser: `engine/browser` to WebAssembly, then the JavaScript around it.
//!
//! wasm-bindgen's generator runs in this process, so nothing needs to be installed. It must be the very version
//! of the `wasm-bindgen` crate in `engine/browser`; it says so itself when it is not.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths;
use crate::steps::Steps;

pub(crate) const PART: &str = "engine/browser";
const TARGET: &str = "wasm32-unknown-unknown";

/// Leaves `stepwell_core.js`, `stepwell_core.d.ts` and `stepwell_core_bg.wasm` in `out`.
pub(crate) fn build(steps: &mut Steps, out: &Path) -> Result<()> {
    let manifest = paths::root().join(PART).join("Cargo.toml");
    let mut command = Command::new("cargo");
    command.args(["build", "--locked", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"]);
    command.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(paths::target());
    let messages = steps.read("browser core", &mut command)?;
    let wasm = built(&messages).context("the build of the browser core left no .wasm")?;
    steps.call("browser bindings", || {
        wasm_bindgen_cli_support::Bindgen::new()
            .input_path(&wasm)
            .web(true)?
            .typescript(true)
            .remove_producers_section(true)
            .out_name("stepwell_core")
            .generate(out)
            .with_context(|| format!("cannot bind {}", wasm.display()))
    })
}

/// The last `.wasm` that cargo says it made: dependencies come before what needs them.
fn built(messages: &str) -> Option<PathBuf> {
    let files = messages.lines().rev().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    files
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}
