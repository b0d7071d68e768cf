//! Instances that serve more than one call, where an administrator granted it to a plugin.
//!
//! Invariants:
//! - An instance serves one build and flows of one namespace; one that trapped, was cut or said too much serves no more.
//! - It serves as many calls as were granted, and none after it stood idle for [`IDLE_FOR`].
//!
//! Not here: calls (`call`), who is granted it (`grants`).

use std::fmt;
use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::Instance;

use crate::host::CallState;

/// Instances of a build and a namespace that wait for a call; more are dropped.
const IDLE_MAX: usize = 8;
const IDLE_FOR: Duration = Duration::from_secs(30);

/// An instance between calls.
pub(crate) struct Live {
    pub(crate) store: Store<CallState>,
    pub(crate) instance: Instance,
    /// Calls that it may still serve.
    pub(crate) left: u32,
}

/// Those that wait for a call.
#[derive(Default)]
pub(crate) struct Idle(Vec<(Instant, Live)>);

impl Idle {
    /// The one that waited least; those that waited too long are dropped.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Live> {
        self.0.retain(|(since, _)| now.saturating_duration_since(*since) < IDLE_FOR);
        self.0.pop().map(|(_, live)| live)
    }

    pub(crate) fn keep(&mut self, now: Instant, live: Live) {
        if live.left > 0 && self.0.len() < IDLE_MAX {
            self.0.push((now, live));
        }
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Idle({})", self.0.len())
    }
}
