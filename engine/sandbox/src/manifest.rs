//! Reads what `describe` said into the catalogue's types, and finds all that is wrong with it.
//!
//! Invariant: a [`Described`] has valid names, unique where they must be, and schemas that compile.
//!
//! Not here: running the examples (`examples`).

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::Value;
use stepwell_core::catalog::{self, EffectClass, Text};
use stepwell_core::problem::Problem;

use crate::call::Exports;
use crate::{Digest, contract, problems};

const NAME_BYTES_MAX: usize = 64;
const ICON_BYTES_MAX: usize = 8 * 1024;
const NODE_TYPES_MAX: usize = 64;
const PORTS_MAX: usize = 32;
const ERRORS_MAX: usize = 256;
const EXAMPLES_MAX: usize = 32;

/// Ports that the flow language gives meaning to.
const PORTS_TAKEN: [&str; 3] = ["error", "timeout", "message"];

/// What the engine knows of a plugin beside its code.
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: String,
    pub(crate) node_types: Vec<DescribedType>,
}

pub(crate) struct DescribedType {
    /// Without the package.
    pub(crate) name: String,
    pub(crate) has_check: bool,
    pub(crate) entry: catalog::NodeType,
    /// What the examples are held to; dropped when they have been run.
    pub(crate) proof: Option<Proof>,
}

pub(crate) struct Proof {
    /// By the index of the entry's examples.
    pub(crate) tapes: Vec<Option<String>>,
    pub(crate) config: Validator,
    pub(crate) input: Validator,
    /// By the index of the entry's ports.
    pub(crate) outputs: Vec<Validator>,
}

/// What a manifest is checked against.
pub(crate) struct Facts<'a> {
    pub(crate) digest: &'a Digest,
    pub(crate) class: EffectClass,
    pub(crate) exports: &'a Exports,
}

/// Everything that is wrong is said; something is returned only if nothing is.
pub(crate) fn read(manifest: contract::Manifest, facts: &Facts<'_>) -> Result<Described, Vec<Problem>> {
    let mut reader = Reader { problems: Vec::new() };
    let contract::Manifest { name, version, licence, node_types } = manifest;
    reader.name("/name", &name);
    let major = reader.major("/version", &version);
    reader.count("/node-types", node_types.len(), 1, NODE_TYPES_MAX);
    reader.unique("/node-types", node_types.iter().map(|one| one.name.as_str()));
    let package = Package { name: &name, version: &version, major, facts };
    let node_types: Vec<_> = node_types
        .into_iter()
        .enumerate()
        .map(|(at, node_type)| reader.node_type(&format!("/node-types/{at}"), node_type, &package))
        .collect();
    if reader.problems.is_empty() {
        // Without a problem, every node type was read.
        Ok(Described { name, version, licence, node_types: node_types.into_iter().flatten().collect() })
    } else {
        Err(reader.problems)
    }
}

