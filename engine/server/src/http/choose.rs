//! What a start runs and is called: which version, which business key, which priority.
//!
//! Invariants:
//! - A version that the caller or a route names wins; otherwise the flow's binding chooses, and without
//!   one the newest version is it.
//! - Nothing is read from the store here: versions are compiled once, and the rest is in the table.
//!
//! Not here: what the rules mean (`core::bind`), and whether the version still stands at the commit (`store`).

use std::sync::Arc;

use serde_json::Value;
use stepwell_core::bind::{Asked, Binding, Choice, Target};
use stepwell_core::expr::{Expr, Root, Scope};
use stepwell_core::flow::Flow;
use stepwell_core::problem::Problem;

use super::App;
use super::problem::{Answer, Code, Refusal};
use crate::table::Known;

const BUSINESS_KEY_CHARS_MAX: usize = 256;

/// Which version was asked for.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    /// None: the flow's binding chooses.
    Any,
    /// By the caller.
    Version(u32),
    /// By this rule of a route.
    Route(Arc<str>, Target),
}

impl Wish {
    /// The version, and what chose it where the caller alone did not.
    pub(super) async fn choose(
        &self,
        app: &App,
        known: &Known,
        business_key: Option<&str>,
        input: &Value,
    ) -> Answer<(u32, Option<Arc<str>>)> {
        match (self, &known.binding) {
            (Self::Version(version), binding) => Ok((*version, binding.as_ref().map(|_| "asked".into()))),
            (Self::Route(rule, Target::Version(version)), _) => Ok((*version, Some(format!("route/{rule}").into()))),
            (Self::Route(rule, Target::Gone), _) => {
                let message = format!("rule {rule} of the route names a version that {} no longer has", known.key);
                Err(Refusal::say(Code::VersionNotFound, message))
            }
            (Self::Any, None) => Ok((known.newest, None)),
            (Self::Any, Some(binding)) => {
                let choice = bound(app, known, binding, business_key, input).await?.0;
                let (by, version) = choice.chosen.ok_or_else(|| Refusal::new(Code::VersionsOff))?;
                Ok((version, Some(by.to_string().into())))
            }
        }
    }
}

/// What a binding chooses, and the business key it went by. Where the caller gives none, the newest
/// version's expression makes it; where there is none at all, chance decides a split.
pub(super) async fn bound(
    app: &App,
    known: &Known,
    binding: &Binding,
    given: Option<&str>,
    input: &Value,
) -> Answer<(Choice, Option<String>)> {
    let mut key = given.map(str::to_owned);
    if key.is_none() && binding.asks_for_a_key() {
        let newest = app.engine.flow(&known.key, known.newest).await?;
        // One that cannot be made is complained about by the version that is chosen.
        key = newest.business_key.as_ref().and_then(|made| made_key(made, input).unwrap_or_default());
    }
    let draw = if key.is_none() { uuid::Uuid::now_v7().to_string() } else { String::new() };
    let asked = Asked { flow: &known.key, business_key: key.as_deref(), input, draw: &draw };
    Ok((binding.choose(&asked), key))
}

/// The business key that a flow makes of an input.
fn made_key(expression: &Expr, input: &Value) -> Result<Option<String>, String> {
    match value(expression, input)? {
        Value::String(key) => Ok(Some(key)),
        Value::Number(key) => Ok(Some(key.to_string())),
        Value::Null => Ok(None),
        other => Err(format!("the flow makes no text of it: {other}")),
    }
}

fn value(expression: &Expr, input: &Value) -> Result<Value, String> {
    let scope = Scope { roots: &[("input", Root::Value(input))] };
    expression.eval(&scope).map_err(|error| error.message)
}

/// Whether the version takes this input.
pub(super) fn fits(flow: &Flow, input: &Value, at: &str) -> Answer<()> {
    let Some(schema) = flow.input.as_ref().filter(|schema| !schema.is_valid(input)) else { return Ok(()) };
    let mut problems = schema.check(input);
    for problem in &mut problems {
        problem.pointer.insert_str(0, at);
    }
    Err(Refusal::with(Code::InputInvalid, problems))
}

/// The caller's business key, or the one the flow makes of the input.
pub(super) fn business_key(flow: &Flow, input: &Value, at: &str, given: Option<String>) -> Answer<Option<String>> {
    let made = match (given, &flow.business_key) {
        (Some(given), _) => Ok(Some(given)),
        (None, Some(expression)) => made_key(expression, input),
        (None, None) => Ok(None),
    };
    let wrong = |message: String| {
        let problem = Problem::error("BUSINESS_KEY", at, format!("business key: {message}"));
        Refusal::with(Code::InputInvalid, vec![problem])
    };
    match made.map_err(wrong)? {
        Some(key) if key.is_empty() || key.contains('\0') || key.chars().count() > BUSINESS_KEY_CHARS_MAX => {
            Err(wrong(format!("1 to {BUSINESS_KEY_CHARS_MAX} characters, none of them NUL")))
        }
        None if flow.unique.is_some() => Err(wrong("the flow wants one, and each once".to_owned())),
        key => Ok(key),
    }
}

/// The caller's priority, or the one the flow makes of the input; 0 where neither says.
pub(super) fn priority(flow: &Flow, input: &Value, at: &str, given: Option<i32>) -> Answer<i32> {
    let (None, Some(expression)) = (given, &flow.priority) else { return Ok(given.unwrap_or_default()) };
    let wrong = |message: String| {
        let problem = Problem::error("PRIORITY", at, format!("priority: {message}"));
        Refusal::with(Code::InputInvalid, vec![problem])
    };
    match value(expression, input).map_err(wrong)? {
        Value::Null => Ok(0),
        made => {
            let whole = made.as_i64().and_then(|made| i32::try_from(made).ok());
            whole.ok_or_else(|| wrong(format!("the flow makes no whole number of it: {made}")))
        }
    }
}
