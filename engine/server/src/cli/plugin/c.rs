//! C: clang with its linker, or zig, which brings both; no C library. The manifest is a file of JSON; it becomes static
//! data of the same shape that the contract's records have in memory.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::project::Project;
use super::tools;

/// Set to the words of a compiler that makes wasm32 modules.
const VARIABLE: &str = "STEPWELL_CC";

const FLAGS: [&str; 10] = [
    "-Os",
    "-std=c11",
    "-Wall",
    "-ffreestanding",
    "-fno-builtin",
    "-nostdlib",
    "-mbulk-memory",
    "-fno-sanitize=undefined",
    "-Wl,--no-entry",
    "-Wl,--strip-all",
];
const STACK: &str = "-Wl,-z,stack-size=65536";

/// The compiler, with the words that make it compile for WebAssembly.
pub(super) fn compiler() -> anyhow::Result<Command> {
    if let Some(command) = tools::from_environment(VARIABLE) {
        return Ok(command);
    }
    if tools::on_path("wasm-ld").is_some()
        && tools::succeeds("clang", &["--target=wasm32", "-E", "-x", "c", "/dev/null"])
    {
        let mut clang = Command::new("clang");
        clang.arg("--target=wasm32");
        return Ok(clang);
    }
    let mut zig = if tools::on_path("zig").is_some() {
        Command::new("zig")
    } else if tools::succeeds("python3", &["-m", "ziglang", "version"]) {
        let mut python = Command::new("python3");
        python.args(["-m", "ziglang"]);
        python
    } else {
        anyhow::bail!(
            "no C compiler for WebAssembly is there\nhint: apt install clang lld, or: pip install ziglang, \
             or name one in {VARIABLE}"
        );
    };
    zig.args(["cc", "--target=wasm32-freestanding"]);
    Ok(zig)
}

pub(super) fn build(project: &Project) -> anyhow::Result<Vec<u8>> {
    let build = project.build_folder()?;
    let manifest = project.folder.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).with_context(|| manifest.display().to_string())?;
    let described = described(&text).with_context(|| manifest.display().to_string())?;
    let described_file = build.join("manifest.c");
    std::fs::write(&described_file, described)?;
    let module = build.join("plugin.core.wasm");
    let mut command = compiler()?;
    command.args(FLAGS).arg(STACK).arg("-I").arg(project.folder.join("src")).arg("-o").arg(&module);
    command.args(sources(&project.folder.join("src"))?).arg(&described_file).current_dir(&project.folder);
    tools::run("C compiler", &mut command)?;
    let core = std::fs::read(&module).with_context(|| module.display().to_string())?;
    Ok(stepwell_guests::component(&core)?)
}

fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "c"));
    files.sort();
    Ok(files)
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Manifest {
    name: String,
    version: String,
    licence: String,
    node_types: Vec<NodeType>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct NodeType {
    name: String,
    title: Map<String, Value>,
    summary: Map<String, Value>,
    category: String,
    icon: String,
    config_schema: Value,
    input_schema: Value,
    ports: Vec<Port>,
    #[serde(default)]
    errors: Vec<ErrorCode>,
    #[serde(default)]
    has: Vec<String>,
    examples: Vec<Example>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Port {
    name: String,
    title: Map<String, Value>,
    output_schema: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorCode {
    code: String,
    title: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    title: Map<String, Value>,
    config: Value,
    input: Value,
    port: String,
    output: Value,
}

/// The manifest as C: initialisers of the types in `stepwell.h`.
fn described(manifest: &str) -> anyhow::Result<String> {
    let Manifest { name, version, licence, node_types } = serde_json::from_str(manifest)?;
    let mut out = String::from("#include \"stepwell.h\"\n\n");
    let mut rows = Vec::new();
    for (at, one) in node_types.iter().enumerate() {
        rows.push(node_type(&mut out, at, one)?);
    }
    let types = array(&mut out, "node_types", "sw_node_type", &rows);
    let _ = writeln!(
        out,
        "static const sw_manifest manifest = {{ {}, {}, {}, {types} }};\n\n\
         const sw_manifest *sw_describe(void) {{ return &manifest; }}",
        text(&name),
        text(&version),
        text(&licence)
    );
    Ok(out)
}

fn node_type(out: &mut String, at: usize, one: &NodeType) -> anyhow::Result<String> {
    let mut words = |what: &str, map: &Map<String, Value>| {
        let items: Vec<String> = map
            .iter()
            .map(|(language, said)| format!("{{ {}, {} }}", text(language), text(said.as_str().unwrap_or_default())))
            .collect();
        array(out, &format!("n{at}_{what}"), "sw_localized", &items)
    };
    let (title, summary) = (words("title", &one.title), words("summary", &one.summary));
    let ports: Vec<String> = (0..)
        .zip(&one.ports)
        .map(|(nth, port): (usize, _)| {
            let title = words(&format!("port{nth}_title"), &port.title);
            format!("{{ {}, {title}, {} }}", text(&port.name), text(&port.output_schema.to_string()))
        })
        .collect();
    let errors: Vec<String> = (0..)
        .zip(&one.errors)
        .map(|(nth, error): (usize, _)| {
            format!("{{ {}, {} }}", text(&error.code), words(&format!("error{nth}_title"), &error.title))
        })
        .collect();
    let examples: Vec<String> = (0..)
        .zip(&one.examples)
        .map(|(nth, example): (usize, _)| {
            let title = words(&format!("example{nth}_title"), &example.title);
            let [config, input, output] =
                [&example.config, &example.input, &example.output].map(|value| text(&value.to_string()));
            format!("{{ {title}, {config}, {input}, {}, {output}, {{ 0 }} }}", text(&example.port))
        })
        .collect();
    for claim in &one.has {
        anyhow::ensure!(["undo", "resume", "query", "check"].contains(&&**claim), "node {}: has {claim}?", one.name);
    }
    let ports = array(out, &format!("n{at}_ports"), "sw_port", &ports);
    let errors = array(out, &format!("n{at}_errors"), "sw_error_code", &errors);
    let examples = array(out, &format!("n{at}_examples"), "sw_example", &examples);
    let has = ["undo", "resume", "query", "check"].map(|claim| one.has.iter().any(|has| has == claim).to_string());
    Ok(format!(
        "{{ {}, {title}, {summary}, {}, {}, {}, {}, {ports}, {errors}, {}, {examples} }}",
        text(&one.name),
        text(&one.category),
        text(&one.icon),
        text(&one.config_schema.to_string()),
        text(&one.input_schema.to_string()),
        has.join(", ")
    ))
}

/// A list: its items as an array of their own, if there are any; returns what stands for the list.
fn array(out: &mut String, name: &str, kind: &str, items: &[String]) -> String {
    if items.is_empty() {
        return "{ 0, 0 }".to_owned();
    }
    let _ = writeln!(out, "static const {kind} {name}[] = {{\n  {},\n}};", items.join(",\n  "));
    format!("{{ {name}, {} }}", items.len())
}

/// A text with its length in bytes.
fn text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => {
                let _ = write!(quoted, "\\{byte:03o}");
            }
        }
    }
    // Two question marks in a row begin a trigraph.
    format!("{{ \"{}\", {} }}", quoted.replace("??", "?\\?"), text.len())
}
