//! What a store holds beside the guest: its memory ledger, its log, its clocks, its way out.
//!
//! The WASI part is made when the guest first asks for it; a component without imports pays nothing.
//!
//! Invariants:
//! - A recorded component sees the same clock and the same random numbers whenever its visit runs.
//! - A log never fails a call and never grows beyond its limits.

use std::convert::Infallible;
use std::time::Duration;

use rand::TryRng;
use sha2::{Digest as _, Sha256};
use stepwell_core::catalog::EffectClass;
use stepwell_runtime::nodes::LogLine;
use wasmtime::StoreContextMut;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::contract::{self, LogLevel};
use crate::http::Outgoing;
use crate::limits::MemoryLedger;
use crate::records::{Records, Way};

/// Lines kept per call, and bytes kept per line; see `host/log` in `wit/`.
const LOG_LINES_MAX: usize = 64;
const LOG_LINE_BYTES_MAX: usize = 1024;

/// Largest answer to one request for random bytes.
const RANDOM_BYTES_MAX: u64 = 64 * 1024;

/// What a visit fixes for a recorded component.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Visit<'a> {
    pub(crate) started_ms: u64,
    pub(crate) key: &'a str,
}

/// What a call can reach outside its store.
#[derive(Clone, Default)]
pub(crate) struct Ways {
    pub(crate) outgoing: Outgoing,
    pub(crate) records: Way,
}

/// The data of one store.
pub(crate) struct CallState {
    pub(crate) ledger: MemoryLedger,
    pub(crate) logs: Vec<LogLine>,
    class: EffectClass,
    started_ms: u64,
    /// Seeds the random numbers of a recorded component.
    seed: [u8; 32],
    wasi: Option<Box<WasiCtx>>,
    table: ResourceTable,
    http: WasiHttpCtx,
    pub(crate) outgoing: Outgoing,
    pub(crate) records: Records,
}

impl CallState {
    pub(crate) fn new(class: EffectClass, visit: Visit<'_>, ways: Ways, memory_bytes_max: usize) -> Self {
        // A pure component can ask for neither, so the hash is spared it.
        let seed = if class == EffectClass::Pure { [0; 32] } else { Sha256::digest(visit.key).into() };
        let mut table = ResourceTable::new();
        table.set_max_capacity(1024);
        Self {
            ledger: MemoryLedger::new(memory_bytes_max),
            logs: Vec::new(),
            class,
            started_ms: visit.started_ms,
            seed,
            wasi: None,
            table,
            http: WasiHttpCtx::new(),
            outgoing: ways.outgoing,
            records: Records::new(ways.records),
        }
    }

    /// The next call of an instance that serves more than one: nothing that the host kept of the last is left but
    /// its memory.
    pub(crate) fn next_call(&mut self, visit: Visit<'_>, ways: Ways) {
        let seed = if self.class == EffectClass::Pure { [0; 32] } else { Sha256::digest(visit.key).into() };
        self.ledger.refused_bytes = None;
        self.logs.clear();
        self.started_ms = visit.started_ms;
        self.seed = seed;
        self.wasi = None;
        self.outgoing = ways.outgoing;
        self.records = Records::new(ways.records);
    }

    /// Whether the instance may serve another call: it holds no handles, which would be to what the last call had, and
    /// it has taken no more than half of its room. What an allocator that never frees has taken up fails no call.
    pub(crate) fn may_serve_again(&self) -> bool {
        self.table.is_empty() && self.ledger.leaves_half()
    }

    /// Between two calls nothing can be reached.
    pub(crate) fn leave(&mut self) {
        self.outgoing = Outgoing::default();
        self.records = Records::new(Way::default());
    }

    /// For `describe` and `check`: clocks stand still, randomness is fixed, nothing can be sent, and there are no records.
    pub(crate) fn inert(memory_bytes_max: usize) -> Self {
        Self::new(EffectClass::Recorded, Visit::default(), Ways::default(), memory_bytes_max)
    }

    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    fn log(&mut self, level: LogLevel, mut message: String) {
        if self.logs.len() == LOG_LINES_MAX {
            return;
        }
        message.truncate(message.floor_char_boundary(LOG_LINE_BYTES_MAX));
        self.logs.push(LogLine { level: level.name(), message });
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| Box::new(ambient(self.class, self.started_ms, self.seed)));
        WasiCtxView { ctx: wasi, table: &mut self.table }
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outgoing, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Lets the `wasi:io` interfaces reach the resource table.
pub(crate) struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

pub(crate) fn link_log(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.instance(contract::LOG)?.func_wrap(
        "log",
        |mut store: StoreContextMut<'_, CallState>, (level, message): (LogLevel, String)| {
            store.data_mut().log(level, message);
            Ok(())
        },
    )
}

/// No arguments, no variables, no files, no network; clocks and randomness by class.
fn ambient(class: EffectClass, started_ms: u64, seed: [u8; 32]) -> WasiCtx {
    let mut wasi = WasiCtxBuilder::new();
    wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false).max_random_size(RANDOM_BYTES_MAX);
    if class < EffectClass::External {
        wasi.wall_clock(FixedClock { now: Duration::from_millis(started_ms) })
            .monotonic_clock(FrozenClock)
            .secure_random(KeyedRandom::new(seed, 0))
            .insecure_random(KeyedRandom::new(seed, 1))
            .insecure_random_seed(u128::from_le_bytes(std::array::from_fn(|at| seed[at])));
    }
    wasi.build()
}

/// The visit's start, whenever it is asked.
struct FixedClock {
    now: Duration,
}

impl HostWallClock for FixedClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.now
    }
}

/// Time does not pass within a recorded call: how long it takes differs from run to run.
struct FrozenClock;

impl HostMonotonicClock for FrozenClock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        0
    }
}

/// Random numbers that follow from the visit's key: SHA-256 of (seed, stream, counter). Written
/// out because replay needs the same numbers from every later release.
struct KeyedRandom {
    seed: [u8; 32],
    stream: u8,
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl KeyedRandom {
    fn new(seed: [u8; 32], stream: u8) -> Self {
        Self { seed, stream, counter: 0, block: [0; 32], used: 32 }
    }

    fn next_byte(&mut self) -> u8 {
        if self.used == self.block.len() {
            let block = Sha256::new().chain_update(self.seed).chain_update([self.stream]);
            self.block = block.chain_update(self.counter.to_le_bytes()).finalize().into();
            self.counter = self.counter.wrapping_add(1);
            self.used = 0;
        }
        let byte = self.block[self.used];
        self.used += 1;
        byte
    }
}

impl TryRng for KeyedRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(std::array::from_fn(|_| self.next_byte())))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(std::array::from_fn(|_| self.next_byte())))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill_with(|| self.next_byte());
        Ok(())
    }
}
