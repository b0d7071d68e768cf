//! Which language the project in a folder is written in, told by the one file that each must have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
    Js,
    Python,
    C,
}

impl Language {
    /// Every language, with the file that tells it.
    pub(super) const MARKS: [(Self, &'static str); 4] = [
        (Self::Rust, "Cargo.toml"),
        (Self::Js, "src/plugin.js"),
        (Self::Python, "src/plugin.py"),
        (Self::C, "src/plugin.c"),
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Js => "js",
            Self::Python => "python",
            Self::C => "c",
        }
    }
}

/// What tools leave behind, and what is no source.
const NOT_SOURCE: [&str; 5] = ["build", "target", "node_modules", "__pycache__", "Cargo.lock"];
/// A project of more files is in the wrong folder.
const FILES_MAX: usize = 10_000;

pub(super) struct Project {
    pub(super) folder: PathBuf,
    pub(super) language: Language,
}

/// When each file was changed, and its length.
pub(super) type Marks = BTreeMap<PathBuf, (SystemTime, u64)>;

impl Project {
    pub(super) fn find(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        let found = Language::MARKS.into_iter().find(|(_, mark)| folder.join(mark).is_file());
        let marks = Language::MARKS.map(|(_, mark)| mark).join(", ");
        let (language, _) = found.with_context(|| {
            format!(
                "{} is no plugin: none of {marks} is there\nhint: stepwell plugin new NAME --lang rust|js|python|c",
                folder.display()
            )
        })?;
        Ok(Self { folder, language })
    }

    /// Everything that a build leaves, but what cargo keeps in `target/`.
    pub(super) fn build_folder(&self) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("build");
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }

    /// Every file that the author wrote, with when it was changed and its length.
    pub(super) fn files(&self) -> anyhow::Result<Marks> {
        let mut marks = Marks::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)?.flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let Ok(kind) = entry.file_type() else { continue };
                if name.starts_with('.') || NOT_SOURCE.contains(&&*name) {
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

    pub(super) fn component(&self) -> PathBuf {
        self.folder.join("build/plugin.wasm")
    }
}
