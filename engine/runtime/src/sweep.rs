//! Wakes parked instances when they are due, and takes over those that nobody drives.
//!
//! Invariants:
//! - Whatever a lost wake-up misses, the next sweep finds; sweeps are at most [`SWEEP_MS_MAX`] apart.
//! - What falls whenever it is driven is driven ever less often, and never given up: another build may do better.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    /// Instances whose actors fell, and have not been parked or ended since.
    fallen: Mutex<BTreeMap<Arc<str>, Fallen>>,
    /// Whether there are any: looked at by every commit.
    any_fallen: AtomicBool,
}

#[derive(Debug, Default)]
struct Fallen {
    times: u32,
    /// `None`: since the last sweep.
    again_ms: Option<u64>,
}

/// How long to leave what fell for the n-th time; twice as long each time.
const FALLEN_MS: u64 = 1_000;
const FALLEN_MS_MAX: u64 = 5 * 60 * 1_000;

impl Default for Alarm {
    fn default() -> Self {
        Self {
            next_ms: AtomicU64::new(u64::MAX),
            bell: Notify::new(),
            let_go: Mutex::default(),
            fallen: Mutex::default(),
            any_fallen: AtomicBool::new(false),
        }
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

    /// Driving the instance went wrong in a way that may well be the same the next time.
    pub(crate) fn fell(&self, instance: &Arc<str>) {
        let mut fallen = lock(&self.fallen);
        let one = fallen.entry(instance.clone()).or_default();
        (one.times, one.again_ms) = (one.times.saturating_add(1), None);
        self.any_fallen.store(true, Ordering::Release);
    }

    /// The instance came as far as it goes.
    pub(crate) fn stood(&self, instance: &Arc<str>) {
        if self.any_fallen.load(Ordering::Acquire) {
            let mut fallen = lock(&self.fallen);
            fallen.remove(instance);
            self.any_fallen.store(!fallen.is_empty(), Ordering::Release);
        }
    }

    /// Those that fell and are to be tried again now.
    fn risen(&self, now_ms: u64) -> Vec<Arc<str>> {
        let mut risen = Vec::new();
        for (instance, one) in &mut *lock(&self.fallen) {
            let again_ms = one.again_ms.get_or_insert_with(|| {
                let doubled = FALLEN_MS << one.times.saturating_sub(1).min(20);
                now_ms.saturating_add(doubled.min(FALLEN_MS_MAX))
            });
            if *again_ms <= now_ms {
                // Until it falls again.
                *again_ms = u64::MAX;
                risen.push(instance.clone());
            }
        }
        risen
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
        for instance in alarm.risen(now_ms) {
            engine.wake(&instance);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// When it is tried again, by looks a second apart.
    fn tries(alarm: &Alarm, from_s: u64, looks: u64) -> Vec<u64> {
        (from_s..from_s + looks).filter(|s| !alarm.risen(s * 1_000).is_empty()).collect()
    }

    #[test]
    fn what_falls_again_and_again_is_tried_ever_less_often() {
        let (alarm, one) = (Alarm::default(), Arc::<str>::from("one"));
        assert_eq!(tries(&alarm, 0, 10), [0_u64; 0]);
        let (mut now_s, mut waits) = (0, Vec::new());
        for _ in 0..12 {
            alarm.fell(&one);
            let tried = tries(&alarm, now_s, 1_000);
            assert_eq!(tried.len(), 1, "once, until it falls again");
            waits.push(tried[0] - now_s);
            now_s = tried[0] + 1;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        // It came through: the next fall is a first one.
        alarm.stood(&one);
        assert!(!alarm.any_fallen.load(Ordering::Relaxed));
        alarm.fell(&one);
        assert_eq!(tries(&alarm, 0, 10), [1]);
    }
}