struct Package<'a> {
    name: &'a str,
    version: &'a str,
    major: u64,
    facts: &'a Facts<'a>,
}

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn node_type(&mut self, at: &str, node_type: contract::NodeType, package: &Package<'_>) -> Option<DescribedType> {
        let Package { name: plugin, version, major, facts } = *package;
        self.name(&format!("{at}/name"), &node_type.name);
        self.claims(at, &node_type, facts.exports);
        self.icon(&format!("{at}/icon"), &node_type.icon);
        self.count(&format!("{at}/ports"), node_type.ports.len(), 1, PORTS_MAX);
        self.count(&format!("{at}/errors"), node_type.errors.len(), 0, ERRORS_MAX);
        // Where records decide, there may be nothing to show: there are none yet when examples are played.
        let examples_min = usize::from(facts.class != EffectClass::Transactional);
        self.count(&format!("{at}/examples"), node_type.examples.len(), examples_min, EXAMPLES_MAX);
        self.unique(&format!("{at}/ports"), node_type.ports.iter().map(|port| port.name.as_str()));
        let config = self.schema(&format!("{at}/config-schema"), &node_type.config_schema);
        let input = self.schema(&format!("{at}/input-schema"), &node_type.input_schema);
        let ports = self.ports(at, node_type.ports);
        let examples = self.examples(at, node_type.examples);
        let ((config_schema, config), (input_schema, input)) = config.zip(input)?;
        let (ports, outputs) = ports.into_iter().flatten().unzip();
        let (examples, tapes) = examples.into_iter().flatten().unzip();
        let entry = catalog::NodeType {
            id: format!("{plugin}/{}", node_type.name),
            uses: format!("{plugin}/{}@{major}", node_type.name),
            major,
            plugin: format!("{plugin}@{version}"),
            digest: facts.digest.to_string(),
            effect: facts.class,
            title: text(node_type.title),
            summary: text(node_type.summary),
            category: node_type.category,
            icon: node_type.icon,
            config: config_schema,
            input: input_schema,
            ports,
            errors: node_type.errors.into_iter().map(error_code).collect(),
            undo: node_type.has_undo,
            resume: node_type.has_resume,
            query: node_type.has_query,
            examples,
        };
        let (name, has_check) = (node_type.name, node_type.has_check);
        let proof = Some(Proof { tapes, config, input, outputs });
        Some(DescribedType { name, has_check, entry, proof })
    }

    fn claims(&mut self, at: &str, node_type: &contract::NodeType, exports: &Exports) {
        for (field, claimed, exported, export) in [
            ("has-undo", node_type.has_undo, exports.undo.is_some(), contract::UNDO),
            ("has-resume", node_type.has_resume, exports.resume.is_some(), contract::RESUME),
            ("has-query", node_type.has_query, exports.query.is_some(), contract::QUERY),
            ("has-check", node_type.has_check, exports.check.is_some(), contract::CHECK),
        ] {
            if claimed && !exported {
                self.problems.push(problems::export_missing(format!("{at}/{field}"), export));
            }
        }
    }

    fn ports(&mut self, at: &str, ports: Vec<contract::Port>) -> Vec<Option<(catalog::Port, Validator)>> {
        let read = |(nth, port): (usize, contract::Port)| {
            let at = format!("{at}/ports/{nth}");
            self.name(&format!("{at}/name"), &port.name);
            if PORTS_TAKEN.contains(&port.name.as_str()) {
                self.say(format!("{at}/name"), format!("`{}` has a meaning of its own in flows", port.name));
            }
            let (output, validator) = self.schema(&format!("{at}/output-schema"), &port.output_schema)?;
            Some((catalog::Port { name: port.name, title: text(port.title), output }, validator))
        };
        ports.into_iter().enumerate().map(read).collect()
    }

    fn examples(
        &mut self,
        at: &str,
        examples: Vec<contract::Example>,
    ) -> Vec<Option<(catalog::Example, Option<String>)>> {
        let read = |(nth, example): (usize, contract::Example)| {
            let at = format!("{at}/examples/{nth}");
            let config = self.json(&format!("{at}/config"), &example.config);
            let input = self.json(&format!("{at}/input"), &example.input);
            let output = self.json(&format!("{at}/output"), &example.output);
            let title = text(example.title);
            let title = title.get("en").or_else(|| title.values().next()).cloned().unwrap_or_default();
            let (config, input, output) = (config?, input?, output?);
            Some((catalog::Example { title, config, input, port: example.port, output }, example.http_tape))
        };
        examples.into_iter().enumerate().map(read).collect()
    }

    fn name(&mut self, at: &str, name: &str) {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
            let rule = "is not made of lower-case letters, digits and `-`, at most 64";
            self.say(at, format!("the name `{name}` {rule}"));
        }
    }

    /// `MAJOR.MINOR.PATCH`, perhaps with `-pre` or `+build`.
    fn major(&mut self, at: &str, version: &str) -> u64 {
        let core = version.split(['-', '+']).next().unwrap_or_default();
        let numbers: Vec<_> = core.split('.').map(str::parse::<u64>).collect();
        let plain = version.len() <= NAME_BYTES_MAX
            && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte));
        match numbers.as_slice() {
            [Ok(major), Ok(_), Ok(_)] if plain => *major,
            _ => {
                self.say(at, format!("`{version}` is no semantic version such as 1.4.0"));
                0
            }
        }
    }

    fn icon(&mut self, at: &str, icon: &str) {
        if icon.len() > ICON_BYTES_MAX {
            self.say(at, format!("the icon has {} bytes, at most {ICON_BYTES_MAX} are allowed", icon.len()));
        }
    }

    fn count(&mut self, at: &str, count: usize, min: usize, max: usize) {
        if !(min..=max).contains(&count) {
            self.say(at, format!("has {count} entries, between {min} and {max} are allowed"));
        }
    }

    fn unique<'a>(&mut self, at: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name) {
                self.say(at, format!("`{name}` is there twice"));
            }
        }
    }

    fn json(&mut self, at: &str, text: &str) -> Option<Value> {
        match serde_json::from_str(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.say(at, format!("is no JSON: {error}"));
                None
            }
        }
    }

    fn schema(&mut self, at: &str, text: &str) -> Option<(Value, Validator)> {
        let schema = self.json(at, text)?;
        // References leave the schema nowhere: the crate is built without resolvers.
        match jsonschema::draft202012::new(&schema) {
            Ok(validator) => Some((schema, validator)),
            Err(error) => {
                self.problems.push(problems::schema(at, error.to_string()));
                None
            }
        }
    }

    fn say(&mut self, at: impl Into<String>, message: impl Into<String>) {
        self.problems.push(problems::manifest(at, message));
    }
}

fn text(languages: Vec<contract::Localized>) -> Text {
    languages.into_iter().map(|localized| (localized.language, localized.text)).collect()
}

fn error_code(error: contract::ErrorCode) -> catalog::ErrorCode {
    catalog::ErrorCode { code: error.code, title: text(error.title) }
}
