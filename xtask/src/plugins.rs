//! Builds the bundled plugins: Rust to a core module, the module to a component, the component to one file.
//!
//! Each package with a `cdylib` becomes `<package>.wasm`. What a plugin offers and imports is for the engine to judge
//! when it loads the file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use wit_component::ComponentEncoder;

use crate::paths;

const TARGET: &str = "wasm32-unknown-unknown";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Leaves one component per plugin in `out_dir`.
pub(crate) fn build(out_dir: &Path) -> Result<()> {
    fs::create_dir_all(out_dir).with_context(|| format!("cannot create {}", out_dir.display()))?;
    let folder = paths::root().join("plugins");
    let target_dir = paths::target().join("plugins");
    for (package, library) in libraries(&folder)? {
        let built = Command::new("cargo")
            .args(["build", "--locked", "--release", "--quiet", "--target", TARGET, "--package", &package])
            .arg("--target-dir")
            .arg(&target_dir)
            .current_dir(&folder)
            .status()?;
        if !built.success() {
            bail!("{package}: {built}");
        }
        let module = target_dir.join(TARGET).join("release").join(format!("{library}.wasm"));
        let component = component(&module).with_context(|| format!("{package}: not a component"))?;
        write_if_changed(&out_dir.join(format!("{package}.wasm")), &component)?;
    }
    Ok(())
}

/// The packages that are plugins, with the names of their libraries.
fn libraries(folder: &Path) -> Result<Vec<(String, String)>> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--locked", "--no-deps"])
        .current_dir(folder)
        .output()?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let plugins = metadata.packages.into_iter().filter_map(|package| {
        let library = package.targets.into_iter().find(|target| target.kind.iter().any(|kind| kind == "cdylib"))?;
        Some((package.name, library.name.replace('-', "_")))
    });
    Ok(plugins.collect())
}

fn component(module: &PathBuf) -> Result<Vec<u8>> {
    let module = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    ComponentEncoder::default().validate(true).module(&module)?.encode()
}

/// A running engine watches the folder: the same bytes again would only make it look.
fn write_if_changed(file: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
}
