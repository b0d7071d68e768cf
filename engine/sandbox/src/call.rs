//! One call of a guest: a fresh store, its limits, its deadline, and what came of it in our words.
//!
//! Invariants:
//! - A store serves one call and is dropped with it, whatever happened; more than one only where that is granted,
//!   and none after a call that was cut.
//! - A guest cannot make a call fail, hang or panic: a loop, a trap, too much memory and too much
//!   output are all [`Outcome::Cut`].
//! - What the host forbade decides the outcome, even if the guest shrugged it off.
//!
//! Not here: what follows from a failure or a cut (`core`); whether output matches its schema.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use stepwell_core::catalog::EffectClass;
use stepwell_core::machine::{Cut, CutReason, Failure, Outcome};
use stepwell_runtime::nodes::Answer;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store, Trap};

use crate::contract;
use crate::host::{CallState, Visit, Ways};
use crate::http::{Denial, Held};
use crate::limits::Limits;
use crate::reuse::{Idle, Live};
use crate::said::{self, Said, clip};

/// Extra bytes that one crossing may carry beside the longest text: ports, keys, messages.
const CROSSING_SLACK_BYTES: usize = 64 * 1024;

/// What to call, for whom, with what.
#[derive(Debug)]
pub(crate) struct NodeCall<'a> {
    /// Without the package: `reserve-stock`.
    pub(crate) node_type: &'a str,
    pub(crate) operation: Operation,
    pub(crate) context: CallContext,
    /// JSON text.
    pub(crate) config: String,
    /// When the visit began, milliseconds since the Unix epoch: the clock of recorded components.
    pub(crate) visit_started_ms: u64,
    /// The attempt is cut after this long. Time spent waiting for a free slot is not counted.
    pub(crate) timeout_ms: u64,
}

/// Which export to call; texts are JSON.
#[derive(Debug)]
pub(crate) enum Operation {
    Run { input: String },
    Undo { input: String, output: Option<String> },
    Resume { memo: String, signal: contract::SignalKind, payload: String },
    Query { input: String },
}

/// The visit, as the guest is told. See `call` in `wit/types.wit`.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallContext {
    pub(crate) instance: Arc<str>,
    pub(crate) flow: Arc<str>,
    pub(crate) version: u32,
    pub(crate) node: Arc<str>,
    pub(crate) visit: u32,
    pub(crate) attempt: u32,
    pub(crate) key: String,
    pub(crate) forward_key: Option<String>,
    pub(crate) business_key: Option<String>,
    pub(crate) traceparent: Option<String>,
}

/// The export indices of one component on one engine. Types are checked when it is loaded.
pub(crate) struct Exports {
    pub(crate) describe: ComponentExportIndex,
    pub(crate) run: ComponentExportIndex,
    pub(crate) undo: Option<ComponentExportIndex>,
    pub(crate) resume: Option<ComponentExportIndex>,
    pub(crate) query: Option<ComponentExportIndex>,
    pub(crate) check: Option<ComponentExportIndex>,
}

/// A component, linked and ready to be instantiated on one engine.
pub(crate) struct Prepared {
    pub(crate) pre: InstancePre<CallState>,
    pub(crate) exports: Exports,
}

/// Everything about a call that does not depend on the engine it runs on.
pub(crate) struct Attempt<'a> {
    pub(crate) call: &'a NodeCall<'a>,
    pub(crate) class: EffectClass,
    pub(crate) limits: &'a Limits,
    pub(crate) ways: Ways,
    pub(crate) deadline: Instant,
    /// Where instances wait that may serve another call, and how many calls each serves.
    pub(crate) reuse: Option<(&'a Mutex<Idle>, u32)>,
}

/// Why a store did not get as far as an answer of the guest.
pub(crate) enum Stopped {
    /// No slots for another instance: the spare engine can take it.
    PoolExhausted,
    Cut(Cut),
}

