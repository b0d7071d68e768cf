//! One call of a guest: a fresh store, its limits, its deadline, and what came of it in our words.
//!
//! Invariants:
//! - A store serves one call and is dropped with it, whatever happened.
//! - A guest cannot make [`Sandbox::call`](crate::Sandbox::call) fail, hang or panic: a loop, a
//!   trap, too much memory and too much output are all [`Outcome::Cut`].
//! - What the host forbade decides the outcome, even if the guest shrugged it off.
//!
//! Not here: what follows from a failure or a cut (`core`); whether output matches its schema.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use stepwell_core::catalog::EffectClass;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

use crate::contract;
use crate::host::{CallState, LogLine, Visit};
use crate::http::{Denial, Outgoing};
use crate::limits::Limits;

/// Extra bytes that one crossing may carry beside the longest text: ports, keys, messages.
const CROSSING_SLACK_BYTES: usize = 64 * 1024;

/// Texts of a guest that end in journals and on screens; see `wit/types.wit`.
const MESSAGE_BYTES_MAX: usize = 2000;
const CODE_BYTES_MAX: usize = 64;
const WAIT_MESSAGE_BYTES_MAX: usize = 200;
const WAIT_KEY_BYTES_MAX: usize = 500;

/// What to call, for whom, with what.
#[derive(Debug, Clone)]
pub struct NodeCall {
    /// Which component. Instances keep the digest they started with.
    pub digest: crate::Digest,
    /// Without the package: `reserve-stock`.
    pub node_type: Arc<str>,
    pub operation: Operation,
    pub context: CallContext,
    /// JSON text.
    pub config: Arc<str>,
    /// When the visit began, milliseconds since the Unix epoch: the clock of recorded components.
    pub visit_started_ms: u64,
    /// The attempt is cut after this long. Time spent waiting for a free slot is not counted.
    pub timeout_ms: u64,
}

