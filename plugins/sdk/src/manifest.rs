//! Reads a plugin's `manifest.json`, where titles are `{ "en": …, "zh-CN": … }` and schemas are
//! plain JSON, into the manifest of the contract.
//!
//! Not here: whether the schemas are valid and the examples true; the engine checks that at load.

use crate::bindings::types::{ErrorCode, Example, Localized, Manifest, NodeType, Port};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FileRow<'a> {
    #[serde(borrow)]
    node_types: Vec<NodeTypeRow<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct NodeTypeRow<'a> {
    name: String,
    title: Texts,
    summary: Texts,
    category: String,
    icon: String,
    #[serde(borrow)]
    config_schema: &'a RawValue,
    #[serde(borrow)]
    input_schema: &'a RawValue,
    #[serde(borrow)]
    ports: Vec<PortRow<'a>>,
    #[serde(default)]
    errors: Vec<ErrorRow>,
    #[serde(default)]
    has: Vec<Has>,
    #[serde(borrow)]
    examples: Vec<ExampleRow<'a>>,
}

/// An optional export that the node type answers to.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Has {
    Undo,
    Resume,
    Query,
    Check,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PortRow<'a> {
    name: String,
    title: Texts,
    #[serde(borrow)]
    output_schema: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorRow {
    code: String,
    title: Texts,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ExampleRow<'a> {
    title: Texts,
    #[serde(borrow)]
    config: &'a RawValue,
    #[serde(borrow)]
    input: &'a RawValue,
    port: String,
    #[serde(borrow)]
    output: &'a RawValue,
    #[serde(borrow)]
    http_tape: Option<&'a RawValue>,
}

/// Text per language, in the file's order.
struct Texts(Vec<Localized>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Languages;
        impl<'de> Visitor<'de> for Languages {
            type Value = Texts;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of language to text")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some((language, text)) = map.next_entry()? {
                    texts.push(Localized { language, text });
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_map(Languages)
    }
}

/// The manifest from the file's text.
///
/// # Panics
///
/// The file is part of the plugin's code: if it does not read, the plugin cannot describe itself,
/// and the engine refuses a component that traps there.
pub fn read(name: &str, version: &str, licence: &str, text: &str) -> Manifest {
    let file: FileRow<'_> = match serde_json::from_str(text) {
        Ok(file) => file,
        Err(error) => panic!("manifest of {name}: {error}"),
    };
    Manifest {
        name: name.to_owned(),
        version: version.to_owned(),
        licence: licence.to_owned(),
        node_types: file.node_types.into_iter().map(node_type).collect(),
    }
}

fn node_type(row: NodeTypeRow<'_>) -> NodeType {
    NodeType {
        name: row.name,
        title: row.title.0,
        summary: row.summary.0,
        category: row.category,
        icon: row.icon,
        config_schema: row.config_schema.get().to_owned(),
        input_schema: row.input_schema.get().to_owned(),
        ports: row
            .ports
            .into_iter()
            .map(|port| Port {
                name: port.name,
                title: port.title.0,
                output_schema: port.output_schema.get().to_owned(),
            })
            .collect(),
        errors: row.errors.into_iter().map(|error| ErrorCode { code: error.code, title: error.title.0 }).collect(),
        has_undo: row.has.contains(&Has::Undo),
        has_resume: row.has.contains(&Has::Resume),
        has_query: row.has.contains(&Has::Query),
        has_check: row.has.contains(&Has::Check),
        examples: row.examples.into_iter().map(example).collect(),
    }
}

fn example(row: ExampleRow<'_>) -> Example {
    Example {
        title: row.title.0,
        config: row.config.get().to_owned(),
        input: row.input.get().to_owned(),
        port: row.port,
        output: row.output.get().to_owned(),
        http_tape: row.http_tape.map(|tape| tape.get().to_owned()),
    }
}
