//! From JDM's table shape to a compiled table, with every problem found.

use std::collections::BTreeSet;

use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::{Answer, COLUMNS_MAX, HitPolicy, Input, RULES_MAX, Rule, Table, Test};
use crate::expr::{Expr, expression_problem};
use crate::problem::Problem;

/// Fields of the table that hold no column.
const KNOWN: [&str; 7] = ["hitPolicy", "inputs", "outputs", "rules", "name", "inputField", "passThrough"];

impl Table {
    /// Compiles a table; `None` when it has errors, which are then among `problems`.
    pub fn parse(source: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        Self::parse_in(source, pointer, Tz::UTC, problems)
    }

    /// As [`parse`](Self::parse); dates without a zone are read in `timezone`.
    pub fn parse_in(source: &Value, pointer: &str, timezone: Tz, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let table = Reader { timezone, problems }.table(source, pointer);
        table.filter(|_| problems.len() == before)
    }
}

struct Column {
    id: String,
    name: String,
    field: String,
    pointer: String,
}

struct Reader<'p> {
    timezone: Tz,
    problems: &'p mut Vec<Problem>,
}

impl Reader<'_> {
    fn refuse(&mut self, code: &str, pointer: impl Into<String>, message: impl Into<String>) -> &mut Problem {
        self.problems.push(Problem::error(code, pointer, message));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    fn table(&mut self, source: &Value, pointer: &str) -> Option<Table> {
        let Some(source) = source.as_object() else {
            self.refuse("TABLE_SHAPE", pointer, "a decision table is an object").fix =
                Some("give hitPolicy, inputs, outputs and rules".to_owned());
            return None;
        };
        for key in source.keys().filter(|key| !KNOWN.contains(&key.as_str())) {
            self.refuse("UNKNOWN_FIELD", format!("{pointer}/{key}"), format!("a decision table has no `{key}`"));
        }
        let policy = match source.get("hitPolicy").map(|policy| policy.as_str().unwrap_or("")) {
            None | Some("first") => HitPolicy::First,
            Some("collect") => HitPolicy::Collect,
            Some("unique") => HitPolicy::Unique,
            Some("priority") => HitPolicy::Priority,
            Some(other) => {
                let message = format!("`{other}` is no hit policy");
                self.refuse("TABLE_HIT_POLICY", format!("{pointer}/hitPolicy"), message).fix =
                    Some("use first, collect, unique or priority".to_owned());
                HitPolicy::First
            }
        };
        let columns_in = self.columns(source, "inputs", pointer);
        let columns_out = self.columns(source, "outputs", pointer);
        if columns_out.is_empty() {
            self.refuse("TABLE_SHAPE", format!("{pointer}/outputs"), "the table has no output column").fix =
                Some("add an output".to_owned());
        }
        let mut ids = BTreeSet::new();
        for column in columns_in.iter().chain(&columns_out) {
            if !ids.insert(column.id.as_str()) {
                let message = format!("two columns have the id `{}`", column.id);
                self.refuse("TABLE_COLUMN", &column.pointer, message).fix = Some("give each its own id".to_owned());
            }
        }
        let inputs = columns_in.iter().map(|column| self.input(column)).collect();
        let outputs = columns_out.iter().map(|column| self.output(column)).collect();
        let rules = self.rules(source, pointer, &columns_in, &columns_out);
        Some(Table { policy, inputs, outputs, rules })
    }

    fn columns(&mut self, source: &Map<String, Value>, which: &str, pointer: &str) -> Vec<Column> {
        let pointer = format!("{pointer}/{which}");
        let Some(list) = source.get(which).and_then(Value::as_array) else {
            self.refuse("TABLE_SHAPE", &pointer, format!("the table has no list of {which}"));
            return Vec::new();
        };
        if list.len() > COLUMNS_MAX {
            let message = format!("{} {which}; a table has at most {COLUMNS_MAX}", list.len());
            self.refuse("TABLE_TOO_LARGE", &pointer, message);
            return Vec::new();
        }
        let mut columns = Vec::new();
        for (index, column) in list.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let text = |key: &str| column.get(key).and_then(Value::as_str).unwrap_or("").trim().to_owned();
            let (id, name, field) = (text("id"), text("name"), text("field"));
            if id.is_empty() || id.starts_with('_') {
                let message = format!("`{id}` is no column id");
                self.refuse("TABLE_COLUMN", format!("{pointer}/id"), message).fix =
                    Some("give the column an id that does not begin with _".to_owned());
                continue;
            }
            columns.push(Column { id, name, field, pointer });
        }
        columns
    }

    fn input(&mut self, column: &Column) -> Input {
        let name = if column.name.is_empty() { column.id.clone() } else { column.name.clone() };
        if column.field.is_empty() {
            return Input { field: None, name };
        }
        let field = match Expr::parse_in(&column.field, self.timezone) {
            Ok(field) => Some(field),
            Err(error) => {
                self.problems.push(expression_problem(&error, &format!("{}/field", column.pointer)));
                None
            }
        };
        Input { field, name }
    }

    fn output(&mut self, column: &Column) -> Vec<String> {
        let path: Vec<String> = column.field.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) || path.len() > 16 {
            let message = format!("`{}` is no path for an output", column.field);
            self.refuse("TABLE_COLUMN", format!("{}/field", column.pointer), message).fix =
                Some("use a name like discount or fee.cents".to_owned());
        }
        path
    }

    fn rules(
        &mut self,
        source: &Map<String, Value>,
        pointer: &str,
        inputs: &[Column],
        outputs: &[Column],
    ) -> Vec<Rule> {
        let pointer = format!("{pointer}/rules");
        let Some(list) = source.get("rules").and_then(Value::as_array) else {
            self.refuse("TABLE_SHAPE", &pointer, "the table has no list of rules");
            return Vec::new();
        };
        if list.len() > RULES_MAX {
            let message = format!("{} rules; a table has at most {RULES_MAX}", list.len());
            self.refuse("TABLE_TOO_LARGE", &pointer, message);
            return Vec::new();
        }
        list.iter()
            .enumerate()
            .filter_map(|(index, rule)| self.rule(rule, &format!("{pointer}/{index}"), inputs, outputs))
            .collect()
    }

    fn rule(&mut self, rule: &Value, pointer: &str, inputs: &[Column], outputs: &[Column]) -> Option<Rule> {
        let Some(cells) = rule.as_object() else {
            self.refuse("TABLE_SHAPE", pointer, "a rule is an object of cells");
            return None;
        };
        for key in cells.keys().filter(|key| !key.starts_with('_')) {
            if !inputs.iter().chain(outputs).any(|column| column.id == *key) {
                let message = format!("no column has the id `{key}`");
                self.refuse("TABLE_CELL", format!("{pointer}/{key}"), message).fix =
                    Some("remove the cell or add its column".to_owned());
            }
        }
        let tests = inputs.iter().map(|column| self.test(cells, column, pointer)).collect();
        let answers = outputs.iter().map(|column| self.answer(cells, column, pointer)).collect();
        let priority = match cells.get("_priority") {
            None => i64::MAX,
            Some(priority) => {
                priority.as_i64().or_else(|| priority.as_str()?.trim().parse().ok()).unwrap_or_else(|| {
                    self.refuse("TABLE_CELL", format!("{pointer}/_priority"), "a priority is a whole number");
                    i64::MAX
                })
            }
        };
        Some(Rule { tests, answers, priority })
    }

    /// A cell's text; `None` where it is empty.
    fn cell(&mut self, cells: &Map<String, Value>, id: &str, pointer: &str) -> Option<String> {
        match cells.get(id) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            // Numbers and truth values need no quotes to be what they are.
            Some(value @ (Value::Bool(_) | Value::Number(_))) => Some(value.to_string()),
            Some(_) => {
                self.refuse("TABLE_CELL", format!("{pointer}/{id}"), "a cell is the text of an expression");
                None
            }
        }
    }

    fn test(&mut self, cells: &Map<String, Value>, column: &Column, pointer: &str) -> Option<Test> {
        let text = self.cell(cells, &column.id, pointer)?;
        if text == "-" {
            return None;
        }
        // A column without a field has nothing to be `$`: its cells are plain expressions.
        let parsed = if column.field.is_empty() {
            Expr::parse_in(&text, self.timezone)
        } else {
            if let Ok(literal) = Expr::parse_in(&text, self.timezone)
                && let Some(value @ (Value::String(_) | Value::Null)) = literal.constant()
            {
                return Some(Test::Equals(value));
            }
            Expr::parse_cell(&text, self.timezone)
        };
        match parsed {
            Ok(expr) => Some(Test::Holds(expr)),
            Err(error) => {
                self.problems.push(expression_problem(&error, &format!("{pointer}/{}", column.id)));
                None
            }
        }
    }

    fn answer(&mut self, cells: &Map<String, Value>, column: &Column, pointer: &str) -> Option<Answer> {
        let text = self.cell(cells, &column.id, pointer)?;
        match Expr::parse_in(&text, self.timezone) {
            Ok(expr) => Some(expr.constant().map_or(Answer::Expr(expr), Answer::Literal)),
            Err(error) => {
                self.problems.push(expression_problem(&error, &format!("{pointer}/{}", column.id)));
                None
            }
        }
    }
}
