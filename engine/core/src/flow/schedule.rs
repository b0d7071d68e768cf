//! When a schedule is due: pure, from a cron expression, a time zone and two times.
//!
//! The library looks for times on a wall clock that never changes; what a change of clocks does to
//! them is decided here. A *fixed* time (no `*` in its hour, minute or second) is due once a day
//! whatever the clocks do: where it does not exist, at the next time that does; where it comes
//! twice, at the first of both. An *interval* is due whenever the clock shows it: not in an hour
//! that is left out, and in both of an hour that comes twice.
//!
//! Invariants:
//! - [`Schedule::after`] only goes forward.
//! - However many times were missed, [`Schedule::turn`] starts for one of them at most.
//!
//! Not here: who starts what is due (`server`), that one of several engines does (`store`).

use std::str::FromStr as _;

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use croner::Cron;

use super::trigger::MissedDocument;
use crate::expr::Template;

/// Up to then a start is on time: engines look about once a second, and may be busy.
const ON_TIME_MS: u64 = 60_000;

/// No clock was set back by more in this century.
const FOLD_MAX: TimeDelta = TimeDelta::hours(3);
/// Nor forward: islands left out a day when they crossed the date line.
const GAP_MAX: TimeDelta = TimeDelta::hours(25);

/// Times at which a flow starts by itself.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Unique within the flow.
    pub name: String,
    /// As the document has it.
    pub text: String,
    pub timezone: Tz,
    pub cron: Box<Cron>,
    /// Sees `schedule`.
    pub input: Template,
    pub missed: MissedDocument,
    pub grace_ms: u64,
}

/// What is to be done at a due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The time to start for.
    pub start_ms: Option<u64>,
    /// Times before that are not started for.
    pub missed: bool,
    /// When it is due next. `None`: never again.
    pub next_ms: Option<u64>,
}

/// Reads a cron expression; an error says what is wrong.
pub(super) fn cron(text: &str) -> Result<Cron, String> {
    // A nickname or a year would be taken as well; a document says the same in one way.
    let fields = text.split_ascii_whitespace().count();
    if !(5..=6).contains(&fields) {
        return Err(format!("{fields} fields, not 5, or 6 with seconds"));
    }
    Cron::from_str(text).map_err(|error| error.to_string())
}

impl Schedule {
    /// The first due time after `ms`. `None`: there is none within the years a search looks at.
    pub fn after(&self, ms: u64) -> Option<u64> {
        let after = DateTime::from_timestamp_millis(i64::try_from(ms).ok()?)?.with_timezone(&self.timezone);
        let found = if self.is_interval() { self.shown_after(&after) } else { self.fixed_after(&after) };
        u64::try_from(found?.timestamp_millis()).ok()
    }

    /// Due times after `ms`, at most `count`.
    pub fn upcoming(&self, ms: u64, count: usize) -> Vec<u64> {
        std::iter::successors(self.after(ms), |&ms| self.after(ms)).take(count).collect()
    }

    /// What to do now for a schedule that was due at `due_ms`, which is not after `now_ms`.
    pub fn turn(&self, due_ms: u64, now_ms: u64) -> Turn {
        let last_ms = self.last(due_ms, now_ms);
        let late_ms = now_ms.saturating_sub(last_ms);
        let start = late_ms <= ON_TIME_MS || (self.missed == MissedDocument::Once && late_ms <= self.grace_ms);
        Turn { start_ms: start.then_some(last_ms), missed: last_ms > due_ms || !start, next_ms: self.after(now_ms) }
    }

    /// The last due time that is not after `now_ms`, of those from `due_ms` on.
    fn last(&self, due_ms: u64, now_ms: u64) -> u64 {
        let before = |ms: u64| self.after(ms).filter(|&next_ms| next_ms <= now_ms);
        // The later one looks from, the later is what is found, until nothing is.
        let (mut found, mut not_found, mut last_ms) = (due_ms, now_ms, due_ms);
        while found < not_found {
            let middle = found + (not_found - found) / 2;
            match before(middle) {
                Some(next_ms) => {
                    last_ms = next_ms;
                    found = next_ms;
                }
                None => not_found = middle,
            }
        }
        last_ms
    }

    /// Does it say how often rather than when?
    fn is_interval(&self) -> bool {
        let fields: Vec<&str> = self.text.split_ascii_whitespace().collect();
        // Without the day, the month and the day of the week.
        fields.iter().take(fields.len().saturating_sub(3)).any(|field| field.contains('*'))
    }

    /// The next time that the wall clock would show if it never changed.
    fn next_shown(&self, after: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        Some(self.cron.find_next_occurrence(&after.and_utc(), inclusive).ok()?.naive_utc())
    }

    fn fixed_after(&self, after: &DateTime<Tz>) -> Option<DateTime<Tz>> {
        let mut shown = after.naive_local();
        loop {
            shown = self.next_shown(shown, false)?;
            let due = match self.timezone.from_local_datetime(&shown) {
                LocalResult::Single(due) | LocalResult::Ambiguous(due, _) => due,
                LocalResult::None => self.after_the_gap(shown)?,
            };
            if due > *after {
                return Some(due);
            }
        }
    }

    fn shown_after(&self, after: &DateTime<Tz>) -> Option<DateTime<Tz>> {
        let now = after.naive_local();
        let again = match self.timezone.from_local_datetime(&now) {
            // The clock will show these hours once more.
            LocalResult::Ambiguous(first, _) if *after <= first => self.shown_again(after, now - FOLD_MAX),
            _ => None,
        };
        let mut shown = now;
        let next = loop {
            let Some(found) = self.next_shown(shown, false) else { break None };
            shown = found;
            let due = match self.timezone.from_local_datetime(&shown) {
                LocalResult::Single(due) => Some(due),
                LocalResult::Ambiguous(first, second) => Some(if first > *after { first } else { second }),
                LocalResult::None => None,
            };
            if let Some(due) = due.filter(|due| due > after) {
                break Some(due);
            }
        };
        match (again, next) {
            (Some(again), Some(next)) => Some(again.min(next)),
            (again, next) => again.or(next),
        }
    }

    /// The first time of those that the clock shows for the second time.
    fn shown_again(&self, after: &DateTime<Tz>, from: NaiveDateTime) -> Option<DateTime<Tz>> {
        let mut shown = self.next_shown(from, true)?;
        while shown <= after.naive_local() {
            if let LocalResult::Ambiguous(_, second) = self.timezone.from_local_datetime(&shown) {
                return Some(second);
            }
            shown = self.next_shown(shown, false)?;
        }
        None
    }

    /// The first time after one that does not exist.
    fn after_the_gap(&self, shown: NaiveDateTime) -> Option<DateTime<Tz>> {
        // The offset before the gap leads to where the clocks would be without it.
        let before = self.timezone.from_local_datetime(&(shown - GAP_MAX)).latest()?;
        let (mut not_yet, mut already) = (before, before + GAP_MAX);
        let offset = |at: &DateTime<Tz>| at.naive_local() - at.naive_utc();
        let old = offset(&before);
        if offset(&already) == old {
            return None;
        }
        while already - not_yet > TimeDelta::seconds(1) {
            let middle = not_yet + (already - not_yet) / 2;
            if offset(&middle) == old { not_yet = middle } else { already = middle }
        }
        // Clocks change on whole seconds.
        DateTime::from_timestamp(already.timestamp(), 0).map(|due| due.with_timezone(&self.timezone))
    }
}

#[cfg(test)]
mod tests;
