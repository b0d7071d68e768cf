//! What goes wrong in a run. Each kind is on in some runs and off in others, so that one does not hide another.

use crate::chance::Chance;

/// How often, of a thousand occasions.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a kind of fault that is on or off")]
pub struct Faults {
    /// At a commit: the power is cut before it, after it but before anybody hears of it, or soon after.
    pub crash: u64,
    /// At any other operation.
    pub crash_anywhere: u64,
    /// The store says that it is not known whether a commit stands. It does, in half of the cases.
    pub unavailable: u64,
    /// An operation on the store takes long.
    pub slow_store: u64,
    /// A process stops for a while in the middle of a commit.
    pub stall: u64,
    /// What a node did is not told.
    pub lost_reply: u64,
    /// A request comes twice.
    pub duplicate: u64,
    /// A request arrives long after its caller has given up.
    pub late: u64,
    pub reject: u64,
    pub transient: u64,
    pub permanent: u64,
    pub trap: u64,
    /// The call was not made: its plugin is missing, or broken off.
    pub not_made: u64,
    /// Nodes are slow, often too slow.
    pub slow: u64,
    pub undo_fails: u64,
    /// Clocks jump.
    pub jumps: bool,
    /// The store answers nobody, for a while.
    pub outages: bool,
    pub commands: bool,
    /// Engines tell each other when there is something to do.
    pub hints: bool,
    /// Two engines on one store.
    pub shared: bool,
}

impl Faults {
    pub fn draw(chance: &mut Chance) -> Self {
        let mut some = |at_most: u64| if chance.permille(450) { chance.between(at_most / 10, at_most) } else { 0 };
        Self {
            crash: some(60),
            crash_anywhere: some(15),
            unavailable: some(60),
            slow_store: some(100),
            stall: some(40),
            lost_reply: some(200),
            duplicate: some(200),
            late: some(150),
            reject: some(120),
            transient: some(250),
            permanent: some(40),
            trap: some(80),
            not_made: some(200),
            slow: some(200),
            undo_fails: some(300),
            jumps: some(1000) > 500,
            outages: some(1000) > 500,
            commands: some(1000) > 300,
            hints: some(1000) > 300,
            shared: some(1000) > 100,
        }
    }

    /// Nothing goes wrong any more, but for who shares what.
    #[must_use]
    pub fn over(&self) -> Self {
        Self { hints: self.hints, shared: self.shared, ..Self::default() }
    }
}