impl Attempt<'_> {
    /// Runs the guest in a store of its own on `prepared`'s engine.
    pub(crate) async fn on(&self, prepared: &Prepared) -> Result<Answer, Stopped> {
        let began = Instant::now();
        let visit = Visit { started_ms: self.call.visit_started_ms, key: &self.call.context.key };
        let (mut store, instance, left) = if let Some(Live { mut store, instance, left }) = self.idle(prepared) {
            store.data_mut().next_call(visit, self.ways.clone());
            (store, Some(instance), left)
        } else {
            let state = CallState::new(self.class, visit, self.ways.clone(), self.limits.memory_bytes_max);
            let store = new_store(prepared, state, self.limits.output_bytes_max + CROSSING_SLACK_BYTES);
            (store, None, self.reuse.map_or(1, |(_, calls)| calls))
        };
        let entered = self.enter(&mut store, prepared, instance);
        let ran = tokio::time::timeout_at(self.deadline.into(), entered).await;
        let state = store.data_mut();
        let mut stays = None;
        let ran = match ran {
            Err(_) => match self.ways.outgoing.waits() {
                Some(what) => Ok(Outcome::Failed(Failure::Transient {
                    message: format!("{} ms were over while it waited for {what}", self.call.timeout_ms),
                    retry_after_ms: None,
                })),
                None => Err(cut(CutReason::Deadline, format!("no answer within {} ms", self.call.timeout_ms))),
            },
            Ok(Ok((said, instance))) => {
                stays = Some(instance);
                said.checked(self.limits.output_bytes_max)
            }
            Ok(Err(error)) => match stopped(&error, &state.ledger, self.limits) {
                Stopped::Cut(cut) => Err(cut),
                Stopped::PoolExhausted => return Err(Stopped::PoolExhausted),
            },
        };
        let outgoing = &self.ways.outgoing;
        let denied = outgoing.denied().map(|Denial { code, message }| permanent(code, message));
        let outcome = match (outgoing.held(), denied.or_else(|| state.records.denied())) {
            (Some(Held { key, sent: false }), _) => Outcome::Cut(cut(CutReason::Paused, key)),
            (Some(Held { key, sent: true }), _) => {
                let message = format!("calls are paused: {key}");
                Outcome::Failed(Failure::Transient { message, retry_after_ms: None })
            }
            (None, Some(denied)) => denied,
            (None, None) => ran.unwrap_or_else(Outcome::Cut),
        };
        let logs = std::mem::take(&mut state.logs);
        if let Some(instance) = stays.filter(|_| !matches!(outcome, Outcome::Cut(_))) {
            self.keep(Live { store, instance, left: left.saturating_sub(1) });
        }
        Ok(Answer { outcome, duration_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX), logs })
    }

    /// An instance that served before and may serve this call.
    fn idle(&self, prepared: &Prepared) -> Option<Live> {
        let (idle, _) = self.reuse?;
        let live = idle.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())?;
        // The exports of a component are found anew on each engine.
        Engine::same(live.store.engine(), prepared.pre.engine()).then_some(live)
    }

    fn keep(&self, mut live: Live) {
        if let Some((idle, _)) = self.reuse.filter(|_| live.store.data().may_serve_again()) {
            // What the call could reach is not there for the next.
            live.store.data_mut().leave();
            idle.lock().unwrap_or_else(PoisonError::into_inner).keep(Instant::now(), live);
        }
    }

    async fn enter(
        &self,
        store: &mut Store<CallState>,
        prepared: &Prepared,
        live: Option<Instance>,
    ) -> wasmtime::Result<(Said, Instance)> {
        let instance = if let Some(instance) = live {
            instance
        } else {
            let instance = prepared.pre.instantiate_async(&mut *store).await?;
            store.data_mut().ledger.begin();
            instance
        };
        let exports = &prepared.exports;
        let call = self.told();
        let (node_type, config) = (self.call.node_type, self.call.config.as_str());
        let said = match &self.call.operation {
            Operation::Run { input } => {
                let params: contract::RunParams<'_> = (node_type, call, config, input);
                let (result,): contract::RunResult = invoke(store, &instance, Some(&exports.run), params).await?;
                result.map_or_else(Into::into, Into::into)
            }
            Operation::Undo { input, output } => {
                let params: contract::UndoParams<'_> = (node_type, call, config, input, output.as_deref());
                let (result,): contract::UndoResult = invoke(store, &instance, exports.undo.as_ref(), params).await?;
                result.map_or_else(Into::into, |wait| wait.map_or(Said::Undone, Said::Wait))
            }
            Operation::Resume { memo, signal, payload } => {
                let signal = contract::Signal { kind: *signal, payload };
                let params: contract::ResumeParams<'_> = (node_type, call, config, memo, signal);
                let (result,): contract::RunResult = invoke(store, &instance, exports.resume.as_ref(), params).await?;
                result.map_or_else(Into::into, Into::into)
            }
            Operation::Query { input } => {
                let params: contract::QueryParams<'_> = (node_type, call, config, input);
                let (result,): contract::QueryResult = invoke(store, &instance, exports.query.as_ref(), params).await?;
                result.map_or_else(Into::into, |ran| ran.map_or(Said::NeverRan, Into::into))
            }
        };
        Ok((said, instance))
    }

    /// The context as the guest may see it: below external, nothing that a re-run would change.
    fn told(&self) -> contract::Call<'_> {
        let context = &self.call.context;
        let external = self.class == EffectClass::External;
        contract::Call {
            instance: &context.instance,
            flow: &context.flow,
            version: context.version,
            node: &context.node,
            visit: context.visit,
            attempt: if self.class == EffectClass::Pure { 1 } else { context.attempt },
            key: &context.key,
            forward_key: context.forward_key.as_deref(),
            business_key: context.business_key.as_deref(),
            deadline_ms: if external { self.deadline_ms() } else { 0 },
            traceparent: context.traceparent.as_deref().filter(|_| external),
        }
    }

    fn deadline_ms(&self) -> u64 {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let deadline = SystemTime::now() + left;
        deadline.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

pub(crate) fn new_store(prepared: &Prepared, state: CallState, crossing_bytes_max: usize) -> Store<CallState> {
    let mut store = Store::new(prepared.pre.engine(), state);
    store.limiter(|state| &mut state.ledger);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    // Bounds what a guest can make the host allocate in one crossing, before it is allocated.
    store.set_hostcall_fuel(crossing_bytes_max);
    store
}

/// Calls one export.
pub(crate) async fn invoke<P, R>(
    store: &mut Store<CallState>,
    instance: &Instance,
    export: Option<&ComponentExportIndex>,
    params: P,
) -> wasmtime::Result<R>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift + 'static,
{
    let Some(export) = export else { return Err(wasmtime::Error::new(NoSuchExport)) };
    let function = instance.get_typed_func::<P, R>(&mut *store, export)?;
    function.call_async(store, params).await
}

/// The node type does not offer what was asked for; the caller's catalogue knows better.
#[derive(Debug, thiserror::Error)]
#[error("the plugin does not export this operation")]
struct NoSuchExport;

/// Reads why wasmtime gave up.
pub(crate) fn stopped(error: &wasmtime::Error, ledger: &crate::limits::MemoryLedger, limits: &Limits) -> Stopped {
    // Where a refusal for memory came before, the rest is its consequence: allocators trap.
    if let Some(bytes) = ledger.refused_bytes {
        let message = format!("asked for {bytes} bytes of memory, {} are allowed", limits.memory_bytes_max);
        return Stopped::Cut(cut(CutReason::Memory, message));
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Stopped::PoolExhausted;
    }
    Stopped::Cut(match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => cut(CutReason::Trap, "recursed too deeply"),
        Some(trap) => cut(CutReason::Trap, trap.to_string()),
        None if is_crossing_too_large(error) => {
            cut(CutReason::Output, format!("handed over more than {} bytes at once", limits.output_bytes_max))
        }
        None => cut(CutReason::Trap, clip(format!("{error:#}"), said::MESSAGE_BYTES_MAX)),
    })
}

/// wasmtime keeps this error's type to itself; a test in `tests/wasm` fails should its text change.
fn is_crossing_too_large(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("fuel allocated for hostcalls has been exhausted")
}

pub(crate) fn cut(reason: CutReason, message: impl Into<String>) -> Cut {
    Cut { reason, message: message.into() }
}

/// A failure that the host, not the guest, found.
pub(crate) fn permanent(code: &str, message: impl Into<String>) -> Outcome {
    Outcome::Failed(Failure::Permanent { message: message.into(), code: Some(code.to_owned()) })
}
