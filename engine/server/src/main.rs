//! `stepwell`: the engine, its console and its command line in one binary.
//!
//! Here: the parts, and the one type that says which they are. Not here: anything else.

mod cli;
mod compatibility;
mod config;
mod follow;
mod granting;
mod grants;
mod http;
mod library;
mod packages;
mod pauses;
mod records;
mod revocations;
mod rollforward;
mod schedules;
mod sealing;
mod secrets;
mod serve;
mod table;
mod token;
mod uploads;
mod watch;

use std::process::ExitCode;

use stepwell_runtime::clock::SystemClock;
use stepwell_sandbox::Sandbox;
use stepwell_store::Store;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The engine as this binary runs it.
pub type Engine = stepwell_runtime::Engine<Store, Sandbox, SystemClock>;

fn main() -> ExitCode {
    cli::run()
}
