//! Due times as tables: what the clock of a zone shows, and what was missed.
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

/// Cron, zone, from when, and the due times after that as they are read in the zone.
const CHANGES: [(&str, &str, &str, &str); 19] = [
    // Forward in Berlin, 29 March 2026: 02:30 does not exist; it is due at 03:00, once.
    ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00 2026-03-30T02:30:00+02:00"),
    ("0,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00 2026-03-30T02:00:00+02:00"),
    // The hours before and after are as on any day.
    ("30 1,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00+01:00 2026-03-29T03:30:00+02:00"),
    // An interval leaves out what does not exist, and goes on.
    (
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-03-29T00:29:00Z",
        "2026-03-29T01:30:00+01:00 2026-03-29T03:00:00+02:00 2026-03-29T03:30:00+02:00",
    ),
    // Back in Berlin, 25 October 2026: 02:30 comes twice; the first counts.
    ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00"),
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
    ("30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", "2027-03-28T03:00:00+02:00 2027-03-29T02:30:00+02:00"),
    ("30 2 * * *", "Europe/Berlin", "2027-10-30T12:00:00Z", "2027-10-31T02:30:00+02:00 2027-11-01T02:30:00+01:00"),
    // New York: 8 March and 1 November 2026, 14 March and 7 November 2027.
    ("15 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-08T03:00:00-04:00 2026-03-09T02:15:00-04:00"),
    ("15 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", "2026-11-01T01:15:00-04:00 2026-11-02T01:15:00-05:00"),
    ("15 2 * * *", "America/New_York", "2027-03-13T12:00:00Z", "2027-03-14T03:00:00-04:00 2027-03-15T02:15:00-04:00"),
    ("15 1 * * *", "America/New_York", "2027-11-06T12:00:00Z", "2027-11-07T01:15:00-04:00 2027-11-08T01:15:00-05:00"),
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
    ("0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", "2026-09-06T01:00:00-03:00 2026-09-07T00:00:00-03:00"),
    // And some never change.
    (
        "0 9 * * 1-5",
        "Asia/Shanghai",
        "2026-10-23T00:59:59Z",
        "2026-10-23T09:00:00+08:00 2026-10-26T09:00:00+08:00 2026-10-27T09:00:00+08:00",
    ),
];

#[test]
fn clocks_that_change_neither_lose_nor_double_a_start() {
    for (text, zone, from, expected) in CHANGES {
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
    for wrong in ["", "* * * *", "* * * * * * *", "60 * * * *", "@daily", "0 9 * * mon-", "a b c d e", "0 9 32 * *"] {
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
