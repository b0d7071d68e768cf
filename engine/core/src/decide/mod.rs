//! Decision tables in the JDM shape, with ZEN cells; hit policies first, collect, unique, priority.
//!
//! `{hitPolicy, inputs: [{id, name, field}], outputs: [{id, name, field}], rules: [{_id, <id>: cell}]}`.
//! An input's `field` is an expression, its value is `$` in the column's cells; an empty cell takes
//! anything. An output's `field` is a path in the answer; an empty cell leaves it out. Policy
//! `priority` takes the hit whose `_priority` is the smallest number, the upper one of equals.
//!
//! Not here: which table a node uses (`flow::check`), how a grid is edited (designer).

mod parse;

use serde_json::{Map, Value};

use crate::expr::{Expr, Scope, ValueError};
use crate::value::Measure;

/// Most rules of one table.
pub const RULES_MAX: usize = 10_000;
/// Most columns of one table, inputs and outputs each.
pub const COLUMNS_MAX: usize = 100;

/// One compiled decision table.
#[derive(Debug)]
pub struct Table {
    policy: HitPolicy,
    inputs: Vec<Input>,
    outputs: Vec<Vec<String>>,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HitPolicy {
    First,
    Collect,
    Unique,
    Priority,
}

#[derive(Debug)]
struct Input {
    /// What `$` is; a column without one tests the whole context by name.
    field: Option<Expr>,
    name: String,
}

#[derive(Debug)]
struct Rule {
    /// One per input; `None` takes anything.
    tests: Vec<Option<Test>>,
    /// One per output; `None` leaves it out.
    answers: Vec<Option<Answer>>,
    priority: i64,
}

/// A cell. The common ones are compared without the evaluator.
#[derive(Debug)]
enum Test {
    Equals(Value),
    Holds(Expr),
}

#[derive(Debug)]
enum Answer {
    Literal(Value),
    Expr(Expr),
}

/// What a table says.
#[derive(Debug, Clone, PartialEq)]
pub struct TableAnswer {
    /// An object of the outputs, or null where no rule hit; a list of such objects under `collect`.
    pub output: Value,
    /// The rules that hit, counted from 0, in document order.
    pub hits: Vec<usize>,
}

impl Table {
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<TableAnswer, ValueError> {
        let columns = self.columns(scope)?;
        let mut hits = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            if !self.hit(rule, scope, &columns)? {
                continue;
            }
            hits.push(index);
            if self.policy == HitPolicy::First {
                break;
            }
        }
        let mut measure = Measure::default();
        let output = match self.policy {
            HitPolicy::Collect => {
                let answers = hits.iter().map(|&hit| self.answer(hit, scope, &mut measure));
                Value::Array(answers.collect::<Result<_, _>>()?)
            }
            HitPolicy::Unique if hits.len() > 1 => {
                let rows = hits.iter().map(|hit| (hit + 1).to_string()).collect::<Vec<_>>().join(", ");
                return Err(ValueError::new(format!("rules {rows} all hit; the table allows one")));
            }
            HitPolicy::Priority => {
                hits.sort_by_key(|&hit| (self.rules[hit].priority, hit));
                hits.truncate(1);
                hits.first().map_or(Ok(Value::Null), |&hit| self.answer(hit, scope, &mut measure))?
            }
            HitPolicy::First | HitPolicy::Unique => {
                hits.first().map_or(Ok(Value::Null), |&hit| self.answer(hit, scope, &mut measure))?
            }
        };
        Ok(TableAnswer { output, hits })
    }

    /// Each column's value, computed once for all rules.
    fn columns(&self, scope: &Scope<'_>) -> Result<Vec<Value>, ValueError> {
        let value = |input: &Input| match &input.field {
            Some(field) => {
                field.eval(scope).map_err(|error| ValueError::new(format!("column `{}`: {error}", input.name)))
            }
            None => Ok(Value::Null),
        };
        self.inputs.iter().map(value).collect()
    }

    fn hit(&self, rule: &Rule, scope: &Scope<'_>, columns: &[Value]) -> Result<bool, ValueError> {
        for (index, test) in rule.tests.iter().enumerate() {
            let holds = match test {
                None => true,
                Some(Test::Equals(value)) => columns[index] == *value,
                // A test that cannot be made on this value (an order asked of null) is not met, so
                // that a table with a fallback row answers.
                Some(Test::Holds(expr)) if columns[index].is_null() && self.inputs[index].field.is_some() => {
                    expr.cell_holds(scope, &columns[index]).unwrap_or(false)
                }
                Some(Test::Holds(expr)) => expr.cell_holds(scope, &columns[index]).map_err(|error| {
                    ValueError::new(format!("column `{}`, cell `{}`: {error}", self.inputs[index].name, expr.source))
                })?,
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A rule's answer, as a part of what `measure` counts.
    fn answer(&self, hit: usize, scope: &Scope<'_>, measure: &mut Measure) -> Result<Value, ValueError> {
        let mut output = Map::new();
        for (path, answer) in self.outputs.iter().zip(&self.rules[hit].answers) {
            // One level for the list of all answers, one for the answer, the others for its field's path.
            let depth = path.len() + 1;
            let value = match answer {
                None => continue,
                Some(Answer::Literal(value)) => {
                    measure.value(value, depth)?;
                    value.clone()
                }
                Some(Answer::Expr(expr)) => expr.eval_within(scope, measure, depth)?,
            };
            insert(&mut output, path, value);
        }
        Ok(Value::Object(output))
    }

    /// Every expression of the table, for the checker.
    pub(crate) fn expressions<'t>(&'t self, visit: &mut dyn FnMut(&'t Expr)) {
        self.inputs.iter().filter_map(|input| input.field.as_ref()).for_each(&mut *visit);
        for rule in &self.rules {
            for test in rule.tests.iter().flatten() {
                if let Test::Holds(expr) = test {
                    visit(expr);
                }
            }
            for answer in rule.answers.iter().flatten() {
                if let Answer::Expr(expr) = answer {
                    visit(expr);
                }
            }
        }
    }
}

fn insert(into: &mut Map<String, Value>, path: &[String], value: Value) {
    let [first, rest @ ..] = path else { return };
    if rest.is_empty() {
        into.insert(first.clone(), value);
        return;
    }
    let below = into.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
    if !below.is_object() {
        *below = Value::Object(Map::new());
    }
    if let Value::Object(below) = below {
        insert(below, rest, value);
    }
}
