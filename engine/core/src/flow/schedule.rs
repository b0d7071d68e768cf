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
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use chrono::SecondsFormat;
    use serde_json::Value;

    use super::*;

    fn schedule(text: &str, zone: &str) -> Schedule {
        Schedule {
            name: "1".to_owned(),
            text: text.to_owned(),
            timezone: zone.parse().unwrap(),
            cron: Box::new(cron(text).unwrap()),
            input: Template::Literal(Value::Null),
            missed: MissedDocument::Once,
            grace_ms: 3_600_000,
        }
    }

    fn ms(utc: &str) -> u64 {
        u64::try_from(DateTime::parse_from_rfc3339(utc).unwrap().timestamp_millis()).unwrap()
    }

    /// The due times after `from` as they are read in the zone, in one line.
    fn due(text: &str, zone: &str, from: &str, count: usize) -> String {
        let schedule = schedule(text, zone);
        let due = schedule.upcoming(ms(from), count);
        for &due_ms in &due {
            assert_eq!(schedule.last(due[0], due_ms + 999), due_ms, "{text} {zone}: looked for backwards");
        }
        let local = due.iter().map(|&ms| {
            let at = DateTime::from_timestamp_millis(i64::try_from(ms).unwrap()).unwrap();
            at.with_timezone(&schedule.timezone).to_rfc3339_opts(SecondsFormat::Secs, false)
        });
        local.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn clocks_that_change_neither_lose_nor_double_a_start() {
        for (text, zone, from, expected) in [
            // Forward in Berlin, 29 March 2026: 02:30 does not exist; it is due at 03:00, once.
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-03-28T12:00:00Z",
                "2026-03-29T03:00:00+02:00 2026-03-30T02:30:00+02:00",
            ),
            (
                "0,30 2 * * *",
                "Europe/Berlin",
                "2026-03-28T12:00:00Z",
                "2026-03-29T03:00:00+02:00 2026-03-30T02:00:00+02:00",
            ),
            // The hours before and after are as on any day.
            (
                "30 1,3 * * *",
                "Europe/Berlin",
                "2026-03-28T12:00:00Z",
                "2026-03-29T01:30:00+01:00 2026-03-29T03:30:00+02:00",
            ),
            // An interval leaves out what does not exist, and goes on.
            (
                "*/30 * * * *",
                "Europe/Berlin",
                "2026-03-29T00:29:00Z",
                "2026-03-29T01:30:00+01:00 2026-03-29T03:00:00+02:00 2026-03-29T03:30:00+02:00",
            ),
            // Back in Berlin, 25 October 2026: 02:30 comes twice; the first counts.
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-10-24T12:00:00Z",
                "2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00",
            ),
            (
                "*/30 * * * *",
                "Europe/Berlin",
                "2026-10-25T00:29:00Z",
                "2026-10-25T02:30:00+02:00 2026-10-25T02:00:00+01:00 2026-10-25T02:30:00+01:00 2026-10-25T03:00:00+01:00",
            ),
            (
                "0,30 2 * * *",
                "Europe/Berlin",
                "2026-10-24T12:00:00Z",
                "2026-10-25T02:00:00+02:00 2026-10-25T02:30:00+02:00 2026-10-26T02:00:00+01:00",
            ),
            // The next year, on other days.
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2027-03-27T12:00:00Z",
                "2027-03-28T03:00:00+02:00 2027-03-29T02:30:00+02:00",
            ),
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2027-10-30T12:00:00Z",
                "2027-10-31T02:30:00+02:00 2027-11-01T02:30:00+01:00",
            ),
            // New York: 8 March and 1 November 2026, 14 March and 7 November 2027.
            (
                "15 2 * * *",
                "America/New_York",
                "2026-03-07T12:00:00Z",
                "2026-03-08T03:00:00-04:00 2026-03-09T02:15:00-04:00",
            ),
            (
                "15 1 * * *",
                "America/New_York",
                "2026-10-31T12:00:00Z",
                "2026-11-01T01:15:00-04:00 2026-11-02T01:15:00-05:00",
            ),
            (
                "15 2 * * *",
                "America/New_York",
                "2027-03-13T12:00:00Z",
                "2027-03-14T03:00:00-04:00 2027-03-15T02:15:00-04:00",
            ),
            (
                "15 1 * * *",
                "America/New_York",
                "2027-11-06T12:00:00Z",
                "2027-11-07T01:15:00-04:00 2027-11-08T01:15:00-05:00",
            ),
            // Lord Howe moves by half an hour: 02:15 does not exist on 4 October 2026, 01:45 comes twice on 5 April 2026.
            (
                "15 2 * * *",
                "Australia/Lord_Howe",
                "2026-10-03T00:00:00Z",
                "2026-10-04T02:30:00+11:00 2026-10-05T02:15:00+11:00",
            ),
            (
                "45 1 * * *",
                "Australia/Lord_Howe",
                "2026-04-04T00:00:00Z",
                "2026-04-05T01:45:00+11:00 2026-04-06T01:45:00+10:30",
            ),
            (
                "*/15 * * * *",
                "Australia/Lord_Howe",
                "2026-04-04T14:44:00Z",
                "2026-04-05T01:45:00+11:00 2026-04-05T01:30:00+10:30 2026-04-05T01:45:00+10:30 2026-04-05T02:00:00+10:30",
            ),
            // Samoa left out a day.
            (
                "0 12 * * *",
                "Pacific/Apia",
                "2011-12-29T12:00:00Z",
                "2011-12-29T12:00:00-10:00 2011-12-31T00:00:00+14:00 2011-12-31T12:00:00+14:00",
            ),
            // Some zones lose their midnight.
            (
                "0 0 * * *",
                "America/Santiago",
                "2026-09-05T12:00:00Z",
                "2026-09-06T01:00:00-03:00 2026-09-07T00:00:00-03:00",
            ),
            // And some never change.
            (
                "0 9 * * 1-5",
                "Asia/Shanghai",
                "2026-10-23T00:59:59Z",
                "2026-10-23T09:00:00+08:00 2026-10-26T09:00:00+08:00 2026-10-27T09:00:00+08:00",
            ),
        ] {
            assert_eq!(due(text, zone, from, expected.split(' ').count()), expected, "{text} {zone}");
        }
    }

    #[test]
    fn what_cron_says() {
        for (text, expected) in [
            ("*/15 8-9 * * *", "08:00 08:15 08:30 08:45 09:00"),
            ("0 0 1 jan mon", "01-01"), // A day of the month or of the week, as cron always had it.
            ("0 12 L * *", "11-30 12-31"),
            ("0 12 * * fri#2", "12-11"),
            ("0 12 29 2 *", "2028-02-29"),
            ("30 * * * * *", "00:00:30 00:01:30"),
            ("0 8 * * 0", "11-22"),
            ("0 8 * * 7", "11-22"),
        ] {
            let due = due(text, "UTC", "2026-11-20T00:00:00Z", 40);
            for part in expected.split(' ') {
                assert!(due.contains(part), "{text}: {part} in {due}");
            }
        }
        for wrong in ["", "* * * *", "* * * * * * *", "60 * * * *", "@daily", "0 9 * * mon-", "a b c d e", "0 9 32 * *"]
        {
            assert!(cron(wrong).is_err(), "{wrong}");
        }
        assert_eq!(schedule("0 0 31 2 *", "UTC").after(0), None);
    }

    #[test]
    fn of_missed_times_one_is_started_for() {
        // Daily at nine, due on the 20th; an hour of grace.
        let due = "2026-11-20T09:00:00Z";
        for (missed, now, start, skipped, next) in [
            (MissedDocument::Once, "2026-11-20T09:00:00Z", Some("2026-11-20T09:00:00Z"), false, "2026-11-21T09:00:00Z"),
            (MissedDocument::Skip, "2026-11-20T09:01:00Z", Some("2026-11-20T09:00:00Z"), false, "2026-11-21T09:00:00Z"),
            (MissedDocument::Skip, "2026-11-20T09:01:01Z", None, true, "2026-11-21T09:00:00Z"),
            (MissedDocument::Once, "2026-11-20T10:00:00Z", Some("2026-11-20T09:00:00Z"), false, "2026-11-21T09:00:00Z"),
            (MissedDocument::Once, "2026-11-20T10:00:01Z", None, true, "2026-11-21T09:00:00Z"),
            // Days later: for the last of them, if for any.
            (MissedDocument::Once, "2026-11-23T09:30:00Z", Some("2026-11-23T09:00:00Z"), true, "2026-11-24T09:00:00Z"),
            (MissedDocument::Once, "2026-11-23T11:00:00Z", None, true, "2026-11-24T09:00:00Z"),
            // One that is just due is not missed, whatever was.
            (MissedDocument::Skip, "2026-11-23T09:00:30Z", Some("2026-11-23T09:00:00Z"), true, "2026-11-24T09:00:00Z"),
        ] {
            let schedule = Schedule { missed, ..schedule("0 9 * * *", "UTC") };
            let expected = Turn { start_ms: start.map(ms), missed: skipped, next_ms: Some(ms(next)) };
            assert_eq!(schedule.turn(ms(due), ms(now)), expected, "{missed:?} {now}");
        }
    }
}
