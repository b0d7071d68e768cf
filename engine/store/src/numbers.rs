//! The numbers a writer gives to what it writes.
//!
//! Two kinds: *places*, 1, 2, 3 … in the order of one engine's commits, by which the feed is read;
//! and *ids*, which sort what all engines wrote by time, as nearly as their clocks agree. In a file,
//! which has one writer, both come from one counter.
//!
//! Invariants:
//! - Numbers of a writer grow, and may have gaps; none is ever used twice, whether or not the
//!   transaction that wanted it is kept.
//! - Numbers of two engines are never the same: the engine's own number is a part of them.

/// Ids count from here, 2020, so that they last until 2089.
const EPOCH_MS: i64 = 1_577_836_800_000;
/// Ids that one millisecond has room for: 2 to this. What does not fit borrows from the next.
const PER_MS_BITS: u32 = 14;
/// An engine's number in an id: its last bits.
const ENGINE_BITS: u32 = 8;
/// An engine's number in a place: what stands above this many bits.
const PLACE_BITS: u32 = 48;

#[derive(Debug)]
pub(crate) struct Numbers {
    /// 0 in a file.
    engine: i64,
    place: i64,
    id: i64,
}

impl Numbers {
    /// Of a file whose largest number is this.
    pub(crate) fn of_file(last: i64) -> Self {
        Self { engine: 0, place: last, id: last }
    }

    /// Of an engine that has given out places up to `place`, and ids up to `id` (without its number).
    pub(crate) fn of_engine(engine: i64, place: i64, id: i64) -> Self {
        Self { engine, place: bare(place), id }
    }

    pub(crate) fn next_place(&mut self) -> i64 {
        if self.engine == 0 {
            return self.next_id(0);
        }
        self.place += 1;
        first_place(self.engine) | self.place
    }

    /// `now_ms`: as a caller told it last.
    pub(crate) fn next_id(&mut self, now_ms: u64) -> i64 {
        if self.engine == 0 {
            self.id += 1;
            return self.id;
        }
        let now = first_id(i64::try_from(now_ms).unwrap_or_default());
        // A clock that was set back, or is far ahead of the others, is not followed.
        self.id = if now > self.id && now - self.id < AHEAD_MAX { now } else { self.id + 1 };
        self.id << ENGINE_BITS | self.engine
    }

    /// Ids given out, for the next who has this engine's number.
    pub(crate) fn counter(&self) -> i64 {
        self.id
    }
}

/// Ids of this millisecond begin here, without their engine's number.
pub(crate) fn first_id(now_ms: i64) -> i64 {
    (now_ms - EPOCH_MS).max(0) << PER_MS_BITS
}

/// A day: a pause may be that long.
const AHEAD_MAX: i64 = (24 * 60 * 60 * 1000) << PER_MS_BITS;

/// Every place of an engine is greater, and every place of the engines before it smaller.
pub(crate) fn first_place(engine: i64) -> i64 {
    engine << PLACE_BITS
}

/// A place as its engine counts it.
pub(crate) fn bare(place: i64) -> i64 {
    place & ((1 << PLACE_BITS) - 1)
}

/// The engine a place belongs to; 0 in a file.
pub(crate) fn engine_of(place: i64) -> i64 {
    place >> PLACE_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts() {
        let mut numbers = Numbers::of_file(7);
        assert_eq!((numbers.next_place(), numbers.next_id(1_795_000_000_000), numbers.next_place()), (8, 9, 10));
    }

    #[test]
    fn engines_never_give_out_the_same() {
        let now_ms = 1_795_000_000_000;
        let start = first_id(1_795_000_000_000);
        let mut one = Numbers::of_engine(1, 0, start);
        let mut two = Numbers::of_engine(255, first_place(255) + 40, start);
        let ids = [one.next_id(now_ms), two.next_id(now_ms), one.next_id(now_ms + 1), two.next_id(now_ms + 1)];
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        // The clock goes back, and years ahead.
        let more = [one.next_id(5), one.next_id(now_ms * 2), one.next_id(now_ms + 2)];
        assert!(ids[2] < more[0] && more.is_sorted_by(|a, b| a < b), "{more:?}");
        let places = [one.next_place(), one.next_place(), two.next_place()];
        assert_eq!(places.map(|place| (engine_of(place), bare(place))), [(1, 1), (1, 2), (255, 41)]);
    }
}
