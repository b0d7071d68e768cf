//! Runs the steps of a command one at a time: which one, how long, and the end of its output when it fails.
//!
//! Invariants:
//! - A step's whole output is in `target/xtask/<step>.log`, whatever became of it.
//! - A step has no input, ends within its limit, and takes its own children with it when it is stopped.
//! - [`Steps::finish`] fails when any step did, so a command may go on past a failure and still report it.
//!
//! Not here: processes that stay (`process`).

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{paths, process};

/// No step may hold up a command for longer; the slowest cold build takes a third of this.
const STEP_LIMIT: Duration = Duration::from_mins(30);
/// How often a step that is not watched by a person says that it is alive.
const HEARTBEAT: Duration = Duration::from_mins(1);
/// How much of a failed step's output is shown; the log has the rest, but a log in CI is out of reach.
const TAIL_LINES: usize = 80;
const TAIL_LINES_CI: usize = 400;

enum Outcome {
    Passed,
    Failed,
    Absent,
}

struct Row {
    name: String,
    took: Duration,
    outcome: Outcome,
}

pub(crate) struct Steps {
    command: String,
    rows: Vec<Row>,
    started: Instant,
    interactive: bool,
}

impl Steps {
    /// `command` names the logs and the closing table.
    pub(crate) fn new(command: &str) -> Result<Self> {
        fs::create_dir_all(paths::logs()).context("cannot create the folder for logs")?;
        let interactive = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        Ok(Self { command: command.to_owned(), rows: Vec::new(), started: Instant::now(), interactive })
    }

    /// Runs a program whose success the next steps need.
    pub(crate) fn run(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let log = self.log_path(name);
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        self.observe(name, command.stdout(file.try_clone()?).stderr(file), &log)
    }

    /// As [`Self::run`], and returns what the program wrote to its standard output.
    pub(crate) fn read(&mut self, name: &str, command: &mut Command) -> Result<String> {
        let log = self.log_path(name);
        let answer = log.with_extension("out");
        self.observe(name, command.stdout(File::create(&answer)?).stderr(File::create(&log)?), &log)?;
        fs::read_to_string(&answer).with_context(|| format!("cannot read {}", answer.display()))
    }

    /// Runs a program that nothing later needs: a failure is shown now and reported by [`Self::finish`].
    pub(crate) fn attempt(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let outcome = self.run(name, command);
        self.go_on(outcome)
    }

