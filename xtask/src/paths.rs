//! Where things are: the repository, cargo's target folder, what a build leaves behind.
//!
//! Every path is derived from here, so no other module joins the names of build folders.

use std::env;
use std::path::{Path, PathBuf};

/// The repository's root. Cargo tells where `xtask/` is; outside cargo the current folder must be the root.
pub(crate) fn root() -> PathBuf {
    let xtask = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    match xtask.as_deref().and_then(Path::parent) {
        Some(root) => root.to_owned(),
        None => env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
    }
}

/// Cargo's target folder, shared by the workspace, the plugins and the browser core.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Whole outputs of the steps.
pub(crate) fn logs() -> PathBuf {
    root().join("target/xtask")
}

pub(crate) fn designer() -> PathBuf {
    root().join("designer")
}

pub(crate) fn plugins_built() -> PathBuf {
    root().join("dist/plugins")
}

pub(crate) fn runtimes_built() -> PathBuf {
    root().join("dist/runtimes")
}

/// `true` when the folder or file, named from the root, is in the repository.
pub(crate) fn present(name: &str) -> bool {
    root().join(name).exists()
}
