//! The one list of what the host offers to guests, and the effect class each item leads to.
//!
//! A component's class is the highest class among the interfaces it imports *functions* from;
//! interfaces that only lend types are free. The linker binds the items that are imported, all of
//! them of the component's class or below; what is not in the list is refused with its name.
//!
//! Invariants:
//! - Nothing is linked that is not in [`CAPABILITIES`]. What stands behind it follows from the state of
//!   the store: while a plugin is described or asked to check, clocks stand still and the way out is shut.
//! - Filesystem and sockets are not in it, and no grant puts them there.
//!
//! Not here: what an external component may reach (`http::grants`), which records a call sees (`records`).

use stepwell_core::catalog::EffectClass::{self, External, Pure, Recorded, Transactional};
use stepwell_core::problem::Problem;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, io, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi_http::WasiHttp;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::http;

use wit_component::DecodedWasm;
use wit_parser::WorldItem;

use crate::host::{self, CallState, HasTable};
use crate::{problems, records};

/// One interface that a guest may import.
struct Capability {
    /// Without the version; any version that the linker finds compatible is accepted.
    interface: &'static str,
    class: EffectClass,
    link: fn(&mut Linker<CallState>) -> wasmtime::Result<()>,
}

const fn offer(
    class: EffectClass,
    interface: &'static str,
    link: fn(&mut Linker<CallState>) -> wasmtime::Result<()>,
) -> Capability {
    Capability { interface, class, link }
}

static CAPABILITIES: &[Capability] = &[
    offer(Pure, "stepwell:host/log", host::link_log),
    // Inert: no arguments, no variables, closed input, output that goes nowhere.
    offer(Pure, "wasi:io/error", |l| io::error::add_to_linker::<_, HasTable>(l, CallState::table)),
    offer(Pure, "wasi:io/poll", |l| io::poll::add_to_linker::<_, HasTable>(l, CallState::table)),
    offer(Pure, "wasi:io/streams", |l| io::streams::add_to_linker::<_, HasTable>(l, CallState::table)),
    offer(Pure, "wasi:cli/environment", |l| cli::environment::add_to_linker::<_, WasiCli>(l, CallState::cli)),
    offer(Pure, "wasi:cli/exit", |l| cli::exit::add_to_linker::<_, WasiCli>(l, CallState::cli)),
    offer(Pure, "wasi:cli/stdin", |l| cli::stdin::add_to_linker::<_, WasiCli>(l, CallState::cli)),
    offer(Pure, "wasi:cli/stdout", |l| cli::stdout::add_to_linker::<_, WasiCli>(l, CallState::cli)),
    offer(Pure, "wasi:cli/stderr", |l| cli::stderr::add_to_linker::<_, WasiCli>(l, CallState::cli)),
    offer(Pure, "wasi:cli/terminal-input", |l| cli::terminal_input::add_to_linker::<_, WasiCli>(l, CallState::cli)),
    offer(Pure, "wasi:cli/terminal-output", |l| cli::terminal_output::add_to_linker::<_, WasiCli>(l, CallState::cli)),
    offer(Pure, "wasi:cli/terminal-stdin", |l| cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, CallState::cli)),
    offer(Pure, "wasi:cli/terminal-stdout", |l| cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, CallState::cli)),
    offer(Pure, "wasi:cli/terminal-stderr", |l| cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, CallState::cli)),
    // Fixed by the visit for recorded components, real for external ones: see `host`.
    offer(Recorded, "wasi:clocks/wall-clock", |l| {
        clocks::wall_clock::add_to_linker::<_, WasiClocks>(l, CallState::clocks)
    }),
    offer(Recorded, "wasi:clocks/monotonic-clock", |l| {
        clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(l, CallState::clocks)
    }),
    offer(Recorded, "wasi:random/random", |l| random::random::add_to_linker::<_, WasiRandom>(l, CallState::random)),
    offer(Recorded, "wasi:random/insecure", |l| random::insecure::add_to_linker::<_, WasiRandom>(l, CallState::random)),
    offer(Recorded, "wasi:random/insecure-seed", |l| {
        random::insecure_seed::add_to_linker::<_, WasiRandom>(l, CallState::random)
    }),
    // Of types that a grant names: see `records`.
    offer(Transactional, "stepwell:host/records-read", records::link_read),
    offer(Transactional, "stepwell:host/records-write", records::link_write),
    // Only to what a grant names: see `http`.
    offer(External, "wasi:http/types", |l| {
        http::types::add_to_linker::<_, WasiHttp>(l, &http::types::LinkOptions::default(), CallState::http)
    }),
    offer(External, "wasi:http/outgoing-handler", |l| {
        http::outgoing_handler::add_to_linker::<_, WasiHttp>(l, CallState::http)
    }),
];

/// What a component imports functions or resources from, and what follows.
pub(crate) struct Imports {
    pub(crate) class: EffectClass,
    /// As the component writes them, with versions.
    pub(crate) names: Vec<String>,
    /// Some of them are of records.
    pub(crate) records: bool,
    offered: Vec<&'static Capability>,
}

