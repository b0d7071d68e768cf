//! What a document says of its instances as wholes: the business key, whether it is unique, the priority, and how
//! long they are kept.

use serde_json::Value;

use super::super::document::UniqueDocument;
use super::super::{Unique, duration};
use super::{Checker, Sees};
use crate::expr::Expr;
use crate::problem::Problem;

#[derive(Default)]
pub(super) struct Starts {
    pub(super) business_key: Option<Expr>,
    pub(super) unique: Option<Unique>,
    pub(super) priority: Option<Expr>,
    pub(super) retention_ms: Option<u64>,
}

/// Shorter, and an instance could be gone before its caller has read what came of it.
const RETENTION_MS_MIN: u64 = 1_000;

pub(super) fn no_priority(value: &Value, pointer: &str) -> Problem {
    let problem = Problem::error("PRIORITY", pointer, format!("{value} is no priority"));
    problem.fix("use a whole number, or an expression such as =input.rush ? -10 : 0")
}

impl Checker<'_> {
    pub(super) fn starts(&mut self) -> Starts {
        let text = self.reader.field::<String>("businessKey");
        let business_key = text.and_then(|text| self.expression(&text, "/businessKey", None, Sees::Input));
        let unique = self.reader.field::<UniqueDocument>("businessKeyUnique").map(|unique| match unique {
            UniqueDocument::Running => Unique::Running,
            UniqueDocument::Always => Unique::Always,
        });
        let retention = self.reader.field::<String>("retention");
        let retention_ms =
            self.duration(retention.as_deref(), "/retention", RETENTION_MS_MIN..=duration::DURATION_MS_MAX, None);
        Starts { business_key, unique, priority: self.priority(), retention_ms }
    }

    /// A whole number, or an expression that gives one.
    fn priority(&mut self) -> Option<Expr> {
        const AT: &str = "/priority";
        match self.reader.raw("priority")? {
            Value::String(text) if text.starts_with('=') => self.expression(text, AT, None, Sees::Input),
            Value::Number(number) if number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) => {
                Some(Expr::literal(Value::Number(number.clone())))
            }
            other => {
                self.problem(no_priority(other, AT));
                None
            }
        }
    }
}
