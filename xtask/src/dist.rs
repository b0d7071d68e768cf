//! `cargo xtask dist`: what a release holds, optimised, in `dist/`.
//!
//! `dist/stepwell`, `dist/plugins/*.wasm`, `dist/flows/`, and `dist/commerce`, the stand-in shop of the examples.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::artifacts::{self, Profile};
use crate::paths;
use crate::steps::Steps;

pub(crate) fn main() -> Result<()> {
    let mut steps = Steps::new("dist")?;
    artifacts::all(&mut steps, Profile::Release)?;
    let dist = paths::root().join("dist");
    steps.call("dist", || {
        fs::create_dir_all(&dist)?;
        for name in ["stepwell", "commerce"] {
            copy(&artifacts::program(Profile::Release, name), &dist.join(name))?;
        }
        let flows = dist.join("flows");
        if flows.exists() {
            fs::remove_dir_all(&flows)?;
        }
        copy_folder(&paths::root().join("flows"), &flows)
    })?;
    steps.finish()
}

/// Copies what is in `from`, folders too, to `to`.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            copy(&entry.path(), &target)?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    // A running program cannot be written over, but its name can be given to another file.
    if to.exists() {
        fs::remove_file(to)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
