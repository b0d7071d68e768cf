//! The test programs: built in one cargo call together with the programs they start, and run one by one.
//!
//! Cargo's own list says what it built, so each suite can have its own log, time and line in a table. Suites are
//! named after what a person would ask for: the crate's folder for the tests beside the code (`core`, `store`, …),
//! the target's name for those in `tests/` (`http`, `crash`, …).
//!
//! Not here: which suites a command runs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use serde::Deserialize;

use crate::artifacts::{self, Profile};
use crate::steps::Steps;

/// One test program, as cargo left it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Suite {
    pub(crate) name: String,
    program: PathBuf,
    folder: PathBuf,
}

/// Builds programs and tests in one call, and reads from cargo what it built.
pub(crate) fn build(steps: &mut Steps) -> Result<Vec<Suite>> {
    let mut command = artifacts::cargo_all("build");
    command.args(["--all-targets", "--message-format=json-render-diagnostics"]);
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
    /// Started as cargo would: in the package's folder, with its name for it. Tests of the whole engine find it by
    /// `STEPWELL_BIN`.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        command.env("STEPWELL_BIN", artifacts::program(Profile::Dev, "stepwell"));
        command
    }
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
