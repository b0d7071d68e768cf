//! The formats that can be told without a grammar of their own.

use core::net::{Ipv4Addr, Ipv6Addr};

/// Those that only the engine tells. A name that stands neither here nor in [`is`] is an annotation, as the standard
/// has it.
pub(super) const BEYOND: [&str; 12] = [
    "duration",
    "email",
    "hostname",
    "idn-email",
    "idn-hostname",
    "iri",
    "iri-reference",
    "regex",
    "relative-json-pointer",
    "uri",
    "uri-reference",
    "uri-template",
];

pub(super) fn is(format: &str, text: &str) -> bool {
    match format {
        "date" => date(text),
        "time" => time(text),
        "date-time" => text.split_once(['T', 't']).is_some_and(|(day, moment)| date(day) && time(moment)),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "json-pointer" => pointer(text),
        "uuid" => uuid(text),
        _ => true,
    }
}

/// The number that exactly `digits` digits at the beginning make, and what follows them.
fn digits(text: &str, digits: usize) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    (number.bytes().all(|byte| byte.is_ascii_digit())).then(|| Some((number.parse().ok()?, rest)))?
}

fn date(text: &str) -> bool {
    let parts = || {
        let (year, rest) = digits(text, 4)?;
        let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
        let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
        rest.is_empty().then_some((year, month, day))
    };
    let leap = |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    parts().is_some_and(|(year, month, day)| {
        let days = match month {
            2 => 28 + u32::from(leap(year)),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        (1..=days).contains(&day)
    })
}

fn time(text: &str) -> bool {
    let clock = || {
        let (hour, rest) = digits(text, 2)?;
        let (minute, rest) = digits(rest.strip_prefix(':')?, 2)?;
        let (second, rest) = digits(rest.strip_prefix(':')?, 2)?;
        let rest = match rest.strip_prefix('.') {
            Some(fraction) => {
                let rest = fraction.trim_start_matches(|letter: char| letter.is_ascii_digit());
                (rest.len() < fraction.len()).then_some(rest)?
            }
            None => rest,
        };
        let (sign, offset) = match rest {
            "Z" | "z" => (0, (0, 0)),
            _ => {
                let sign = if rest.starts_with('+') { 1 } else { -1 };
                let (hours, rest) = digits(rest.strip_prefix(['+', '-'])?, 2)?;
                let (minutes, rest) = digits(rest.strip_prefix(':')?, 2)?;
                (rest.is_empty() && hours < 24 && minutes < 60).then_some((sign, (hours, minutes)))?
            }
        };
        (hour < 24 && minute < 60).then_some(())?;
        let minutes_utc = i64::from(hour * 60 + minute) - sign * i64::from(offset.0 * 60 + offset.1);
        // A leap second is the last of a day in UTC.
        Some(second < 60 || (second == 60 && minutes_utc.rem_euclid(24 * 60) == 24 * 60 - 1))
    };
    clock().unwrap_or(false)
}

fn pointer(text: &str) -> bool {
    let token = |token: &str| token.split('~').skip(1).all(|escaped| escaped.starts_with(['0', '1']));
    text.is_empty() || text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(token))
}

fn uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
