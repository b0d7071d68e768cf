//! The child's side of a compilation: limits itself, reads a component, says machine code.
//!
//! Invariant: from the moment it reads a byte of the component it can open no file and no socket, start no
//! process that could, and write nowhere but to its parent.
//!
//! Not here: the clock on the wall, and what becomes of a child that breaks a limit (`child`).

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::{process, thread};

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use wasmtime::Engine;

use super::child::Said;
use super::{CompileError, translate};
use crate::engine;
use crate::limits::Limits;

/// What a compilation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Of address space.
    pub memory_bytes: u64,
    /// Of all its threads together.
    pub cpu_seconds: u64,
    /// Of the component that it takes.
    pub wasm_bytes: u64,
}

impl Caps {
    pub(super) fn of(limits: &Limits) -> Self {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
        Self {
            memory_bytes: limits.compile_memory_bytes_max,
            // A backstop behind the clock on the wall, for a child whose parent is gone.
            cpu_seconds: limits.compile_ms_max.div_ceil(1000).saturating_mul(cores).saturating_add(1),
            wasm_bytes: limits.wasm_bytes_max as u64,
        }
    }
}

/// The whole of a child's life.
pub fn compile_for_parent(caps: Caps) -> ExitCode {
    match compile(caps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CompileError::Refused(problems)) => {
            say(&Said::Refused(problems));
            ExitCode::FAILURE
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn compile(caps: Caps) -> Result<(), CompileError> {
    let engine = Engine::new(&engine::config()).map_err(|error| CompileError::Crashed(format!("{error:#}")))?;
    confine(caps).map_err(CompileError::NotStarted)?;
    let wasm = read(caps.wasm_bytes).map_err(CompileError::NotStarted)?;
    thread::Builder::new().spawn(end_with_parent).map_err(CompileError::NotStarted)?;
    let code = translate(&engine, &wasm, || say(&Said::Looked))?;
    let mut out = io::stdout().lock();
    out.write_all(&code).and_then(|()| out.flush()).map_err(CompileError::NotStarted)
}

fn confine(caps: Caps) -> io::Result<()> {
    // The kernel takes this one first when memory is short. Not everybody may say so; then it chooses.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    // Calls of loaded plugins go first.
    let _ = nice(10);
    let limit = |resource, most: u64| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    limit(Resource::Core, 0)?;
    limit(Resource::As, caps.memory_bytes)?;
    // The signal of the soft limit tells a child that took too long from one that was killed.
    setrlimit(Resource::Cpu, Rlimit { current: Some(caps.cpu_seconds), maximum: Some(caps.cpu_seconds + 5) })?;
    limit(Resource::Fsize, 0)?;
    // No descriptor beyond those it has: no file, no socket, no pipe to a process of its own.
    limit(Resource::Nofile, 0)?;
    Ok(())
}

fn read(bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut stdin = io::stdin().lock();
    let mut length = [0; 8];
    stdin.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > bytes_max {
        return Err(io::Error::other(format!("{length} bytes are announced, at most {bytes_max} are taken")));
    }
    let mut wasm = Vec::new();
    stdin.take(length).read_to_end(&mut wasm)?;
    if (wasm.len() as u64) < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(wasm) }
}

/// The parent holds the pipe open as long as it waits.
fn end_with_parent() {
    let mut byte = [0];
    let _ = io::stdin().lock().read(&mut byte);
    process::exit(1);
}

fn say(line: &Said) {
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    let _ = io::stderr().write_all(&text);
}
