//! The seam to time and chance. The real clock is the only place that reads the machine's, and the
//! only one that makes ids.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
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
#[derive(Debug, Clone, Default)]
pub struct SystemClock {
    /// For tests.
    set_by: Option<Arc<Path>>,
}

impl SystemClock {
    /// For tests, and only in debug builds: a file says by how many milliseconds the clock is wrong, and whoever writes
    /// it sets the clock. What is monotonic goes on as it does when a machine's clock is set.
    pub fn set_by(file: &Path) -> Self {
        Self { set_by: Some(file.into()) }
    }

    fn wrong_by_ms(&self) -> i64 {
        let file = self.set_by.as_ref().filter(|_| cfg!(debug_assertions));
        let text = file.and_then(|file| std::fs::read_to_string(file).ok());
        text.and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_add_signed(self.wrong_by_ms())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
