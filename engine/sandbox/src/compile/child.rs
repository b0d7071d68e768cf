//! The parent's side of a compilation: starts the child, hands it the component, takes the machine
//! code from it, and says what became of it if there is none.
//!
//! What passes: the length of the component in 8 bytes, little-endian, and the component go in; the
//! machine code comes out; lines of [`Said`] come by the child's standard error. The child's input stays
//! open as long as it is wanted: a child whose parent is gone ends.
//!
//! Invariant: whatever the child does, this returns by the deadline, has taken at most as many bytes as
//! are allowed, and leaves no process behind.
//!
//! Not here: the limits that the child puts on itself (`inside`).

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stepwell_core::problem::Problem;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use super::CompileError;
use super::inside::Caps;
use crate::limits::Limits;
use crate::load::{Hears, Stage};

/// What a child may say in all: problems with their texts, or a panic's.
const SAID_BYTES_MAX: u64 = 256 * 1024;
/// What is kept of words that are no [`Said`].
const WORDS_BYTES_MAX: usize = 2_000;

/// What is run to compile: it has to call [`compile_for_parent`](super::compile_for_parent) with the caps that are
/// added to `args` as `--memory-bytes` and `--cpu-seconds`.
#[derive(Debug, Clone)]
pub struct Program {
    pub path: PathBuf,
    pub args: Vec<OsString>,
}

/// A line of the child's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Said {
    /// The component may import what it imports; now it is compiled.
    Looked,
    Refused(Vec<Problem>),
}

/// What a child left.
#[derive(Debug, Default)]
struct Left {
    problems: Option<Vec<Problem>>,
    /// A panic's text, or that of an allocation that failed.
    words: String,
}

pub(super) async fn compile(
    program: &Program,
    limits: &Limits,
    wasm: &[u8],
    told: &Hears<'_>,
) -> Result<Vec<u8>, CompileError> {
    told(Stage::Imports);
    let mut child = start(program, limits).map_err(CompileError::NotStarted)?;
    let deadline = Duration::from_millis(limits.compile_ms_max);
    let ended = tokio::time::timeout(deadline, talk(&mut child, limits.code_bytes_max, wasm, told)).await;
    // Over, or to be over: ended children are not left to be collected by chance.
    let _ = child.kill().await;
    match ended {
        Err(_) => Err(CompileError::TooSlow(limits.compile_ms_max)),
        Ok(Err(error)) => Err(CompileError::Crashed(format!("its pipes broken: {error}"))),
        Ok(Ok((_, code, _))) if code.len() as u64 > limits.code_bytes_max => {
            Err(CompileError::TooLarge(limits.code_bytes_max))
        }
        Ok(Ok((status, code, left))) => judged(status, code, left, limits),
    }
}

fn start(program: &Program, limits: &Limits) -> io::Result<Child> {
    let caps = Caps::of(limits);
    let mut command = Command::new(&program.path);
    command
        .args(&program.args)
        .args(["--memory-bytes", &caps.memory_bytes.to_string(), "--cpu-seconds", &caps.cpu_seconds.to_string()])
        // Settings and secrets of the engine are none of its business.
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    #[cfg(unix)]
    // A signal from the terminal is the engine's to answer.
    command.process_group(0);
    command.spawn()
}

/// Returns when the child has ended, or has said more than it may.
async fn talk(
    child: &mut Child,
    code_bytes_max: u64,
    wasm: &[u8],
    told: &Hears<'_>,
) -> io::Result<(ExitStatus, Vec<u8>, Left)> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("no pipes"));
    };
    let hand_over = async {
        let length = (wasm.len() as u64).to_le_bytes();
        let handed = async {
            stdin.write_all(&length).await?;
            stdin.write_all(wasm).await
        };
        // One that ended early does not read on; its exit says why.
        if let Err(error) = handed.await
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            return Err(error);
        }
        Ok(())
    };
    let ((), code, left) = tokio::try_join!(hand_over, take(stdout, code_bytes_max), listen(stderr, told))?;
    if code.len() as u64 > code_bytes_max {
        child.start_kill()?;
    }
    let status = child.wait().await?;
    drop(stdin);
    Ok((status, code, left))
}

/// At most one byte more than may be.
async fn take(from: impl AsyncRead + Unpin, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut taken = Vec::new();
    from.take(bytes_max + 1).read_to_end(&mut taken).await?;
    Ok(taken)
}

