//! How many calls run at once, and who is next: the most urgent, and of those the one that has waited longest.
//!
//! Invariant: a slot that is given to somebody who has gone away goes to the next.
//!
//! Not here: how long somebody waits (`lib`); an urgent call stops no other.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

#[derive(Debug)]
pub(crate) struct Slots {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    next: u64,
    /// By priority, smaller first, then in the order they came.
    waiting: BTreeMap<(i32, u64), oneshot::Sender<()>>,
}

/// One call's place; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot<'s>(&'s Slots);

/// Somebody in the queue.
struct Waiting<'s> {
    slots: &'s Slots,
    key: (i32, u64),
}

impl Slots {
    pub(crate) fn new(count: usize) -> Self {
        Self { state: Mutex::new(State { free: count, next: 0, waiting: BTreeMap::new() }) }
    }

    pub(crate) async fn acquire(&self, priority: i32) -> Slot<'_> {
        let (key, turn) = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Slot(self);
            }
            let (sender, turn) = oneshot::channel();
            let key = (priority, state.next);
            state.next += 1;
            state.waiting.insert(key, sender);
            (key, turn)
        };
        let place = Waiting { slots: self, key };
        // A sender is dropped only when it has sent, or when its place was.
        let _ = turn.await;
        std::mem::forget(place);
        Slot(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self) {
        let mut state = self.lock();
        while let Some((_, next)) = state.waiting.pop_first() {
            if next.send(()).is_ok() {
                return;
            }
        }
        state.free += 1;
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let waited = self.slots.lock().waiting.remove(&self.key).is_some();
        if !waited {
            // It was given a slot, and does not know.
            self.slots.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "tests fail by panicking")]

    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Whether somebody who waits has a slot by now.
    fn has<'s>(waits: std::pin::Pin<&mut impl Future<Output = Slot<'s>>>) -> Option<Slot<'s>> {
        match waits.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(slot) => Some(slot),
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_most_urgent_is_next_then_who_came_first() {
        let slots = Slots::new(1);
        let first = has(pin!(slots.acquire(0))).expect("one is free");
        let (mut late, mut early, mut urgent) =
            (pin!(slots.acquire(0)), pin!(slots.acquire(0)), pin!(slots.acquire(-5)));
        assert!(has(early.as_mut()).is_none() && has(late.as_mut()).is_none() && has(urgent.as_mut()).is_none());
        drop(first);
        assert!(has(early.as_mut()).is_none() && has(late.as_mut()).is_none());
        let second = has(urgent.as_mut()).expect("it goes before those that came before");
        drop(second);
        assert!(has(late.as_mut()).is_none());
        let third = has(early.as_mut()).expect("it came before the other");
        drop(third);
        assert!(has(late.as_mut()).is_some());
    }

    #[test]
    fn a_slot_for_somebody_who_has_gone_is_the_next_ones() {
        let slots = Slots::new(1);
        let first = has(pin!(slots.acquire(0))).expect("one is free");
        let mut stays = pin!(slots.acquire(3));
        {
            let (mut told, mut waits) = (Box::pin(slots.acquire(1)), Box::pin(slots.acquire(2)));
            assert!(has(told.as_mut()).is_none() && has(waits.as_mut()).is_none() && has(stays.as_mut()).is_none());
            drop(first);
            // One was told and never looked, the other never had its turn.
        }
        assert!(has(stays.as_mut()).is_some());
        assert_eq!(slots.lock().free, 1);
    }
}
