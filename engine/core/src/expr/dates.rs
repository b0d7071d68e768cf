//! Dates: ZEN's `d(…)` and its methods, without a clock. A text without a zone is read in the
//! flow's time zone; the zone of this machine is never asked.
//!
//! Not here: today and now. They come in as values (`flow.now`).

use chrono::{
    DateTime, Datelike, Days, FixedOffset, LocalResult, Months, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike,
};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use zen_expression::functions::DateMethod as D;

use super::ValueError;
use super::val::Val;

type Date = DateTime<Tz>;

/// What a date may look like, a 9 for each digit, and how chrono reads it. Seconds may have a fraction.
const SHAPES: [(&str, &str); 11] = [
    ("9999-99-99T99:99:99", "%Y-%m-%dT%H:%M:%S%.f"),
    ("9999-99-99T99:99", "%Y-%m-%dT%H:%M"),
    ("9999-99-99 99:99:99", "%Y-%m-%d %H:%M:%S%.f"),
    ("9999-99-99 99:99", "%Y-%m-%d %H:%M"),
    ("9999-99-99", "%Y-%m-%d"),
    ("99999999T999999", "%Y%m%dT%H%M%S%.f"),
    ("99999999T9999", "%Y%m%dT%H%M"),
    ("99999999", "%Y%m%d"),
    ("9999/99/99 99:99:99", "%Y/%m/%d %H:%M:%S%.f"),
    ("9999/99/99 99:99", "%Y/%m/%d %H:%M"),
    ("9999/99/99", "%Y/%m/%d"),
];

/// Reads a date with or without a time; without a zone of its own, in `zone`.
///
/// No text but a date is one: in ZEN, "now" and the names of time zones ask the clock.
pub(super) fn read(text: &str, zone: Tz) -> Option<Date> {
    if text.len() > 40 || !text.is_ascii() {
        return None;
    }
    let (local, offset) = split_offset(text);
    let shaped: String = local.chars().map(|letter| if letter.is_ascii_digit() { '9' } else { letter }).collect();
    let whole = shaped.split('.').next()?;
    let fits = |format: &str| whole.len() == shaped.len() || format.ends_with("%.f");
    let (_, format) = SHAPES.iter().find(|(shape, format)| *shape == whole && fits(format))?;
    let local = if format.contains("%H") {
        NaiveDateTime::parse_from_str(local, format).ok()?
    } else {
        NaiveDate::parse_from_str(local, format).ok()?.and_hms_opt(0, 0, 0)?
    };
    match offset {
        Ending::Offset(offset) if format.contains("%H") => {
            Some(zone.from_utc_datetime(&local.checked_sub_offset(offset)?))
        }
        Ending::Offset(_) | Ending::Wrong => None,
        Ending::None => resolve(local, zone),
    }
}

/// What stands at the end of a date's text.
enum Ending {
    /// `Z`, `+02`, `+0200` or `+02:00`.
    Offset(FixedOffset),
    /// One that no clock has.
    Wrong,
    None,
}

fn split_offset(text: &str) -> (&str, Ending) {
    let read = |east: Option<FixedOffset>| east.map_or(Ending::Wrong, Ending::Offset);
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return (local, read(FixedOffset::east_opt(0)));
    }
    let Some(sign) = text.find('T').and_then(|time| Some(time + text[time..].find(['+', '-'])?)) else {
        return (text, Ending::None);
    };
    let digits: String = text[sign + 1..].chars().filter(|&letter| letter != ':').collect();
    let seconds = match (digits.len(), digits.parse::<i32>()) {
        (2, Ok(hours)) => Some(hours * 3600),
        (4, Ok(both)) => Some(both / 100 * 3600 + both % 100 * 60),
        _ => None,
    };
    let east = |seconds: i32| FixedOffset::east_opt(if text[sign..].starts_with('-') { -seconds } else { seconds });
    (&text[..sign], read(seconds.and_then(east)))
}

/// A local time that a clock change repeats is its first; one that it leaves out is as much later.
fn resolve(local: NaiveDateTime, zone: Tz) -> Option<Date> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(date) | LocalResult::Ambiguous(date, _) => Some(date),
        LocalResult::None => {
            let before = zone.from_local_datetime(&local.checked_sub_signed(TimeDelta::hours(3))?).earliest()?;
            before.checked_add_signed(TimeDelta::hours(3))
        }
    }
}

