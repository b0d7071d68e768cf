//! What happens to processes, clocks and the store.

use std::time::Duration;

use super::{Script, lock};
use crate::world::{Health, LEASE_MS};

impl Script {
    /// Brings the dead back, buries those that are not heard of, and wakes the stalled.
    pub(super) async fn look_after(self) {
        let mut missed: Vec<(usize, u64)> = Vec::new();
        loop {
            self.sim.time.sleep(50).await;
            let hosts: Vec<usize> = lock(&self.engines).iter().map(|(host, _)| *host).collect();
            for host in hosts {
                let health = self.sim.health(host);
                let now_ms = self.sim.time.now_ms();
                let since = missed.iter().find(|(one, _)| *one == host).map(|(_, since)| *since);
                match (health, since) {
                    (Health::Up, Some(_)) => missed.retain(|(one, _)| *one != host),
                    (Health::Dead | Health::Stalled, None) => missed.push((host, now_ms)),
                    (Health::Dead | Health::Stalled, Some(since)) => self.missed(host, health, now_ms - since),
                    (Health::Up, None) => self.beats(host),
                }
            }
        }
    }

    /// A live engine says so now and then, whether or not it has something to write.
    fn beats(&self, host: usize) {
        let now_ms = self.sim.time.now_ms();
        let mut world = self.sim.world();
        let seat = world.hosts[host].seat;
        if !world.out && world.store.seats.contains(&seat) {
            world.hosts[host].heard_ms = now_ms;
        }
    }

    fn missed(&self, host: usize, health: Health, for_ms: u64) {
        let (shared, seat, wakes) = {
            let mut world = self.sim.world();
            let wakes = world.chance.permille(20);
            (world.store.shared, world.hosts[host].seat, wakes)
        };
        if health == Health::Stalled && wakes {
            return self.sim.set_health(host, Health::Up);
        }
        if shared && for_ms >= LEASE_MS {
            self.bury(seat);
        }
        if health == Health::Dead && wakes {
            self.bury(seat); // Its name comes back, or its file is opened again.
            lock(&self.engines).retain(|(one, _)| *one != host);
            self.boot();
        }
    }

    fn bury(&self, seat: u64) {
        let mut world = self.sim.world();
        if world.store.seats.contains(&seat) {
            world.count.takeovers += 1;
            world.store.bury(seat);
        }
    }

    pub fn kill(&self) {
        if let Some((host, _)) = self.engine() {
            self.sim.crash(host);
        }
    }

    /// SIGTERM: the engine parks what it has, and its process ends.
    pub(super) fn end_in_order(&self) {
        let Some((host, engine)) = self.engine() else { return };
        let this = self.clone();
        tokio::spawn(async move {
            this.sim.tell(|| format!("host {host} is asked to end"));
            engine.shut_down(Duration::from_secs(20)).await;
            this.sim.set_health(host, Health::Dead);
        });
    }

    pub(super) fn jump(&self) {
        let Some((host, _)) = self.engine() else { return };
        let mut world = self.sim.world();
        if world.faults.jumps {
            world.count.faults += 1;
            let far = if world.chance.permille(300) { 3_600_000 } else { 5_000 };
            let by = i64::try_from(world.chance.below(2 * far)).unwrap_or_default();
            world.hosts[host].skew_ms = by - i64::try_from(far).unwrap_or_default();
        }
    }

    pub(super) fn outage(&self) {
        let for_ms = {
            let mut world = self.sim.world();
            if !world.faults.outages || world.out {
                return;
            }
            world.count.faults += 1;
            world.out = true;
            world.chance.below(5_000)
        };
        self.sim.tell(|| format!("the store is out of reach for {for_ms} ms"));
        let sim = self.sim.clone();
        tokio::spawn(async move {
            sim.time.sleep(for_ms).await;
            sim.world().out = false;
        });
    }
}
