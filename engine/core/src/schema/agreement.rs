//! Both ways of checking, side by side: the same schemas, the same values, the same answer down to the words.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use serde_json::{Value, json};

use super::{Mismatch, SchemaError, full, once, small};

/// What each finds, in an order of its own making.
fn shown(mismatches: Vec<Mismatch>) -> Vec<(String, String)> {
    let mut mismatches = once(mismatches);
    // The names that stand beside one another in a schema are checked in an order that nobody promised.
    mismatches.sort_by(|a, b| (&a.pointer, &a.message).cmp(&(&b.pointer, &b.message)));
    mismatches.into_iter().map(|one| (one.pointer, one.message)).collect()
}

/// Both take `schema`, and agree on every value. At least one of the values matches, and one does not.
fn agree(schema: &Value, values: &[Value]) -> Vec<String> {
    let (full, small) = match (full::Validator::compile(schema), small::Validator::compile(schema)) {
        (Ok(full), Ok(small)) => (full, small),
        (full, small) => return vec![format!("{schema}: full {:?}, small {:?}", full.err(), small.err())],
    };
    let mut wrong = Vec::new();
    for value in values {
        let (theirs, ours) = (shown(full.mismatches(value)), shown(small.mismatches(value)));
        if theirs != ours || full.is_valid(value) != small.is_valid(value) {
            wrong.push(format!("{schema} on {value}:\n  full  {theirs:?}\n  small {ours:?}"));
        }
    }
    let valid = values.iter().filter(|value| full.is_valid(value)).count();
    if valid == 0 || valid == values.len() {
        wrong.push(format!("{schema}: {valid} of {} values match, so nothing is told apart", values.len()));
    }
    wrong
}

