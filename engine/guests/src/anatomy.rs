//! What a component is made of, in bytes.

use wasmparser::{Parser, Payload};

use crate::{Error, module};

const PAGE_BYTES: u64 = 65_536;

/// Where a component's bytes are, over all its modules.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Anatomy {
    pub bytes: u64,
    pub modules: u32,
    pub code_bytes: u64,
    pub data_bytes: u64,
    /// Names, debug information and the like: what `strip` takes away.
    pub custom_bytes: u64,
    /// What a call starts with.
    pub memory_bytes: u64,
}

/// Looks into a component.
pub fn anatomy(component: &[u8]) -> Result<Anatomy, Error> {
    let mut found = Anatomy { bytes: component.len() as u64, ..Anatomy::default() };
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(module)? {
            Payload::ModuleSection { .. } => found.modules += 1,
            Payload::CodeSectionStart { size, .. } => found.code_bytes += u64::from(size),
            Payload::DataSection(data) => found.data_bytes += length(&data.range()),
            Payload::CustomSection(section) => found.custom_bytes += section.data().len() as u64,
            Payload::MemorySection(memories) => {
                for memory in memories {
                    found.memory_bytes += memory.map_err(module)?.initial.saturating_mul(PAGE_BYTES);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn length(range: &std::ops::Range<usize>) -> u64 {
    (range.end - range.start) as u64
}
