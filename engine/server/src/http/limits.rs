//! How much the doors take at once, and what is counted at them.
//!
//! Invariants:
//! - A slot is given back when its holder is dropped, whatever happened to the request.
//! - Who finds no slot is told so (503 with `Retry-After`); nobody waits in a hidden queue.
//!
//! Not here: bytes and time of a body (`body`), limits of flows and plugins (`runtime`, `sandbox`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::problem::{Answer, Code, Refusal};

/// A bounded number of holders.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    held: AtomicUsize,
    max: usize,
}

/// One taken slot.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Counter>);

impl Slots {
    pub(crate) fn new(max: usize) -> Self {
        Self(Arc::new(Counter { held: AtomicUsize::new(0), max }))
    }

    pub(crate) fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self) -> Option<Slot> {
        let slot = Slot(self.0.clone());
        // Counted up first: the drop of `slot` counts down again when there was no room.
        (self.0.held.fetch_add(1, Ordering::Relaxed) < self.0.max).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a request is for; the label of its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Start,
    Trigger,
    Api,
    Events,
    Console,
    Ops,
}

impl Door {
    pub(crate) const ALL: [Self; 6] = [Self::Start, Self::Trigger, Self::Api, Self::Events, Self::Console, Self::Ops];

    pub(crate) fn of(path: &str, post: bool) -> Self {
        let Some(rest) = path.strip_prefix("/api/v1/") else {
            return match path {
                _ if path.starts_with("/t/") => Self::Trigger,
                // So that a mistyped API path is not answered with the console's page.
                _ if path == "/api" || path.starts_with("/api/") => Self::Api,
                "/healthz" | "/readyz" | "/metrics" => Self::Ops,
                _ => Self::Console,
            };
        };
        if post && rest.starts_with("flows/") && rest.ends_with("/instances") {
            return Self::Start;
        }
        if rest == "events" { Self::Events } else { Self::Api }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Trigger => "trigger",
            Self::Api => "api",
            Self::Events => "events",
            Self::Console => "console",
            Self::Ops => "ops",
        }
    }
}

/// Upper bounds of the duration histogram, microseconds.
pub(crate) const BUCKETS_US: [u64; 12] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000, 30_000_000];

/// Requests through one door.
#[derive(Debug, Default)]
pub(crate) struct DoorFigures {
    /// By the status's first digit, 1xx to 5xx.
    pub by_class: [AtomicU64; 5],
    /// By bucket, not cumulative; the last is beyond all bounds.
    pub by_duration: [AtomicU64; BUCKETS_US.len() + 1],
    pub total_us: AtomicU64,
}

/// All that stands between the port and the handlers.
#[derive(Debug)]
pub(crate) struct Limits {
    pub requests: Slots,
    pub readers: Slots,
    pub connections: Slots,
    closing: AtomicBool,
    doors: [DoorFigures; 6],
}

impl Limits {
    pub(crate) fn new(requests_max: usize, readers_max: usize, connections_max: usize) -> Self {
        Self {
            requests: Slots::new(requests_max),
            readers: Slots::new(readers_max),
            connections: Slots::new(connections_max),
            closing: AtomicBool::new(false),
            doors: std::array::from_fn(|_| DoorFigures::default()),
        }
    }

    /// Lets a request in, or says why not.
    pub(crate) fn enter(&self, door: Door) -> Answer<Option<Slot>> {
        // Health is asked all the more when things are bad, and must be answered.
        if door == Door::Ops {
            return Ok(None);
        }
        let closed = self.closing.load(Ordering::Relaxed) && matches!(door, Door::Start | Door::Trigger | Door::Events);
        if closed {
            return Err(Refusal::new(Code::ShuttingDown));
        }
        let slot = self.requests.take();
        slot.map(Some).ok_or_else(|| Refusal::say(Code::Overloaded, "too many requests are under way"))
    }

    /// From now on nothing is started.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(crate) fn closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, door: Door, status: u16, took: Duration) {
        let figures = &self.doors[door as usize];
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.partition_point(|bound| *bound < took_us);
        figures.by_class[class].fetch_add(1, Ordering::Relaxed);
        figures.by_duration[bucket].fetch_add(1, Ordering::Relaxed);
        figures.total_us.fetch_add(took_us, Ordering::Relaxed);
    }

    pub(crate) fn figures(&self, door: Door) -> &DoorFigures {
        &self.doors[door as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_house_says_so_and_takes_the_next_once_there_is_room() {
        let limits = Limits::new(1, 1, 1);
        let first = limits.enter(Door::Api);
        assert!(first.is_ok());
        assert_eq!(limits.enter(Door::Api).err().map(|refusal| refusal.code), Some(Code::Overloaded));
        drop(first);
        assert!(limits.enter(Door::Api).is_ok());
        assert_eq!(limits.requests.held(), 0);
    }

    #[test]
    fn a_closing_engine_starts_nothing_but_still_answers() {
        let limits = Limits::new(9, 9, 9);
        limits.close();
        assert_eq!(limits.enter(Door::Start).err().map(|refusal| refusal.code), Some(Code::ShuttingDown));
        assert!(limits.enter(Door::Api).is_ok());
    }

    #[test]
    fn a_path_has_one_door() {
        for (path, post, door) in [
            ("/api/v1/flows/order-5/instances", true, Door::Start),
            ("/api/v1/flows/order-5/instances", false, Door::Api),
            ("/api/v1/events", false, Door::Events),
            ("/api/v2/flows", false, Door::Api),
            ("/t/order-5", true, Door::Trigger),
            ("/healthz", false, Door::Ops),
            ("/", false, Door::Console),
            ("/apiary", false, Door::Console),
        ] {
            assert_eq!(Door::of(path, post), door, "{path}");
        }
    }
}
