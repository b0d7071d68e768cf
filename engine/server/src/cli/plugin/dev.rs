//! `stepwell plugin dev`: builds and pushes whenever a file of the project changes. Calls under way keep the build that
//! they began with; open designers hear of the new one from the engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;

use super::super::ask::At;
use super::super::{result, say};
use super::project::Project;
use super::{build, push};

const LOOKS_EVERY: Duration = Duration::from_millis(200);
/// What tools leave behind, and what is no source.
const NOT_SOURCE: [&str; 5] = ["build", "target", "node_modules", "__pycache__", "wit"];
/// A project of more files is in the wrong folder.
const FILES_MAX: usize = 10_000;

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

type Marks = BTreeMap<PathBuf, (SystemTime, u64)>;

pub(super) fn run(asked: &Dev) -> anyhow::Result<()> {
    let project = Project::find(&asked.dir)?;
    say(&format!("watching {}", project.folder.display()));
    loop {
        let seen = marks(&project.folder)?;
        let round = round(&project, &asked.at);
        if asked.once {
            return round;
        }
        if let Err(error) = round {
            say(&format!("error: {error:#}"));
        }
        settled(&project.folder, &seen)?;
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
fn settled(folder: &Path, before: &Marks) -> anyhow::Result<()> {
    let mut last = marks(folder)?;
    loop {
        let changed = last != *before;
        thread::sleep(LOOKS_EVERY);
        let now = marks(folder)?;
        // The same twice: an editor that writes several files has written them all.
        if changed && now == last {
            return Ok(());
        }
        last = now;
    }
}

fn marks(folder: &Path) -> anyhow::Result<Marks> {
    let mut marks = Marks::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Ok(kind) = entry.file_type() else { continue };
            if name.starts_with('.') || NOT_SOURCE.contains(&&*name) || name == "Cargo.lock" {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if let Ok(about) = entry.metadata() {
                marks.insert(entry.path(), (about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.len()));
            }
        }
        anyhow::ensure!(marks.len() <= FILES_MAX, "more than {FILES_MAX} files: is this the folder of a plugin?");
    }
    Ok(marks)
}
