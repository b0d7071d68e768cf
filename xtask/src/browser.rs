//! Builds the core for the browser: `engine/browser` to WebAssembly, then the JavaScript around it.
//!
//! wasm-bindgen's generator runs in this process, so nothing needs to be installed. It must be the very version
//! of the `wasm-bindgen` crate in `engine/browser`; it says so itself when it is not.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths;
use crate::steps::Steps;

pub(crate) const PART: &str = "engine/browser";
const TARGET: &str = "wasm32-unknown-unknown";
const WASM: &str = "stepwell_browser.wasm";

/// Leaves `stepwell_core.js`, `stepwell_core.d.ts` and `stepwell_core_bg.wasm` in `out`.
pub(crate) fn build(steps: &mut Steps, out: &Path) -> Result<()> {
    let manifest = paths::root().join(PART).join("Cargo.toml");
    steps.run(
        "browser core",
        Command::new("cargo")
            .args(["build", "--locked", "--release", "--target", TARGET, "--manifest-path"])
            .arg(manifest)
            .arg("--target-dir")
            .arg(paths::target()),
    )?;
    let wasm = paths::target().join(TARGET).join("release").join(WASM);
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