/// Classifies a component, or says all that stands against loading it.
pub(crate) fn classify(engine: &Engine, component: &Component) -> Result<Imports, Vec<Problem>> {
    let mut class = Pure;
    let (mut names, mut offered) = (Vec::new(), Vec::new());
    let mut refused = Vec::new();
    let (mut sends, mut writes, mut records) = (false, false, false);
    let ty = component.component_type();
    for (name, item) in ty.imports(engine) {
        if only_lends_types(engine, &item.ty) {
            continue;
        }
        let interface = bare(name);
        names.push(name.to_owned());
        sends |= interface == "wasi:http/outgoing-handler";
        records |= interface.starts_with("stepwell:host/records-");
        writes |= interface == "stepwell:host/records-write";
        if let Some(capability) = CAPABILITIES.iter().find(|capability| capability.interface == interface) {
            class = class.max(capability.class);
            offered.push(capability);
        } else {
            refused.push(problems::import_refused(name, remedy(interface)));
        }
    }
    if sends && writes {
        refused.insert(0, problems::http_beside_records());
    }
    if refused.is_empty() { Ok(Imports { class, names, records, offered }) } else { Err(refused) }
}

/// An interface's name without its version.
fn bare(name: &str) -> &str {
    name.split_once('@').map_or(name, |(interface, _version)| interface)
}

/// What [`classify`] will refuse, as far as it can be told before the component is compiled. One that cannot be read
/// this way is left to the compiler, which says better what is wrong with it.
pub(crate) fn refused_early(component: &[u8]) -> Vec<Problem> {
    let Ok(DecodedWasm::Component(decoded, world)) = wit_component::decode(component) else { return Vec::new() };
    let imports = decoded.worlds[world].imports.iter().filter(|(_, item)| match item {
        WorldItem::Interface { id, .. } => !decoded.interfaces[*id].functions.is_empty(),
        WorldItem::Function(_) => true,
        WorldItem::Type { .. } => false,
    });
    let known = |name: &str| {
        let interface = bare(name);
        CAPABILITIES.iter().any(|one| one.interface == interface)
    };
    imports
        .map(|(key, _)| decoded.name_world_key(key))
        .filter(|name| !known(name))
        .map(|name| problems::import_refused(&name, remedy(bare(&name))))
        .collect()
}

impl Imports {
    /// Binds what the component imports, and nothing else.
    pub(crate) fn linker(&self, engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
        let mut linker = Linker::new(engine);
        for capability in &self.offered {
            (capability.link)(&mut linker)?;
        }
        Ok(linker)
    }
}

/// An interface without functions and resources of its own gives no power.
fn only_lends_types(engine: &Engine, item: &ComponentItem) -> bool {
    match item {
        ComponentItem::Type(_) => true,
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).all(|(_, export)| only_lends_types(engine, &export.ty))
        }
        ComponentItem::ComponentFunc(_)
        | ComponentItem::CoreFunc(_)
        | ComponentItem::Module(_)
        | ComponentItem::Component(_)
        | ComponentItem::Resource(_) => false,
    }
}

/// What an import is to a plugin's author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The class that a component is of at least when it imports this; none where it is refused.
    pub class: Option<EffectClass>,
    /// How a build is made that does not import it.
    pub remedy: &'static str,
}

/// Looks an interface up by its name, with or without its version.
pub fn imported(name: &str) -> Imported {
    let interface = bare(name);
    let class = CAPABILITIES.iter().find(|capability| capability.interface == interface).map(|one| one.class);
    Imported { class, remedy: remedy(interface) }
}

/// What a plugin author can do about an import.
fn remedy(interface: &str) -> &'static str {
    let package = interface.split_once('/').map_or(interface, |(package, _)| package);
    match package {
        "wasi:filesystem" => {
            "Rust: build for wasm32-unknown-unknown instead of wasm32-wasip2; \
             JavaScript: `jco componentize --disable all`; Python: `componentize-py componentize --stub-wasi`; \
             C: link without wasi-libc's file functions"
        }
        "wasi:sockets" => {
            "import wasi:http/outgoing-handler and reach the world through a granted connection; \
             Rust: build for wasm32-unknown-unknown; JavaScript: `jco componentize --disable all`; \
             Python: `componentize-py componentize --stub-wasi`"
        }
        "wasi:config" | "wasi:keyvalue" | "wasi:blobstore" | "wasi:messaging" => {
            "pass settings in the node's config and data in its input"
        }
        "wasi:clocks" => {
            "take the time from the input; Rust: build for wasm32-unknown-unknown, do not use `std::time`; \
             JavaScript and Python: `stepwell plugin build` links no clock"
        }
        "wasi:random" => {
            "take a number from the input or derive it from `call.key`; Rust: build for wasm32-unknown-unknown, \
             without the crates `rand` and `getrandom`, and hash with fixed keys"
        }
        "wasi:http" => "Rust: leave out the feature `http` of stepwell-sdk; JavaScript: do not import `stepwell/http`",
        "wasi:io" => "it comes with the other WASI imports and goes with them",
        "stepwell:host" if interface.contains("/records") => {
            "Rust: leave out the feature `records` of stepwell-sdk; pass what is to be read in the node's input"
        }
        "stepwell:host" => "it is harmless: log lines have no effect on results",
        "wasi:cli" => {
            "Rust: build for wasm32-unknown-unknown instead of wasm32-wasip2; else use a reactor, not a command: no `main`, build with `--crate-type cdylib` or `-mexec-model=reactor`"
        }
        _ => "remove what imports it; docs list the interfaces a plugin may import",
    }
}
