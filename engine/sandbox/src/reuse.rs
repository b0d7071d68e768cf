//! Instances that serve more than one call, where an administrator granted it to a plugin.
//!
//! Invariants:
//! - An instance serves one build and flows of one namespace; one that trapped, was cut or said too much serves no more.
//! - It serves as many calls as were granted, and none after it stood idle for [`IDLE_FOR`].
//! - One that holds handles, or more than half of the memory it may take, serves no more (`host`): the next call has room.
//! - All that wait, of all builds together, are at most [`ALL_MAX`], and what waited too long goes though nobody asks.
//!
//! Not here: calls (`call`), who is granted it (`grants`).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::Instance;

use crate::host::CallState;

/// Instances of a build and a namespace that wait for a call; more are dropped.
const IDLE_MAX: usize = 8;
/// Of all builds and namespaces together: each may hold half of a call's memory, and a slot of the pool.
const ALL_MAX: usize = 64;
const IDLE_FOR: Duration = Duration::from_secs(30);

/// An instance between calls.
pub(crate) struct Live {
    pub(crate) store: Store<CallState>,
    pub(crate) instance: Instance,
    /// Calls that it may still serve.
    pub(crate) left: u32,
}

/// Counts all that wait, of whichever build.
pub(crate) type Places = Arc<AtomicUsize>;

/// Those that wait for a call.
pub(crate) struct Idle {
    waiting: Vec<(Instant, Live)>,
    places: Places,
}

impl Idle {
    pub(crate) fn new(places: Places) -> Self {
        Self { waiting: Vec::new(), places }
    }

    /// The one that waited least.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Live> {
        self.prune(now);
        let (_, live) = self.waiting.pop()?;
        self.places.fetch_sub(1, Ordering::Relaxed);
        Some(live)
    }

    pub(crate) fn keep(&mut self, now: Instant, live: Live) {
        if live.left == 0 || self.waiting.len() >= IDLE_MAX {
            return;
        }
        if self.places.fetch_add(1, Ordering::Relaxed) >= ALL_MAX {
            self.places.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        self.waiting.push((now, live));
    }

    /// Drops those that waited too long.
    pub(crate) fn prune(&mut self, now: Instant) {
        let before = self.waiting.len();
        self.waiting.retain(|(since, _)| now.saturating_duration_since(*since) < IDLE_FOR);
        self.places.fetch_sub(before - self.waiting.len(), Ordering::Relaxed);
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.places.fetch_sub(self.waiting.len(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Idle({})", self.waiting.len())
    }
}