    /// Does a step inside this process. Its own output, if any, goes to the terminal.
    pub(crate) fn call<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let begun = self.begin(name);
        let result = work();
        self.end(name, begun, result.is_ok());
        result.with_context(|| name.to_owned())
    }

    /// As [`Self::attempt`], inside this process.
    pub(crate) fn attempt_call(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let outcome = self.call(name, work);
        self.go_on(outcome)
    }

    /// Says, once, that a part is not in the repository, if it is not.
    pub(crate) fn has(&mut self, part: &str) -> bool {
        let present = paths::present(part);
        let told = self.rows.iter().any(|row| row.name == part);
        if !present && !told {
            say(&format!("absent: {part}"));
            self.rows.push(Row { name: part.to_owned(), took: Duration::ZERO, outcome: Outcome::Absent });
        }
        present
    }

    /// Prints the closing table. Fails when a step failed.
    pub(crate) fn finish(self) -> Result<()> {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let mut table = format!("\n{}\n", self.command);
        for row in &self.rows {
            let outcome = match row.outcome {
                Outcome::Passed => "ok",
                Outcome::Failed => "FAILED",
                Outcome::Absent => "absent",
            };
            let _ = writeln!(table, "  {:width$}  {:>8}  {outcome}", row.name, seconds(row.took));
        }
        let _ = write!(table, "  {:width$}  {:>8}", "total", seconds(self.started.elapsed()));
        say(&table);
        let failed = self.rows.iter().filter(|row| matches!(row.outcome, Outcome::Failed)).count();
        if failed > 0 {
            bail!("{failed} of {} steps failed", self.rows.len());
        }
        Ok(())
    }

    /// A failure is on the table already; only an interruption ends the command here.
    fn go_on(&self, outcome: Result<()>) -> Result<()> {
        match outcome {
            Err(error) if process::interrupted() => Err(error),
            Err(error) => {
                say(&format!("{}: {error:#}\n", self.command));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn log_path(&self, name: &str) -> PathBuf {
        let slug: String =
            name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
        paths::logs().join(format!("{}-{slug}.log", self.command))
    }

    fn begin(&self, name: &str) -> Instant {
        if !self.interactive {
            say(&format!("> {name}"));
        }
        Instant::now()
    }

    fn end(&mut self, name: &str, begun: Instant, passed: bool) {
        let took = begun.elapsed();
        self.clear_line();
        say(&format!("{} {name} {}", if passed { "ok" } else { "FAILED" }, seconds(took)));
        let outcome = if passed { Outcome::Passed } else { Outcome::Failed };
        self.rows.push(Row { name: name.to_owned(), took, outcome });
    }

    /// Runs a program whose outputs are directed already, and shows the end of `log` if it fails.
    fn observe(&mut self, name: &str, command: &mut Command, log: &Path) -> Result<()> {
        let begun = self.begin(name);
        let ended = self.watch(name, command, log);
        let passed = matches!(&ended, Ok(status) if status.success());
        self.end(name, begun, passed);
        let how = match ended {
            Ok(_) if passed => return Ok(()),
            Ok(status) => status.to_string(),
            Err(error) => format!("{error:#}"),
        };
        say(&process::tail(log, if self.interactive { TAIL_LINES } else { TAIL_LINES_CI }));
        bail!("{name}: {how}\nhint: the whole output is in {}", log.display())
    }

    fn watch(&self, name: &str, command: &mut Command, log: &Path) -> Result<ExitStatus> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child =
            command.stdin(Stdio::null()).spawn_in_group().with_context(|| format!("cannot start {program}"))?;
        let begun = Instant::now();
        let mut told = begun;
        loop {
            if let Some(status) = child.try_wait()? {
                if !status.success() {
                    // What it started may outlive it, and hold cargo's lock.
                    process::kill_group(&mut child);
                }
                return Ok(status);
            }
            if process::interrupted() || begun.elapsed() > STEP_LIMIT {
                process::kill_group(&mut child);
                bail!(if process::interrupted() { "interrupted" } else { "took longer than its limit" });
            }
            if self.interactive {
                show_line(name, begun.elapsed(), &process::tail(log, 1));
            } else if told.elapsed() > HEARTBEAT {
                told = Instant::now();
                say(&format!("  … {name} {}: {}", seconds(begun.elapsed()), process::tail(log, 1).trim_end()));
            }
            std::thread::sleep(poll_interval(begun.elapsed()));
        }
    }

    fn clear_line(&self) {
        if self.interactive {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

/// Spawning with a process group of its own, so that stopping a step stops what it started.
pub(crate) trait SpawnInGroup {
    fn spawn_in_group(&mut self) -> std::io::Result<Child>;
}

impl SpawnInGroup for Command {
    fn spawn_in_group(&mut self) -> std::io::Result<Child> {
        use std::os::unix::process::CommandExt as _;
        self.process_group(0).spawn()
    }
}

/// Shows the step under way in the terminal's last line, cut so that it stays one.
fn show_line(name: &str, elapsed: Duration, last: &str) {
    let line: String = format!("> {name} {}  {}", seconds(elapsed), last.trim()).chars().take(78).collect();
    let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
}

/// Short steps end at once; long ones cost no time to watch.
fn poll_interval(elapsed: Duration) -> Duration {
    (elapsed / 20).clamp(Duration::from_millis(5), Duration::from_millis(200))
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Prints a line for the person at the terminal. The only way out for words in xtask.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", line.trim_end_matches('\n'));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn a_command_goes_on_past_a_failed_attempt_and_fails_at_the_end() {
        for (scripts, expected) in [
            (["true", "true"], None),
            (["echo lost >&2; exit 3", "true"], Some("1 of 2 steps failed")),
            (["false", "no-such-program"], Some("2 of 2 steps failed")),
        ] {
            let mut steps = Steps::new("steps-test").expect("a folder for logs");
            for (number, script) in scripts.iter().enumerate() {
                let went_on = steps.attempt(&format!("step {number}"), Command::new("sh").args(["-c", script]));
                assert!(went_on.is_ok(), "{script}");
            }
            let end = steps.finish().err().map(|error| error.to_string());
            assert_eq!(end.as_deref(), expected, "{scripts:?}");
        }
    }

    #[test]
    fn what_a_step_wrote_is_kept_and_what_it_answered_is_read() {
        let mut steps = Steps::new("steps-test").expect("a folder for logs");
        let answer = steps.read("two outputs", Command::new("sh").args(["-c", "echo seen; echo kept >&2"]));
        assert_eq!(answer.expect("the script succeeds"), "seen\n");
        assert_eq!(process::tail(&steps.log_path("two outputs"), 1), "kept");
    }
}
