//! The rules of this repository, as tests. Each failure names the places and the remedy.
//!
//! `cargo xtask test tidy` runs them; `cargo xtask check` does too. They read the files that git knows or would add,
//! never what a build left behind.
//!
//! Not here: what a compiler or linter checks already.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod direction;
mod documents;
mod habits;
mod messages;
mod migrations;
mod repository;
mod rust_source;
mod shape;

/// Fails with every problem found and what to do about it.
#[track_caller]
fn refuse(problems: &[String], remedy: &str) {
    assert!(problems.is_empty(), "\n  {}\n\nremedy: {remedy}\n", problems.join("\n  "));
}
