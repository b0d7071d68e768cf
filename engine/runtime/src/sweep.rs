//! Wakes parked instances when they are due, and takes over those that nobody drives.
//!
//! Invariant: whatever a lost wake-up misses, the next sweep finds; sweeps are at most
//! [`SWEEP_MS_MAX`] apart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stepwell_core::planted;
use tokio::sync::Notify;

use crate::engine::lock;
use crate::{Clock, Engine, Journal, Nodes};

/// The longest time between two sweeps: the backstop for everything that should have rung.
pub(crate) const SWEEP_MS_MAX: u64 = 1_000;
/// Instances woken by one sweep; the next follows at once when there were that many.
const SWEEP_BATCH: u32 = 500;

/// How soon a full batch is followed.
const FULL_MS: u64 = 20;
/// What is due but not taken yet (no room, no disk) is looked at again after this.
const PAUSE_MS: u64 = 50;

/// When the sweeper must look next.
#[derive(Debug)]
pub(crate) struct Alarm {
    next_ms: AtomicU64,
    bell: Notify,
    /// Instances that are ours, but whose actor had to let go because the store failed.
    let_go: Mutex<Vec<Arc<str>>>,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { next_ms: AtomicU64::new(u64::MAX), bell: Notify::new(), let_go: Mutex::default() }
    }
}

impl Alarm {
    /// An instance was parked until `due_ms`.
    pub(crate) fn set(&self, due_ms: u64) {
        if self.next_ms.fetch_min(due_ms, Ordering::AcqRel) > due_ms {
            self.bell.notify_one();
        }
    }

    /// The next sweep takes the instance again.
    pub(crate) fn take_again(&self, instance: &Arc<str>) {
        if planted::on("wake-up-lost") {
            return;
        }
        lock(&self.let_go).push(instance.clone());
    }

    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }
}

/// Sweeps until the engine closes.
pub(crate) async fn sweep<J: Journal, N: Nodes, C: Clock>(engine: Engine<J, N, C>) {
    let mut tidied_ms = 0;
    while !engine.closing() {
        let alarm = &engine.0.sweeper;
        alarm.next_ms.store(u64::MAX, Ordering::Release);
        let now_ms = engine.0.clock.now_ms();
        // Also after the clock was set back.
        if now_ms.abs_diff(tidied_ms) >= SWEEP_MS_MAX {
            engine.forget_gone_waiters();
            tidied_ms = now_ms;
        }
        let mut full = false;
        for instance in std::mem::take(&mut *lock(&alarm.let_go)) {
            engine.wake(&instance);
        }
        match engine.0.journal.ready(now_ms, SWEEP_BATCH).await {
            Ok(ready) => {
                full = ready.len() == SWEEP_BATCH as usize;
                for instance in &ready {
                    engine.wake(instance);
                }
            }
            Err(error) => tracing::warn!(%error, "could not look for due instances"),
        }
        if let Ok(Some(due_ms)) = engine.0.journal.next_due_ms().await {
            alarm.next_ms.fetch_min(due_ms, Ordering::AcqRel);
        }
        let next_ms = alarm.next_ms.load(Ordering::Acquire);
        let wait_ms = next_ms.saturating_sub(engine.0.clock.now_ms()).min(SWEEP_MS_MAX);
        // A full batch is followed at once, but the woken ones get a moment to leave the list.
        let wait_ms = if full { wait_ms.min(FULL_MS) } else { wait_ms.max(PAUSE_MS) };
        tokio::select! {
            biased;
            () = alarm.bell.notified() => {}
            () = engine.0.journal.rung() => {}
            () = engine.0.clock.sleep(Duration::from_millis(wait_ms)) => {}
        }
    }
}
