//! Runs a module's costly start once, now, and keeps the memory it leaves behind as the memory the module starts
//! with: what takes a JavaScript engine most of a millisecond then takes a call nothing.
//!
//! Two ways: a module that exports `wizer-initialize`, the customary name, is started as it is; a module that runs
//! programs in another language (`plugins/js`) is given one first, and its start may find fault with it. Imports trap
//! meanwhile. Tables are taken to be as they were: guests in Rust and C do not write to them.
//!
//! Not here: what is prepared; that is the plugin's affair.

use std::ops::Range;

use wasm_encoder::reencode::{Reencode as _, RoundtripReencoder};
use wasm_encoder::{
    ConstExpr, DataSection, ExportKind, ExportSection, GlobalSection, MemorySection, Module, RawSection, Section,
    SectionId,
};
use wasmi::{Config, Engine, ExternType, Instance, Linker, Store, Val};
use wasmparser::{DataKind, ExternalKind, Global, MemoryType, Parser, Payload};

use crate::{Error, module};

type Result<T> = std::result::Result<T, Error>;

const INITIALIZE: &str = "wizer-initialize";
/// Sets room aside for a program: `(bytes) -> address`.
const SOURCE: &str = "stepwell-source";
/// Starts with the program: `() -> i64`, 0 where all went well, else the address of what is wrong with it in the upper
/// half and its length in the lower.
const PREPARE: &str = "stepwell-prepare";
/// Only for the start; a component has no use for them.
const OURS: [&str; 3] = [INITIALIZE, SOURCE, PREPARE];
/// What a start may take, where a loop without end would take for ever. A unit is far less than an instruction: a loop is
/// charged for all that stands in it, and that of an interpreter holds the whole of it. Some twenty seconds of JavaScript.
const FUEL: u64 = 1_000_000_000_000;
const PAGE_BYTES: u64 = 65_536;
/// A shorter run of zeros costs less as part of a segment than as the gap between two.
const GAP_BYTES: usize = 16;

/// The parts of a module that change, and all others as they are.
#[derive(Default)]
struct Parts<'a> {
    sections: Vec<(u8, Range<usize>)>,
    memory: Option<MemoryType>,
    globals: Vec<Global<'a>>,
    exports: Vec<(&'a str, ExternalKind, u32)>,
    /// What keeps the module from being started here.
    obstacle: Option<&'static str>,
}

/// The module as it is after its start, or none if it asks for no such thing.
pub fn started(core: &[u8]) -> Result<Option<Vec<u8>>> {
    let parts = Parts::of(core)?;
    if !parts.has(INITIALIZE) {
        return Ok(None);
    }
    let (mut store, instance) = parts.instance(core)?;
    let start = instance.get_typed_func::<(), ()>(&store, INITIALIZE).map_err(module)?;
    start.call(&mut store, ()).map_err(|error| Error::Code(format!("{INITIALIZE}: {error}")))?;
    parts.closed(core, &store, instance).map(Some)
}

/// The module as it is after its start with a program that it runs.
///
/// # Errors
///
/// [`Error::Code`]: what is wrong with the program, in the words of the module.
pub fn started_with(core: &[u8], program: &[u8]) -> Result<Vec<u8>> {
    let parts = Parts::of(core)?;
    let (mut store, instance) = parts.instance(core)?;
    let memory = instance.get_memory(&store, parts.memory_name()?).ok_or_else(no_memory)?;
    let bytes = i32::try_from(program.len()).map_err(module)?;
    let source = instance.get_typed_func::<i32, i32>(&store, SOURCE).map_err(module)?;
    let address = source.call(&mut store, bytes).map_err(module)?;
    memory.write(&mut store, address.cast_unsigned() as usize, program).map_err(module)?;
    let prepare = instance.get_typed_func::<(), i64>(&store, PREPARE).map_err(module)?;
    let wrong = prepare.call(&mut store, ()).map_err(|error| Error::Code(format!("it does not start: {error}")))?;
    if wrong != 0 {
        let (address, bytes) = ((wrong >> 32) & 0xffff_ffff, wrong & 0xffff_ffff);
        let mut text = vec![0; usize::try_from(bytes).map_err(module)?];
        memory.read(&store, usize::try_from(address).map_err(module)?, &mut text).map_err(module)?;
        return Err(Error::Code(String::from_utf8_lossy(&text).into_owned()));
    }
    parts.closed(core, &store, instance)
}

