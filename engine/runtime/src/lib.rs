//! Drives the core: takes events in, runs `step`, commits, and only then acts.
//!
//! The driver is the only caller of [`stepwell_core::machine::step`]. The commit rule: nothing leaves
//! the process before the events that led to it are committed; what does not leave the process
//! needs no commit of its own.
//!
//! Declares the only traits of the engine: [`Journal`], [`Nodes`] and [`Clock`].
//!
//! Not here: SQL (`store`), WebAssembly (`sandbox`), HTTP (`server`).

mod actor;
pub mod clock;
mod engine;
mod held;
pub mod journal;
pub mod lease;
pub mod nodes;
pub mod records;
pub mod stages;
mod sweep;

pub use clock::Clock;
pub use engine::{Answer, CommandError, Engine, FlowError, Options, StartError, StartRequest, Started, Tally};
pub use journal::Journal;
pub use nodes::Nodes;
