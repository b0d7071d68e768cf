//! Builds a project's component, `build/plugin.wasm`, by the way of its language.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::project::{Language, Project};
use super::{c, javascript, progress, python, rust};

pub(super) struct Built {
    pub(super) path: PathBuf,
    pub(super) component: Vec<u8>,
    pub(super) took: Duration,
    imports: Vec<String>,
}

pub(super) fn run(project: &Project) -> anyhow::Result<Built> {
    let begun = Instant::now();
    let component = match project.language {
        Language::Rust => rust::build(project)?,
        Language::Js => javascript::build(project)?,
        Language::Python => python::build(project)?,
        Language::C => c::build(project)?,
    };
    let imports = stepwell_guests::imports(&component)?;
    project.build_folder()?;
    let path = project.component();
    if std::fs::read(&path).ok().as_ref() != Some(&component) {
        // The machine code of what was there before is of no more use.
        let _ = std::fs::remove_dir_all(project.build_folder()?.join("cache"));
        write(&path, &component)?;
    }
    Ok(Built { path, component, took: begun.elapsed(), imports })
}

/// The component that is there, if it was made of the files as they are by this program; else a new one.
pub(super) fn if_changed(project: &Project) -> anyhow::Result<Built> {
    // Cargo looks itself, and better.
    if project.language == Language::Rust {
        return run(project);
    }
    let begun = Instant::now();
    let kept = project.build_folder()?.join("made-of");
    let made_of = made_of(project)?;
    let path = project.component();
    if std::fs::read_to_string(&kept).is_ok_and(|known| known == made_of)
        && let Ok(component) = std::fs::read(&path)
    {
        let imports = stepwell_guests::imports(&component)?;
        return Ok(Built { path, component, took: begun.elapsed(), imports });
    }
    let built = run(project)?;
    std::fs::write(&kept, made_of)?;
    Ok(built)
}

/// A digest of everything that a build depends on but the tools of others.
fn made_of(project: &Project) -> anyhow::Result<String> {
    let mut digest = Sha256::new();
    let program = std::env::current_exe().and_then(std::fs::metadata).and_then(|about| about.modified());
    digest.update(format!("{:?}", program.ok()));
    // A case is no part of the component.
    let cases = project.folder.join("cases");
    for file in project.files()?.keys().filter(|file| !file.starts_with(&cases)) {
        digest.update(file.to_string_lossy().as_bytes());
        digest.update(Sha256::digest(std::fs::read(file)?));
    }
    Ok(hex::encode(digest.finalize()))
}

impl Built {
    pub(super) fn shown(&self) -> String {
        let mut shown = format!(
            "{}  {}  in {:.1} s\n",
            self.path.display(),
            progress::bytes(self.component.len() as u64),
            self.took.as_secs_f64()
        );
        if self.imports.is_empty() {
            shown.push_str("imports no function: pure\n");
        } else {
            let _ = writeln!(shown, "imports {}", self.imports.join(", "));
        }
        shown
    }
}

/// In one move: an engine may be watching.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let fresh = path.with_extension("wasm.new");
    std::fs::write(&fresh, bytes)
        .and_then(|()| std::fs::rename(&fresh, path))
        .with_context(|| path.display().to_string())
}
