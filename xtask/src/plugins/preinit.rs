//! Runs a module's costly start once, now, and keeps the memory it leaves behind as the memory the module starts
//! with: what takes a JavaScript engine most of a millisecond then takes a call nothing.
//!
//! Works on modules that export `wizer-initialize`, the customary name, and import nothing. Tables are taken to be
//! as they were: guests in Rust and C do not write to them.
//!
//! Not here: what is prepared; that is the plugin's affair.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use wasm_encoder::reencode::{Reencode as _, RoundtripReencoder};
use wasm_encoder::{
    ConstExpr, DataSection, ExportKind, ExportSection, GlobalSection, MemorySection, Module, RawSection, Section,
    SectionId,
};
use wasmi::{Engine, Instance, Linker, Store, Val};
use wasmparser::{DataKind, ExternalKind, Global, MemoryType, Parser, Payload};

const INITIALIZE: &str = "wizer-initialize";
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
pub(super) fn run(module: &[u8]) -> Result<Option<Vec<u8>>> {
    let parts = Parts::of(module)?;
    if !parts.exports.iter().any(|(name, ..)| *name == INITIALIZE) {
        return Ok(None);
    }
    if let Some(obstacle) = parts.obstacle {
        bail!("cannot be started when it is built: it {obstacle}");
    }
    let opened = parts.opened(module)?;
    let engine = Engine::default();
    let code = wasmi::Module::new(&engine, &opened)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate_and_start(&mut store, &code)?;
    instance.get_typed_func::<(), ()>(&store, INITIALIZE)?.call(&mut store, ()).context(INITIALIZE)?;
    parts.closed(module, &store, instance).map(Some)
}

impl<'a> Parts<'a> {
    fn of(module: &'a [u8]) -> Result<Self> {
        let mut parts = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload?;
            if let Some((id, range)) = payload.as_section() {
                parts.sections.push((id, range));
            }
            match payload {
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        if parts.memory.replace(memory?).is_some() {
                            parts.obstacle = Some("has more than one memory");
                        }
                    }
                }
                Payload::GlobalSection(globals) => parts.globals = globals.into_iter().collect::<Result<_, _>>()?,
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        parts.exports.push((export.name, export.kind, export.index));
                    }
                }
                Payload::DataSection(segments) => {
                    for segment in segments {
                        if !matches!(segment?.kind, DataKind::Active { .. }) {
                            parts.obstacle = Some("has data that is copied in later");
                        }
                    }
                }
                Payload::ImportSection(imports) if imports.count() > 0 => parts.obstacle = Some("imports something"),
                _ => {}
            }
        }
        Ok(parts)
    }

    /// The module with its mutable globals exported, to be read when it has started.
    fn opened(&self, module: &[u8]) -> Result<Vec<u8>> {
        self.rebuilt(module, |section| match section {
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
    fn closed(&self, module: &[u8], store: &Store<()>, instance: Instance) -> Result<Vec<u8>> {
        let memory = self.exports.iter().find(|(_, kind, _)| *kind == ExternalKind::Memory);
        let (memory, ..) = memory.context("exports no memory")?;
        let memory = instance.get_memory(store, memory).context("exports no memory")?;
        let bytes = memory.data(store);
        self.rebuilt(module, |section| {
            Ok(match section {
                SectionId::Memory => {
                    let was = self.memory.context("has no memory")?;
                    let mut memories = MemorySection::new();
                    let now = MemoryType { initial: bytes.len() as u64 / PAGE_BYTES, ..was };
                    memories.memory(RoundtripReencoder.memory_type(now)?);
                    Replaced::By(Box::new(memories))
                }
                SectionId::Global => Replaced::By(Box::new(self.globals(store, instance)?)),
                SectionId::Export => Replaced::By(Box::new(self.exports(|name| name != INITIALIZE)?)),
                SectionId::Data => Replaced::By(Box::new(segments(bytes)?)),
                // The start has been made, and the number of segments is another.
                SectionId::Start | SectionId::DataCount => Replaced::ByNothing,
                _ => Replaced::Not,
            })
        })
    }

    fn rebuilt(&self, module: &[u8], replace: impl Fn(SectionId) -> Result<Replaced>) -> Result<Vec<u8>> {
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
                Replaced::Not => RawSection { id: *id, data: &module[range.clone()] }.append_to(&mut rebuilt),
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
            exports.export(name, RoundtripReencoder.export_kind(*kind)?, *index);
        }
        Ok(exports)
    }

    fn globals(&self, store: &Store<()>, instance: Instance) -> Result<GlobalSection> {
        let mut globals = GlobalSection::new();
        for (index, global) in (0..).zip(&self.globals) {
            let kind = RoundtripReencoder.global_type(global.ty)?;
            let value = if global.ty.mutable {
                let value = instance.get_global(store, &hidden(index)).context("a global is not to be read")?;
                match value.get(store) {
                    Val::I32(value) => ConstExpr::i32_const(value),
                    Val::I64(value) => ConstExpr::i64_const(value),
                    _ => bail!("has a mutable global that is no integer"),
                }
            } else {
                RoundtripReencoder.const_expr(global.init_expr.clone())?
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
            let offset = u32::try_from(start)?.cast_signed();
            segments.active(0, &ConstExpr::i32_const(offset), bytes[start..end].iter().copied());
        }
    }
    Ok(segments)
}
