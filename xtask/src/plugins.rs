//! Builds the bundled plugins: for each a core module by cargo, then the component, checked.
//!
//! Invariants:
//! - A component is written only after it was found to be what `wit/` says, and a pure one to import no function.
//! - A file whose bytes did not change is left alone, so an engine that watches the folder stays still.
//!
//! Not here: the examples and schemas in the manifests; `cargo test` in `plugins/` plays them on the host, and the
//! engine in its sandbox when it loads a plugin.

pub(crate) mod c_compiler;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use wit_component::DecodedWasm;
use wit_parser::{Resolve, Span, WorldItem};

use crate::paths;
use crate::steps::say;

const TARGET: &str = "wasm32-unknown-unknown";
/// The one export without which a component is no plugin.
const NODE: &str = "stepwell:node/node@0.1.0";

/// A plugin that comes with the engine.
struct Bundled {
    name: &'static str,
    /// Imports no function at all.
    is_pure: bool,
    /// The guest's stack. Small, because it is part of the memory that every call starts with.
    stack_bytes: u32,
    /// Holds C code, for which Rust brings no compiler.
    has_c: bool,
}

impl Bundled {
    const fn pure(name: &'static str) -> Self {
        Self { name, is_pure: true, stack_bytes: 64 * 1024, has_c: false }
    }

    const fn importing(name: &'static str) -> Self {
        Self { is_pure: false, ..Self::pure(name) }
    }
}

const BUNDLED: [Bundled; 8] = [
    Bundled::pure("order"),
    Bundled::pure("json"),
    // QuickJS is recursive; its own limit on the depth is a little below this.
    Bundled { stack_bytes: 256 * 1024, has_c: true, ..Bundled::pure("script") },
    Bundled::importing("http"),
    Bundled::importing("commerce"),
    Bundled::importing("community"),
    Bundled::importing("checkout"),
    Bundled::importing("payment"),
];

/// What runs plugins in other languages: a module that `stepwell plugin build` gives a program, once without and once
/// with the way out. `QuickJS` as in `script`.
const RUNTIMES: [(&str, Bundled, &[&str]); 2] = [
    ("js", Bundled { stack_bytes: 256 * 1024, has_c: true, ..Bundled::pure("js") }, &[]),
    ("js-http", Bundled { stack_bytes: 256 * 1024, has_c: true, ..Bundled::importing("js") }, &["--features", "http"]),
];

/// Builds the runtimes into `out_dir/<name>.wasm`; the program holds them.
pub(crate) fn build_runtimes(out_dir: &Path) -> Result<()> {
    fs::create_dir_all(out_dir).with_context(|| format!("cannot create {}", out_dir.display()))?;
    for (name, runtime, features) in &RUNTIMES {
        let module = module(runtime, features).with_context(|| format!("runtime {name}"))?;
        write(&out_dir.join(format!("{name}.wasm")), &module)?;
        say(&format!("  {name:<9} {:>4} KiB, a module", module.len().div_ceil(1024)));
    }
    Ok(())
}

/// Builds all bundled plugins into `out_dir/<name>.wasm`.
pub(crate) fn build(out_dir: &Path) -> Result<()> {
    fs::create_dir_all(out_dir).with_context(|| format!("cannot create {}", out_dir.display()))?;
    let mut contract = Resolve::default();
    contract.push_dir(paths::root().join("wit")).context("wit/ does not parse")?;
    for plugin in &BUNDLED {
        let component = component(plugin).with_context(|| format!("plugin {}", plugin.name))?;
        let imports = check(plugin, contract.clone(), &component).with_context(|| format!("plugin {}", plugin.name))?;
        let written = write(&out_dir.join(format!("{}.wasm", plugin.name)), &component)?;
        let imports = if imports.is_empty() { "imports no function".to_owned() } else { imports.join(", ") };
        let same = if written { "" } else { ", as before" };
        say(&format!("  {:<9} {:>4} KiB{same}: {imports}", plugin.name, component.len().div_ceil(1024)));
    }
    Ok(())
}

fn component(plugin: &Bundled) -> Result<Vec<u8>> {
    let mut module = module(plugin, &[])?;
    if let Some(prepared) = stepwell_guests::started(&module)? {
        module = prepared;
    }
    Ok(stepwell_guests::component(&module)?)
}

/// The core module, as cargo leaves it.
fn module(plugin: &Bundled, arguments: &[&str]) -> Result<Vec<u8>> {
    let target_dir = paths::target().join("plugins");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    cargo.args(["build", "--quiet", "--release", "--locked", "--target", TARGET, "--package", plugin.name]);
    cargo.args(arguments).arg("--target-dir").arg(&target_dir);
    // In place of what the caller's environment or plugins/.cargo/config.toml says for other builds.
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo.env("RUSTFLAGS", format!("-C link-arg=-zstack-size={}", plugin.stack_bytes));
    if plugin.has_c {
        cargo.envs(c_compiler::for_wasm()?);
    }
    let ended = cargo.current_dir(paths::root().join("plugins")).stdin(Stdio::null()).status();
    ensure!(ended.context("cargo does not start")?.success(), "cargo build failed");
    let file = target_dir.join(TARGET).join("release").join(format!("{}.wasm", plugin.name));
    fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
}

/// Fails where the component is not what `wit/` says; returns the interfaces of which it imports functions.
fn check(plugin: &Bundled, mut contract: Resolve, component: &[u8]) -> Result<Vec<String>> {
    let DecodedWasm::Component(decoded, world) = wit_component::decode(component)? else {
        bail!("is no component");
    };
    let exports: Vec<String> = decoded.worlds[world].exports.keys().map(|key| decoded.name_world_key(key)).collect();
    ensure!(exports.iter().any(|export| export == NODE), "does not export {NODE}, only {}", exports.join(", "));
    let imports: Vec<String> = decoded.worlds[world]
        .imports
        .iter()
        .filter(|(_, item)| match item {
            WorldItem::Interface { id, .. } => !decoded.interfaces[*id].functions.is_empty(),
            WorldItem::Function(_) => true,
            WorldItem::Type { .. } => false,
        })
        .map(|(key, _)| decoded.name_world_key(key))
        .collect();
    ensure!(!plugin.is_pure || imports.is_empty(), "is to be pure, but imports {}", imports.join(", "));
    // Merging makes the component's world speak of the interfaces as wit/ has them, where it has them.
    let world = contract.merge(decoded)?.map_world(world, Span::default())?;
    wit_component::targets(&contract, world, component).context("differs from wit/")?;
    Ok(imports)
}

/// Whether the file had to be written. Others may be reading the folder, so it changes in one move.
fn write(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|known| known == bytes) {
        return Ok(false);
    }
    let fresh = path.with_extension("wasm.new");
    fs::write(&fresh, bytes)
        .and_then(|()| fs::rename(&fresh, path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}
