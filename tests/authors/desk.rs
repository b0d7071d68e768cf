//! An author's desk: a folder with one new project, and the program to work on it.

use std::path::{Path, PathBuf};
use std::process::Command;

use stepwell_tests::binary;
use tempfile::TempDir;

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) ok: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) struct Desk {
    /// Of the command that made the project.
    pub(crate) made: Said,
    folder: TempDir,
    has_tools: bool,
}

impl Desk {
    /// With a project `greeting` from the template of that language.
    pub(crate) fn new(lang: &str) -> Self {
        Self::with(lang, true)
    }

    /// On a machine that has nothing but `stepwell`.
    pub(crate) fn without_tools(lang: &str) -> Self {
        Self::with(lang, false)
    }

    fn with(lang: &str, has_tools: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Said { ok: true, out: String::new(), err: String::new() };
        let mut desk = Self { made, folder, has_tools };
        desk.made = desk.run_in(desk.folder.path(), &["new", "greeting", "--lang", lang], &[]);
        assert!(desk.made.ok, "{:?}", desk.made);
        desk
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.folder.path().join("greeting")
    }

    /// `stepwell plugin …` in the project's folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.run_in(&self.project(), arguments, &[])
    }

    /// The same, to an engine.
    pub(crate) fn run_at(&self, arguments: &[&str], url: &str, token: &str) -> Said {
        self.run_in(&self.project(), arguments, &[("STEPWELL_URL", url), ("STEPWELL_TOKEN", token)])
    }

    fn run_in(&self, folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Said {
        let mut command = Command::new(binary());
        command.arg("plugin").args(arguments).current_dir(folder).envs(env.iter().copied());
        // Dependencies of one project are those of the next.
        command.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("authors"));
        // Cargo started this test with its own toolchain's variables; an author's shell has none of them.
        for variable in ["CARGO", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTUP_TOOLCHAIN", "CARGO_MANIFEST_DIR"] {
            command.env_remove(variable);
        }
        if !self.has_tools {
            command.env("PATH", "").env_remove("STEPWELL_CC").env_remove("STEPWELL_COMPONENTIZE_PY");
        }
        let output = command.output().expect("stepwell starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { ok: output.status.success(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.project().join(file), text).expect("a file to write");
    }

    /// Puts `is` where the file says `was`.
    pub(crate) fn edit(&self, file: &str, was: &str, is: &str) {
        let text = std::fs::read_to_string(self.project().join(file)).expect("a file of the template");
        assert!(text.contains(was), "{file} does not say {was}");
        self.write(file, &text.replace(was, is));
    }
}
