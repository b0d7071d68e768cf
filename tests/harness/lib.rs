//! Runs the real binary for tests: starts it on a free port, speaks to it, stops it in every way.
//!
//! ```no_run
//! # async fn test() {
//! let mut engine = stepwell_tests::Stepwell::start(stepwell_tests::Options::default()).await;
//! assert_eq!(engine.get("/healthz").await.status, 200);
//! engine.kill9().await;
//! engine.restart().await; // The same data, the same port.
//! # }
//! ```
//!
//! Invariants:
//! - An engine never outlives its [`Stepwell`], whatever the test does.
//! - A failing test shows the end of the engine's log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "tests fail by panicking")]

mod client;
mod door;
mod events;
mod guests;
pub mod orders;
mod process;
pub mod records;

pub use client::{Client, Reply};
pub use door::Door;
pub use events::{Event, Events};
pub use guests::guest;
pub use process::{Options, Stepwell, binary, database, repository, until};
