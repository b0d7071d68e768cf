//! Watches the folders of plugins and of flows and record types: a new or changed file is loaded or published live.
//!
//! Invariants:
//! - A file is looked at once it was the same for one round, so that half a copy is not taken.
//! - A plugin file that was there before this start does not undo an upload that came after it.
//! - A flow file is published only if its (key, content) never was: an old file does not undo what
//!   was published since.
//! - A plugin's file goes the way of every component that is brought (`uploads`), and is told of as one.
//! - A file that cannot be used is said once, and tried again when it, or for flows a plugin, changes; one that could not
//!   be kept, in the next round.
//!
//! Not here: removal. A file that goes away changes nothing: instances are pinned to its content.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sha2::{Digest, Sha256};
use stepwell_core::problem::Problem;
use stepwell_core::record;
use stepwell_runtime::Clock;
use stepwell_store::{Act, PublishRecordType};

use crate::config::PLUGIN_BYTES_MAX;
use crate::http::App;
use crate::library::{PublishError, Request};
use crate::uploads::{self, Came, Wanted};

const LOOKS_EVERY: Duration = Duration::from_secs(1);
const FLOW_BYTES_MAX: u64 = 1024 * 1024;
/// Of a file's name, where it is told.
const FILE_CHARS_MAX: usize = 200;

/// What tells one content of a file from the next.
type Mark = (SystemTime, u64);

/// One folder and what was seen in it.
struct Folder {
    path: PathBuf,
    ending: &'static str,
    bytes_max: u64,
    seen: BTreeMap<PathBuf, Seen>,
}

struct Seen {
    mark: Mark,
    /// Taken up, with whatever came of it.
    done: bool,
}

pub(crate) struct Watcher {
    app: App,
    plugins: Option<Folder>,
    flows: Option<Folder>,
    /// Flow files that had problems, to be tried again when plugins or other files change.
    waiting: Vec<PathBuf>,
}

/// What became of a plugin's file.
enum Brought {
    Live,
    /// It was there before, or is refused.
    Nothing,
    /// It could not be kept, or others are on their way.
    Later,
}

/// What became of a flow's file.
enum Tried {
    /// What others name is there now.
    Published,
    /// It was published before, or is none.
    Nothing,
    /// It cannot be published yet.
    Left(Vec<Problem>),
}

impl Watcher {
    pub(crate) fn new(app: App) -> Self {
        let folder = |path: &Option<PathBuf>, ending, bytes_max| {
            path.clone().map(|path| Folder { path, ending, bytes_max, seen: BTreeMap::new() })
        };
        let plugin_bytes_max = u64::try_from(PLUGIN_BYTES_MAX).unwrap_or(u64::MAX);
        let plugins = folder(&app.config.plugins, "wasm", plugin_bytes_max);
        let flows = folder(&app.config.flows, "json", FLOW_BYTES_MAX);
        Self { app, plugins, flows, waiting: Vec::new() }
    }

    /// Takes up everything that is there now, without waiting for it to settle.
    pub(crate) async fn first_look(&mut self) {
        self.look(true).await;
    }

    /// Looks again and again, until dropped.
    pub(crate) async fn run(mut self) {
        if self.plugins.is_none() && self.flows.is_none() {
            return;
        }
        loop {
            self.app.clock.sleep(LOOKS_EVERY).await;
            self.look(false).await;
        }
    }

    async fn look(&mut self, at_once: bool) {
        let mut changed = false;
        for path in self.plugins.as_mut().map(|folder| folder.fresh(at_once)).unwrap_or_default() {
            match self.plugin(&path, at_once).await {
                Brought::Live => changed = true,
                Brought::Nothing => {}
                Brought::Later => self.plugins.iter_mut().for_each(|folder| folder.again(&path)),
            }
        }
        let mut flows = self.flows.as_mut().map(|folder| folder.fresh(at_once)).unwrap_or_default();
        if changed {
            flows.append(&mut self.waiting);
        }
        self.publish_all(flows).await;
    }

    /// Publishes files until none is left that can be: one may name what another holds.
    async fn publish_all(&mut self, mut files: Vec<PathBuf>) {
        loop {
            let (mut left, mut progress) = (Vec::new(), false);
            for path in files {
                match self.flow(&path).await {
                    Tried::Published => progress = true,
                    Tried::Nothing => {}
                    Tried::Left(problems) => left.push((path, problems)),
                }
            }
            if !progress {
                for (path, problems) in left {
                    for Problem { code, pointer, message, .. } in problems {
                        tracing::error!(file = %path.display(), code, pointer, message, "flow has a problem");
                    }
                    self.waiting.push(path);
                }
                return;
            }
            files = left.into_iter().map(|(path, _)| path).chain(self.waiting.drain(..)).collect();
        }
    }

    fn act(&self, path: &Path) -> Act {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Act { by: format!("file:{name}"), at_ms: self.app.clock.now_ms() }
    }

