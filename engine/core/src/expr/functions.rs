//! ZEN's functions, bounded and exact.
//!
//! Not here: which are refused and how many arguments each takes (`translate`), dates (`dates`).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use chrono_tz::Tz;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use zen_expression::functions::InternalFunction as F;

use super::eval::Env;
use super::val::Val;
use super::{ValueError, dates, number};

/// Longest regular expression.
const PATTERN_BYTES_MAX: usize = 512;
/// Longest text a regular expression looks at.
const MATCHED_BYTES_MAX: usize = 64 * 1024;

pub(super) fn call<'s>(env: &mut Env<'s>, function: F, arguments: &[Val<'s>]) -> Result<Val<'s>, ValueError> {
    let [first, rest @ ..] = arguments else {
        return Err(ValueError::new(format!("`{function}` needs an argument")));
    };
    Ok(match function {
        F::Len => match (first.length(), first) {
            (Some(length), _) => Val::Number(length.into()),
            (None, Val::Text(text)) => Val::Number(text.len().into()),
            _ => return Err(unfit(function, first)),
        },
        F::Contains => {
            let item = second(function, rest)?;
            Val::Bool(env.contains(first, item)?)
        }
        F::Flatten => flatten(env, first)?,
        F::Merge => merge(env, first, false)?,
        F::MergeDeep => merge(env, first, true)?,
        F::Upper | F::Lower | F::Trim => {
            let text = text(function, first)?;
            env.made_text(text.len())?;
            Val::text(match function {
                F::Upper => text.to_uppercase(),
                F::Lower => text.to_lowercase(),
                _ => text.trim().to_owned(),
            })
        }
        F::StartsWith => Val::Bool(text(function, first)?.starts_with(text(function, second(function, rest)?)?)),
        F::EndsWith => Val::Bool(text(function, first)?.ends_with(text(function, second(function, rest)?)?)),
        F::Matches => Val::Bool(pattern(env, function, first, rest)?.is_match(text(function, first)?)),
        F::Extract => {
            let found = pattern(env, function, first, rest)?
                .captures(text(function, first)?)
                .map(|all| all.iter().flatten().map(|part| Val::text(part.as_str())).collect::<Vec<_>>());
            Val::list(found.unwrap_or_default())
        }
        F::Split => {
            let whole = text(function, first)?;
            env.made_text(whole.len())?;
            let parts: Vec<_> = whole.split(text(function, second(function, rest)?)?).map(Val::text).collect();
            env.spend(parts.len())?;
            Val::list(parts)
        }
        F::Abs => Val::Number(decimal(function, first)?.abs()),
        F::Floor => Val::Number(decimal(function, first)?.floor()),
        F::Ceil => Val::Number(decimal(function, first)?.ceil()),
        F::Round | F::Trunc => {
            let value = decimal(function, first)?;
            let places = match rest.first() {
                None => 0,
                Some(places) => decimal(function, places)?
                    .to_u32()
                    .filter(|&places| places <= 28)
                    .ok_or_else(|| ValueError::new(format!("`{function}` keeps 0 to 28 decimal places")))?,
            };
            Val::Number(match function {
                F::Round => value.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero),
                _ => value.trunc_with_scale(places),
            })
        }
        F::Sum => Val::Number(sum(&decimals(env, function, first)?)?),
        F::Avg | F::Median | F::Mode => statistic(function, decimals(env, function, first)?)?,
        F::Min | F::Max => extreme(env, function, first)?,
        F::IsNumeric => Val::Bool(match first {
            Val::Number(_) => true,
            Val::Text(text) => number::parse(text.trim()).is_ok(),
            _ => false,
        }),
        F::String => Val::Text(as_text(first)?),
        F::Number => Val::Number(match first {
            Val::Number(value) => *value,
            Val::Text(text) => number::parse(text.trim())?,
            Val::Bool(value) => Decimal::from(u8::from(*value)),
            _ => return Err(unfit(function, first)),
        }),
        F::Bool => Val::Bool(match first {
            Val::Null => false,
            Val::Bool(value) => *value,
            Val::Number(value) => !value.is_zero(),
            Val::Text(text) => match text.trim() {
                "true" => true,
                "false" => false,
                // As in ZEN, however odd.
                _ => text.is_empty(),
            },
            _ => true,
        }),
        F::Type => Val::text(first.kind()),
        F::Keys => match (first.length(), first.fields()?) {
            (Some(length), _) => {
                env.spend(length)?;
                Val::list((0..length).map(|index| Val::Number(index.into())).collect())
            }
            (None, Some(fields)) => Val::list(fields.into_iter().map(|(key, _)| Val::Text(key)).collect()),
            _ => return Err(unfit(function, first)),
        },
        F::Values => match first.fields()? {
            Some(fields) => Val::list(fields.into_iter().map(|(_, value)| value).collect()),
            None => return Err(unfit(function, first)),
        },
        F::Date => dates::make(first, rest.first(), env.timezone)?,
        F::Rand | F::FuzzyMatch => return Err(ValueError::new(format!("`{function}` is not offered"))),
    })
}

