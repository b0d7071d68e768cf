//! Finds the compilers of others, runs them, and says how to install one that is absent.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::progress::Line;

/// The program's file on the search path.
pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| is_program(file))
}

pub(super) fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// A command given by an environment variable, words apart by spaces.
pub(super) fn from_environment(variable: &str) -> Option<Command> {
    let text = std::env::var(variable).ok().filter(|text| !text.trim().is_empty())?;
    let mut words = text.split_whitespace();
    let mut command = Command::new(words.next()?);
    command.args(words);
    Some(command)
}

/// Whether a program runs and succeeds; what it says is of no interest.
pub(super) fn succeeds(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a compiler to its end, with its last line shown meanwhile and all of its words if it fails.
pub(super) fn run(what: &str, command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let line = Line::new(what);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{program} does not start"))?;
    let mut said = Vec::new();
    for text in child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).split(b'\n')).flatten() {
        let text = String::from_utf8_lossy(&text).into_owned();
        line.say(&text);
        said.push(text);
    }
    let status = child.wait()?;
    drop(line);
    anyhow::ensure!(status.success(), "{what} failed\n{}", said.join("\n"));
    Ok(())
}
