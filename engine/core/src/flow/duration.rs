//! Durations as documents write them: `200ms`, `3s`, `30m`, `24h`, `7d`.

/// Longest duration a document may name.
pub const DURATION_MS_MAX: u64 = 366 * 86_400_000;

/// Milliseconds; an error says what would be right.
pub fn parse_ms(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no duration: write 200ms, 3s, 30m, 24h or 7d");
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let amount: u64 = text[..digits].parse().map_err(|_| wrong())?;
    amount
        .checked_mul(unit_ms)
        .filter(|&ms| ms <= DURATION_MS_MAX)
        .ok_or_else(|| format!("`{text}` is longer than a year"))
}

/// As a document would write it, in the largest unit that says it whole.
pub fn written(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let whole = units.into_iter().find(|(unit_ms, _)| ms > 0 && ms.is_multiple_of(*unit_ms));
    whole.map_or_else(|| format!("{ms}ms"), |(unit_ms, unit)| format!("{}{unit}", ms / unit_ms))
}

#[cfg(test)]
mod tests {
    use super::{parse_ms, written};

    #[test]
    fn durations_are_written_as_they_are_read() {
        for (ms, text) in
            [(0, "0ms"), (1, "1ms"), (1_500, "1500ms"), (60_000, "1m"), (86_400_000, "1d"), (5_400_000, "90m")]
        {
            assert_eq!((written(ms).as_str(), parse_ms(text)), (text, Ok(ms)));
        }
    }

    #[test]
    fn durations_are_read() {
        for (text, expected) in [
            ("200ms", Some(200)),
            ("3s", Some(3000)),
            ("30m", Some(1_800_000)),
            ("24h", Some(86_400_000)),
            ("7d", Some(604_800_000)),
            ("0s", Some(0)), // Bounds are the field's to set.
            ("", None),
            ("3", None),
            ("s", None),
            ("3 s", None),
            ("-3s", None),
            ("1.5s", None),
            ("3S", None),
            ("367d", None),
            ("99999999999999999999d", None),
            ("18446744073709551615h", None),
        ] {
            assert_eq!(parse_ms(text).ok(), expected, "{text}");
        }
    }
}