fn unfit(function: F, argument: &Val<'_>) -> ValueError {
    ValueError::new(format!("`{function}` cannot take {}", argument.kind()))
}

fn second<'v, 's>(function: F, rest: &'v [Val<'s>]) -> Result<&'v Val<'s>, ValueError> {
    rest.first().ok_or_else(|| ValueError::new(format!("`{function}` needs a second argument")))
}

fn text<'v>(function: F, argument: &'v Val<'_>) -> Result<&'v str, ValueError> {
    match argument {
        Val::Text(text) => Ok(text),
        other => Err(unfit(function, other)),
    }
}

fn decimal(function: F, argument: &Val<'_>) -> Result<Decimal, ValueError> {
    match argument {
        Val::Number(value) => Ok(*value),
        other => Err(unfit(function, other)),
    }
}

fn items<'s>(env: &mut Env<'s>, function: F, list: &Val<'s>) -> Result<Vec<Val<'s>>, ValueError> {
    let length = list.length().ok_or_else(|| unfit(function, list))?;
    env.spend(length)?;
    (0..length).map(|index| list.item(index)).collect()
}

fn decimals<'s>(env: &mut Env<'s>, function: F, list: &Val<'s>) -> Result<Vec<Decimal>, ValueError> {
    items(env, function, list)?.iter().map(|item| decimal(function, item)).collect()
}

fn sum(numbers: &[Decimal]) -> Result<Decimal, ValueError> {
    numbers.iter().try_fold(Decimal::ZERO, |sum, &one| number::add(sum, one))
}

fn statistic<'s>(function: F, mut numbers: Vec<Decimal>) -> Result<Val<'s>, ValueError> {
    let none = || ValueError::new(format!("`{function}` of an empty list"));
    let halves = |sum: Decimal, parts: Decimal| sum.checked_div(parts).map(Val::Number).ok_or_else(none);
    match function {
        F::Avg => halves(sum(&numbers)?, numbers.len().into()),
        F::Median => {
            numbers.sort_unstable();
            let middle = numbers.len() / 2;
            let upper = *numbers.get(middle).ok_or_else(none)?;
            if numbers.len() % 2 == 1 {
                return Ok(Val::Number(upper));
            }
            halves(number::add(numbers[middle - 1], upper)?, Decimal::TWO)
        }
        _ => {
            let mut counts = BTreeMap::new();
            for one in numbers {
                *counts.entry(one).or_insert(0_usize) += 1;
            }
            let most = counts.into_iter().max_by_key(|&(_, count)| count);
            most.map(|(value, _)| Val::Number(value)).ok_or_else(none)
        }
    }
}

fn extreme<'s>(env: &mut Env<'s>, function: F, list: &Val<'s>) -> Result<Val<'s>, ValueError> {
    let mut all = items(env, function, list)?.into_iter();
    let mut best = all.next().ok_or_else(|| ValueError::new(format!("`{function}` of an empty list")))?;
    if !matches!(best, Val::Number(_) | Val::Date(_)) {
        return Err(unfit(function, &best));
    }
    for one in all {
        let order = order(&one, &best, env.timezone)?;
        if (function == F::Min && order.is_lt()) || (function == F::Max && order.is_gt()) {
            best = one;
        }
    }
    Ok(best)
}

fn flatten<'s>(env: &mut Env<'s>, list: &Val<'s>) -> Result<Val<'s>, ValueError> {
    let mut flat = Vec::new();
    for item in items(env, F::Flatten, list)? {
        if item.length().is_some() {
            flat.extend(items(env, F::Flatten, &item)?);
        } else {
            flat.push(item);
        }
    }
    Ok(Val::list(flat))
}

