//! A process's clock: the run's time, off by as much as this process's clock is off.

use std::time::Duration;

use stepwell_runtime::Clock;
use uuid::Uuid;

use crate::world::{EPOCH_MS, Sim};

#[derive(Clone)]
pub struct SimClock {
    pub sim: Sim,
    pub host: usize,
}

impl Clock for SimClock {
    fn now_ms(&self) -> u64 {
        let now_ms = EPOCH_MS + self.sim.time.now_ms();
        now_ms.saturating_add_signed(self.sim.world().hosts[self.host].skew_ms)
    }

    async fn sleep(&self, duration: Duration) {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.sim.time.sleep(ms).await;
        self.sim.alive(self.host).await;
    }

    fn new_id(&self) -> Uuid {
        let mut world = self.sim.world();
        world.next_id += 1;
        Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(world.next_id))
    }
}
