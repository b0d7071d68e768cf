//! How often and how many at once: the bounds of a connection, and of a plugin's use of one.
//!
//! Counted at one engine, not over all. Who is over a bound waits for a turn; how long, the caller says.
//!
//! Invariants:
//! - In no second do more requests pass than the bound says.
//! - A turn that would come after its caller's deadline is not reserved: it is left for those who can use it.
//!
//! Not here: what follows for a call whose turn does not come (`call`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) rate_per_second: Option<u32>,
    pub(crate) concurrency: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Throttle {
    bound: Bound,
    rate: Option<Mutex<Window>>,
    turns: Option<Arc<Semaphore>>,
}

/// A request's place among those under way; free again when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>);

/// When the last requests passed, or will pass: as many as a second may hold.
#[derive(Debug)]
struct Window {
    most: usize,
    passed: VecDeque<Instant>,
}

impl Throttle {
    pub(crate) fn new(bound: Bound) -> Self {
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX).max(1);
        Self {
            bound,
            rate: bound.rate_per_second.map(|rate| Mutex::new(Window { most: count(rate), passed: VecDeque::new() })),
            turns: bound.concurrency.map(|most| Arc::new(Semaphore::new(count(most)))),
        }
    }

    pub(crate) fn bound(&self) -> Bound {
        self.bound
    }

    /// Waits for a turn, for ever if there is none before `deadline`.
    pub(crate) async fn turn(&self, deadline: Instant) -> Turn {
        let permit = match &self.turns {
            // It is never closed.
            Some(turns) => Arc::clone(turns).acquire_owned().await.ok(),
            None => None,
        };
        if let Some(rate) = &self.rate {
            let now = Instant::now();
            let at = rate.lock().unwrap_or_else(PoisonError::into_inner).reserve(now, deadline);
            match at {
                Some(at) if at <= now => {}
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        }
        Turn(permit)
    }

    /// For people.
    pub(crate) fn said(&self) -> String {
        let Bound { rate_per_second, concurrency } = self.bound;
        let rate = rate_per_second.map(|rate| format!("{rate} requests a second"));
        let concurrency = concurrency.map(|count| format!("{count} at once"));
        rate.into_iter().chain(concurrency).collect::<Vec<_>>().join(" and ")
    }
}

impl Window {
    /// The next moment at which a request may pass, if that is before `deadline`.
    fn reserve(&mut self, now: Instant, deadline: Instant) -> Option<Instant> {
        let at = match self.passed.front() {
            Some(first) if self.passed.len() >= self.most => now.max(*first + SECOND),
            _ => now,
        };
        if at > deadline {
            return None;
        }
        if self.passed.len() >= self.most {
            self.passed.pop_front();
        }
        self.passed.push_back(at);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_holds_more_than_the_bound() {
        let start = Instant::now();
        let mut window = Window { most: 2, passed: VecDeque::new() };
        // When somebody comes, until when they can wait, when they pass; milliseconds.
        for (comes, until, passes) in [
            (0, 5000, Some(0)),
            (10, 5000, Some(10)),
            (20, 5000, Some(1000)),
            (20, 900, None),
            // The turn that somebody could not use is still there.
            (30, 5000, Some(1010)),
            (40, 5000, Some(2000)),
            (9000, 9000, Some(9000)),
        ] {
            let at = |ms: u64| start + Duration::from_millis(ms);
            assert_eq!(window.reserve(at(comes), at(until)), passes.map(at), "{comes}");
        }
    }
}