fn no_memory() -> Error {
    Error::Module("exports no memory".to_owned())
}

impl<'a> Parts<'a> {
    fn of(core: &'a [u8]) -> Result<Self> {
        let mut parts = Self::default();
        for payload in Parser::new(0).parse_all(core) {
            let payload = payload.map_err(module)?;
            if let Some((id, range)) = payload.as_section() {
                parts.sections.push((id, range));
            }
            match payload {
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        if parts.memory.replace(memory.map_err(module)?).is_some() {
                            parts.obstacle = Some("has more than one memory");
                        }
                    }
                }
                Payload::GlobalSection(globals) => {
                    parts.globals = globals.into_iter().collect::<std::result::Result<_, _>>().map_err(module)?;
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export.map_err(module)?;
                        parts.exports.push((export.name, export.kind, export.index));
                    }
                }
                Payload::DataSection(segments) => {
                    for segment in segments {
                        if !matches!(segment.map_err(module)?.kind, DataKind::Active { .. }) {
                            parts.obstacle = Some("has data that is copied in later");
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(parts)
    }

    fn has(&self, export: &str) -> bool {
        self.exports.iter().any(|(name, ..)| *name == export)
    }

    fn memory_name(&self) -> Result<&'a str> {
        let memory = self.exports.iter().find(|(_, kind, _)| *kind == ExternalKind::Memory);
        memory.map(|(name, ..)| *name).ok_or_else(no_memory)
    }

    /// The module's instance, with imports that trap.
    fn instance(&self, core: &[u8]) -> Result<(Store<()>, Instance)> {
        if let Some(obstacle) = self.obstacle {
            return Err(Error::Module(format!("cannot be started when it is built: it {obstacle}")));
        }
        let mut config = Config::default();
        config.consume_fuel(true);
        let engine = Engine::new(&config);
        let parsed = wasmi::Module::new(&engine, self.opened(core)?).map_err(module)?;
        let mut linker = Linker::new(&engine);
        for import in parsed.imports() {
            let (from, name) = (import.module().to_owned(), import.name().to_owned());
            let ExternType::Func(ty) = import.ty() else {
                return Err(Error::Module(format!("cannot be started when it is built: it imports {from} {name}")));
            };
            let said = format!("{from} {name} cannot be called before the plugin runs");
            let trap = move |_: wasmi::Caller<'_, ()>, _: &[Val], _: &mut [Val]| Err(wasmi::Error::new(said.clone()));
            linker.func_new(&from, &name, ty.clone(), trap).map_err(module)?;
        }
        let mut store = Store::new(&engine, ());
        store.set_fuel(FUEL).map_err(module)?;
        let instance = linker.instantiate_and_start(&mut store, &parsed).map_err(module)?;
        Ok((store, instance))
    }

    /// The module with its mutable globals exported, to be read when it has started.
    fn opened(&self, core: &[u8]) -> Result<Vec<u8>> {
        self.rebuilt(core, |section| match section {
            SectionId::Export => {
                let mut exports = self.exports(|_| true)?;
                for (index, _) in self.mutable() {
                    exports.export(&hidden(index), ExportKind::Global, index);
                }
                Ok(Replaced::By(Box::new(exports)))
            }
            _ => Ok(Replaced::Not),
        })
    }

    /// The module that starts where `instance` stands.
    fn closed(&self, core: &[u8], store: &Store<()>, instance: Instance) -> Result<Vec<u8>> {
        let memory = instance.get_memory(store, self.memory_name()?).ok_or_else(no_memory)?;
        let bytes = memory.data(store);
        self.rebuilt(core, |section| {
            Ok(match section {
                SectionId::Memory => {
                    let was = self.memory.ok_or_else(no_memory)?;
                    let mut memories = MemorySection::new();
                    let now = MemoryType { initial: bytes.len() as u64 / PAGE_BYTES, ..was };
                    memories.memory(RoundtripReencoder.memory_type(now).map_err(module)?);
                    Replaced::By(Box::new(memories))
                }
                SectionId::Global => Replaced::By(Box::new(self.globals(store, instance)?)),
                SectionId::Export => Replaced::By(Box::new(self.exports(|name| !OURS.contains(&name))?)),
                SectionId::Data => Replaced::By(Box::new(segments(bytes)?)),
                // The start has been made, and the number of segments is another.
                SectionId::Start | SectionId::DataCount => Replaced::ByNothing,
                _ => Replaced::Not,
            })
        })
    }

    fn rebuilt(&self, core: &[u8], replace: impl Fn(SectionId) -> Result<Replaced>) -> Result<Vec<u8>> {
        const REPLACEABLE: [SectionId; 6] = [
            SectionId::Memory,
            SectionId::Global,
            SectionId::Export,
            SectionId::Start,
            SectionId::DataCount,
            SectionId::Data,
        ];
        let mut rebuilt = Module::HEADER.to_vec();
        for (id, range) in &self.sections {
            let known = REPLACEABLE.into_iter().find(|section| *section as u8 == *id);
            match known.map_or(Ok(Replaced::Not), &replace)? {
                Replaced::Not => RawSection { id: *id, data: &core[range.clone()] }.append_to(&mut rebuilt),
                Replaced::By(section) => section.append_to(&mut rebuilt),
                Replaced::ByNothing => {}
            }
        }
        Ok(rebuilt)
    }

    fn mutable(&self) -> impl Iterator<Item = (u32, &Global<'a>)> {
        (0..).zip(&self.globals).filter(|(_, global)| global.ty.mutable)
    }

    fn exports(&self, keep: impl Fn(&str) -> bool) -> Result<ExportSection> {
        let mut exports = ExportSection::new();
        for (name, kind, index) in self.exports.iter().filter(|(name, ..)| keep(name)) {
            exports.export(name, RoundtripReencoder.export_kind(*kind).map_err(module)?, *index);
        }
        Ok(exports)
    }

    fn globals(&self, store: &Store<()>, instance: Instance) -> Result<GlobalSection> {
        let mut globals = GlobalSection::new();
        for (index, global) in (0..).zip(&self.globals) {
            let kind = RoundtripReencoder.global_type(global.ty).map_err(module)?;
            let value = if global.ty.mutable {
                let value = instance.get_global(store, &hidden(index));
                let value = value.ok_or_else(|| Error::Module("a global is not to be read".to_owned()))?;
                match value.get(store) {
                    Val::I32(value) => ConstExpr::i32_const(value),
                    Val::I64(value) => ConstExpr::i64_const(value),
                    _ => return Err(Error::Module("has a mutable global that is no integer".to_owned())),
                }
            } else {
                RoundtripReencoder.const_expr(global.init_expr.clone()).map_err(module)?
            };
            globals.global(kind, &value);
        }
        Ok(globals)
    }
}

/// What becomes of a section.
enum Replaced {
    Not,
    By(Box<dyn Section>),
    ByNothing,
}

/// The name under which a global is exported for a while.
fn hidden(index: u32) -> String {
    format!("preinit:global:{index}")
}

/// The memory's bytes without the long runs of zeros.
fn segments(bytes: &[u8]) -> Result<DataSection> {
    let mut segments = DataSection::new();
    let mut at = 0;
    while at < bytes.len() {
        let (start, mut end, mut zeros) = (at, at, 0);
        while at < bytes.len() && zeros < GAP_BYTES {
            zeros = if bytes[at] == 0 { zeros + 1 } else { 0 };
            at += 1;
            if zeros == 0 {
                end = at;
            }
        }
        if end > start {
            // Offsets are unsigned; the instruction takes the same bits as a signed number.
            let offset = u32::try_from(start).map_err(module)?.cast_signed();
            segments.active(0, &ConstExpr::i32_const(offset), bytes[start..end].iter().copied());
        }
    }
    Ok(segments)
}
