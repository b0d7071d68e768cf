//! `cargo xtask test [SUITE…]`: builds everything once, then runs each test program as a step of its own.
//!
//! One cargo call builds the programs and the tests together; they are then started from its list, so that each
//! has its own log, time and line in the closing table. Suites go on after a failure.
//!
//! Suites: one per crate for the tests beside the code (`core`, `runtime`, `store`, …), one per test target of
//! `tests/` (`http`, `crash`, `tidy`, …), `docs` for the examples in doc comments, and `designer-unit`,
//! `designer-browser`, or both as `designer`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use serde::Deserialize;

use crate::artifacts::{self, Profile, cargo, npm};
use crate::steps::Steps;
use crate::{needs, paths};

/// These need neither plugins nor the designer, so a person who asks for one does not wait for those.
const ALONE: [&str; 5] = ["core", "runtime", "store", "tidy", "docs"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these suites: core, runtime, store, sandbox, server, http, crash, tidy, docs, designer, …
    suites: Vec<String>,
}

/// One test program, as cargo left it.
#[derive(Debug, PartialEq, Eq)]
struct Suite {
    name: String,
    program: PathBuf,
    folder: PathBuf,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let mut steps = Steps::new("test")?;
    let wants = |suite: &str| {
        let family = suite.split(['-', ':']).next().unwrap_or(suite);
        args.suites.is_empty() || args.suites.iter().any(|asked| asked == suite || asked == family)
    };
    if args.suites.is_empty() || args.suites.iter().any(|suite| !ALONE.contains(&suite.as_str())) {
        needs::rust_targets(&mut steps)?;
        artifacts::designer(&mut steps)?;
        artifacts::bundled_plugins(&mut steps)?;
    }
    let suites = build(&mut steps)?;
    let mut known = 0;
    for suite in suites.iter().filter(|suite| wants(&suite.name)) {
        known += 1;
        steps.attempt(&suite.name, &mut suite.command())?;
    }
    if wants("docs") {
        known += 1;
        steps.attempt("docs", &mut cargo(&["test", "--workspace", "--doc", "--quiet"]))?;
    }
    known += designer(&mut steps, wants)?;
    if known == 0 {
        let names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
        bail!("no such suite\nhint: {}, docs, designer", names.join(", "));
    }
    steps.finish()
}

/// The designer's own suites. Returns how many were asked for.
fn designer(steps: &mut Steps, wants: impl Fn(&str) -> bool) -> Result<usize> {
    let (unit, browser) = (wants("designer-unit"), wants("designer-browser"));
    if !(unit || browser) || !steps.has("designer/package.json") {
        return Ok(0);
    }
    if unit {
        steps.attempt("designer-unit", &mut npm(&["test"]))?;
    }
    if browser && steps.has("tests/designer") {
        let chromium = needs::chromium(steps)?;
        steps.attempt("designer-browser", surroundings(npm(&["run", "test:browser"])).env("CHROMIUM", chromium))?;
    }
    Ok(usize::from(unit) + usize::from(browser))
}

/// Builds programs and tests in one call, and reads from cargo what it built.
fn build(steps: &mut Steps) -> Result<Vec<Suite>> {
    let mut command = cargo(&["build", "--workspace", "--all-targets", "--message-format=json-render-diagnostics"]);
    let messages = steps.read("programs and tests", &mut command)?;
    Ok(suites(&messages))
}

#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    profile: BuildProfile,
    executable: PathBuf,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct BuildProfile {
    test: bool,
}

/// Test programs in the order of their names, unit tests before those of `tests/`.
fn suites(messages: &str) -> Vec<Suite> {
    let mut found: Vec<(bool, Suite)> = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
        .filter(|artifact| artifact.profile.test)
        .filter_map(|artifact| {
            let folder = artifact.manifest_path.parent()?.to_owned();
            let package = folder.file_name()?.to_str()?.to_owned();
            let whole = artifact.target.kind.iter().any(|kind| kind == "test");
            let name = match (whole, package.as_str()) {
                (true, "tests") => artifact.target.name,
                (true, _) => format!("{package}:{}", artifact.target.name),
                (false, "tests") => "harness".to_owned(),
                (false, _) => package,
            };
            Some((whole, Suite { name, program: artifact.executable, folder }))
        })
        .collect();
    found.sort_by(|(whole, suite), (other_whole, other)| (whole, &suite.name).cmp(&(other_whole, &other.name)));
    found.into_iter().map(|(_, suite)| suite).collect()
}

impl Suite {
    /// Started as cargo would: in the package's folder, with its name for it.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        surroundings(command)
    }
}

/// Tells a test where the programs and plugins are.
fn surroundings(mut command: Command) -> Command {
    command
        .env("STEPWELL_BIN", artifacts::program(Profile::Dev, "stepwell"))
        .env("COMMERCE_BIN", artifacts::program(Profile::Dev, "commerce"))
        .env("STEPWELL_PLUGINS", paths::plugins_built());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_named_after_what_a_person_would_ask_for() {
        let messages: String = [
            ("engine/core", "stepwell_core", "lib", true),
            ("tests", "crash", "test", true),
            ("tests", "stepwell_tests", "lib", true),
            ("engine/server", "cli", "test", true),
            ("engine/server", "stepwell", "bin", false), // Not a test: a program for the others to start.
        ]
        .map(|(folder, name, kind, test)| {
            let artifact = serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": format!("/r/{folder}/Cargo.toml"),
                "target": { "name": name, "kind": [kind] }, "profile": { "test": test }, "executable": "/t/x",
            });
            format!("{artifact}\n")
        })
        .concat();
        let names: Vec<String> = suites(&messages).into_iter().map(|suite| suite.name).collect();
        assert_eq!(names, ["core", "harness", "crash", "server:cli"]);
        assert_eq!(suites("warning: words between\n{\"reason\":\"build-finished\"}"), []);
    }
}
