//! JSON Schemas of Rust types, as forms want them: whole in one piece, titles from doc comments, no words that only
//! Rust knows.
//!
//! Not here: checking values against them; the engine does that before it calls.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

/// Keywords under which schemas lie, one each, by name, or in a list.
const ONE: [&str; 6] = ["items", "additionalProperties", "not", "if", "then", "else"];
const NAMED: [&str; 2] = ["properties", "patternProperties"];
const LISTED: [&str; 4] = ["anyOf", "allOf", "oneOf", "prefixItems"];

/// The schema of `T` as JSON text.
pub(crate) fn of<T: JsonSchema>() -> String {
    let mut schema = whole::<T>();
    // The name of a Rust type is no title, and its doc comment speaks to those who read the code.
    for word in ["$schema", "title", "description"] {
        schema.remove(word);
    }
    tidy(&mut schema);
    Value::Object(schema).to_string()
}

/// The first line of the doc comment of `T`, and what follows after an empty line.
pub(crate) fn words<T: JsonSchema>() -> (String, String) {
    let schema = whole::<T>();
    let comment = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let (first, rest) = comment.split_once("\n\n").unwrap_or((comment, ""));
    (one_line(first), one_line(rest))
}

fn whole<T: JsonSchema>() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    match schema.to_value() {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn tidy(schema: &mut Map<String, Value>) {
    if let Some(Value::String(comment)) = schema.remove("description") {
        if schema.contains_key("title") {
            schema.insert("description".to_owned(), Value::String(one_line(&comment)));
        } else {
            let (first, rest) = comment.split_once("\n\n").unwrap_or((&comment, ""));
            schema.insert("title".to_owned(), Value::String(one_line(first)));
            if !rest.is_empty() {
                schema.insert("description".to_owned(), Value::String(one_line(rest)));
            }
        }
    }
    bounds(schema);
    for (name, value) in schema.iter_mut() {
        let name = name.as_str();
        match value {
            Value::Object(inner) if ONE.contains(&name) => tidy(inner),
            Value::Object(inner) if NAMED.contains(&name) => {
                inner.values_mut().filter_map(Value::as_object_mut).for_each(tidy);
            }
            Value::Array(inner) if LISTED.contains(&name) => {
                inner.iter_mut().filter_map(Value::as_object_mut).for_each(tidy);
            }
            _ => {}
        }
    }
}

/// `uint32` and the like are schemars' own words; `minimum` and `maximum` say as much to everybody.
fn bounds(schema: &mut Map<String, Value>) {
    let (min, max) = match schema.get("format").and_then(Value::as_str) {
        Some("int8") => (i64::from(i8::MIN), i64::from(i8::MAX)),
        Some("int16") => (i64::from(i16::MIN), i64::from(i16::MAX)),
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Some("uint8") => (0, i64::from(u8::MAX)),
        Some("uint16") => (0, i64::from(u16::MAX)),
        Some("uint32") => (0, i64::from(u32::MAX)),
        // Beyond 2^53 numbers are not exact for every reader, so no bound is said.
        Some("int64" | "uint64" | "int" | "uint" | "int128" | "uint128" | "float" | "double") => {
            schema.remove("format");
            return;
        }
        _ => return,
    };
    schema.remove("format");
    schema.entry("minimum").or_insert_with(|| min.into());
    schema.entry("maximum").or_insert_with(|| max.into());
}

/// A doc comment's line breaks are the source's, not the reader's.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{of, words};
    use schemars::JsonSchema;
    use serde_json::{Value, json};

    /// Reserve stock
    ///
    /// Sets pieces aside
    /// for an order.
    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is of interest")]
    struct Order {
        /// Article
        ///
        /// As the shop
        /// knows it.
        #[schemars(length(min = 1), extend("x-title-zh-CN" = "商品"))]
        sku: String,
        /// Pieces
        quantity: u32,
        lines: Vec<Line>,
        #[schemars(title = "Note", extend("x-ui" = { "advanced": true }))]
        note: Option<String>,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is of interest")]
    struct Line {
        /// Price in cents
        unit_cents: i64,
    }

    #[test]
    fn forms_get_titles_and_hints() {
        let schema: Value = serde_json::from_str(&of::<Order>()).unwrap_or_default();
        let expected = json!({
            "type": "object",
            "required": ["sku", "quantity", "lines"],
            "properties": {
                "sku": { "type": "string", "minLength": 1, "title": "Article", "description": "As the shop knows it.", "x-title-zh-CN": "商品" },
                "quantity": { "type": "integer", "minimum": 0, "maximum": 4_294_967_295_u64, "title": "Pieces" },
                "lines": { "type": "array", "items": {
                    "type": "object", "required": ["unit_cents"],
                    "properties": { "unit_cents": { "type": "integer", "title": "Price in cents" } },
                } },
                "note": { "type": ["string", "null"], "title": "Note", "x-ui": { "advanced": true } },
            },
        });
        assert_eq!(schema, expected);
        assert_eq!(words::<Order>(), ("Reserve stock".to_owned(), "Sets pieces aside for an order.".to_owned()));
    }
}
