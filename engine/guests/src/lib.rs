//! Makes components of what compilers leave: starts a module ahead of time where it asks for that, says in it what
//! `wit/` says, wraps it, and looks at what came of it. For the commands of plugin authors and for the build of the
//! bundled plugins; the engine itself loads what they made.
//!
//! Invariants:
//! - Nothing here runs a guest with anything to reach: imports trap.
//! - The same bytes in give the same bytes out.
//!
//! Not here: compilers (`server::cli`, `xtask`); whether a component may be loaded (`sandbox`).

mod anatomy;
mod component;
mod prestart;
mod reference;

pub use anatomy::{Anatomy, anatomy};
pub use component::{WIT, component, imports};
pub use prestart::{started, started_with};
pub use reference::reference;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Of what was given, no component can be made. The compiler, its flags or the exports are to be mended.
    #[error("{0}")]
    Module(String),
    /// The plugin's own code failed when it was started. Its author is to mend it.
    #[error("{0}")]
    Code(String),
}

/// Any failure to read or make a module.
fn module(error: impl std::fmt::Display) -> Error {
    Error::Module(format!("{error:#}"))
}