async fn listen(stderr: ChildStderr, told: &Hears<'_>) -> io::Result<Left> {
    let mut left = Left::default();
    let mut lines = BufReader::new(stderr.take(SAID_BYTES_MAX));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).await? > 0 {
        match serde_json::from_slice(&line) {
            Ok(Said::Looked) => told(Stage::Compile),
            Ok(Said::Refused(problems)) => left.problems = Some(problems),
            Err(_) if left.words.len() < WORDS_BYTES_MAX => left.words.push_str(&String::from_utf8_lossy(&line)),
            Err(_) => {}
        }
        line.clear();
    }
    Ok(left)
}

fn judged(status: ExitStatus, code: Vec<u8>, left: Left, limits: &Limits) -> Result<Vec<u8>, CompileError> {
    if let Some(problems) = left.problems {
        return Err(CompileError::Refused(problems));
    }
    if status.success() && !code.is_empty() {
        return Ok(code);
    }
    let words = left.words.trim();
    let hungry = HUNGRY.iter().any(|told| words.contains(told));
    Err(match signal(status) {
        // Its time of processor is over; the clock on the wall was patient.
        Some(SIGXCPU) => CompileError::TooSlow(limits.compile_ms_max),
        // Whoever else kills it does so because the machine is out of memory.
        Some(SIGKILL) => CompileError::TooHungry(limits.compile_memory_bytes_max),
        _ if hungry => CompileError::TooHungry(limits.compile_memory_bytes_max),
        _ => {
            tracing::warn!(%status, words, "a compiler ended without machine code");
            let first: String = words.lines().next().unwrap_or_default().chars().take(200).collect();
            CompileError::Crashed(if first.is_empty() { status.to_string() } else { format!("{status}: {first}") })
        }
    })
}

/// How a process says that it got no more memory: for a value, for a mapping, for a thread's stack.
const HUNGRY: [&str; 3] = ["memory allocation of", "Cannot allocate memory", "Resource temporarily unavailable"];
const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_status: ExitStatus) -> Option<i32> {
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    /// What is said of a child that is a line of shell.
    async fn of(script: &str, change: impl Fn(&mut Limits)) -> String {
        let mut limits = Limits { compile_ms_max: 60_000, code_bytes_max: 100, ..Limits::default() };
        change(&mut limits);
        let program = Program { path: "/bin/sh".into(), args: vec!["-c".into(), script.into(), "sh".into()] };
        match compile(&program, &limits, b"wasm", &|_| {}).await {
            Ok(code) => format!("code {}", String::from_utf8_lossy(&code)),
            Err(CompileError::Refused(problems)) => format!("refused {}", problems[0].code),
            Err(error) => Vec::<Problem>::from(error)[0].code.clone(),
        }
    }

    #[tokio::test]
    async fn whatever_a_child_does_has_a_name() {
        let refused = r#"echo '{"refused":[{"severity":"error","code":"X","pointer":"","message":"m"}]}' >&2; exit 1"#;
        for (script, said) in [
            ("cat >/dev/null & echo -n abc", "code abc"),
            ("env | grep -v -e ^PWD -e ^_= -e ^SHLVL -e ^OLDPWD; echo -n $#", "code 4"),
            (refused, "refused X"),
            ("exit 0", "PLUGIN_COMPILER_CRASHED"),
            ("exit 3", "PLUGIN_COMPILER_CRASHED"),
            ("echo -n half; kill -SEGV $$", "PLUGIN_COMPILER_CRASHED"),
            ("echo 'memory allocation of 7 bytes failed' >&2; kill -ABRT $$", "PLUGIN_COMPILE_MEMORY"),
            ("echo 'no thread: Resource temporarily unavailable (os error 11)' >&2; exit 1", "PLUGIN_COMPILE_MEMORY"),
            ("kill -KILL $$", "PLUGIN_COMPILE_MEMORY"),
            ("kill -XCPU $$", "PLUGIN_COMPILE_TIME"),
            ("while :; do echo 0123456789; done", "PLUGIN_COMPILE_SIZE"),
            ("while :; do echo 0123456789; done >&2", "PLUGIN_COMPILER_CRASHED"),
            ("sleep 1000", "PLUGIN_COMPILE_TIME"),
        ] {
            let patient = !said.ends_with("TIME");
            let found = of(script, |limits| {
                if !patient {
                    limits.compile_ms_max = 300;
                }
            })
            .await;
            assert_eq!(found, said, "{script}");
        }
        let nobody = Program { path: "/nobody/is/here".into(), args: Vec::new() };
        let error = compile(&nobody, &Limits::default(), b"", &|_| {}).await.unwrap_err();
        assert!(matches!(error, CompileError::NotStarted(_)), "{error}");
    }
}
