//! Numbers between JSON and decimals: exact or refused. Money must not round on its way.
//!
//! Not here: rounding a person asks for (`functions`) and division, which keeps 28 digits.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Number, Value};

use super::ValueError;

pub(super) fn from_json(number: &Number) -> Result<Decimal, ValueError> {
    if let Some(whole) = number.as_i64() {
        return Ok(Decimal::from(whole));
    }
    if let Some(whole) = number.as_u64() {
        return Ok(Decimal::from(whole));
    }
    parse(&number.to_string())
}

/// Reads a number's text, all digits or none.
pub(super) fn parse(text: &str) -> Result<Decimal, ValueError> {
    Decimal::from_str_exact(text)
        .or_else(|_| Decimal::from_scientific(text))
        .map_err(|_| ValueError::new(format!("{text} is no number of at most 28 digits")))
}

/// Whole numbers stay whole; fractions become the nearest double.
pub(super) fn to_json(value: Decimal) -> Result<Value, ValueError> {
    let value = value.normalize();
    if value.scale() == 0 {
        return match (value.to_i64(), value.to_u64()) {
            (Some(whole), _) => Ok(Value::from(whole)),
            (None, Some(whole)) => Ok(Value::from(whole)),
            (None, None) => Err(ValueError::new(format!("{value} is beyond 64 bits: use string(…)"))),
        };
    }
    value
        .to_f64()
        .and_then(Number::from_f64)
        .map(Value::Number)
        .ok_or_else(|| ValueError::new(format!("{value} is out of range")))
}

pub(super) fn add(left: Decimal, right: Decimal) -> Result<Decimal, ValueError> {
    exactly(left, right, '+', Decimal::checked_add, |left, right| left.scale().max(right.scale()))
}

pub(super) fn subtract(left: Decimal, right: Decimal) -> Result<Decimal, ValueError> {
    exactly(left, right, '-', Decimal::checked_sub, |left, right| left.scale().max(right.scale()))
}

pub(super) fn multiply(left: Decimal, right: Decimal) -> Result<Decimal, ValueError> {
    if left.is_zero() || right.is_zero() {
        return Ok(Decimal::ZERO);
    }
    exactly(left, right, '*', Decimal::checked_mul, |left, right| left.scale() + right.scale())
}

/// A result that lost digits has fewer decimal places than it should have.
fn exactly(
    left: Decimal,
    right: Decimal,
    sign: char,
    compute: impl Fn(Decimal, Decimal) -> Option<Decimal>,
    places: impl Fn(Decimal, Decimal) -> u32,
) -> Result<Decimal, ValueError> {
    if let Some(result) = compute(left, right).filter(|result| result.scale() >= places(left, right)) {
        return Ok(result);
    }
    // Zeros at the end may have been all that was lost.
    let (left, right) = (left.normalize(), right.normalize());
    let exact = compute(left, right).filter(|result| result.scale() >= places(left, right));
    exact.ok_or_else(|| too_long(left, sign, right))
}

/// Whole powers up to 256; a negative one divides.
pub(super) fn power(base: Decimal, exponent: Decimal) -> Result<Decimal, ValueError> {
    let whole = exponent.normalize();
    let times = Some(whole).filter(|one| one.scale() == 0).and_then(|one| one.abs().to_u32()).filter(|&one| one <= 256);
    let Some(times) = times else {
        return Err(ValueError::new(format!("{base} ^ {exponent}: an exponent is a whole number up to 256")));
    };
    let mut product = Decimal::ONE;
    for _ in 0..times {
        product = multiply(product, base)?;
    }
    if whole.is_sign_negative() {
        return Decimal::ONE.checked_div(product).ok_or_else(|| too_long(base, '^', exponent));
    }
    Ok(product)
}

fn too_long(left: Decimal, sign: char, right: Decimal) -> ValueError {
    ValueError::new(format!("{left} {sign} {right} does not fit 28 digits"))
}
