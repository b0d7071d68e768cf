//! Decides what an instance does next. Nothing here reads a clock, a socket or a table.
//!
//! [`step`] takes an instance and one event; it returns the instance as it becomes and the effects
//! to carry out, in order. The journal is the list of events given to `step`, so an instance is
//! the fold of its journal.
//!
//! Invariants:
//! - `step` is total: an event that does not fit is answered with [`Refused`], never a panic, and
//!   changes nothing.
//! - An external effect is performed only after its event is in the journal, and perhaps more than
//!   once, each time with the same key.
//! - What an instance waits for ([`Instance::due_ms`], [`Instance::subscriptions`],
//!   [`resume`]) is read off the instance; nothing is kept beside it.
//!
//! Not here: which version an instance runs (`server`); how effects are performed (`runtime`); how
//! a failure is classed by the sandbox.

mod call;
mod command;
mod context;
mod evaluate;
mod event;
mod fail;
mod guard;
mod inclusive;
mod instance;
mod join;
mod listen;
mod lock;
mod migrate;
mod open;
mod scope;
mod snapshot;
mod step;
#[cfg(test)]
mod tests;
mod token;
mod undo;
mod walk;

pub use call::{Call, Export, Op};
pub use evaluate::{CannotAct, MACHINE_LOOP, ROUNDS_MAX, Standing, Why, Wish, can_act, weigh};
pub use event::{
    Command, Cut, CutReason, Entry, Event, Failure, FailureClass, Limit, Outcome, Refused, Rejection, Signal,
};
pub use fail::as_taken;
pub use instance::{
    Arrival, Done, End, Error, Instance, Item, OpenTask, Progress, ROOT, Scope, ScopeId, State, Step, Subscription,
    Then, TokenId, Unwinding, Within,
};
pub use listen::{Hook, Next};
pub use migrate::{Unfit, migrate, replugged};
pub use snapshot::{SNAPSHOT_BYTES_MAX, Snapshot, SnapshotError, snapshot};
pub use step::{Effect, interrupted, resume, step};
pub use token::{At, Token, Visit, Wait};

/// An instance that walks further than this in one event is stopped by an incident.
pub const STEPS_PER_EVENT_MAX: u32 = 10_000;
/// Visits of one node in one instance, then an incident.
pub const VISITS_MAX: u32 = 10_000;
/// Events of one instance, then an incident.
pub const EVENTS_MAX: u32 = if HISTORIES_ARE_LONG { 1_000_000 } else { 50_000 };
/// A build to measure with, which is not the product.
pub const HISTORIES_ARE_LONG: bool = cfg!(feature = "long-histories");
/// Scopes in each other: containers, items, called flows.
pub const SCOPE_DEPTH_MAX: usize = 24;
/// Items of one `for-each`.
pub const ITEMS_MAX: usize = 10_000;
/// Longest name of a message; see `waiting` in `wit/types.wit`.
pub const MESSAGE_NAME_BYTES_MAX: usize = 200;
/// Longest key of a message.
pub const MESSAGE_KEY_BYTES_MAX: usize = 500;
/// Whether a message can have this name or key: not empty, at most so many bytes, and without NUL,
/// which not every database keeps.
pub fn fits_message(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && !text.contains('\0')
}

/// Tries of one undo before it becomes an incident.
pub const UNDO_ATTEMPTS: u32 = 10;