fn zone(name: &str) -> Result<Tz, ValueError> {
    name.parse().map_err(|_| ValueError::new(format!("`{name}` is no time zone")))
}

/// `d(value)` and `d(value, zone)`.
pub(super) fn make<'s>(value: &Val<'s>, in_zone: Option<&Val<'s>>, otherwise: Tz) -> Result<Val<'s>, ValueError> {
    let in_zone = match in_zone {
        None => otherwise,
        Some(Val::Text(name)) => zone(name)?,
        Some(other) => return Err(ValueError::new(format!("{} is no time zone", other.kind()))),
    };
    to_date(value, in_zone).map(|date| Val::Date(date.with_timezone(&in_zone)))
}

fn to_date(value: &Val<'_>, zone: Tz) -> Result<Date, ValueError> {
    let found = match value {
        Val::Date(date) => Some(*date),
        Val::Text(text) => read(text, zone),
        Val::Number(ms) => ms.to_i64().and_then(|ms| zone.timestamp_millis_opt(ms).single()),
        _ => None,
    };
    found.ok_or_else(|| match value {
        Val::Text(text) => ValueError::new(format!("`{text}` is no date")),
        Val::Number(ms) => ValueError::new(format!("{ms} ms is no date")),
        other => ValueError::new(format!("{} is no date", other.kind())),
    })
}