fn assert_agree(rows: &[(Value, Value)]) {
    let wrong: Vec<String> =
        rows.iter().flat_map(|(schema, values)| agree(schema, values.as_array().unwrap())).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn on_single_values() {
    assert_agree(&[
        (json!({ "type": "integer" }), json!([1, 1.0, 1.5, "1", null, 1e20, -3, true])),
        (json!({ "type": ["number", "null"] }), json!([1, null, "x", {}, []])),
        (json!({ "type": "boolean" }), json!([true, 0, "true"])),
        (json!({ "enum": ["fast", 1, null, { "a": [1] }] }), json!(["fast", "fats", 1.0, null, { "a": [1.0] }, {}])),
        (json!({ "const": { "a": 1, "b": 2 } }), json!([{ "b": 2.0, "a": 1 }, { "a": 1 }, 7])),
        (json!({ "minimum": 1, "maximum": 9.5 }), json!([0, 1, 9.5, 9.6, "x", 1.0])),
        (json!({ "exclusiveMinimum": 0, "exclusiveMaximum": 1 }), json!([0, 0.5, 1, -1, null])),
        (
            json!({ "minimum": 9_007_199_254_740_993_u64 }),
            json!([9_007_199_254_740_992_u64, 9_007_199_254_740_993_u64]),
        ),
        (
            json!({ "maximum": -9_007_199_254_740_993_i64 }),
            json!([-9_007_199_254_740_992_i64, -9_007_199_254_740_993_i64]),
        ),
        (json!({ "multipleOf": 0.01 }), json!([0.29, 0.3, 1, 19.99, 0.001, 0, -0.05, "x"])),
        (json!({ "multipleOf": 3 }), json!([9, 9.0, 10, 9.5, 0, -6])),
        (json!({ "minLength": 2, "maxLength": 3.0 }), json!(["é", "éé", "漢字漢", "abcd", 7])),
        (json!({ "pattern": "^[A-Z][a-z0-9_-]*$" }), json!(["Ab-1", "ab", "A b", "", 7, "Ab\n"])),
        (json!({ "pattern": "\\d{2,4}\\.(?:a|b)" }), json!(["x12.ax", "1.a", "12xa", "١٢.a"])),
        (json!({ "pattern": "^\\w+$" }), json!(["ab_1", "é", "a b"])),
        (json!({ "pattern": "^a.c$" }), json!(["abc", "a\nc", "aéc", "ac"])),
    ]);
}

#[test]
fn on_lists_and_objects() {
    assert_agree(&[
        (json!({ "minItems": 1, "maxItems": 2 }), json!([[], [1], [1, 2, 3], {}])),
        (json!({ "uniqueItems": true }), json!([[1, 1.0], [1, 2], [{ "a": 1 }, { "a": 1 }], [[], []], ["a"]])),
        (json!({ "uniqueItems": false, "minItems": 1 }), json!([[1, 1], []])),
        (json!({ "items": { "type": "string" } }), json!([["a"], ["a", 1, 2], [], "x"])),
        (
            json!({ "prefixItems": [{ "type": "string" }], "items": false }),
            json!([["a"], ["a", 1], [1], [], ["a", 1, 2]]),
        ),
        (json!({ "prefixItems": [{ "type": "string" }] }), json!([["a", 7], [1, "b"]])),
        (json!({ "contains": { "const": 7 } }), json!([[1, 7], [1], [], {}])),
        (
            json!({ "contains": { "minimum": 5 }, "minContains": 2, "maxContains": 3 }),
            json!([[5], [5, 6], [5, 6, 7, 8], []]),
        ),
        (json!({ "contains": { "const": 7 }, "minContains": 0, "maxContains": 1 }), json!([[], [7], [7, 7]])),
        (json!({ "required": ["a", "b"] }), json!([{ "a": 1, "b": null }, { "a": 1 }, {}, []])),
        (
            json!({ "properties": { "a": { "type": "integer" }, "never": false } }),
            json!([{ "a": 1 }, { "a": "x" }, { "never": 1 }, { "b": 1 }]),
        ),
        (
            json!({ "properties": { "a": true }, "additionalProperties": false }),
            json!([{ "a": 1 }, { "b": 1, "c/d": 2, "~e": 3 }]),
        ),
        (
            json!({ "properties": { "a": true }, "additionalProperties": { "type": "number" } }),
            json!([{ "a": "x", "b": 1 }, { "b": "x" }]),
        ),
        (
            json!({ "patternProperties": { "^s": { "type": "string" }, "e$": { "maxLength": 3 } }, "additionalProperties": false }),
            json!([{ "s1": "x" }, { "s1": 1 }, { "some": "long" }, { "x": 1 }, {}]),
        ),
        (
            json!({ "propertyNames": { "maxLength": 3, "pattern": "^[a-z]+$" } }),
            json!([{ "abc": 1 }, { "ABCD": 1 }, { "abcd": 1, "x": 2 }, {}]),
        ),
        (json!({ "minProperties": 1, "maxProperties": 2 }), json!([{}, { "a": 1 }, { "a": 1, "b": 2, "c": 3 }, []])),
        (
            json!({ "dependentRequired": { "a": ["b", "c"] } }),
            json!([{ "a": 1 }, { "a": 1, "b": 1, "c": 1 }, { "b": 1 }]),
        ),
        (
            json!({ "dependentSchemas": { "a": { "required": ["b"], "maxProperties": 2 } } }),
            json!([{ "a": 1 }, { "a": 1, "b": 2 }, { "c": 1 }]),
        ),
    ]);
}

#[test]
fn on_joined_and_referred_schemas() {
    let tree = json!({ "$ref": "#/$defs/node", "$defs": { "node": {
        "type": "object", "required": ["qty"], "additionalProperties": false,
        "properties": { "qty": { "type": "integer" }, "sub": { "$ref": "#/$defs/node" }, "all": { "items": { "$ref": "#" } } },
    } } });
    assert_agree(&[
        (json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] }), json!([true, 1, "x"])),
        (json!({ "allOf": [{ "minimum": 1 }, { "multipleOf": 2 }, { "type": "integer" }] }), json!([1, 4, 0.5, "x"])),
        (json!({ "oneOf": [{ "minimum": 1 }, { "maximum": 5 }] }), json!([3, 9, 0])),
        (
            json!({ "oneOf": [{ "required": ["a"] }, { "required": ["b"] }] }),
            json!([{ "a": 1 }, { "a": 1, "b": 1 }, {}]),
        ),
        (json!({ "not": { "type": "string" } }), json!(["x", 1])),
        (
            json!({ "if": { "required": ["a"] }, "then": { "required": ["b"] }, "else": { "required": ["c"] } }),
            json!([{ "a": 1 }, { "a": 1, "b": 2 }, {}, { "c": 1 }]),
        ),
        (json!({ "if": { "type": "string" }, "then": { "minLength": 2 } }), json!(["x", "xx", 1])),
        (
            tree,
            json!([{ "qty": 1 }, { "qty": 1, "sub": { "qty": "1" } }, { "qty": 1, "sub": { "sub": {} } }, { "qty": 1, "all": [{ "qty": 2 }, {}] }]),
        ),
        (json!({ "$ref": "#/$defs/a~1b", "maximum": 5, "$defs": { "a/b": { "minimum": 1 } } }), json!([0, 3, 9])),
        (json!({ "allOf": [{ "$ref": "#" }], "type": "object" }), json!([{}, 1])),
        (
            json!({ "properties": { "next": { "$ref": "#" } }, "required": ["id"] }),
            json!([{ "id": 1 }, { "id": 1, "next": { "next": {} } }]),
        ),
        (
            json!({ "properties": { "x": { "definitions": { "y": true }, "$ref": "#/properties/x/definitions/y" }, "z": false } }),
            json!([{ "x": 1 }, { "z": 1 }]),
        ),
    ]);
}

