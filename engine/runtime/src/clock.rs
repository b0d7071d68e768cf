//! The seam to time and chance. The real clock is the only place that reads the machine's, and the
//! only one that makes ids.

use std::future::Future;
use std::time::Duration;

use uuid::Uuid;

/// Where the runtime gets its time, and ids that are made of it. Simulated in tests.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch, UTC. May jump; the driver never lets an instance's time go back.
    fn now_ms(&self) -> u64;
    /// Wakes after `duration`. Cancel-safe.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
    /// Names a new instance: never given before, and later ones sort later.
    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
