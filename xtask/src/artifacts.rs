//! What the commands build, in the one order that works: browser core → designer → plugins → programs.
//!
//! The designer holds the browser core, and the program holds the designer, so each must be done before the next.
//! Every cargo call here covers the same set of packages: another set would mean other features of shared
//! dependencies, and building those twice.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::steps::Steps;
use crate::{browser, needs, paths, plugins};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these; the designer includes the browser core
    parts: Vec<Part>,
    /// Optimise the programs as for a release
    #[arg(long)]
    release: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Browser,
    Designer,
    Plugins,
    Programs,
}

/// `cargo xtask build`.
pub(crate) fn main(args: &Args) -> Result<()> {
    let mut steps = Steps::new("build")?;
    let wants = |part| args.parts.is_empty() || args.parts.contains(&part);
    needs::rust_targets(&mut steps)?;
    if wants(Part::Designer) {
        designer(&mut steps)?;
    } else if wants(Part::Browser) {
        browser_core(&mut steps)?;
    }
    if wants(Part::Plugins) {
        bundled_plugins(&mut steps)?;
    }
    if wants(Part::Programs) {
        programs(&mut steps, if args.release { Profile::Release } else { Profile::Dev })?;
    }
    steps.finish()
}

/// Everything a running system needs.
pub(crate) fn all(steps: &mut Steps, profile: Profile) -> Result<()> {
    all_with(steps, profile, &[])
}

/// As [`all`], with features of the product that only a measurement wants.
pub(crate) fn all_with(steps: &mut Steps, profile: Profile, features: &[&str]) -> Result<()> {
    needs::rust_targets(steps)?;
    designer(steps)?;
    bundled_plugins(steps)?;
    programs_with(steps, profile, features)
}

/// The browser core and the designer around it, to `designer/dist`.
pub(crate) fn designer(steps: &mut Steps) -> Result<()> {
    browser_core(steps)?;
    if steps.has("designer/package.json") {
        needs::npm_packages(steps, "designer")?;
        steps.run("designer", &mut npm(&["run", "build"]))?;
    }
    Ok(())
}

fn browser_core(steps: &mut Steps) -> Result<()> {
    if steps.has(browser::PART) {
        browser::build(steps, &paths::designer().join("src/core/pkg"))?;
    }
    Ok(())
}

/// The bundled plugins, to `dist/plugins`, and what the program needs to build plugins in other languages.
pub(crate) fn bundled_plugins(steps: &mut Steps) -> Result<()> {
    if steps.has("plugins/Cargo.toml") {
        steps.call("plugins", || plugins::build(&paths::plugins_built()))?;
        steps.call("runtimes", || plugins::build_runtimes(&paths::runtimes_built()))?;
    }
    Ok(())
}

/// `stepwell` and `commerce`.
pub(crate) fn programs(steps: &mut Steps, profile: Profile) -> Result<()> {
    programs_with(steps, profile, &[])
}

fn programs_with(steps: &mut Steps, profile: Profile, features: &[&str]) -> Result<()> {
    let mut command = cargo_all("build");
    command.arg("--bins");
    if !features.is_empty() {
        command.args(["--features", &features.join(",")]);
    }
    if profile == Profile::Release {
        command.arg("--release");
    }
    steps.run("programs", &mut command)
}

/// Where [`programs`] leaves one.
pub(crate) fn program(profile: Profile, name: &str) -> PathBuf {
    paths::target().join(profile.folder()).join(name)
}

/// Cargo for every crate but this one, held to `Cargo.lock`.
///
/// Building `xtask` along would give its dependencies other features than `cargo xtask` gave them a moment ago, and
/// so build the largest of them twice.
pub(crate) fn cargo_all(verb: &str) -> Command {
    let mut command = cargo(verb);
    command.args(["--workspace", "--exclude", "xtask"]);
    command
}

/// Cargo for this crate, with the features that `cargo xtask` was built with.
pub(crate) fn cargo_xtask(verb: &str) -> Command {
    let mut command = cargo(verb);
    command.args(["--package", "xtask"]);
    command
}

fn cargo(verb: &str) -> Command {
    let mut command = Command::new("cargo");
    command.args([verb, "--locked"]).current_dir(paths::root());
    command
}

/// npm in the designer.
pub(crate) fn npm(arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(paths::designer());
    command
}
