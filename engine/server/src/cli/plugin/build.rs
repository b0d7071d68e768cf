//! Builds a project's component, `build/plugin.wasm`, by the way of its language.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

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
    write(&path, &component)?;
    Ok(Built { path, component, took: begun.elapsed(), imports })
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
