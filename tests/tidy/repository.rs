//! Lists and reads the files of the repository: tracked ones, and new ones that git would add.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file, by its path from the root.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|extension| extension.to_str()).unwrap_or_default()
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }
}

pub(crate) fn root() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ is inside the repository").to_owned()
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn exists(path: &str) -> bool {
    root().join(path).exists()
}

/// The paths of all files, sorted.
pub(crate) fn paths() -> Vec<String> {
    // Reading is safe whoever owns the clone; in CI that is often another user.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let mut paths: Vec<String> =
        listed.split('\0').filter(|path| !path.is_empty() && root().join(path).is_file()).map(str::to_owned).collect();
    paths.sort();
    paths.dedup();
    assert!(paths.len() > 20, "only {} files: this is not the repository", paths.len());
    paths
}

/// All files that are text.
pub(crate) fn files() -> Vec<File> {
    paths()
        .into_iter()
        .filter_map(|path| {
            let text = fs::read_to_string(root().join(&path)).ok()?;
            Some(File { path, text })
        })
        .collect()
}

/// Files that a program of ours writes, as `.gitattributes` has them.
pub(crate) fn generated() -> Vec<String> {
    read(".gitattributes")
        .lines()
        .filter_map(|line| line.strip_suffix(" linguist-generated"))
        .map(|path| path.trim().to_owned())
        .collect()
}
