//! The limits of a call, and the ledger that holds a store to its memory.
//!
//! Invariants:
//! - The sum over *all* memories and tables of a store stays within the limit, however many a
//!   component declares.
//! - A refusal is remembered, so that what the guest does next (usually a trap in its allocator)
//!   is reported as out of memory.

use wasmtime::ResourceLimiter;

use crate::grants::MEMORY_MIB_MAX;

/// What one sandbox allows. The defaults are those of the contract in `wit/`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Calls that may run at once; one more waits for a free slot, at most as long as its timeout.
    pub calls_max: u32,
    /// Calls served from the pool of instance slots; those beyond it allocate on demand and cost
    /// more. A slot sets address space aside, not memory.
    pub pooled_max: u32,
    /// All memories and tables of a call together.
    pub memory_bytes_max: usize,
    /// Length of a result, a memo or any other text a guest hands over.
    pub output_bytes_max: usize,
    /// Size of a plugin's `.wasm`.
    pub wasm_bytes_max: usize,
    /// Time to compile a plugin.
    pub compile_ms_max: u64,
    /// Address space of a child that compiles one.
    pub compile_memory_bytes_max: u64,
    /// Size of the machine code that a child makes of one.
    pub code_bytes_max: u64,
    /// Time for `describe` and for each `check`.
    pub describe_ms_max: u64,
    /// Time for all examples of a plugin together.
    pub examples_ms_max: u64,
    /// Body of a request that a guest sends.
    pub request_bytes_max: usize,
    /// Body of a response that a guest receives.
    pub response_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_max: 1024,
            pooled_max: 256,
            memory_bytes_max: 64 << 20,
            output_bytes_max: 1 << 20,
            wasm_bytes_max: 32 << 20,
            compile_ms_max: 60_000,
            compile_memory_bytes_max: 3 << 30,
            code_bytes_max: 256 << 20,
            describe_ms_max: 2_000,
            examples_ms_max: 60_000,
            request_bytes_max: 1 << 20,
            response_bytes_max: 4 << 20,
        }
    }
}

impl Limits {
    /// The same, with as much memory for a call as was granted.
    pub(crate) fn with_memory(&self, mib: u32) -> Self {
        let granted = usize::try_from(mib.min(MEMORY_MIB_MAX)).unwrap_or_default() << 20;
        Self { memory_bytes_max: granted, ..self.clone() }
    }
}

/// What a table element costs the host.
const TABLE_ELEMENT_BYTES: usize = size_of::<usize>();

/// Counts the memory of one store.
pub(crate) struct MemoryLedger {
    bytes: usize,
    bytes_max: usize,
    /// What the instance took before its first call.
    began_with: usize,
    /// What the store would have held, had the last refused growth been granted.
    pub(crate) refused_bytes: Option<usize>,
}

impl MemoryLedger {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes: 0, bytes_max, began_with: 0, refused_bytes: None }
    }

    /// The instance is there; what it takes from here on, its calls take.
    pub(crate) fn begin(&mut self) {
        self.began_with = self.bytes;
    }

    /// Whether the next call has at least half of the room that the first one had.
    pub(crate) fn leaves_half(&self) -> bool {
        self.bytes_max.saturating_sub(self.bytes) >= self.bytes_max.saturating_sub(self.began_with) / 2
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let total = self.bytes.saturating_sub(current).saturating_add(desired);
        if total > self.bytes_max {
            self.refused_bytes = Some(total);
            return false;
        }
        self.bytes = total;
        true
    }
}

impl ResourceLimiter for MemoryLedger {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let [current, desired] = [current, desired].map(|elements| elements.saturating_mul(TABLE_ELEMENT_BYTES));
        Ok(self.grow(current, desired))
    }

    fn instances(&self) -> usize {
        128
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_and_tables_share_one_limit() {
        let mut ledger = MemoryLedger::new(1000);
        assert!(ledger.grow(0, 600));
        assert!(ledger.table_growing(0, 25, None).unwrap_or(false), "200 bytes of table");
        assert!(!ledger.grow(0, 300), "a second memory would make 1100");
        assert_eq!(ledger.refused_bytes, Some(1100));
        assert!(ledger.grow(600, 800), "the first may still grow to 1000 in all");
    }

    #[test]
    fn half_of_the_room_is_left_or_not() {
        for (began_with, then, left) in [
            (0, 500, true),
            (0, 501, false),
            // A large runtime is no call's doing.
            (600, 600, true),
            (600, 800, true),
            (600, 801, false),
        ] {
            let mut ledger = MemoryLedger::new(1000);
            assert!(ledger.grow(0, began_with));
            ledger.begin();
            assert!(ledger.grow(began_with, then));
            assert_eq!(ledger.leaves_half(), left, "{began_with} {then}");
        }
    }
}
