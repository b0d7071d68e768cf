//! Processes that stay while a command works: started with a log, waited for, stopped without leaving children.
//!
//! Invariants:
//! - A [`Daemon`] that goes out of scope is stopped, whatever made its owner leave.
//! - Signals are read in one place ([`interrupted`]); the first asks, and everybody who waits looks.
//!
//! Not here: steps that end by themselves (`steps`).

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http;
use crate::steps::SpawnInGroup as _;

const POLL: Duration = Duration::from_millis(20);
/// Longer than the engine's own 20 s to finish or park its work.
const GRACE: Duration = Duration::from_secs(25);

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Turns Ctrl-C and SIGTERM into a flag. Called once, first thing.
pub(crate) fn watch_signals() -> Result<()> {
    let flag = STOP.get_or_init(Arc::default);
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // A second signal ends the process at once: nobody should have to wait for a stuck child.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(flag))?;
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    Ok(())
}

/// `true` once the person or the system asked this command to stop.
pub(crate) fn interrupted() -> bool {
    STOP.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Waits a moment between two looks at something. Nothing depends on how long.
pub(crate) fn pause() {
    std::thread::sleep(POLL);
}

pub(crate) struct Daemon {
    pub(crate) name: String,
    pub(crate) log: PathBuf,
    child: Child,
}

impl Daemon {
    /// Starts `command` with no input and both outputs in `log`.
    pub(crate) fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn_in_group()
            .with_context(|| format!("cannot start {name}: {}", command.get_program().to_string_lossy()))?;
        Ok(Self { name: name.to_owned(), log: log.to_owned(), child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until `GET path` answers 200. Fails with the end of the log when the process dies or the limit passes.
    pub(crate) fn wait_ready(&mut self, address: SocketAddr, path: &str, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                bail!("{} ended before it was ready ({status})\n{}", self.name, tail(&self.log, 30));
            }
            if http::get(address, path).is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if interrupted() {
                bail!("interrupted");
            }
            if begun.elapsed() > limit {
                let seconds = limit.as_secs();
                bail!("{} was not ready within {seconds} s\n{}", self.name, tail(&self.log, 30));
            }
            pause();
        }
    }

    /// Asks the process to end, and ends it when it does not.
    pub(crate) fn stop(&mut self) -> Option<ExitStatus> {
        if let Some(status) = self.ended() {
            return Some(status);
        }
        send(&self.child, "TERM");
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            pause();
        }
        kill_group(&mut self.child);
        None
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ends a child and everything it started, at once.
pub(crate) fn kill_group(child: &mut Child) {
    send(child, "KILL");
    let _ = child.kill();
    let _ = child.wait();
}

/// Signals the child's whole group. Through the shell, because the standard library cannot and `unsafe` is denied.
fn send(child: &Child, signal: &str) {
    let _ = Command::new("sh")
        .args(["-c", &format!("kill -{signal} -{} 2>/dev/null", child.id())])
        .stdin(Stdio::null())
        .status();
}

/// The last lines of a file; empty when there is none.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// `127.0.0.1:port`; a port of 0 picks a free one now.
pub(crate) fn loopback(port: u16) -> Result<SocketAddr> {
    if port != 0 {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}
