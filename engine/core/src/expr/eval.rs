//! Computes a tree's value. Every step is counted, so no expression works without end.
//!
//! Where ZEN computes something else on purpose: nothing is rounded without being asked, but for
//! division; lists beyond the limits are refused; lists and objects are equal when their contents are.
//!
//! Not here: the functions (`functions`), dates (`dates`).

use std::borrow::Cow;
use std::rc::Rc;

use chrono_tz::Tz;
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value;
use zen_expression::functions::{ClosureFunction, DateMethod, InternalFunction};

use super::tree::{Binary, Interval, Node};
use super::val::Val;
use super::{Scope, ValueError, dates, functions, number};

/// Longest list a closure goes through.
const CLOSURE_ITEMS_MAX: usize = 10_000;
/// Longest list a closure inside another goes through.
const NESTED_CLOSURE_ITEMS_MAX: usize = 1_000;
/// Most steps of one evaluation: some tenths of a second.
const STEPS_MAX: u64 = 5_000_000;
/// Most bytes of text one evaluation makes.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// One evaluation.
pub(super) struct Env<'s> {
    scope: Scope<'s>,
    pub(super) timezone: Tz,
    dollar: Option<Val<'s>>,
    items: Vec<Val<'s>>,
    steps: u64,
    text_bytes: usize,
}

impl<'s> Env<'s> {
    pub(super) fn new(scope: &Scope<'s>, timezone: Tz) -> Self {
        Self { scope: *scope, timezone, dollar: None, items: Vec::new(), steps: 0, text_bytes: 0 }
    }

    pub(super) fn with_dollar(mut self, value: Val<'s>) -> Self {
        self.dollar = Some(value);
        self
    }

