//! Opens the file: claims it for this process, brings its schema up to date, gives ownerless
//! instances back to whoever takes them.
//!
//! Invariant: the claim is a lock on a file beside the database, held by the writer until its
//! connection is closed; the system lets go of it when the process ends, however it ends.
//!
//! Not here: a server, which many engines share (`seat`).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::migrate;
use crate::sql::{Db, Error, Place};

/// Sizes of a store. The defaults suit a machine of a few cores.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The most items one transaction carries.
    pub batch_max: usize,
    /// Writes that may wait for the writer; beyond, callers wait to be let in.
    pub queue_max: usize,
    /// Connections that read at the same time.
    pub readers_max: usize,
    /// Items a subscriber of the feed may lag behind before it has to read on from the journal.
    pub feed_lag_max: usize,
    /// Pages of 4 KiB in the log before a commit also writes them to their places. More means
    /// fewer bytes written in all, and a longer wait for those who meet that commit.
    pub checkpoint_pages: u32,
    /// An engine that shares its database and was not heard of for this long is taken for dead.
    pub lease: Duration,
    /// Engines that share a database hint each other at what is worth a look; without, each looks
    /// about once a second. Hints need connections of their own, which some poolers do not give.
    pub hints: bool,
    /// For tests: ends the process, as a power cut would, at a commit of instances.
    pub abort: Option<AbortAt>,
}

/// The n-th commit of instances since the start, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortAt {
    /// Everything is said to the database but `commit`.
    Before(u32),
    /// It stands, and nobody was told.
    After(u32),
}

impl AbortAt {
    /// `before:3`, `after:3`
    pub fn parse(text: &str) -> Option<Self> {
        let (when, n) = text.split_once(':')?;
        let n = n.parse().ok().filter(|n| *n > 0)?;
        match when {
            "before" => Some(Self::Before(n)),
            "after" => Some(Self::After(n)),
            _ => None,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch_max: 512,
            queue_max: 4096,
            readers_max: 4,
            feed_lag_max: 4096,
            checkpoint_pages: 1000,
            lease: Duration::from_secs(10),
            hints: true,
            abort: None,
        }
    }
}

/// Why the store was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the file. Stop it, or use another file.
    #[error("{place} is in use by process {owner}: one process owns a store")]
    InUse { place: String, owner: String },
    /// Written by a newer engine. Start that one.
    #[error("{place} has schema {found}, and this engine knows up to {known}: start a newer engine")]
    NewerSchema { place: String, found: u32, known: u32 },
    /// A database of something else. Give another path.
    #[error("{0} is not a Stepwell database")]
    Foreign(String),
    /// The file, its folder or the server cannot be used as it is.
    #[error("{place} cannot be opened: {reason}")]
    Unusable { place: String, reason: String },
}

impl OpenError {
    pub(crate) fn unusable(place: &str, reason: &dyn std::fmt::Display) -> Self {
        Self::Unusable { place: place.to_owned(), reason: reason.to_string() }
    }
}

/// This process's claim to a database; dropped, others may have it.
#[derive(Debug)]
pub(crate) struct Claim {
    _file: File,
}

/// Claims a database, or a name, for this process.
pub(crate) fn claim(path: &Path) -> Result<Claim, OpenError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let lock = PathBuf::from(beside);
    let unusable = |error: std::io::Error| OpenError::unusable(&lock.display().to_string(), &error);
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // A few digits; whatever else stands there is of no use.
            let read = (&file).take(20).read_to_string(&mut owner);
            let owner = owner.trim();
            let known = read.is_ok() && !owner.is_empty();
            return Err(OpenError::InUse {
                place: path.display().to_string(),
                owner: if known { owner.to_owned() } else { "unknown".to_owned() },
            });
        }
        Err(TryLockError::Error(error)) => return Err(unusable(error)),
    }
    // For whoever is refused: the lock itself is what counts.
    file.set_len(0).map_err(unusable)?;
    file.rewind().map_err(unusable)?;
    write!(file, "{}", std::process::id()).map_err(unusable)?;
    file.flush().map_err(unusable)?;
    Ok(Claim { _file: file })
}

/// The name that is kept in a file, made now if there is none. The caller holds the [`Claim`].
pub(crate) fn name(path: &Path) -> Result<String, OpenError> {
    let unusable = |error: std::io::Error| OpenError::unusable(&path.display().to_string(), &error);
    match std::fs::read_to_string(path) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unusable(error)),
    }
    let name = uuid::Uuid::now_v7().to_string();
    std::fs::write(path, &name).map_err(unusable)?;
    Ok(name)
}

/// Opens and migrates a file; the caller holds the [`Claim`].
pub(crate) fn prepare(path: &Path, place: &Place) -> Result<Db, OpenError> {
    let shown = path.display().to_string();
    let unusable = |error: Error| OpenError::unusable(&shown, &error);
    let mut db = place.writing().map_err(unusable)?;
    migrate::up(&shown, &mut db)?;
    // Whoever drove an instance is gone with the process that had the file before.
    db.execute("update instance set owner = 0, wake_ms = 0 where state <= 4 and owner <> 0", &[]).map_err(unusable)?;
    Ok(db)
}
