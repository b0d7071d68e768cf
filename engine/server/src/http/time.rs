//! Times as the API writes them: RFC 3339, UTC, milliseconds.

/// Milliseconds since the Unix epoch as text (`2026-11-20T10:00:00.000Z`).
pub(crate) fn rfc3339(ms: u64) -> String {
    let (days, in_day) = (ms / 86_400_000, ms % 86_400_000);
    // Counting years from March puts the leap day last, so months have one formula (proleptic
    // Gregorian, 400-year eras of 146,097 days; day 0 of era 0 is 0000-03-01).
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second, milli) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60, in_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Milliseconds since the Unix epoch of a text as RFC 3339 has it, or of a day in UTC: its beginning, or its `end`.
pub(crate) fn moment(text: &str, end: bool) -> Option<u64> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|one| one.is_ascii_digit()))?;
        digits.parse::<i64>().ok()
    };
    let mark = |at: usize, marks: &str| text.get(at..=at).is_some_and(|one| marks.contains(one));
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let of_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    };
    if !(mark(4, "-") && mark(7, "-") && (1..=12).contains(&month) && (1..=of_month).contains(&day)) {
        return None;
    }
    // As above, the other way round: years begin in March.
    let (of_march, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = of_march * 365 + of_march.div_euclid(4) - of_march.div_euclid(100)
        + of_march.div_euclid(400)
        + (153 * from_march + 2) / 5
        + day
        - 719_469;
    let midnight_ms = days * 86_400_000;
    if text.len() == 10 {
        return u64::try_from(if end { midnight_ms + 86_399_999 } else { midnight_ms }).ok();
    }
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let sound = mark(10, "Tt ") && mark(13, ":") && mark(16, ":") && hour < 24 && minute < 60 && second <= 60;
    let rest = text.get(19..).filter(|_| sound)?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(zone_at);
    let ms = match fraction.strip_prefix('.') {
        None if fraction.is_empty() => 0,
        Some(digits) if (1..=9).contains(&digits.len()) && digits.bytes().all(|one| one.is_ascii_digit()) => {
            format!("{digits:0<3}").get(..3)?.parse().ok()?
        }
        _ => return None,
    };
    let east_minutes = match zone {
        "Z" | "z" => 0,
        _ => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if zone.starts_with('-') { -1 } else { 1 }
        }
    };
    let of_day_ms = (hour * 3600 + (minute - east_minutes) * 60 + second) * 1000 + ms;
    u64::try_from(midnight_ms + of_day_ms).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written_and_in_other_zones() {
        for ms in [0, 951_782_400_000, 951_868_799_999, 1_709_164_800_123, 1_735_689_599_000, 4_107_542_400_000] {
            assert_eq!(moment(&rfc3339(ms), false), Some(ms));
        }
        for (text, end, ms) in [
            ("2024-02-29", false, Some(1_709_164_800_000)),
            ("2024-02-29", true, Some(1_709_251_199_999)),
            ("2024-02-29T08:00:00+08:00", false, Some(1_709_164_800_000)),
            ("2024-02-28T23:30:00.5-00:30", true, Some(1_709_164_800_500)),
            ("2024-02-29t00:00:00.123456z", false, Some(1_709_164_800_123)),
            ("2023-02-29", false, None),
            ("2024-13-01", false, None),
            ("2024-02-29T24:00:00Z", false, None),
            ("2024-02-29T08:00:00", false, None),
            ("2024-02-29T08:00:00.Z", false, None),
            ("1969-12-31", false, None),
            ("+024-02-29", false, None),
            ("yesterday", false, None),
            ("", false, None),
        ] {
            assert_eq!(moment(text, end), ms, "{text}");
        }
    }

    #[test]
    fn times_are_written_in_utc() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_709_164_800_123, "2024-02-29T00:00:00.123Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
        }
    }
}
