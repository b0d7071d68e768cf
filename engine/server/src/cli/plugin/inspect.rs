//! `stepwell plugin inspect`: what a component is, before anybody trusts it.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use stepwell_core::catalog::{EffectClass, NodeType, Text};
use stepwell_core::problem::Problem;
use stepwell_sandbox::{Digest, Imported, PluginInfo, imported};

use super::super::result;
use super::progress;

#[derive(Args)]
pub(in super::super) struct Inspect {
    /// The component
    file: PathBuf,
    /// As JSON, schemas included
    #[arg(long)]
    json: bool,
}

struct Found {
    digest: Digest,
    anatomy: stepwell_guests::Anatomy,
    imports: Vec<(String, Imported)>,
    described: Result<PluginInfo, Vec<Problem>>,
}

pub(super) fn run(asked: &Inspect) -> anyhow::Result<()> {
    let wasm = std::fs::read(&asked.file).with_context(|| asked.file.display().to_string())?;
    // Beside a component that was tested lies its machine code.
    let cache = asked.file.parent().map(|folder| folder.join("cache")).filter(|folder| folder.is_dir());
    let found = find(wasm, cache).with_context(|| asked.file.display().to_string())?;
    if asked.json {
        result(&(serde_json::to_string_pretty(&found.json())? + "\n"));
    } else {
        result(&found.shown());
    }
    let problems = found.described.err().unwrap_or_default();
    anyhow::ensure!(problems.is_empty(), "an engine would refuse it");
    Ok(())
}

fn find(wasm: Vec<u8>, cache: Option<PathBuf>) -> anyhow::Result<Found> {
    let component = if wasm.starts_with(b"\0asm\x01\0\0\0") { stepwell_guests::component(&wasm)? } else { wasm };
    let anatomy = stepwell_guests::anatomy(&component)?;
    let imports = stepwell_guests::imports(&component)?;
    let imports = imports.into_iter().map(|name| (imported(&name), name)).map(|(it, name)| (name, it)).collect();
    let digest = Digest::of(&component);
    let line = progress::Line::new("compiling");
    let described = described(component, cache)?;
    drop(line);
    Ok(Found { digest, anatomy, imports, described })
}

#[tokio::main(flavor = "current_thread")]
async fn described(component: Vec<u8>, cache: Option<PathBuf>) -> anyhow::Result<Result<PluginInfo, Vec<Problem>>> {
    let sandbox = super::sandbox(cache)?;
    Ok(Box::pin(sandbox.examine(component)).await.map(|ready| ready.info()))
}

impl Found {
    fn class(&self) -> EffectClass {
        self.imports.iter().filter_map(|(_, import)| import.class).max().unwrap_or(EffectClass::Pure)
    }

    fn shown(&self) -> String {
        let mut out = String::new();
        if let Ok(info) = &self.described {
            let _ = writeln!(out, "{}@{}  {}", info.name, info.version, info.licence);
        }
        let _ = writeln!(out, "digest   {}", self.digest);
        let _ = writeln!(out, "effect   {}", effect(self.class()));
        self.show_imports(&mut out);
        let sizes = &self.anatomy;
        let [whole, code, data, custom, memory] =
            [sizes.bytes, sizes.code_bytes, sizes.data_bytes, sizes.custom_bytes, sizes.memory_bytes]
                .map(progress::bytes);
        let _ = writeln!(out, "size     {whole}: code {code}, data {data}, names and debug {custom}");
        let _ = writeln!(out, "memory   {memory} at the start of each call");
        match &self.described {
            Ok(info) => info.node_types.iter().for_each(|one| show_node_type(&mut out, one)),
            Err(problems) => problems.iter().for_each(|problem| show_problem(&mut out, problem)),
        }
        out
    }