pub(super) fn call<'s>(method: D, arguments: &[Val<'s>], zone_default: Tz) -> Result<Val<'s>, ValueError> {
    let [Val::Date(date), rest @ ..] = arguments else {
        let kind = arguments.first().map_or("nothing", Val::kind);
        return Err(ValueError::new(format!("`{method}` is a method of dates, not of {kind}: use d(…)")));
    };
    let text = |index: usize| match rest.get(index) {
        Some(Val::Text(text)) => Ok(&**text),
        _ => Err(ValueError::new(format!("`{method}` needs a text as argument {}", index + 1))),
    };
    let unit = |index: usize| Unit::read(text(index)?);
    let other = || rest.first().map_or(Err(ValueError::new("a date is missing")), |one| to_date(one, zone_default));
    let whole = |value: i64| Ok(Val::Number(value.into()));
    let made = |made: Option<Date>| {
        made.map(Val::Date).ok_or_else(|| ValueError::new(format!("`{method}` of {date} leaves the calendar")))
    };
    match method {
        D::Add => made(shifted(*date, rest, 1)?),
        D::Sub => made(shifted(*date, rest, -1)?),
        D::Set => {
            let Some(Val::Number(value)) = rest.get(1) else {
                return Err(ValueError::new("`set` needs a number"));
            };
            made(value.to_u32().and_then(|value| set(*date, unit(0).ok()?, value)))
        }
        D::Format => format(date, rest.first()),
        D::StartOf => made(start_of(*date, unit(0)?)),
        D::EndOf => made(end_of(*date, unit(0)?)),
        D::Tz => Ok(Val::Date(date.with_timezone(&zone(text(0)?)?))),
        D::Diff => {
            let unit = if rest.len() > 1 { Some(unit(1)?) } else { None };
            whole(difference(*date, other()?, unit))
        }
        D::IsSame | D::IsBefore | D::IsAfter | D::IsSameOrBefore | D::IsSameOrAfter => {
            let other = other()?;
            let (start, end) = if rest.len() > 1 {
                let unit = unit(1)?;
                (start_of(*date, unit).unwrap_or(*date), end_of(*date, unit).unwrap_or(*date))
            } else {
                (*date, *date)
            };
            let (before, after) = (end < other, other < start);
            Ok(Val::Bool(match method {
                D::IsBefore => before,
                D::IsAfter => after,
                D::IsSameOrBefore => !after,
                D::IsSameOrAfter => !before,
                _ => !before && !after,
            }))
        }
        D::Second => whole(date.second().into()),
        D::Minute => whole(date.minute().into()),
        D::Hour => whole(date.hour().into()),
        D::Day => whole(date.day().into()),
        D::DayOfYear => whole(date.ordinal().into()),
        D::Week => whole(date.iso_week().week().into()),
        D::Weekday => whole(date.weekday().number_from_monday().into()),
        D::Month => whole(date.month().into()),
        D::Quarter => whole(((date.month() - 1) / 3 + 1).into()),
        D::Year => whole(date.year().into()),
        D::Timestamp => whole(date.timestamp_millis()),
        D::OffsetName => Ok(Val::text(date.timezone().name())),
        D::IsValid => Ok(Val::Bool(true)),
        D::IsLeapYear => Ok(Val::Bool(date.date_naive().leap_year())),
        D::IsYesterday | D::IsToday | D::IsTomorrow => {
            Err(ValueError::new(format!("`{method}` reads the clock: compare with d(flow.now)")))
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    fn read(text: &str) -> Result<Self, ValueError> {
        Ok(match text {
            "s" | "second" | "seconds" => Self::Second,
            "m" | "minute" | "minutes" => Self::Minute,
            "h" | "hour" | "hours" => Self::Hour,
            "d" | "day" | "days" => Self::Day,
            "w" | "week" | "weeks" => Self::Week,
            "M" | "month" | "months" => Self::Month,
            "q" | "quarter" | "quarters" => Self::Quarter,
            "y" | "year" | "years" => Self::Year,
            _ => return Err(ValueError::new(format!("`{text}` is no unit of time"))),
        })
    }

    /// Of units that always have one length.
    fn ms(self) -> Option<i64> {
        match self {
            Self::Second => Some(1000),
            Self::Minute => Some(60_000),
            Self::Hour => Some(3_600_000),
            Self::Day => Some(86_400_000),
            Self::Week => Some(7 * 86_400_000),
            Self::Month | Self::Quarter | Self::Year => None,
        }
    }
}

impl Unit {
    /// Of units that are made of months; 1 for all others.
    fn months(self) -> i64 {
        match self {
            Self::Quarter => 3,
            Self::Year => 12,
            _ => 1,
        }
    }
}

/// `add("1d 6h")` and `add(1, "day")`.
fn shifted(date: Date, rest: &[Val<'_>], sign: i64) -> Result<Option<Date>, ValueError> {
    match rest {
        [Val::Number(amount), Val::Text(unit)] => {
            let amount = amount.to_i64().ok_or_else(|| ValueError::new(format!("{amount} is no whole number")))?;
            Ok(shift(date, amount.saturating_mul(sign), Unit::read(unit)?))
        }
        [Val::Text(text)] => {
            let mut moved = Some(date);
            for part in durations(text)? {
                moved = moved.and_then(|date| shift(date, part.0.saturating_mul(sign), part.1));
            }
            Ok(moved)
        }
        _ => Err(ValueError::new("dates move by a text like \"1d 6h\" or by a number and a unit")),
    }
}

fn durations(text: &str) -> Result<Vec<(i64, Unit)>, ValueError> {
    let wrong = || ValueError::new(format!("`{text}` is no duration like \"1d 6h\""));
    let mut parts = Vec::new();
    let mut left = text.trim();
    while !left.is_empty() {
        if parts.len() > 16 {
            return Err(wrong());
        }
        let digits = left.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
        let amount = left[..digits].parse().map_err(|_| wrong())?;
        left = left[digits..].trim_start();
        let letters = left.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(left.len());
        parts.push((amount, Unit::read(&left[..letters])?));
        left = left[letters..].trim_start();
    }
    Ok(parts)
}

fn shift(date: Date, amount: i64, unit: Unit) -> Option<Date> {
    if let Some(length_ms) = unit.ms() {
        return date.checked_add_signed(TimeDelta::try_milliseconds(amount.checked_mul(length_ms)?)?);
    }
    let months = amount.checked_mul(unit.months())?;
    let count = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    // The local date moves, so a clock change on the way does not move the hour.
    let local = date.naive_local();
    let local = if amount < 0 { local.checked_sub_months(count)? } else { local.checked_add_months(count)? };
    resolve(local, date.timezone())
}

fn set(date: Date, unit: Unit, value: u32) -> Option<Date> {
    match unit {
        Unit::Second => date.with_second(value),
        Unit::Minute => date.with_minute(value),
        Unit::Hour => date.with_hour(value),
        Unit::Day => date.with_day(value),
        Unit::Month => date.with_month(value),
        Unit::Year => date.with_year(i32::try_from(value).ok()?),
        Unit::Week | Unit::Quarter => Some(date),
    }
}

fn start_of(date: Date, unit: Unit) -> Option<Date> {
    let local = date.naive_local();
    let day = local.date();
    let start = match unit {
        Unit::Second => local.with_nanosecond(0)?,
        Unit::Minute => local.with_nanosecond(0)?.with_second(0)?,
        Unit::Hour => local.with_nanosecond(0)?.with_second(0)?.with_minute(0)?,
        Unit::Day => day.and_hms_opt(0, 0, 0)?,
        Unit::Week => {
            let gone = u64::from(day.weekday().num_days_from_monday());
            day.checked_sub_days(Days::new(gone))?.and_hms_opt(0, 0, 0)?
        }
        Unit::Month => day.with_day(1)?.and_hms_opt(0, 0, 0)?,
        Unit::Quarter => day.with_day(1)?.with_month((day.month() - 1) / 3 * 3 + 1)?.and_hms_opt(0, 0, 0)?,
        Unit::Year => day.with_day(1)?.with_month(1)?.and_hms_opt(0, 0, 0)?,
    };
    resolve(start, date.timezone())
}

/// The last nanosecond of the unit.
fn end_of(date: Date, unit: Unit) -> Option<Date> {
    let next = shift(start_of(date, unit)?, 1, unit)?;
    // Days are added as hours, so a day with a clock change ends a little off: start the day anew.
    let next = if unit.ms().is_some_and(|ms| ms >= 86_400_000) {
        start_of(next.checked_add_signed(TimeDelta::hours(2))?, Unit::Day)?
    } else {
        next
    };
    next.checked_sub_signed(TimeDelta::nanoseconds(1))
}

/// Whole units from `other` to `date`, towards zero; milliseconds without a unit.
fn difference(date: Date, other: Date, unit: Option<Unit>) -> i64 {
    let ms = date.timestamp_millis() - other.timestamp_millis();
    match unit {
        None => ms,
        Some(Unit::Day | Unit::Week) => {
            // By the calendar: a day with a clock change counts as one.
            let local = date.naive_local() - other.with_timezone(&date.timezone()).naive_local();
            local.num_days() / if unit == Some(Unit::Week) { 7 } else { 1 }
        }
        Some(unit) => unit.ms().map_or_else(|| whole_months(date, other) / unit.months(), |length| ms / length),
    }
}

/// Whole months from `other` to `date`, towards zero.
fn whole_months(date: Date, other: Date) -> i64 {
    let turned = date < other;
    let (early, late) = if turned { (date, other) } else { (other, date) };
    let late = late.with_timezone(&early.timezone());
    let months = i64::from(late.year() - early.year()) * 12 + i64::from(late.month()) - i64::from(early.month());
    let reached = shift(early, months, Unit::Month).is_some_and(|reached| reached <= late);
    let whole = months - i64::from(!reached);
    if turned { -whole } else { whole }
}

/// Every letter of a format that chrono knows how to write.
fn format<'s>(date: &Date, format: Option<&Val<'s>>) -> Result<Val<'s>, ValueError> {
    use std::fmt::Write;
    let format = match format {
        None => return Ok(Val::text(date.to_string())),
        Some(Val::Text(format)) if format.len() <= 256 => format,
        Some(_) => return Err(ValueError::new("`format` takes a text of at most 256 bytes")),
    };
    let mut text = String::new();
    // An unknown letter is an error of `write!`; `to_string` would panic on it.
    write!(text, "{}", date.format(format)).map_err(|_| ValueError::new(format!("`{format}` is no date format")))?;
    Ok(Val::text(text))
}

/// Milliseconds since the Unix epoch of what a timer's `until` gives: a time's text or a number.
pub(crate) fn epoch_ms(value: &serde_json::Value, zone: Tz) -> Option<i64> {
    match value {
        serde_json::Value::String(text) => read(text, zone).map(|date| date.timestamp_millis()),
        serde_json::Value::Number(ms) => super::number::from_json(ms).ok().and_then(|ms: Decimal| ms.to_i64()),
        _ => None,
    }
}
