//! `stepwell plugin …`: what a plugin's author does, from an empty folder to a node on an open canvas.
//!
//! Invariants:
//! - `new`, `build`, `inspect` and `test` need no running engine; `push`, `dev` and `list` ask one over HTTP.
//! - A tool that is not there is named together with the line that installs it.
//!
//! Not here: what a component may reach and how it is called (`sandbox`); how one is made of a module (`guests`).

mod bench;
mod build;
mod c;
mod case;
mod dev;
mod difference;
mod inspect;
mod javascript;
mod new;
mod progress;
mod project;
mod push;
mod python;
mod rust;
mod tools;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stepwell_sandbox::{Limits, Sandbox};

use super::ask::At;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a project with one working node
    New(new::New),
    /// Build the project in the current folder
    Build(InFolder),
    /// Show what a component can do: imports, effect class, sizes, node types and their schemas
    Inspect(inspect::Inspect),
    /// Play the examples and the cases in cases/ in the engine's sandbox
    Test(bench::Test),
    /// Load a component into a running engine
    Push(push::Push),
    /// Build and push whenever a file changes
    Dev(dev::Dev),
    /// List the plugins of a running engine
    List(At),
}

#[derive(Args)]
pub(super) struct InFolder {
    /// The project's folder
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

/// The engine's own sandbox, for one plugin on its author's machine: small, and patient with a slow one.
fn sandbox(cache: Option<PathBuf>) -> anyhow::Result<Sandbox> {
    let limits = Limits { pooled_max: 16, compile_ms_max: 300_000, ..Limits::default() };
    Ok(Sandbox::new(cache, limits)?)
}

pub(super) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::New(new) => new::run(&new),
        Command::Build(at) => {
            let project = project::Project::find(&at.dir)?;
            let built = build::run(&project)?;
            super::result(&built.shown());
            Ok(())
        }
        Command::Inspect(inspect) => inspect::run(&inspect),
        Command::Test(test) => bench::run(&test),
        Command::Push(push) => push::run(&push),
        Command::Dev(dev) => dev::run(&dev),
        Command::List(at) => push::list(&at),
    }
}