    fn show_imports(&self, out: &mut String) {
        if self.imports.is_empty() {
            let _ = writeln!(out, "imports  no function");
        }
        let class = self.class();
        for (name, import) in &self.imports {
            let weight = match import.class {
                None => "REFUSED".to_owned(),
                // Pure is the least there is, so nothing raised it.
                Some(own) if own == class && own > EffectClass::Pure => {
                    format!("{}: this makes the component so", effect(own))
                }
                Some(own) => effect(own).to_owned(),
            };
            let _ = writeln!(out, "imports  {name}  {weight}");
            if import.class.is_none_or(|own| own == class && own > EffectClass::Pure) {
                let _ = writeln!(out, "         to drop it: {}", import.remedy);
            }
        }
    }

    fn json(&self) -> Value {
        let imports: Vec<Value> = self
            .imports
            .iter()
            .map(|(name, import)| json!({ "name": name, "effect": import.class, "remedy": import.remedy }))
            .collect();
        let sizes = &self.anatomy;
        let mut whole = json!({
            "digest": self.digest.to_string(), "effect": self.class(), "imports": imports,
            "bytes": sizes.bytes, "codeBytes": sizes.code_bytes, "dataBytes": sizes.data_bytes,
            "customBytes": sizes.custom_bytes, "memoryBytes": sizes.memory_bytes,
        });
        match &self.described {
            Ok(info) => {
                whole["name"] = json!(info.name);
                whole["version"] = json!(info.version);
                whole["licence"] = json!(info.licence);
                whole["nodeTypes"] = json!(info.node_types);
            }
            Err(problems) => whole["problems"] = json!(problems),
        }
        whole
    }
}

fn effect(class: EffectClass) -> &'static str {
    match class {
        EffectClass::Pure => "pure",
        EffectClass::Recorded => "recorded",
        EffectClass::Transactional => "transactional",
        EffectClass::External => "external",
    }
}

fn show_node_type(out: &mut String, node_type: &NodeType) {
    let _ = writeln!(out, "\n{}  {}", node_type.uses, word(&node_type.title));
    let _ = writeln!(out, "  {}", word(&node_type.summary));
    let offers = [(node_type.undo, "undo"), (node_type.resume, "resume"), (node_type.query, "query")];
    let offers: Vec<&str> = offers.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect();
    if !offers.is_empty() {
        let _ = writeln!(out, "  offers   {}", offers.join(", "));
    }
    show_schema(out, "config", &node_type.config);
    show_schema(out, "input", &node_type.input);
    for port in &node_type.ports {
        show_schema(out, &format!("port {}", port.name), &port.output);
    }
    for error in &node_type.errors {
        let _ = writeln!(out, "  rejects  {}: {}", error.code, word(&error.title));
    }
    let _ = writeln!(out, "  examples {}", node_type.examples.len());
}

/// One line per field: name, `?` where it may be left out, type, title.
fn show_schema(out: &mut String, what: &str, schema: &Value) {
    let fields = schema["properties"].as_object();
    let _ =
        writeln!(out, "  {what}{}", if fields.is_some_and(|fields| !fields.is_empty()) { "" } else { ": no fields" });
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in fields.into_iter().flatten() {
        let optional = if required.contains(&name.as_str()) { "" } else { "?" };
        let kind = match &field["type"] {
            Value::String(kind) => kind.clone(),
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
            _ if field.get("enum").is_some() => "one of a list".to_owned(),
            _ => "any".to_owned(),
        };
        let title = field["title"].as_str().map(|title| format!("  {title}")).unwrap_or_default();
        let _ = writeln!(out, "    {name}{optional}: {kind}{title}");
    }
}

pub(super) fn show_problem(out: &mut String, problem: &Problem) {
    let at = if problem.pointer.is_empty() { String::new() } else { format!(" at {}", problem.pointer) };
    let _ = writeln!(out, "{}{at}: {}", problem.code, problem.message);
    if let Some(fix) = &problem.fix {
        let _ = writeln!(out, "  hint: {fix}");
    }
}

fn word(text: &Text) -> &str {
    text.get("en").or_else(|| text.values().next()).map_or("", String::as_str)
}
