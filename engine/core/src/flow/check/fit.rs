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
use crate::schema::{Mismatch, MismatchKind, Schema};

impl<'d> Checker<'d> {
    pub(super) fn check_config(&mut self, node: NodeIx, config: &Value, node_type: &'d NodeType, pointer: &str) {
        let mismatches = match self.schema(&node_type.config) {
            Some(schema) if !schema.is_valid(config) => schema.mismatches(config),
            _ => return,
        };
        for mismatch in mismatches {
            self.mismatch(node, mismatch, "CONFIG_MISMATCH", pointer, &node_type.config);
        }
    }

    pub(super) fn check_input(&mut self, node: NodeIx, template: &Template, node_type: &'d NodeType, pointer: &str) {
        self.fit(node, template, &node_type.input, pointer);
    }

    /// Compiles each schema once. One that does not compile was refused when its plugin was loaded.
    pub(super) fn schema(&mut self, schema: &'d Value) -> Option<Schema> {
        let key = std::ptr::from_ref(schema) as usize;
        self.schemas.entry(key).or_insert_with(|| Schema::compile(schema).ok()).clone()
    }

    fn check_literal(&mut self, node: NodeIx, value: &Value, schema: &'d Value, pointer: &str) {
        let mismatches = match self.schema(schema) {
            Some(compiled) if !compiled.is_valid(value) => compiled.mismatches(value),
            _ => return,
        };
        for mismatch in mismatches {
            let code = match mismatch.kind {
                MismatchKind::Missing => "INPUT_MISSING",
                MismatchKind::Unknown => "INPUT_UNKNOWN",
                MismatchKind::Other => "INPUT_MISMATCH",
            };
            self.mismatch(node, mismatch, code, pointer, schema);
        }
    }

    fn mismatch(&mut self, node: NodeIx, mut mismatch: Mismatch, code: &str, pointer: &str, schema: &Value) {
        let unknown = mismatch.kind == MismatchKind::Unknown;
        let name = mismatch.pointer.rsplit('/').next().unwrap_or_default().to_owned();
        mismatch.pointer.insert_str(0, pointer);
        let mut problem = mismatch.problem(code);
        let known = schema.get("properties").and_then(Value::as_object).filter(|_| unknown);
        if let Some(near) = known.and_then(|known| nearest(&name, known.keys().map(String::as_str))) {
            problem.fix = Some(format!("did you mean `{near}`?"));
        }
        if problem.fix.is_none() {
            problem.fix = Some("change it to fit the node type's schema".to_owned());
        }
        self.on(node, problem);
    }

    pub(super) fn fit(&mut self, node: NodeIx, template: &Template, schema: &'d Value, pointer: &str) {
        match template {
            Template::Literal(value) => self.check_literal(node, value, schema, pointer),
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

    fn fit_object(
        &mut self,
        node: NodeIx,
        fields: &[(std::sync::Arc<str>, Template)],
        schema: &'d Value,
        pointer: &str,
    ) {
        if !may_be(schema, "object") {
            return self.wrong_shape(node, "an object", schema, pointer);
        }
        let Some(rules) = schema.as_object() else { return };
        let properties = rules.get("properties").and_then(Value::as_object);
        let property = |key: &str| properties.and_then(|properties| properties.get(key));
        let required = rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for name in required.filter(|name| !fields.iter().any(|(key, _)| **key == **name)) {
            let problem = Problem::error("INPUT_MISSING", pointer, format!("`{name}` is required"));
            self.on(node, problem.fix(format!("add `{name}`")));
        }
        let others_refused = rules.get("additionalProperties") == Some(&Value::Bool(false));
        for (key, value) in fields {
            let pointer = child(pointer, key);
            match property(key) {
                Some(schema) if closed(schema) => self.fit(node, value, schema, &pointer),
                None if others_refused && !rules.contains_key("patternProperties") => {
                    let fix = match nearest(key, properties.into_iter().flat_map(Map::keys).map(String::as_str)) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "remove it".to_owned(),
                    };
                    let problem = Problem::error("INPUT_UNKNOWN", pointer, format!("the node type takes no `{key}`"));
                    self.on(node, problem.fix(fix));
                }
                _ => {}
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
