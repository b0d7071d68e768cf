//! Plugins that exist for tests: what is in `tests/wasm/guests`, built once per run.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::repository;

/// The `.wasm` of a guest; `tmp` is the caller's `CARGO_TARGET_TMPDIR`.
pub fn guest(tmp: &str, name: &str) -> Vec<u8> {
    static BUILT: OnceLock<()> = OnceLock::new();
    let target = Path::new(tmp).join("guests");
    BUILT.get_or_init(|| {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--locked", "--target", "wasm32-unknown-unknown", "--target-dir"]);
        // The folder holds the linker's settings, which cargo finds from where it is started.
        let built = cargo.arg(&target).current_dir(repository().join("tests/wasm/guests")).status().expect("cargo");
        assert!(built.success(), "the guests do not build");
    });
    std::fs::read(target.join(format!("wasm32-unknown-unknown/release/{name}.wasm"))).expect("a guest")
}
