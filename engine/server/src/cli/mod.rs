//! The command line: what can be asked of the binary, and how it answers a shell.
//!
//! Invariants:
//! - Commands that ask a running engine do so over HTTP; none opens its file.
//! - Results go to standard output, everything else to standard error; the exit code is 0 only if what was
//!   asked was done.

mod ask;
mod backup;
mod doctor;
mod flow;
mod machine;
mod plugin;
mod print;
mod user;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use stepwell_sandbox::Caps;

use crate::config::{self, Settings};
use crate::serve;

/// A build that is made to measure with says so.
const VERSION: &str = if stepwell_core::machine::HISTORIES_ARE_LONG {
    concat!(env!("CARGO_PKG_VERSION"), "+long")
} else {
    env!("CARGO_PKG_VERSION")
};

#[derive(Parser)]
#[command(name = "stepwell", version = VERSION, about = "A durable flow engine whose steps are sandboxed WebAssembly components")]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the engine
    Serve(Given),
    /// Look whether an engine could run here
    Doctor(Given),
    /// Print what the binary knows of itself
    Print { what: print::What },
    /// Work with flow documents: check, publish, export, import
    Flow {
        #[command(subcommand)]
        command: flow::Command,
    },
    /// Work with machines: actions, plug, unplug, states, import-states, act
    Machine {
        #[command(subcommand)]
        command: machine::Command,
    },
    /// Write plugins: new, build, test, push
    Plugin {
        #[command(subcommand)]
        command: plugin::Command,
    },
    /// Say who may use a running engine: add, password, list, link
    User {
        #[command(subcommand)]
        command: user::UserCommand,
    },
    /// Make tokens for programs
    Token {
        #[command(subcommand)]
        command: user::TokenCommand,
    },
    /// Start an instance on a running engine
    Start(ask::Start),
    /// List instances of a running engine
    Instances(ask::Instances),
    /// Copy a running engine's database into a file
    Backup(backup::Backup),
    /// The engine's own: compiles the component on standard input, under limits
    #[command(hide = true)]
    CompilePlugin(CompilePlugin),
}

#[derive(Args)]
struct CompilePlugin {
    #[arg(long)]
    memory_bytes: u64,
    #[arg(long)]
    cpu_seconds: u64,
}

#[derive(Args)]
struct Given {
    /// Settings file [default: stepwell.toml, if there is one]
    #[arg(long, env = "STEPWELL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn run() -> ExitCode {
    let done = match Line::parse().command {
        Command::Serve(given) => load(given).and_then(serve::run),
        Command::Doctor(given) => load(given).and_then(|config| doctor::run(&config)),
        Command::Print { what } => print::run(what),
        Command::Flow { command } => flow::run(&command),
        Command::Machine { command } => machine::run(&command),
        Command::Plugin { command } => plugin::run(command),
        Command::User { command } => user::user(&command),
        Command::Token { command } => user::token(&command),
        Command::Start(start) => ask::start(&start),
        Command::Instances(instances) => ask::instances(&instances),
        Command::Backup(backup) => backup::run(&backup),
        Command::CompilePlugin(CompilePlugin { memory_bytes, cpu_seconds }) => {
            let wasm_bytes = config::PLUGIN_BYTES_MAX as u64;
            return stepwell_sandbox::compile_for_parent(Caps { memory_bytes, cpu_seconds, wasm_bytes });
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn load(given: Given) -> anyhow::Result<config::Config> {
    Ok(config::load(given.settings, given.config.as_deref())?)
}

/// One line for the person at the shell.
#[allow(clippy::print_stderr, reason = "the command line's own voice")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// A result, for the shell. A reader that went away (`| head`) is no error.
pub(crate) fn result(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
