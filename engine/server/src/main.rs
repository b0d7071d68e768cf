//! `stepwell`: the engine, its console and its command line in one binary.
//!
//! Not here: anything but the way into a command (`cli`) and its exit code.

mod cli;
mod config;
mod http;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