fn merge<'s>(env: &mut Env<'s>, list: &Val<'s>, deep: bool) -> Result<Val<'s>, ValueError> {
    let function = if deep { F::MergeDeep } else { F::Merge };
    let parts: Vec<_> = items(env, function, list)?.into_iter().filter(|part| !matches!(part, Val::Null)).collect();
    if !deep && parts.first().is_some_and(|first| first.length().is_some()) {
        let mut merged = Vec::new();
        for part in &parts {
            merged.extend(items(env, function, part)?);
        }
        return Ok(Val::list(merged));
    }
    let mut merged = Val::Object(Rc::new(Vec::new()));
    for part in parts {
        if part.fields()?.is_none() {
            return Err(unfit(function, &part));
        }
        merged = merge_two(env, &merged, &part, deep, 0)?;
    }
    Ok(merged)
}

/// Fields of `over` win; deep merging joins objects and lists of one name.
fn merge_two<'s>(
    env: &mut Env<'s>,
    under: &Val<'s>,
    over: &Val<'s>,
    deep: bool,
    level: usize,
) -> Result<Val<'s>, ValueError> {
    if level > 64 {
        return Err(ValueError::new("`mergeDeep` of objects more than 64 deep"));
    }
    let (Some(mut fields), Some(news)) = (under.fields()?, over.fields()?) else {
        if let (true, Some(_), Some(_)) = (deep, under.length(), over.length()) {
            let mut all = items(env, F::MergeDeep, under)?;
            all.extend(items(env, F::MergeDeep, over)?);
            return Ok(Val::list(all));
        }
        return Ok(over.clone());
    };
    for (key, value) in news {
        env.spend(1 + fields.len() / 8)?;
        match fields.iter().position(|(name, _)| *name == key) {
            Some(place) if deep => fields[place].1 = merge_two(env, &fields[place].1.clone(), &value, deep, level + 1)?,
            Some(place) => fields[place].1 = value,
            None => fields.push((key, value)),
        }
    }
    Ok(Val::Object(Rc::new(fields)))
}

fn pattern<'s>(
    env: &mut Env<'s>,
    function: F,
    matched: &Val<'s>,
    rest: &[Val<'s>],
) -> Result<regex_lite::Regex, ValueError> {
    let source = text(function, second(function, rest)?)?;
    let bytes = text(function, matched)?.len();
    if source.len() > PATTERN_BYTES_MAX || bytes > MATCHED_BYTES_MAX {
        return Err(ValueError::new(format!(
            "`{function}` takes patterns of {PATTERN_BYTES_MAX} bytes and texts of {MATCHED_BYTES_MAX}"
        )));
    }
    // The work is the product of both, at worst; 100 covers the pattern's compilation.
    env.spend(100 + source.len() * (bytes + 16))?;
    regex_lite::RegexBuilder::new(source)
        .size_limit(256 * 1024)
        .nest_limit(32)
        .build()
        .map_err(|error| ValueError::new(format!("`{source}` is no regular expression: {error}")))
}

/// What `string` makes of a scalar.
pub(super) fn as_text<'s>(value: &Val<'s>) -> Result<Cow<'s, str>, ValueError> {
    Ok(match value {
        Val::Null => Cow::Borrowed("null"),
        Val::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        Val::Number(value) => Cow::Owned(value.to_string()),
        Val::Text(text) => text.clone(),
        Val::Date(date) => Cow::Owned(date.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        _ => return Err(unfit(F::String, value)),
    })
}

/// Numbers and dates have an order; a text beside a date is read as one.
pub(super) fn order(left: &Val<'_>, right: &Val<'_>, zone: Tz) -> Result<Ordering, ValueError> {
    let unordered = || ValueError::new(format!("cannot compare {} with {}", left.kind(), right.kind()));
    match (left, right) {
        (Val::Number(left), Val::Number(right)) => Ok(left.cmp(right)),
        (Val::Date(left), Val::Date(right)) => Ok(left.cmp(right)),
        (Val::Date(date), Val::Text(text)) => {
            dates::read(text, zone).map(|other| date.cmp(&other)).ok_or_else(unordered)
        }
        (Val::Text(text), Val::Date(date)) => {
            dates::read(text, zone).map(|other| other.cmp(date)).ok_or_else(unordered)
        }
        _ => Err(unordered()),
    }
}
