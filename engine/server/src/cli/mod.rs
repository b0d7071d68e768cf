//! The command line: what can be asked of the binary, and how it answers a shell.
//!
//! Invariants:
//! - Commands other than `serve`, `doctor` and `print` speak to a running engine over HTTP; none opens its file.
//! - Results go to standard output, everything else to standard error; the exit code is 0 only if what was
//!   asked was done.

mod print;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Settings;

#[derive(Parser)]
#[command(name = "stepwell", version, about = "A durable flow engine whose steps are sandboxed WebAssembly components")]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print what the binary knows of itself
    Print { what: print::What },
}

pub fn run() -> ExitCode {
    let done = match Line::parse().command {
        Command::Print { what } => print::run(what),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// One line for the person at the shell.
#[allow(clippy::print_stderr, reason = "the command line's own voice")]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// A result, for the shell.
#[allow(clippy::print_stdout, reason = "the command line's own voice")]
pub fn result(text: &str) {
    print!("{text}");
}
