//! Write Stepwell nodes in Rust, for `wasm32-unknown-unknown`: implement [`typed::Node`] and hand it to
//! [`plugin!`]; or, where the manifest is a file and the input is best borrowed, [`Plugin`] and [`export!`].
//!
//! A call runs in a fresh instance of the component, unless an administrator grants reuse: statics do not survive
//! it, and memory need not be given back (see `memory`). An instance that is reused keeps both, and is replaced
//! once half of its room is taken up. Without the feature `http` nothing here imports a function, so the
//! engine classes the plugin as *pure*.
//!
//! On the host (`cargo test`) everything works as well, and [`testing`] plays the manifest's
//! examples, with their HTTP tapes, against the plugin.

mod bindings;
#[cfg(not(target_arch = "wasm32"))]
mod cases;
mod error;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "log")]
pub mod log;
mod manifest;
#[cfg(all(target_arch = "wasm32", feature = "bump"))]
mod memory;
#[cfg(feature = "records")]
pub mod records;
#[cfg(feature = "typed")]
mod schema;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(feature = "typed")]
pub mod typed;

pub use bindings::types::{
    Call, Emission, ErrorCode, Example, Failure, Localized, Manifest, NodeType, Outcome, Port, Problem, Signal,
    SignalKind, Waiting,
};
#[doc(hidden)]
pub use bindings::{check, node, query, resume, undo};
pub use error::{Error, permanent, rejected, transient, unknown};
#[doc(hidden)]
pub use manifest::read as read_manifest;
pub use serde_json::value::RawValue;

use serde::{Deserialize, Serialize};

/// The port of a node type that has a single one.
pub const OUT: &str = "out";

/// A component with one or more node types. `node_type` is always one that the manifest lists.
///
/// Only the exports that are named in [`export!`] are ever called.
pub trait Plugin {
    /// What the plugin offers; usually `manifest!("../manifest.json")`.
    fn manifest() -> Manifest;

    /// Does the node's work. Safe to run twice with one `call.key`.
    fn run(node_type: &str, call: &Call, config: &str, input: &str) -> Result<Outcome, Error>;

    /// Takes the call `call.forward_key` back. `output` is none if its outcome is not known; must
    /// succeed if it never ran. A wait that is returned ends in [`Plugin::resume`].
    fn undo(
        node_type: &str,
        call: &Call,
        config: &str,
        input: &str,
        output: Option<&str>,
    ) -> Result<Option<Waiting>, Error> {
        let _ = (call, config, input, output);
        Err(no_such("undo", node_type))
    }

    /// Goes on after a wait.
    fn resume(node_type: &str, call: &Call, config: &str, memo: &str, signal: &Signal) -> Result<Outcome, Error> {
        let _ = (call, config, memo, signal);
        Err(no_such("resume", node_type))
    }

    /// Finds out what became of `call.key`; none if it never ran.
    fn query(node_type: &str, call: &Call, config: &str, input: &str) -> Result<Option<Outcome>, Error> {
        let _ = (call, config, input);
        Err(no_such("query", node_type))
    }

    /// Problems in a configuration that its schema cannot see.
    fn check(node_type: &str, config: &str) -> Vec<Problem> {
        let _ = (node_type, config);
        Vec::new()
    }
}

/// The answer to a node type that the plugin does not have; the engine never asks for one.
pub fn no_such(what: &str, node_type: &str) -> Error {
    permanent(format!("no {what} for node type {node_type}"))
}

/// Reads config, input, output or a memo. Text that does not fit is `permanent`: the engine has
/// checked it against the schema, so schema and code disagree.
pub fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| permanent(format!("does not match the node type's schema: {error}")))
}

/// Ends the visit by `port` with `output`.
pub fn done<T: Serialize + ?Sized>(port: &str, output: &T) -> Result<Outcome, Error> {
    Ok(Outcome::Done(Emission { port: port.to_owned(), output: write(output)? }))
}

/// Parks the visit until the message comes; `memo` is given back to [`Plugin::resume`].
pub fn wait<T: Serialize + ?Sized>(
    message: &str,
    key: &str,
    timeout_ms: Option<u64>,
    memo: &T,
) -> Result<Outcome, Error> {
    Ok(Outcome::Wait(Waiting { message: message.to_owned(), key: key.to_owned(), timeout_ms, memo: write(memo)? }))
}

/// The whole of a simple node: read config and input, work, leave by [`OUT`].
pub fn task<'a, C, I, O>(
    config: &'a str,
    input: &'a str,
    work: impl FnOnce(C, I) -> Result<O, Error>,
) -> Result<Outcome, Error>
where
    C: Deserialize<'a>,
    I: Deserialize<'a>,
    O: Serialize,
{
    done(OUT, &work(read(config)?, read(input)?)?)
}

/// A value as JSON text.
pub fn write<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| permanent(format!("cannot be written as JSON: {error}")))
}

/// A node type without configuration. Reads any object.
#[derive(Debug, Default, Deserialize)]
pub struct NoConfig {}

/// The manifest in a JSON file beside the code; name, version and licence come from `Cargo.toml`.
#[macro_export]
macro_rules! manifest {
    ($path:literal) => {
        $crate::read_manifest(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            env!("CARGO_PKG_LICENSE"),
            include_str!($path),
        )
    };
}
