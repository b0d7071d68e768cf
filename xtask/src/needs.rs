//! Installs what a command lacks, or says the exact line that would.
//!
//! Invariants:
//! - What is there already is left alone, so a second run costs nothing and needs no network.
//! - System packages are installed only as root and only through apt-get; otherwise the person decides.
//!
//! Not here: a Rust toolchain (rustup reads `rust-toolchain.toml`), Node.js itself.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::steps::Steps;

/// The guests are built for these. `rust-toolchain.toml` names them too, for toolchains that install themselves.
const RUST_TARGETS: [&str; 2] = ["wasm32-unknown-unknown", "wasm32-wasip2"];

/// The Rust targets that plugins and the browser core are built for.
pub(crate) fn rust_targets(steps: &mut Steps) -> Result<()> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().context("rustc does not run")?;
    let libraries = Path::new(String::from_utf8_lossy(&sysroot.stdout).trim()).join("lib/rustlib");
    let absent: Vec<&str> = RUST_TARGETS.into_iter().filter(|target| !libraries.join(target).exists()).collect();
    if absent.is_empty() {
        return Ok(());
    }
    if !has_program("rustup") {
        bail!("the Rust targets {} are absent\nhint: install them the way your Rust was installed", absent.join(", "));
    }
    steps.run("rust targets", Command::new("rustup").args(["target", "add"]).args(absent))
}

/// The npm packages of `folder`, exactly as its lock file has them.
pub(crate) fn npm_packages(steps: &mut Steps, folder: &str) -> Result<()> {
    let dir = paths::root().join(folder);
    let lock = fs::read(dir.join("package-lock.json")).with_context(|| format!("{folder}/package-lock.json"))?;
    // A copy of the lock file beside what it led to: the same bytes mean the same packages.
    let stamp = dir.join("node_modules/.installed-lock.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    if !has_program("npm") {
        bail!("npm is absent\nhint: install Node.js 20 or newer");
    }
    // Not `npm ci`: it refuses a lock file that lacks optional packages of other platforms, and those come and go
    // with the registry. `--no-save` keeps to the lock file and leaves it as it is.
    let arguments = ["install", "--no-save", "--no-audit", "--no-fund", "--prefer-offline"];
    steps.run(&format!("npm packages of {folder}"), Command::new("npm").args(arguments).current_dir(&dir))?;
    fs::write(&stamp, lock).with_context(|| format!("cannot write {}", stamp.display()))
}

/// The load generator of the benches.
pub(crate) fn wrk(steps: &mut Steps) -> Result<()> {
    debian_package(steps, "wrk", &["wrk"]).map(|_| ())
}

/// A Chromium for the designer's tests and the pictures. `CHROMIUM` names one that is elsewhere.
pub(crate) fn chromium(steps: &mut Steps) -> Result<PathBuf> {
    if let Some(path) = env::var_os("CHROMIUM") {
        return Ok(PathBuf::from(path));
    }
    debian_package(steps, "chromium", &["chromium", "chromium-browser", "google-chrome"])
}

/// Python's installer of packages.
pub(crate) fn pip(steps: &mut Steps) -> Result<()> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if pip.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    debian_package(steps, "python3-pip", &["pip3"]).map(|_| ())
}

fn debian_package(steps: &mut Steps, package: &str, programs: &[&str]) -> Result<PathBuf> {
    if let Some(path) = programs.iter().find_map(|name| program(name)) {
        return Ok(path);
    }
    if !has_program("apt-get") || !is_root() {
        bail!("{package} is absent\nhint: sudo apt-get install --no-install-recommends {package}");
    }
    steps.run("package lists", &mut apt_get(&["update"]))?;
    steps.run(package, &mut apt_get(&["install", "--yes", "--no-install-recommends", package]))?;
    programs
        .iter()
        .find_map(|name| program(name))
        .with_context(|| format!("{package} is installed, but none of its programs is on the path"))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
    command
}

pub(crate) fn has_program(name: &str) -> bool {
    program(name).is_some()
}

fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

pub(crate) fn is_root() -> bool {
    let answer = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    answer.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