/// Which export to call; texts are JSON.
#[derive(Debug, Clone)]
pub enum Operation {
    Run { input: Arc<str> },
    Undo { input: Arc<str>, output: Option<Arc<str>> },
    Resume { memo: Arc<str>, signal: SignalKind, payload: Arc<str> },
    Query { input: Arc<str> },
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalKind {
    Message,
    Timeout,
    Cancelled,
}

/// The visit, as the guest is told. See `call` in `wit/types.wit`.
#[derive(Debug, Clone, Default)]
pub struct CallContext {
    pub instance: String,
    pub flow: String,
    pub version: u32,
    pub node: String,
    pub visit: u32,
    pub attempt: u32,
    pub key: String,
    pub forward_key: Option<String>,
    pub business_key: Option<String>,
    pub traceparent: Option<String>,
}

/// What came of a call, and what the guest said meanwhile.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub outcome: Outcome,
    pub logs: Vec<LogLine>,
    /// Lines beyond the limit.
    pub log_lines_dropped: u32,
    /// From the fresh store to the answer.
    pub took: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// `output` is JSON text as the guest gave it: not yet parsed, not yet validated.
    Done {
        port: String,
        output: String,
    },
    Wait {
        message: String,
        key: String,
        timeout_ms: Option<u64>,
        memo: String,
    },
    /// Only of `undo`: all is taken back.
    Undone,
    /// Only of `query`: the forward call never ran.
    NeverRan,
    Failed(Failure),
    /// The host ended the call. Of an external component the outcome is unknown, of any other
    /// nothing happened.
    Cut {
        reason: CutReason,
        message: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    Rejected {
        code: String,
        message: String,
        data: Option<String>,
    },
    Transient {
        message: String,
        retry_after_ms: Option<u64>,
    },
    /// `code` is given where the host, not the guest, says so.
    Permanent {
        code: Option<&'static str>,
        message: String,
    },
    Unknown {
        message: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CutReason {
    Deadline,
    Memory,
    Output,
    Stack,
    Trap,
}

impl CutReason {
    /// Stable code for journals and problem documents.
    pub fn code(self) -> &'static str {
        match self {
            Self::Deadline => "NODE_TIMED_OUT",
            Self::Memory => "NODE_OUT_OF_MEMORY",
            Self::Output => "NODE_OUTPUT_TOO_LARGE",
            Self::Stack => "NODE_STACK_OVERFLOW",
            Self::Trap => "NODE_TRAPPED",
        }
    }
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
    pub(crate) call: &'a NodeCall,
    pub(crate) class: EffectClass,
    pub(crate) limits: &'a Limits,
    pub(crate) outgoing: Outgoing,
    pub(crate) deadline: Instant,
}

/// Why a store did not get as far as an answer of the guest.
pub(crate) enum Stopped {
    /// No slots for another instance: the spare engine can take it.
    PoolExhausted,
    Cut(CutReason, String),
}

impl Attempt<'_> {
    /// Runs the guest in a store of its own on `prepared`'s engine.
    pub(crate) async fn on(&self, prepared: &Prepared) -> Result<Answer, Stopped> {
        let began = Instant::now();
        let visit = Visit { started_ms: self.call.visit_started_ms, key: &self.call.context.key };
        let state = CallState::new(self.class, visit, self.outgoing.clone(), self.limits.memory_bytes_max);
        let mut store = new_store(prepared, state, self.limits.output_bytes_max + CROSSING_SLACK_BYTES);
        let ran = tokio::time::timeout_at(self.deadline.into(), self.enter(&mut store, prepared)).await;
        let state = store.data_mut();
        let outcome = match ran {
            Err(_) => Outcome::Cut {
                reason: CutReason::Deadline,
                message: format!("no answer within {} ms", self.call.timeout_ms),
            },
            Ok(Ok(outcome)) => self.within_limits(outcome),
            Ok(Err(error)) => match stopped(&error, &state.ledger, self.limits) {
                Stopped::Cut(reason, message) => Outcome::Cut { reason, message },
                Stopped::PoolExhausted => return Err(Stopped::PoolExhausted),
            },
        };
        let outcome = match self.outgoing.denied() {
            Some(Denial { code, message }) => {
                Outcome::Failed(Failure::Permanent { code: Some(code), message })
            }
            None => outcome,
        };
        Ok(Answer {
            outcome,
            logs: std::mem::take(&mut state.logs),
            log_lines_dropped: state.log_lines_dropped,
            took: began.elapsed(),
        })
    }

    async fn enter(&self, store: &mut Store<CallState>, prepared: &Prepared) -> wasmtime::Result<Outcome> {
        let instance = prepared.pre.instantiate_async(&mut *store).await?;
        let exports = &prepared.exports;
        let call = self.told();
        let (node_type, config) = (&*self.call.node_type, &*self.call.config);
        match &self.call.operation {
            Operation::Run { input } => {
                let params: contract::RunParams<'_> = (node_type, call, config, input);
                let (result,): contract::RunResult = invoke(store, &instance, Some(&exports.run), params).await?;
                Ok(result.map_or_else(Into::into, Into::into))
            }
            Operation::Undo { input, output } => {
                let params: contract::UndoParams<'_> = (node_type, call, config, input, output.as_deref());
                let (result,): contract::UndoResult =
                    invoke(store, &instance, exports.undo.as_ref(), params).await?;
                Ok(result.map_or_else(Into::into, |wait| wait.map_or(Outcome::Undone, Into::into)))
            }
            Operation::Resume { memo, signal, payload } => {
                let signal = contract::Signal { kind: (*signal).into(), payload };
                let params: contract::ResumeParams<'_> = (node_type, call, config, memo, signal);
                let (result,): contract::RunResult =
                    invoke(store, &instance, exports.resume.as_ref(), params).await?;
                Ok(result.map_or_else(Into::into, Into::into))
            }
            Operation::Query { input } => {
                let params: contract::QueryParams<'_> = (node_type, call, config, input);
                let (result,): contract::QueryResult =
                    invoke(store, &instance, exports.query.as_ref(), params).await?;
                Ok(result.map_or_else(Into::into, |ran| ran.map_or(Outcome::NeverRan, Into::into)))
            }
        }
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

    /// Long texts are refused where they carry meaning and clipped where people read them.
    fn within_limits(&self, outcome: Outcome) -> Outcome {
        let max = self.limits.output_bytes_max;
        let too_large = |what: &str, bytes: usize| Outcome::Cut {
            reason: CutReason::Output,
            message: format!("{what} has {bytes} bytes, at most {max} are allowed"),
        };
        let broken = |message: String| {
            Outcome::Failed(Failure::Permanent { code: Some("NODE_BROKE_CONTRACT"), message })
        };
        match outcome {
            Outcome::Done { output, .. } if output.len() > max => too_large("the output", output.len()),
            Outcome::Wait { memo, .. } if memo.len() > max => too_large("the memo", memo.len()),
            Outcome::Wait { message, .. } if message.is_empty() || message.len() > WAIT_MESSAGE_BYTES_MAX => {
                broken(format!("waits for a message whose name has {} bytes", message.len()))
            }
            Outcome::Wait { key, .. } if key.len() > WAIT_KEY_BYTES_MAX => {
                broken(format!("waits for a key of {} bytes, at most {WAIT_KEY_BYTES_MAX} are allowed", key.len()))
            }
            Outcome::Failed(Failure::Rejected { data: Some(data), .. }) if data.len() > max => {
                too_large("the data of the rejection", data.len())
            }
            Outcome::Failed(failure) => Outcome::Failed(clipped(failure)),
            other => other,
        }
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
        let max = limits.memory_bytes_max;
        return Stopped::Cut(CutReason::Memory, format!("asked for {bytes} bytes of memory, {max} are allowed"));
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Stopped::PoolExhausted;
    }
    let cut = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => (CutReason::Stack, "recursed too deeply".to_owned()),
        Some(trap) => (CutReason::Trap, trap.to_string()),
        None if is_crossing_too_large(error) => {
            (CutReason::Output, format!("handed over more than {} bytes at once", limits.output_bytes_max))
        }
        None => (CutReason::Trap, format!("{error:#}")),
    };
    let (reason, message) = cut;
    Stopped::Cut(reason, clip(message, MESSAGE_BYTES_MAX))
}

/// wasmtime keeps this error's type to itself; a test in `tests/wasm` fails should its text change.
fn is_crossing_too_large(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("fuel allocated for hostcalls has been exhausted")
}

fn clipped(failure: Failure) -> Failure {
    let text = |message| clip(message, MESSAGE_BYTES_MAX);
    match failure {
        Failure::Rejected { code, message, data } => {
            Failure::Rejected { code: clip(code, CODE_BYTES_MAX), message: text(message), data }
        }
        Failure::Transient { message, retry_after_ms } => {
            Failure::Transient { message: text(message), retry_after_ms }
        }
        Failure::Permanent { code, message } => Failure::Permanent { code, message: text(message) },
        Failure::Unknown { message } => Failure::Unknown { message: text(message) },
    }
}

pub(crate) fn clip(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

impl From<contract::Outcome> for Outcome {
    fn from(outcome: contract::Outcome) -> Self {
        match outcome {
            contract::Outcome::Done(contract::Emission { port, output }) => Self::Done { port, output },
            contract::Outcome::Wait(wait) => wait.into(),
        }
    }
}

impl From<contract::Waiting> for Outcome {
    fn from(wait: contract::Waiting) -> Self {
        let contract::Waiting { message, key, timeout_ms, memo } = wait;
        Self::Wait { message, key, timeout_ms, memo }
    }
}

impl From<contract::Failure> for Outcome {
    fn from(failure: contract::Failure) -> Self {
        Self::Failed(match failure {
            contract::Failure::Rejected(contract::Rejection { code, message, data }) => {
                Failure::Rejected { code, message, data }
            }
            contract::Failure::Transient((message, retry_after_ms)) => Failure::Transient { message, retry_after_ms },
            contract::Failure::Permanent(message) => Failure::Permanent { code: None, message },
            contract::Failure::Unknown(message) => Failure::Unknown { message },
        })
    }
}

impl From<SignalKind> for contract::SignalKind {
    fn from(kind: SignalKind) -> Self {
        match kind {
            SignalKind::Message => Self::Message,
            SignalKind::Timeout => Self::Timeout,
            SignalKind::Cancelled => Self::Cancelled,
        }
    }
}