    /// Brings a plugin's file in, as if somebody had uploaded it.
    async fn plugin(&self, path: &Path, at_start: bool) -> Brought {
        let Some(wasm) = read(path).await else { return Brought::Nothing };
        if at_start && self.app.engine.nodes().knows(&stepwell_sandbox::Digest::of(&wasm)) {
            return Brought::Nothing;
        }
        let Some(_place) = self.app.uploading.enter() else { return Brought::Later };
        let file = path.file_name().map(|name| name.to_string_lossy().chars().take(FILE_CHARS_MAX).collect());
        let wanted = Wanted { wasm, file, dry_run: false, against: None, act: self.act(path) };
        let id = uuid::Uuid::now_v7().to_string();
        match Box::pin(uploads::run(self.app.clone(), id, wanted)).await {
            Ok(Came::Live(info, ..)) => {
                let types = info.node_types.len();
                tracing::info!(plugin = info.name, version = info.version, types, "plugin is live");
                Brought::Live
            }
            Ok(Came::Refused(stage, problems)) => {
                for problem in problems {
                    let Problem { code, message, fix, .. } = problem;
                    let hint = fix.unwrap_or_default();
                    tracing::error!(file = %path.display(), stage, code, message, hint, "plugin is refused");
                }
                Brought::Nothing
            }
            // Only dry runs are.
            Ok(Came::Tried(..)) => Brought::Nothing,
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "plugin is not kept");
                Brought::Later
            }
        }
    }

    async fn flow(&self, path: &Path) -> Tried {
        let Some(bytes) = read(path).await else { return Tried::Nothing };
        let document: Value = match serde_json::from_slice(&bytes) {
            Ok(document) => document,
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "flow file is not JSON");
                return Tried::Nothing;
            }
        };
        // Other JSON (schemas, grants) may lie in the same folder.
        if document.get("stepwell").is_none() {
            return Tried::Nothing;
        }
        let file = hex::encode(Sha256::digest(&bytes));
        if document["kind"] == "record" {
            return self.record_type(path, document, file).await;
        }
        let (document, file, act) = (Arc::new(document), Some(file), self.act(path));
        // Who writes into the folder is who runs the engine, so nothing is out of reach.
        let request = Request { document, label: None, revision: None, file, node_types: None, everywhere: true, act };
        match self.app.library.publish(request).await {
            Ok(done) if done.known => {
                tracing::debug!(flow = done.key, version = done.version, "flow file is known");
                Tried::Nothing
            }
            Ok(done) => {
                tracing::info!(flow = done.key, version = done.version, "flow is published");
                Tried::Published
            }
            Err(PublishError::FileSeen) => Tried::Nothing,
            Err(PublishError::Problems(problems)) => Tried::Left(problems),
            Err(error @ (PublishError::DraftMoved(_) | PublishError::Unavailable(_) | PublishError::Everywhere(_))) => {
                tracing::error!(file = %path.display(), %error, "flow is not published");
                Tried::Left(Vec::new())
            }
        }
    }

    async fn record_type(&self, path: &Path, document: Value, file: String) -> Tried {
        let checked = record::check(&document);
        let Some(record_type) = checked.record else { return Tried::Left(checked.problems) };
        let (key, document) = (record_type.key.to_string(), Arc::new(document));
        let publish =
            PublishRecordType { key, document, hash: record_type.hash, file: Some(file), act: self.act(path) };
        match self.app.engine.journal().publish_record_type(publish).await {
            Ok((_, false)) => Tried::Nothing,
            Ok((made, true)) => {
                tracing::info!(key = made.key, version = made.version, "record type is published");
                Tried::Published
            }
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "record type is not published");
                Tried::Left(Vec::new())
            }
        }
    }
}

impl Folder {
    /// Takes a file up in the next round as well, though it does not change.
    fn again(&mut self, path: &Path) {
        if let Some(seen) = self.seen.get_mut(path) {
            seen.done = false;
        }
    }

    /// Files that are new or changed, and at rest (or `at_once`).
    fn fresh(&mut self, at_once: bool) -> Vec<PathBuf> {
        let mut fresh = Vec::new();
        for (path, mark) in self.list() {
            let known = self.seen.get(&path);
            let settled = at_once || known.is_some_and(|seen| seen.mark == mark);
            let done = known.is_some_and(|seen| seen.mark == mark && seen.done);
            if settled && !done {
                fresh.push(path.clone());
            }
            self.seen.insert(path, Seen { mark, done: settled });
        }
        fresh
    }

    fn list(&self) -> Vec<(PathBuf, Mark)> {
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::debug!(folder = %self.path.display(), %error, "the folder cannot be read");
                return Vec::new();
            }
        };
        let mut files: Vec<(PathBuf, Mark)> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == self.ending))
            .filter_map(|path| {
                let meta = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
                Some((path, (meta.modified().ok()?, meta.len())))
            })
            .filter(|(_, (_, bytes))| *bytes <= self.bytes_max)
            .collect();
        files.sort();
        files
    }
}

async fn read(path: &Path) -> Option<Vec<u8>> {
    match tokio::fs::read(path).await {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            tracing::error!(file = %path.display(), %error, "the file cannot be read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn a_file_is_taken_once_it_is_at_rest_and_again_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.json");
        let mut folder = Folder { path: dir.path().to_owned(), ending: "json", bytes_max: 10, seen: BTreeMap::new() };
        for (write, at_once, taken) in [
            (None, false, 0),
            (Some("1"), false, 0),
            (None, false, 1),
            (None, false, 0),
            (Some("22"), false, 0),
            (Some("333"), false, 0),
            (None, false, 1),
            (Some("4444"), true, 1),
            (None, true, 0),
            (Some("longer than ten bytes"), true, 0),
        ] {
            if let Some(text) = write {
                std::fs::write(&file, text).unwrap();
            }
            assert_eq!(folder.fresh(at_once).len(), taken, "{write:?}");
        }
        // What could not be kept is tried again as it is, once.
        std::fs::write(&file, "5").unwrap();
        assert_eq!(folder.fresh(true).len(), 1);
        folder.again(&file);
        assert_eq!((folder.fresh(false).len(), folder.fresh(false).len()), (1, 0));
    }
}
