//! The project's own commands: `cargo xtask run | build | test | check | bench | fuzz | dist | screenshots`.
//!
//! Each command is a list of steps in its own module; [`steps`] runs them one at a time, shows which one is
//! under way, and keeps the whole output in `target/xtask/*.log`.
//!
//! Invariants:
//! - A command installs what it lacks ([`needs`]) or says the exact line that would.
//! - A part that is not in the repository is named as absent, never passed over in silence.
//!
//! Not here: what the parts themselves do; the rules of the repository (`tests/tidy`).

mod artifacts;
mod authors;
mod bench;
mod browser;
mod check;
mod dist;
mod fuzz;
mod http;
mod launch;
mod licences;
mod needs;
mod paths;
mod plugins;
mod postgres;
mod process;
mod run;
mod screenshots;
mod steps;
mod suites;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, run, test and measure Stepwell")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything and start the engine with the stand-in shop beside it
    Run(run::Args),
    /// Build everything, or the named parts, without starting it
    Build(artifacts::Args),
    /// Build everything and run the tests, all of them or the named suites
    Test(test::Args),
    /// Format, lints, licences, generated files, designer types, repository rules
    Check(check::Args),
    /// Measure the engine beside its peers on this machine
    Bench(bench::Args),
    /// Make up inputs for what takes bytes from outside
    Fuzz(fuzz::Args),
    /// Leave what a release holds in dist/
    Dist,
    /// Take pictures of every page, light and dark, in both languages
    Screenshots(screenshots::Args),
}

fn main() -> ExitCode {
    let outcome = process::watch_signals().and_then(|()| perform(Cli::parse().command));
    if let Err(error) = &outcome {
        // In full, but without a backtrace: the reader looks for what failed, not where in xtask.
        steps::say(&format!("error: {error:#}"));
    }
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn perform(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => run::main(&args),
        Command::Build(args) => artifacts::main(&args),
        Command::Test(args) => test::main(&args),
        Command::Check(args) => check::main(&args),
        Command::Bench(args) => bench::main(&args),
        Command::Fuzz(args) => fuzz::main(&args),
        Command::Dist => dist::main(),
        Command::Screenshots(args) => screenshots::main(&args),
    }
}
