//! A value while an expression is computed: borrowed from the scope where it can be.
//!
//! Not here: what operators do with values (`eval`, `functions`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{Place, ValueError, number};
use crate::value::{Held, Measure};

pub(super) type Fields<'a> = Vec<(Cow<'a, str>, Val<'a>)>;

#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(Cow<'a, str>),
    /// A list or an object of the scope or of the expression.
    Json(&'a Value),
    Named(&'a BTreeMap<Arc<str>, Held>),
    List(Rc<Vec<Val<'a>>>),
    Object(Rc<Vec<(Cow<'a, str>, Val<'a>)>>),
    Date(DateTime<Tz>),
}

impl<'a> Val<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Self, ValueError> {
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(value) => Self::Number(number::from_json(value)?),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(_) | Value::Object(_) => Self::Json(value),
        })
    }

    pub(super) fn at(place: Place<'a>) -> Result<Self, ValueError> {
        match place {
            Place::Value(value) => Self::of(value),
            Place::Named(map) => Ok(Self::Named(map)),
            Place::Letter(letter) => Ok(Self::Text(Cow::Borrowed(letter))),
            Place::Nothing => Ok(Self::Null),
        }
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }

    pub(super) fn list(values: Vec<Self>) -> Self {
        Self::List(Rc::new(values))
    }

    /// For messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Json(Value::Array(_)) | Self::List(_) => "array",
            Self::Json(_) | Self::Named(_) | Self::Object(_) => "object",
            Self::Date(_) => "date",
        }
    }

    /// How many items a list has; `None` for what is no list.
    pub(super) fn length(&self) -> Option<usize> {
        match self {
            Self::Json(Value::Array(list)) => Some(list.len()),
            Self::List(list) => Some(list.len()),
            _ => None,
        }
    }

    /// The item at `index` of a list; null beyond its end.
    pub(super) fn item(&self, index: usize) -> Result<Self, ValueError> {
        match self {
            Self::Json(Value::Array(list)) => list.get(index).map_or(Ok(Self::Null), Self::of),
            Self::List(list) => Ok(list.get(index).cloned().unwrap_or(Self::Null)),
            _ => Ok(Self::Null),
        }
    }

    /// The field of an object; null where there is none.
    pub(super) fn field(&self, key: &str) -> Result<Self, ValueError> {
        match self {
            Self::Json(Value::Object(map)) => map.get(key).map_or(Ok(Self::Null), Self::of),
            Self::Named(map) => map.get(key).map_or(Ok(Self::Null), |held| Self::of(&held.value)),
            Self::Object(fields) => {
                // The last of two fields with one name stands, as in JSON.
                let found = fields.iter().rev().find(|(name, _)| name == key);
                Ok(found.map_or(Self::Null, |(_, value)| value.clone()))
            }
            _ => Ok(Self::Null),
        }
    }

    /// An object's fields, sorted by name: objects have no order, whoever made them.
    pub(super) fn fields(&self) -> Result<Option<Fields<'a>>, ValueError> {
        let mut fields: Fields<'a> = match self {
            Self::Json(Value::Object(map)) => {
                let pairs = map.iter().map(|(key, value)| Ok((Cow::Borrowed(key.as_str()), Self::of(value)?)));
                pairs.collect::<Result<_, ValueError>>()?
            }
            Self::Named(map) => {
                let pairs = map.iter().map(|(key, held)| Ok((Cow::Borrowed(&**key), Self::of(&held.value)?)));
                pairs.collect::<Result<_, ValueError>>()?
            }
            Self::Object(fields) => fields.as_ref().clone(),
            _ => return Ok(None),
        };
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Some(fields))
    }

    /// The value as JSON, standing `depth` levels deep in what `measure` counts.
    pub(super) fn into_value(self, measure: &mut Measure, depth: usize) -> Result<Value, ValueError> {
        Ok(match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Date(_) => {
                let value = self.into_scalar()?;
                measure.value(&value, depth)?;
                value
            }
            Self::Json(value) => {
                measure.value(value, depth)?;
                value.clone()
            }
            Self::Named(map) => {
                measure.level(depth)?;
                for (key, held) in map {
                    measure.text(key)?;
                    measure.value(&held.value, depth + 1)?;
                }
                Value::Object(map.iter().map(|(key, held)| (key.to_string(), (*held.value).clone())).collect())
            }
            Self::List(list) => {
                measure.level(depth)?;
                measure.bytes(2 + list.len())?;
                let list = Rc::try_unwrap(list).unwrap_or_else(|shared| shared.as_ref().clone());
                let list = list.into_iter().map(|item| item.into_value(measure, depth + 1));
                Value::Array(list.collect::<Result<_, _>>()?)
            }
            Self::Object(fields) => {
                measure.level(depth)?;
                let fields = Rc::try_unwrap(fields).unwrap_or_else(|shared| shared.as_ref().clone());
                let fields = fields.into_iter().map(|(key, value)| {
                    measure.text(&key)?;
                    Ok((key.into_owned(), value.into_value(measure, depth + 1)?))
                });
                Value::Object(fields.collect::<Result<Map<_, _>, ValueError>>()?)
            }
        })
    }

    fn into_scalar(self) -> Result<Value, ValueError> {
        Ok(match self {
            Self::Bool(value) => Value::Bool(value),
            Self::Number(value) => number::to_json(value)?,
            Self::Text(text) => Value::String(text.into_owned()),
            Self::Date(date) => Value::String(date.to_rfc3339_opts(SecondsFormat::Secs, true)),
            Self::Null | Self::Json(_) | Self::Named(_) | Self::List(_) | Self::Object(_) => Value::Null,
        })
    }
}
