//! The one wasmtime configuration, the two engines built from it, and the thread that moves their epoch.
//!
//! The pooled engine serves nearly every call: its slots are mapped once and reset, not unmapped,
//! between calls. The spare engine allocates on demand; it takes the calls of a component that
//! needs more slots than are free, and everything where the address space is too small for a pool.
//! Both run the same machine code: the configurations differ only in how memory is found.
//!
//! Invariants:
//! - A guest yields to its executor at least once per tick, so a hot loop never holds a worker.
//! - Floating point is the same on every machine: NaNs are canonical, relaxed SIMD is off.
//!
//! Not here: deadlines and memory limits of a call (`call`, `limits`).

use std::thread;
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::limits::Limits;

/// How often a guest that computes without pause hands its worker back.
const TICK: Duration = Duration::from_millis(5);

/// Memory of a slot that is reset with `memset` instead of being given back to the kernel. A small
/// Rust guest fits whole, so its pages stay mapped from call to call.
const KEEP_RESIDENT_BYTES: usize = 512 * 1024;

/// Tables hold function pointers; those of large language runtimes run to tens of thousands.
const TABLE_ELEMENTS_MAX: usize = 65_536;

pub(crate) struct Engines {
    /// None where the address space or the kernel allows no pool.
    pub(crate) pooled: Option<Engine>,
    pub(crate) spare: Engine,
}

impl Engines {
    pub(crate) fn new(limits: &Limits) -> wasmtime::Result<Self> {
        let mut pool = config();
        pool.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(limits)));
        let pooled = match Engine::new(&pool) {
            Ok(engine) => Some(engine),
            Err(reason) => {
                tracing::warn!(%reason, "no pool of instance slots: calls allocate on demand and cost more");
                None
            }
        };
        let engines = Self { pooled, spare: Engine::new(&config())? };
        engines.start_ticking()?;
        Ok(engines)
    }

    /// The engine that components are compiled for and called on first.
    pub(crate) fn first(&self) -> &Engine {
        self.pooled.as_ref().unwrap_or(&self.spare)
    }

    fn start_ticking(&self) -> std::io::Result<()> {
        let engines: Vec<_> = self.pooled.iter().chain([&self.spare]).map(Engine::weak).collect();
        thread::Builder::new().name("stepwell-epoch".into()).spawn(move || {
            loop {
                // The only sleep of the crate: on its own thread, and the clock that guests are cut by.
                thread::sleep(TICK);
                let mut alive = false;
                for engine in &engines {
                    if let Some(engine) = engine.upgrade() {
                        engine.increment_epoch();
                        alive = true;
                    }
                }
                if !alive {
                    return;
                }
            }
        })?;
        Ok(())
    }
}

/// Everything but the allocation strategy. A change here makes cached machine code unusable, which
/// the cache notices by itself: wasmtime's compatibility hash is in the file name.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_init_cow(true)
        // A guest's own stack. Deep recursion ends here, well inside the fiber's stack.
        .max_wasm_stack(512 * 1024)
        .async_stack_size(1024 * 1024)
        .wasm_backtrace_max_frames(None);
    config
}

fn pooling(limits: &Limits) -> PoolingAllocationConfig {
    let calls = limits.pooled_max;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_stacks(calls)
        // A component is several core instances: the module, adapters, shims. Only a count.
        .total_core_instances(calls.saturating_mul(16))
        .total_memories(calls.saturating_mul(2))
        .total_tables(calls.saturating_mul(4))
        .max_memory_size(limits.memory_bytes_max)
        .table_elements(TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(64 * 1024)
        .max_unused_warm_slots(64)
        .pagemap_scan(Enabled::Auto);
    pool
}
