//! Whether config and mapped input fit the node type's schemas, as far as can be said before a run.
//!
//! A template without expressions is checked whole. One with expressions is checked by its shape:
//! required fields that are missing, fields that are not allowed, and literal parts.

use serde_json::{Map, Value};

use super::Checker;
use crate::catalog::NodeType;
use crate::expr::Template;
use crate::flow::NodeIx;
use crate::flow::pointer::{child, nearest};
use crate::problem::Problem;
use crate::schema::Schema;

impl Checker<'_> {
    pub(super) fn check_config(&mut self, node: NodeIx, config: &Value, node_type: &NodeType, pointer: &str) {
        self.check_literal(node, config, &node_type.config, pointer, "CONFIG_MISMATCH");
    }

    pub(super) fn check_input(&mut self, node: NodeIx, template: &Template, node_type: &NodeType, pointer: &str) {
        self.fit(node, template, &node_type.input, pointer);
    }

    fn check_literal(&mut self, node: NodeIx, value: &Value, schema: &Value, pointer: &str, code: &str) {
        // A schema that does not compile was refused when the plugin was loaded.
        let Ok(compiled) = Schema::compile(schema) else { return };
        if compiled.is_valid(value) {
            return;
        }
        for mut problem in compiled.check(value) {
            problem.pointer = format!("{pointer}{}", problem.pointer);
            problem.code = code.to_owned();
            let fix = problem.fix.take().unwrap_or_else(|| "change it to fit the node type's schema".to_owned());
            self.on(node, problem.fix(fix));
        }
    }

    fn fit(&mut self, node: NodeIx, template: &Template, schema: &Value, pointer: &str) {
        match template {
            Template::Literal(value) => self.check_literal(node, value, schema, pointer, "INPUT_MISMATCH"),
            // Its value is not known before the run.
            Template::Expr(_) => {}
            Template::Object(fields) => self.fit_object(node, fields, schema, pointer),
            Template::Array(items) => {
                if !may_be(schema, "array") {
                    return self.wrong_shape(node, "a list", schema, pointer);
                }
                if let Some(each) = schema.get("items").filter(|_| closed(schema)) {
                    for (index, item) in items.iter().enumerate() {
                        self.fit(node, item, each, &format!("{pointer}/{index}"));
                    }
                }
            }
        }
    }

    fn fit_object(&mut self, node: NodeIx, fields: &[(std::sync::Arc<str>, Template)], schema: &Value, pointer: &str) {
        if !may_be(schema, "object") {
            return self.wrong_shape(node, "an object", schema, pointer);
        }
        let Some(rules) = schema.as_object() else { return };
        let none = Map::new();
        let properties = rules.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let required = rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for name in required.filter(|name| !fields.iter().any(|(key, _)| **key == **name)) {
            let problem = Problem::error("INPUT_MISSING", pointer, format!("`{name}` is required"));
            self.on(node, problem.fix(format!("add `{name}`")));
        }
        let others_refused = rules.get("additionalProperties") == Some(&Value::Bool(false));
        for (key, value) in fields {
            let pointer = child(pointer, key);
            match properties.get(&**key) {
                Some(schema) if closed(schema) => self.fit(node, value, schema, &pointer),
                Some(_) => {}
                None if others_refused && !rules.contains_key("patternProperties") => {
                    let fix = match nearest(key, properties.keys().map(String::as_str)) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "remove it".to_owned(),
                    };
                    let problem = Problem::error("INPUT_UNKNOWN", pointer, format!("the node type takes no `{key}`"));
                    self.on(node, problem.fix(fix));
                }
                None => {}
            }
        }
    }

    fn wrong_shape(&mut self, node: NodeIx, found: &str, schema: &Value, pointer: &str) {
        let wanted = schema.get("type").map(ToString::to_string).unwrap_or_default();
        let problem = Problem::error("INPUT_MISMATCH", pointer, format!("{found} stands where {wanted} is taken"));
        self.on(node, problem.fix("change it to fit the node type's schema"));
    }
}

/// A schema that stands for itself: parts of one that refers elsewhere are not checked alone.
fn closed(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => !map.contains_key("$ref") && !map.contains_key("$dynamicRef") && map.values().all(closed),
        Value::Array(list) => list.iter().all(closed),
        _ => true,
    }
}

fn may_be(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => true,
    }
}
