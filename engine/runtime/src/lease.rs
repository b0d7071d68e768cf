//! Whether this engine may still act for what it drives, by its own monotonic clock.
//!
//! Where engines share a database, one that was not heard of for the length of its lease is taken for
//! dead, and others go on with what it drove. It may not know: it slept, or was cut off. So it counts
//! for itself, from before it was last heard of, which is never later than the database counts.
//!
//! Invariants:
//! - A [`Hold`] that was lost once never holds again, even if the engine is renewed: what it belongs
//!   to may have another owner.
//! - Without a lease (a file that one process owns) a hold never ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Shared by who renews it and who asks.
#[derive(Debug, Clone, Default)]
pub struct Lease(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Raised when others have taken over.
    generation: u64,
    /// `None`: it does not end.
    until: Option<Instant>,
}

/// What was held when something began.
#[derive(Debug, Clone)]
pub struct Hold {
    lease: Lease,
    generation: u64,
}

impl Lease {
    /// The engine was heard of; so it holds until then.
    pub fn renew(&self, until: Instant) {
        self.state().until = Some(until);
    }

    /// Others have taken over: what began before may not act any more.
    pub fn lost(&self) {
        self.state().generation += 1;
    }

    pub fn hold(&self) -> Hold {
        Hold { lease: self.clone(), generation: self.state().generation }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// Whether what began under it may still act.
    pub fn holds(&self, now: Instant) -> bool {
        let state = self.lease.state();
        state.generation == self.generation && state.until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_hold_ends_with_its_lease_and_does_not_come_back_once_it_was_lost() {
        let (lease, now) = (Lease::default(), Instant::now());
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        let hold = lease.hold();
        assert!(hold.holds(now + minute), "alone it never ends");
        lease.renew(now + second);
        assert!(hold.holds(now) && !hold.holds(now + second));
        lease.renew(now + minute);
        assert!(hold.holds(now + second), "late, but nobody had taken over");
        lease.lost();
        lease.renew(now + minute);
        assert!(!hold.holds(now));
        assert!(lease.hold().holds(now));
    }
}
