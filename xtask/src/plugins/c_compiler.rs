//! A C compiler for wasm: the caller's own if `CC_wasm32_unknown_unknown` names one, else zig, which is one package
//! on any system and brings everything with it.
//!
//! Invariant: nothing is installed outside the target folder, but pip itself where it is absent.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::steps::say;
use crate::{needs, paths};

const CC: &str = "CC_wasm32_unknown_unknown";
const AR: &str = "AR_wasm32_unknown_unknown";
const PACKAGE: &str = "ziglang==0.17.0";

/// The variables that make cargo use it.
pub(super) fn for_wasm() -> Result<Vec<(&'static str, OsString)>> {
    if std::env::var_os(CC).is_some() {
        return Ok(Vec::new());
    }
    let tools = paths::target().join("tools");
    let zig = zig(&tools)?;
    // zig knows the target by another name, and without being asked checks for undefined behaviour.
    let cc = script(
        &tools.join("wasm-cc"),
        &format!(
            "for arg do\n  shift\n  case $arg in --target=*) arg=--target=wasm32-freestanding ;; esac\n  set -- \"$@\" \"$arg\"\ndone\n\
             ZIG_GLOBAL_CACHE_DIR='{}' exec '{}' cc -fno-sanitize=undefined \"$@\"\n",
            tools.join("zig-cache").display(),
            zig.display()
        ),
    )?;
    let ar = script(&tools.join("wasm-ar"), &format!("exec '{}' ar \"$@\"\n", zig.display()))?;
    Ok(vec![(CC, cc.into()), (AR, ar.into())])
}

fn zig(tools: &Path) -> Result<PathBuf> {
    let home = tools.join(PACKAGE.replace("==", "-"));
    let zig = home.join("ziglang/zig");
    if zig.is_file() {
        return Ok(zig);
    }
    if !runs(&["-m", "pip", "--version"]) {
        install_pip()?;
    }
    say("  installing a C compiler for wasm (zig, about 100 MB)");
    // Beside its place first: a copy that was interrupted must not be taken for a whole one.
    let fresh = tools.join("zig.new");
    match fs::remove_dir_all(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).context("cannot clear the folder for zig");
        }
        _ => {}
    }
    let ended = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--root-user-action=ignore",
            "--no-deps",
            "--target",
        ])
        .arg(&fresh)
        .arg(PACKAGE)
        .stdin(Stdio::null())
        .status();
    ensure!(
        ended.is_ok_and(|status| status.success()),
        "pip could not install {PACKAGE}\nhint: or name a C compiler for wasm32 in {CC}"
    );
    fs::rename(&fresh, &home).with_context(|| format!("cannot create {}", home.display()))?;
    ensure!(zig.is_file(), "{PACKAGE} holds no {}", zig.display());
    Ok(zig)
}

fn install_pip() -> Result<()> {
    if needs::has_program("apt-get") {
        for arguments in [&["update"][..], &["install", "--yes", "--no-install-recommends", "python3-pip"]] {
            let mut apt_get = Command::new("apt-get");
            let _ = apt_get.env("DEBIAN_FRONTEND", "noninteractive").args(arguments).stdin(Stdio::null()).status();
        }
        if runs(&["-m", "pip", "--version"]) {
            return Ok(());
        }
    }
    bail!("pip is absent\nhint: sudo apt-get install python3-pip, or name a C compiler for wasm32 in {CC}");
}

fn runs(arguments: &[&str]) -> bool {
    let mut python = Command::new("python3");
    python.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

/// Writes a shell script, unless it is there as it should be: its age decides what cargo builds again.
fn script(path: &Path, body: &str) -> Result<PathBuf> {
    let text = format!("#!/bin/sh\n{body}");
    if !fs::read_to_string(path).is_ok_and(|known| known == text) {
        fs::write(path, text)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(path.to_owned())
}
