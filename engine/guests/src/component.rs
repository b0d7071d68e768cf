//! From a core module to a component that says what it is.
//!
//! Compilers with a generator for WIT leave a section that says so. C and other languages need none: by the names of
//! the exports, which are fixed, the section is made here.

use std::fmt::Write as _;

use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldItem};

use crate::{Error, module};

/// The contract's files, by their path below `wit/`.
pub const WIT: [(&str, &str); 4] = [
    ("deps/host/host.wit", include_str!("../../../wit/deps/host/host.wit")),
    ("types.wit", include_str!("../../../wit/types.wit")),
    ("node.wit", include_str!("../../../wit/node.wit")),
    ("worlds.wit", include_str!("../../../wit/worlds.wit")),
];

/// Exports of the contract, and the world that each is.
const WORLDS: [(&str, &str); 5] = [
    ("stepwell:node/node@0.1.0#run", "plugin"),
    ("stepwell:node/undo@0.1.0#undo", "undoable"),
    ("stepwell:node/resume@0.1.0#resume", "resumable"),
    ("stepwell:node/query@0.1.0#query", "queryable"),
    ("stepwell:node/check@0.1.0#check", "checkable"),
];

/// Interfaces of ours that may be imported, and the world that each is.
const IMPORTED: [(&str, &str); 3] = [
    ("stepwell:host/log@0.1.0", "logging"),
    ("stepwell:host/records-read@0.1.0", "records-reader"),
    ("stepwell:host/records-write@0.1.0", "records-writer"),
];

/// The component that a core module makes.
///
/// # Errors
///
/// [`Error::Module`]: it imports what no component can, or does not export what the contract asks for.
pub fn component(core: &[u8]) -> Result<Vec<u8>, Error> {
    let mut core = core.to_vec();
    if !says_its_types(&core)? {
        let worlds = worlds(&core)?;
        let (contract, world) = contract_with(&worlds)?;
        embed_component_metadata(&mut core, &contract, world, StringEncoding::UTF8).map_err(module)?;
    }
    let encoder = ComponentEncoder::default().validate(true).module(&core);
    encoder.and_then(|mut encoder| encoder.encode()).map_err(module)
}

/// The interfaces of which a component imports functions.
pub fn imports(component: &[u8]) -> Result<Vec<String>, Error> {
    let DecodedWasm::Component(decoded, world) = wit_component::decode(component).map_err(module)? else {
        return Err(Error::Module("is no component".to_owned()));
    };
    let functions = decoded.worlds[world].imports.iter().filter(|(_, item)| match item {
        WorldItem::Interface { id, .. } => !decoded.interfaces[*id].functions.is_empty(),
        WorldItem::Function(_) => true,
        WorldItem::Type { .. } => false,
    });
    Ok(functions.map(|(key, _)| decoded.name_world_key(key)).collect())
}

fn says_its_types(core: &[u8]) -> Result<bool, Error> {
    for payload in wasmparser::Parser::new(0).parse_all(core) {
        if let wasmparser::Payload::CustomSection(section) = payload.map_err(module)?
            && section.name().starts_with("component-type")
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn worlds(core: &[u8]) -> Result<Vec<&'static str>, Error> {
    let (mut exports, mut imports) = (Vec::new(), Vec::new());
    for payload in wasmparser::Parser::new(0).parse_all(core) {
        match payload.map_err(module)? {
            wasmparser::Payload::ExportSection(section) => {
                for export in section {
                    exports.push(export.map_err(module)?.name);
                }
            }
            wasmparser::Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imports.push(import.map_err(module)?.module);
                }
            }
            _ => {}
        }
    }
    let (first, _) = WORLDS[0];
    if !exports.contains(&first) {
        return Err(Error::Module(format!("the module does not export {first}")));
    }
    let exported = WORLDS.iter().filter(|(export, _)| exports.contains(export));
    let imported = IMPORTED.iter().filter(|(import, _)| imports.contains(import));
    Ok(exported.chain(imported).map(|(_, world)| *world).collect())
}

/// The contract, with one more world that has all of these.
pub(crate) fn contract_with(worlds: &[&str]) -> Result<(Resolve, wit_parser::WorldId), Error> {
    let mut contract = Resolve::default();
    let [(host_path, host), parts @ ..] = WIT;
    contract.push_str(host_path, host).map_err(module)?;
    // The files of one package, as one: only the first may carry its name.
    let text: String = parts.iter().flat_map(|(_, part)| [*part, "\n"]).collect();
    let mut includes = String::new();
    for world in worlds {
        let _ = writeln!(includes, "  include {world};");
    }
    let text = format!("{text}\nworld exported {{\n{includes}}}\n");
    let package = contract.push_str("contract.wit", &text).map_err(module)?;
    let world = contract.select_world(&[package], Some("exported")).map_err(module)?;
    Ok((contract, world))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::fmt::Write as _;

    use super::{component, imports};

    /// A module with these exports, all of the form that `run` and `describe` have.
    fn exporting(exports: &[&str], import: &str) -> Vec<u8> {
        let mut functions = String::new();
        for name in exports {
            let given = if name.ends_with("describe") { "" } else { "(param i32)" };
            let _ = write!(functions, "(func (export \"{name}\") {given} (result i32) i32.const 0)");
        }
        wat::parse_str(format!(
            "(module {import} (memory (export \"memory\") 1) {functions}
               (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) i32.const 0))"
        ))
        .unwrap()
    }

    #[test]
    fn a_module_is_wrapped_by_the_names_of_its_exports() {
        let node = ["stepwell:node/node@0.1.0#describe", "stepwell:node/node@0.1.0#run"];
        let undo = ["stepwell:node/undo@0.1.0#undo"];
        let log = r#"(import "stepwell:host/log@0.1.0" "log" (func (param i32 i32 i32)))"#;
        let wasi = r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;
        for (exports, import, expected) in [
            (node.to_vec(), "", Ok(())),
            ([&node[..], &undo].concat(), "", Ok(())),
            (undo.to_vec(), "", Err("does not export stepwell:node/node@0.1.0#run")),
            (node[1..].to_vec(), "", Err("describe")),
            (node.to_vec(), wasi, Err("wasi_snapshot_preview1")),
            (node.to_vec(), log, Ok(())),
        ] {
            match (component(&exporting(&exports, import)), expected) {
                (Ok(made), Ok(())) => {
                    assert_eq!(imports(&made).unwrap().len(), import.len().min(1), "{exports:?} {import}");
                }
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{exports:?}: {error}"),
                (made, _) => panic!("{exports:?} {import}: {:?}", made.map(|made| made.len())),
            }
        }
    }
}
