//! Which language the project in a folder is written in, told by the one file that each must have.

use std::path::{Path, PathBuf};

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

pub(super) struct Project {
    pub(super) folder: PathBuf,
    pub(super) language: Language,
}

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

    pub(super) fn component(&self) -> PathBuf {
        self.folder.join("build/plugin.wasm")
    }
}
