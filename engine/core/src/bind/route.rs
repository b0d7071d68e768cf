//! A route in the form that chooses.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Skipped;
use super::binding::{Target, holds};
use crate::expr::{Expr, Root, Scope, Template};
use crate::table::Published;

/// Which flow a path starts.
#[derive(Debug, Clone)]
pub struct Route {
    /// Anyone who reaches the port may ask.
    pub open: bool,
    /// How long the caller is kept before it gets a 202.
    pub wait_ms: u64,
    pub resolve: Option<Resolve>,
    pub(super) rules: Vec<Way>,
    pub(super) named: Vec<(Arc<str>, Option<u32>)>,
}

#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) when: Option<Expr>,
    pub(super) to: Destination,
}

/// A table that is asked before the rules.
#[derive(Debug, Clone)]
pub struct Resolve {
    pub table: Arc<str>,
    into: Arc<str>,
    with: Option<Template>,
}

impl Resolve {
    pub(super) fn new(table: &str, into: &str, with: Option<Template>) -> Self {
        Self { table: table.into(), into: into.into(), with }
    }

    /// What the table has said of a body.
    pub fn answer_in<'v>(&self, input: &'v Value) -> Option<&'v Value> {
        input.get(&*self.into)
    }

    /// The body with the table's answer in it: null where no rule of the table hit.
    ///
    /// # Errors
    ///
    /// Why the table has no answer for this body.
    pub fn ask(&self, table: &Published, version: u32, mut input: Value) -> Result<Value, String> {
        let scope = Scope { roots: &[("input", Root::Value(&input))] };
        let asked = match &self.with {
            Some(with) => with.eval(&scope).map_err(|error| error.message)?,
            None => json!({ "input": input }),
        };
        if let Some(misfit) = table.misfits(&asked).into_iter().next() {
            return Err(format!("table {}: {}: {}", self.table, misfit.pointer, misfit.message));
        }
        let mut answer = table.ask(&asked).map_err(|error| format!("table {}: {}", self.table, error.message))?.output;
        if let Value::Object(answer) = &mut answer {
            answer.insert("table".to_owned(), Value::from(format!("{}@{version}", self.table)));
        }
        let Value::Object(fields) = &mut input else { return Err("the body is no object".to_owned()) };
        fields.insert(self.into.to_string(), answer);
        Ok(input)
    }
}

/// Where a rule leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub rule: Arc<str>,
    pub flow: Arc<str>,
    /// Where the rule names one; the flow's binding chooses otherwise.
    pub version: Option<Target>,
}

/// What a route makes of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteChoice {
    pub chosen: Option<Destination>,
    pub skipped: Vec<Skipped>,
}

impl Route {
    pub fn choose(&self, input: &Value) -> RouteChoice {
        let mut skipped = Vec::new();
        for rule in &self.rules {
            match rule.when.as_ref().map_or(Ok(true), |when| holds(when, input)) {
                Ok(true) => {
                    return RouteChoice { chosen: Some(rule.to.clone()), skipped };
                }
                Ok(false) => {}
                Err(message) => skipped.push(Skipped { rule: rule.to.rule.clone(), message }),
            }
        }
        RouteChoice { chosen: None, skipped }
    }

    /// Every (flow, version) it names, switched on or not; no version where the flow's binding chooses.
    pub fn named(&self) -> &[(Arc<str>, Option<u32>)] {
        &self.named
    }
}
