//! `stepwell plugin dev`: builds and pushes whenever a file of the project changes. Calls under way keep the build that
//! they began with; open designers hear of the new one from the engine.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use super::super::ask::At;
use super::super::{result, say};
use super::project::{Marks, Project};
use super::{build, push};

const LOOKS_EVERY: Duration = Duration::from_millis(200);

#[derive(Args)]
pub(in super::super) struct Dev {
    /// The project's folder
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Build and push once, then end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(asked: &Dev) -> anyhow::Result<()> {
    let project = Project::find(&asked.dir)?;
    say(&format!("watching {}", project.folder.display()));
    loop {
        let seen = project.files()?;
        let round = round(&project, &asked.at);
        if asked.once {
            return round;
        }
        if let Err(error) = round {
            say(&format!("error: {error:#}"));
        }
        settled(&project, &seen)?;
    }
}

fn round(project: &Project, at: &At) -> anyhow::Result<()> {
    let built = build::run(project)?;
    let begun = Instant::now();
    let live = push::push(at, &built.path)?;
    let (build_s, push_s) = (built.took.as_secs_f64(), begun.elapsed().as_secs_f64());
    result(&format!("{live}\nbuild {build_s:.1} s, push {push_s:.1} s\n"));
    Ok(())
}

/// Returns once something is other than it was, and no longer changing.
fn settled(project: &Project, before: &Marks) -> anyhow::Result<()> {
    let mut last = project.files()?;
    loop {
        let changed = last != *before;
        thread::sleep(LOOKS_EVERY);
        let now = project.files()?;
        // The same twice: an editor that writes several files has written them all.
        if changed && now == last {
            return Ok(());
        }
        last = now;
    }
}