#[test]
fn on_formats() {
    let format = |format: &str| json!({ "format": format });
    assert_agree(&[
        (
            format("date"),
            json!([
                "2026-02-28",
                "2026-02-29",
                "2024-02-29",
                "2026-13-01",
                "2026-1-01",
                "2026-04-31",
                "20260401xx",
                "é026-01-0",
                7
            ]),
        ),
        (
            format("time"),
            json!([
                "10:00:00Z",
                "10:00:00",
                "24:00:00Z",
                "10:00:00.123+08:00",
                "10:00:00.Z",
                "23:59:60Z",
                "22:59:60Z",
                "23:59:60+01:00",
                "00:59:60+01:00",
                "10:00:00+24:00",
                "10:00Z",
                "10:00:00z"
            ]),
        ),
        (
            format("date-time"),
            json!([
                "2026-01-02T03:04:05Z",
                "2026-01-02t03:04:05.5-01:30",
                "2026-01-02 03:04:05Z",
                "2026-01-02",
                "2026-02-30T03:04:05Z"
            ]),
        ),
        (format("ipv4"), json!(["127.0.0.1", "256.0.0.1", "127.0.0", "01.2.3.4"])),
        (format("ipv6"), json!(["::1", "::g", "1::2::3", "::ffff:1.2.3.4"])),
        (format("json-pointer"), json!(["", "/a~0b/~1", "a", "/~2", "/~", "//"])),
        (
            format("uuid"),
            json!([
                "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
                "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6",
                "f81d4fae7dec11d0a76500a0c91e6bf6",
                "f81d4fae-7dec-11d0-a765-00a0c91e6bfg"
            ]),
        ),
    ]);
    // No format of the standard's, so it says nothing.
    let small = small::Validator::compile(&format("colour")).unwrap();
    assert!(small.is_valid(&json!("x")) && full::Validator::compile(&format("colour")).unwrap().is_valid(&json!("x")));
}

#[test]
fn on_what_is_no_schema() {
    for (schema, sound) in [
        (json!(true), true),
        (json!({}), true),
        (json!({ "x-ui": { "type": "objekt" }, "order": 7 }), true),
        (json!({ "default": { "type": 7 }, "enum": [1, 1], "examples": [] }), true),
        (json!({ "title": "T", "description": "D", "$comment": "c", "readOnly": true }), true),
        (json!({ "$schema": "https://json-schema.org/draft/2020-12/schema" }), true),
        (json!(7), false),
        (json!({ "type": "objekt" }), false),
        (json!({ "type": ["string", 7] }), false),
        (json!({ "type": [] }), false),
        (json!({ "type": ["string", "string"] }), false),
        (json!({ "properties": { "a": 7 } }), false),
        (json!({ "properties": [] }), false),
        (json!({ "required": "a" }), false),
        (json!({ "required": ["a", "a"] }), false),
        (json!({ "enum": 1 }), false),
        (json!({ "minimum": "1" }), false),
        (json!({ "minLength": -1 }), false),
        (json!({ "minLength": 1.5 }), false),
        (json!({ "multipleOf": 0 }), false),
        (json!({ "pattern": 7 }), false),
        (json!({ "format": 7 }), false),
        (json!({ "items": [1] }), false),
        (json!({ "allOf": [] }), false),
        (json!({ "anyOf": [7] }), false),
        (json!({ "uniqueItems": 1 }), false),
        (json!({ "title": 7 }), false),
        (json!({ "examples": 7 }), false),
        (json!({ "dependentRequired": { "a": "b" } }), false),
        (json!({ "$defs": { "a": 7 } }), false),
        (json!({ "$ref": 7 }), false),
        (json!({ "$ref": "#/$defs/gone" }), false),
    ] {
        assert_eq!(full::Validator::compile(&schema).is_ok(), sound, "full: {schema}");
        let small = small::Validator::compile(&schema).map(|_| ());
        assert_eq!(small.is_ok(), sound, "small: {schema}");
        assert!(matches!(small, Ok(()) | Err(SchemaError::Broken(_))), "{schema}: {small:?}");
    }
}

#[test]
fn what_only_the_engine_knows_is_said_and_never_taken_for_granted() {
    for (keyword, value) in [
        ("unevaluatedProperties", json!(false)),
        ("unevaluatedItems", json!(false)),
        ("dependencies", json!({ "a": ["b"] })),
        ("$id", json!("https://example.com/x")),
        ("$anchor", json!("a")),
        ("$dynamicRef", json!("#a")),
        ("$ref", json!("https://json-schema.org/draft/2020-12/schema")),
        ("$ref", json!("#anchor")),
        ("$schema", json!("http://json-schema.org/draft-07/schema#")),
        ("format", json!("email")),
        ("format", json!("uri")),
        ("pattern", json!("(")),
        ("pattern", json!("\\s")),
        ("pattern", json!("\\p{L}")),
        ("pattern", json!("(?=x)")),
        ("pattern", json!("[a-z&&b]")),
        ("pattern", json!("[[a]")),
        ("pattern", json!("a\\b")),
    ] {
        let schema = json!({ "properties": { "a": { "anyOf": [{ keyword: value }] } } });
        let told = small::Validator::compile(&schema).map(|_| ());
        assert!(matches!(&told, Err(SchemaError::Beyond(why)) if why.contains(keyword)), "{schema}: {told:?}");
    }
}

#[test]
fn a_schema_that_turns_in_a_circle_ends() {
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } }),
    ] {
        let small = small::Validator::compile(&schema).unwrap();
        assert!(small.is_valid(&json!({ "a": [1] })), "{schema}");
    }
}
