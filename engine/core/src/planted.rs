//! Bugs on request, so that the simulation can prove that it would find them.
//!
//! A planted bug is one line where it would be made: `if planted::on("its-name") { … }`. Without the feature
//! `planted`, which no part of the product asks for, [`on`] is `false` for the compiler, and nothing of it is left.
//!
//! Not here: what each bug is and which seed finds it (`docs/reliability.md`).

/// Every planted bug, by its name.
pub const ALL: [&str; 32] = [
    "effect-before-commit",
    "reply-before-commit",
    "start-acknowledged-early",
    "conflict-ignored",
    "message-used-up-unread",
    "subscription-not-stored",
    "wake-up-lost",
    "undo-twice",
    "undo-in-wrong-order",
    "undo-before-the-answer",
    "late-answer-taken",
    "unknown-forgotten",
    "key-recomputed",
    "visit-not-counted",
    "attempts-not-counted",
    "repeated-at-most-once",
    "timer-lost",
    "row-not-named",
    "reply-changes",
    "clock-goes-back",
    "lease-ignored",
    "item-undo-forgotten",
    "call-outlives-its-caller",
    "task-completed-twice",
    "task-not-withdrawn",
    "lock-not-released",
    "lock-let-go-before-the-undo",
    "step-deadline-lost",
    "join-deadline-lost",
    "suspended-sends",
    "handler-outlives-its-node",
    "migration-forgets-done",
];

#[cfg(feature = "planted")]
mod chosen {
    use std::cell::Cell;

    thread_local! {
        // A simulation is one thread, so several can look for different bugs at once.
        static CHOSEN: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// From here on, this thread has this bug and no other.
    pub fn choose(name: Option<&'static str>) {
        CHOSEN.with(|chosen| chosen.set(name));
    }

    pub fn on(name: &str) -> bool {
        CHOSEN.with(Cell::get) == Some(name)
    }
}

#[cfg(feature = "planted")]
pub use chosen::{choose, on};

#[cfg(not(feature = "planted"))]
#[inline]
pub const fn on(_: &str) -> bool {
    false
}
