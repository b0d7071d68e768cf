//! `cargo xtask test [SUITE…]`: builds everything once, then runs each test program as a step of its own.
//!
//! Suites are those of [`suites`]; those of [`ON_BOTH`] again with `-postgres` after their name, on a server that is
//! brought up for them (all of these together: `postgres`); and: `docs` for the examples in doc comments, `xtask` for
//! this crate, `plugins`, `designer-unit`, `designer-browser` (the console against a stand-in engine) and
//! `designer-engine` (against the real one, with the stand-in shop), or all three as `designer`. They go on after a
//! failure.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

use crate::artifacts::{self, Profile, cargo_all, cargo_xtask, npm};
use crate::launch::System;
use crate::postgres::Postgres;
use crate::steps::Steps;
use crate::suites::Suite;
use crate::{authors, needs, paths, suites};

/// These need neither plugins nor the designer, so a person who asks for one does not wait for those.
const ALONE: [&str; 7] = ["core", "runtime", "store", "sim", "tidy", "docs", "xtask"];

/// What must hold on either database. The programs find the server by `STEPWELL_TEST_POSTGRES`.
const ON_BOTH: [&str; 7] = ["store", "conformance", "http", "crash", "operations", "records", "scenarios"];

/// What needs a database that engines share.
const ON_POSTGRES: [&str; 1] = ["engines"];

/// Steps of the simulation with `--long`: hours.
const LONG_STEPS: &str = "30000000";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these suites: core, runtime, store, sandbox, server, http, sim, crash, postgres, tidy, docs, plugins, …
    suites: Vec<String>,
    /// Some hundred times as many seeds of the simulation, from a place that differs from day to day
    #[arg(long)]
    long: bool,
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
    let suites = suites::build(&mut steps)?;
    let mut known = 0;
    let alone = |suite: &&Suite| !ON_POSTGRES.contains(&suite.name.as_str());
    for suite in suites.iter().filter(alone).filter(|suite| wants(&suite.name)) {
        known += 1;
        let mut command = suite.command();
        if args.long && suite.name == "sim:seeds" {
            command.env("STEPWELL_SIM_STEPS", LONG_STEPS).env("STEPWELL_SIM_FIRST", todays_seed().to_string());
        }
        if suite.name == "authors" {
            command.envs(authors::tools(&mut steps)?);
        }
        steps.attempt(&suite.name, &mut command)?;
    }
    if wants("sim") {
        known += 1;
        // The whole workspace is named, so that nothing but what has bugs planted in it is built again.
        let planted = ["--features", "stepwell-sim/planted", "--test", "planted"];
        steps.attempt("sim:planted", cargo_all("test").args(planted))?;
    }
    known += on_postgres(&mut steps, &suites, &args.suites, wants)?;
    if wants("docs") {
        known += 1;
        steps.attempt("docs", cargo_all("test").args(["--doc", "--quiet"]))?;
    }
    if wants("xtask") {
        known += 1;
        steps.attempt("xtask", cargo_xtask("test").arg("--quiet"))?;
    }
    if wants("plugins") && steps.has("plugins/Cargo.toml") {
        known += 1;
        let mut command = Command::new("cargo");
        command.args(["test", "--workspace", "--locked", "--quiet", "--target-dir"]).arg(paths::target());
        steps.attempt("plugins", command.current_dir(paths::root().join("plugins")))?;
    }
    known += designer(&mut steps, wants)?;
    if known == 0 {
        let names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
        bail!("no such suite\nhint: {}, docs, xtask, plugins, designer", names.join(", "));
    }
    steps.finish()
}

/// Each day looks elsewhere; a seed that fails is printed.
fn todays_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / (24 * 60 * 60) * 1_000_000
}

/// The suites that must hold on either database, on a server. Returns how many were asked for.
fn on_postgres(steps: &mut Steps, suites: &[Suite], asked: &[String], wants: impl Fn(&str) -> bool) -> Result<usize> {
    let all = asked.iter().any(|asked| asked == "postgres");
    let again: Vec<(String, &Suite)> = suites
        .iter()
        .filter(|suite| ON_BOTH.iter().chain(&ON_POSTGRES).any(|name| *name == suite.name))
        .map(|suite| (format!("{}-postgres", suite.name), suite))
        .filter(|(name, _)| all || wants(name))
        .collect();
    if !again.is_empty() {
        let server = Postgres::start(steps)?;
        for (name, suite) in &again {
            steps.attempt(name, suite.command().env("STEPWELL_TEST_POSTGRES", server.url()))?;
        }
    }
    Ok(again.len())
}

/// The designer's own suites. Returns how many were asked for.
fn designer(steps: &mut Steps, wants: impl Fn(&str) -> bool) -> Result<usize> {
    let [unit, browser, engine] = ["designer-unit", "designer-browser", "designer-engine"].map(wants);
    if !(unit || browser || engine) || !steps.has("designer/package.json") {
        return Ok(0);
    }
    if unit {
        steps.attempt("designer-unit", &mut npm(&["test"]))?;
    }
    if (browser || engine) && steps.has("tests/designer") {
        let chromium = needs::chromium(steps)?;
        let suite = |system: Option<&System>| {
            let mut command = npm(&["run", "test:browser"]);
            command.env("CHROMIUM", &chromium);
            if let Some(system) = system {
                system.point(&mut command);
            }
            command
        };
        if browser {
            steps.attempt("designer-browser", &mut suite(None))?;
        }
        if engine {
            let data = paths::root().join("target/system-test");
            let system = steps.call("start", || System::start(Profile::Dev, &data, "test"))?;
            steps.attempt("designer-engine", &mut suite(Some(&system)))?;
        }
    }
    Ok([unit, browser, engine].into_iter().filter(|asked| *asked).count())
}