    /// Counts work that one call does in bulk.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), ValueError> {
        self.steps += steps as u64;
        if self.steps > STEPS_MAX {
            return Err(ValueError::new(format!("more than {STEPS_MAX} steps of work")));
        }
        Ok(())
    }

    pub(super) fn made_text(&mut self, bytes: usize) -> Result<(), ValueError> {
        self.text_bytes += bytes;
        if self.text_bytes > TEXT_BYTES_MAX {
            return Err(ValueError::new(format!("more than {TEXT_BYTES_MAX} bytes of text")));
        }
        self.spend(bytes / 64)
    }

    pub(super) fn truth(&mut self, node: &'s Node, what: &str) -> Result<bool, ValueError> {
        match self.eval(node)? {
            Val::Bool(value) => Ok(value),
            other => Err(ValueError::new(format!("`{what}` is {}, not true or false", other.kind()))),
        }
    }

    pub(super) fn eval(&mut self, node: &'s Node) -> Result<Val<'s>, ValueError> {
        self.spend(1)?;
        match node {
            Node::Literal(value) => Val::of(value),
            Node::Number(value) => Ok(Val::Number(*value)),
            Node::Path { root, steps } => Val::at(self.scope.walk(root, steps)),
            Node::Item { depth } => {
                let place = self.items.len().checked_sub(1 + depth);
                place
                    .map(|place| self.items[place].clone())
                    .ok_or_else(|| ValueError::new("`#` stands in closures only"))
            }
            Node::Dollar => self.dollar.clone().ok_or_else(|| ValueError::new("`$` stands in table cells only")),
            Node::Array(parts) => {
                Ok(Val::list(parts.iter().map(|part| self.eval(part)).collect::<Result<Vec<_>, _>>()?))
            }
            Node::Object(entries) => self.object(entries),
            Node::Text(parts) => self.text(parts),
            Node::Member { of, key } => {
                let of = self.eval(of)?;
                let key = self.eval(key)?;
                member(&of, &key)
            }
            Node::Slice { of, from, to } => self.slice(of, from.as_deref(), to.as_deref()),
            Node::Not(inner) => Ok(Val::Bool(!self.side(inner, "not")?)),
            Node::Negate(inner) => match self.eval(inner)? {
                Val::Number(value) => Ok(Val::Number(-value)),
                other => Err(ValueError::new(format!("cannot negate {}", other.kind()))),
            },
            Node::And(_) | Node::Or(_) | Node::Otherwise(_) | Node::Binary { .. } => self.chain(node),
            Node::If(parts) => {
                let holds = self.side(&parts.0, "?")?;
                self.eval(if holds { &parts.1 } else { &parts.2 })
            }
            Node::In { item, list, negated } => {
                let item = self.eval(item)?;
                let list = self.eval(list)?;
                Ok(Val::Bool(self.contains(&list, &item)? != *negated))
            }
            Node::Between { item, ends, interval, negated } => {
                let item = self.eval(item)?;
                let (left, right) = (self.eval(&ends.0)?, self.eval(&ends.1)?);
                Ok(Val::Bool(between(&item, &left, &right, *interval, self.timezone)? != *negated))
            }
            Node::Call { function, arguments } => {
                let arguments = arguments.iter().map(|one| self.eval(one)).collect::<Result<Vec<_>, _>>()?;
                functions::call(self, *function, &arguments)
            }
            Node::DateCall { method: DateMethod::IsValid, arguments } => self.is_valid_date(arguments),
            Node::DateCall { method, arguments } => {
                let arguments = arguments.iter().map(|one| self.eval(one)).collect::<Result<Vec<_>, _>>()?;
                dates::call(*method, &arguments, self.timezone)
            }
            Node::Closure { function, list, body } => self.closure(*function, list, body),
        }
    }

    /// `d(…).isValid()` asks whether `d(…)` has a value at all.
    fn is_valid_date(&mut self, arguments: &'s [Node]) -> Result<Val<'s>, ValueError> {
        let [Node::Call { function: InternalFunction::Date, arguments }] = arguments else {
            let dates = arguments.iter().map(|one| self.eval(one)).collect::<Result<Vec<_>, _>>()?;
            return dates::call(DateMethod::IsValid, &dates, self.timezone);
        };
        let arguments = arguments.iter().map(|one| self.eval(one)).collect::<Result<Vec<_>, _>>()?;
        Ok(Val::Bool(functions::call(self, InternalFunction::Date, &arguments).is_ok()))
    }

    fn side(&mut self, node: &'s Node, operator: &str) -> Result<bool, ValueError> {
        truth_of(&self.eval(node)?, operator)
    }

    /// A chain such as `a + b + c` leans to the left and may be long: it is computed in a loop.
    fn chain(&mut self, node: &'s Node) -> Result<Val<'s>, ValueError> {
        let mut links = Vec::new();
        let (mut link, mut value) = (node, None);
        while value.is_none() {
            match link {
                Node::And(sides) | Node::Or(sides) | Node::Otherwise(sides) | Node::Binary { sides, .. } => {
                    links.push(link);
                    link = &sides.0;
                }
                first => value = Some(self.eval(first)?),
            }
        }
        let mut value = value.unwrap_or(Val::Null);
        while let Some(link) = links.pop() {
            value = self.link(link, value)?;
        }
        Ok(value)
    }

    /// One operator, whose left side is computed. The right side of `and`, `or` and `??` may be left alone.
    fn link(&mut self, node: &'s Node, left: Val<'s>) -> Result<Val<'s>, ValueError> {
        match node {
            Node::And(sides) => Ok(Val::Bool(truth_of(&left, "and")? && self.side(&sides.1, "and")?)),
            Node::Or(sides) => Ok(Val::Bool(truth_of(&left, "or")? || self.side(&sides.1, "or")?)),
            Node::Otherwise(sides) => match left {
                Val::Null => self.eval(&sides.1),
                value => Ok(value),
            },
            Node::Binary { operator, sides } => {
                let right = self.eval(&sides.1)?;
                self.binary(*operator, left, right)
            }
            other => self.eval(other),
        }
    }

    fn object(&mut self, entries: &'s [(Node, Node)]) -> Result<Val<'s>, ValueError> {
        let mut fields = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = self.eval(key)?;
            fields.push((functions::as_text(&key)?, self.eval(value)?));
        }
        Ok(Val::Object(Rc::new(fields)))
    }

    fn text(&mut self, parts: &'s [Node]) -> Result<Val<'s>, ValueError> {
        let mut whole = String::new();
        for part in parts {
            let part = self.eval(part)?;
            let text = functions::as_text(&part)?;
            self.made_text(text.len())?;
            whole.push_str(&text);
        }
        Ok(Val::text(whole))
    }

    fn slice(&mut self, of: &'s Node, from: Option<&'s Node>, to: Option<&'s Node>) -> Result<Val<'s>, ValueError> {
        let of = self.eval(of)?;
        let length = match &of {
            Val::Text(text) => text.len(),
            other => other.length().ok_or_else(|| ValueError::new(format!("cannot cut {}", other.kind())))?,
        };
        let mut end = |node: Option<&'s Node>, otherwise: usize| match node.map(|node| self.eval(node)).transpose()? {
            None => Ok(otherwise),
            Some(Val::Number(value)) => {
                value.to_usize().ok_or_else(|| ValueError::new(format!("{value} is no place in a list")))
            }
            Some(other) => Err(ValueError::new(format!("{} is no place in a list", other.kind()))),
        };
        let (from, to) = (end(from, 0)?, end(to, length.saturating_sub(1))?);
        let out = || ValueError::new(format!("{from}:{to} is outside of {length}"));
        match &of {
            Val::Text(text) => Ok(Val::text(text.get(from..to.saturating_add(1)).ok_or_else(out)?)),
            list if to < length && from <= to => {
                self.spend(to - from)?;
                Ok(Val::list((from..=to).map(|index| list.item(index)).collect::<Result<_, _>>()?))
            }
            _ => Err(out()),
        }
    }

    fn binary(&mut self, operator: Binary, left: Val<'s>, right: Val<'s>) -> Result<Val<'s>, ValueError> {
        if let (Binary::Equal | Binary::NotEqual, left, right) = (operator, &left, &right) {
            return Ok(Val::Bool(self.equal(left, right)? == (operator == Binary::Equal)));
        }
        if let Binary::Less | Binary::LessOrEqual | Binary::More | Binary::MoreOrEqual = operator {
            let order = functions::order(&left, &right, self.timezone)?;
            return Ok(Val::Bool(match operator {
                Binary::Less => order.is_lt(),
                Binary::LessOrEqual => order.is_le(),
                Binary::More => order.is_gt(),
                _ => order.is_ge(),
            }));
        }
        match (operator, left, right) {
            (Binary::Add, Val::Text(left), Val::Text(right)) => {
                self.made_text(left.len() + right.len())?;
                Ok(Val::Text(Cow::Owned(left.into_owned() + &right)))
            }
            (Binary::Add, left @ Val::Text(_), right @ Val::Date(_))
            | (Binary::Add, left @ Val::Date(_), right @ Val::Text(_)) => {
                Ok(Val::Text(functions::as_text(&left)? + functions::as_text(&right)?))
            }
            (_, Val::Number(left), Val::Number(right)) => Ok(match operator {
                Binary::Add => Val::Number(number::add(left, right)?),
                Binary::Subtract => Val::Number(number::subtract(left, right)?),
                Binary::Multiply => Val::Number(number::multiply(left, right)?),
                // As in ZEN, nothing is the answer to a division by zero.
                Binary::Divide => left.checked_div(right).map_or(Val::Null, Val::Number),
                Binary::Modulo => left.checked_rem(right).map_or(Val::Null, Val::Number),
                _ => Val::Number(number::power(left, right)?),
            }),
            (_, left, right) => {
                let sign = match operator {
                    Binary::Add => '+',
                    Binary::Subtract => '-',
                    Binary::Multiply => '*',
                    Binary::Divide => '/',
                    Binary::Modulo => '%',
                    _ => '^',
                };
                Err(ValueError::new(format!("cannot compute {} {sign} {}", left.kind(), right.kind())))
            }
        }
    }

    pub(super) fn equal(&mut self, left: &Val<'s>, right: &Val<'s>) -> Result<bool, ValueError> {
        self.spend(1)?;
        Ok(match (left, right) {
            (Val::Null, Val::Null) => true,
            (Val::Bool(left), Val::Bool(right)) => left == right,
            (Val::Number(left), Val::Number(right)) => left == right,
            (Val::Text(left), Val::Text(right)) => left == right,
            (Val::Date(date), Val::Date(other)) => date == other,
            (Val::Date(date), Val::Text(text)) | (Val::Text(text), Val::Date(date)) => {
                dates::read(text, self.timezone).is_some_and(|other| other == *date)
            }
            (left, right) => match (left.length(), right.length()) {
                (Some(length), Some(other)) => {
                    if length != other {
                        return Ok(false);
                    }
                    for index in 0..length {
                        if !self.equal(&left.item(index)?, &right.item(index)?)? {
                            return Ok(false);
                        }
                    }
                    true
                }
                (None, None) => match (left.fields()?, right.fields()?) {
                    (Some(fields), Some(others)) if fields.len() == others.len() => {
                        for (key, value) in &fields {
                            if !others.iter().any(|(other, _)| other == key)
                                || !self.equal(value, &right.field(key)?)?
                            {
                                return Ok(false);
                            }
                        }
                        true
                    }
                    _ => false,
                },
                _ => false,
            },
        })
    }

    pub(super) fn contains(&mut self, list: &Val<'s>, item: &Val<'s>) -> Result<bool, ValueError> {
        match (list, item) {
            (Val::Text(whole), Val::Text(part)) => Ok(whole.contains(&**part)),
            (Val::Json(Value::Object(map)), Val::Text(key)) => Ok(map.contains_key(&**key)),
            (Val::Named(map), Val::Text(key)) => Ok(map.contains_key(&**key)),
            (Val::Object(fields), Val::Text(key)) => Ok(fields.iter().any(|(name, _)| name == key)),
            (list, item) => {
                let Some(length) = list.length() else {
                    return Err(ValueError::new(format!("{} holds no {}", list.kind(), item.kind())));
                };
                for index in 0..length {
                    if self.equal(&list.item(index)?, item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    fn closure(&mut self, function: ClosureFunction, list: &'s Node, body: &'s Node) -> Result<Val<'s>, ValueError> {
        let list = self.eval(list)?;
        let Some(length) = list.length() else {
            return Err(ValueError::new(format!("`{function}` needs a list, not {}", list.kind())));
        };
        let most = if self.items.is_empty() { CLOSURE_ITEMS_MAX } else { NESTED_CLOSURE_ITEMS_MAX };
        if length > most {
            return Err(ValueError::new(format!(
                "`{function}` over {length} items; at most {most} are gone through here"
            )));
        }
        let mut kept = Vec::new();
        let mut held = 0;
        for index in 0..length {
            let item = list.item(index)?;
            self.items.push(item);
            let value = self.eval(body);
            let item = self.items.pop().unwrap_or(Val::Null);
            let value = value?;
            match function {
                ClosureFunction::Map => kept.push(value),
                ClosureFunction::FlatMap => match value.length() {
                    Some(inner) => {
                        self.spend(inner)?;
                        for index in 0..inner {
                            kept.push(value.item(index)?);
                        }
                    }
                    None => kept.push(value),
                },
                _ => {
                    let Val::Bool(holds) = value else {
                        return Err(ValueError::new(format!("`{function}` needs true or false, not {}", value.kind())));
                    };
                    held += usize::from(holds);
                    match function {
                        ClosureFunction::All if !holds => return Ok(Val::Bool(false)),
                        ClosureFunction::None if holds => return Ok(Val::Bool(false)),
                        ClosureFunction::Some if holds => return Ok(Val::Bool(true)),
                        ClosureFunction::Filter if holds => kept.push(item),
                        _ => {}
                    }
                }
            }
        }
        Ok(match function {
            ClosureFunction::Map | ClosureFunction::FlatMap | ClosureFunction::Filter => Val::list(kept),
            ClosureFunction::All | ClosureFunction::None => Val::Bool(true),
            ClosureFunction::Some => Val::Bool(false),
            ClosureFunction::One => Val::Bool(held == 1),
            ClosureFunction::Count => Val::Number(held.into()),
        })
    }
}

fn truth_of(value: &Val<'_>, operator: &str) -> Result<bool, ValueError> {
    match value {
        Val::Bool(value) => Ok(*value),
        other => Err(ValueError::new(format!("`{operator}` needs true or false, not {}", other.kind()))),
    }
}

fn member<'s>(of: &Val<'s>, key: &Val<'s>) -> Result<Val<'s>, ValueError> {
    match (of, key) {
        (Val::Text(text), Val::Number(index)) => {
            let index = index.to_usize();
            let letter = index.and_then(|index| text.get(index..index.checked_add(1)?));
            Ok(letter.map_or(Val::Null, Val::text))
        }
        (list, Val::Number(index)) => match index.to_usize() {
            Some(index) => list.item(index),
            None => Err(ValueError::new(format!("{index} is no place in a list"))),
        },
        (of, Val::Text(key)) => of.field(key),
        _ => Ok(Val::Null),
    }
}

fn between(item: &Val<'_>, left: &Val<'_>, right: &Val<'_>, interval: Interval, zone: Tz) -> Result<bool, ValueError> {
    let (low, high) = (functions::order(left, item, zone)?, functions::order(item, right, zone)?);
    if interval.outside {
        // `]1..5[`: at or beyond the ends, whichever way the brackets face.
        let below = if interval.left_closed { low.is_ge() } else { low.is_gt() };
        let above = if interval.right_closed { high.is_ge() } else { high.is_gt() };
        return Ok(below || above);
    }
    let from = if interval.left_closed { low.is_le() } else { low.is_lt() };
    let to = if interval.right_closed { high.is_le() } else { high.is_lt() };
    Ok(from && to)
}
