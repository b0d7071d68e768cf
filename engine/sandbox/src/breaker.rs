//! Breaks a plugin off that keeps trapping, so that it does not take slots from its neighbours.
//!
//! After [`TRAPS_IN_A_ROW`] cuts without an answer between them the breaker opens: calls are not
//! made for [`OPEN_FOR`]. Then one is let through; if it goes well the breaker closes. An operator
//! may close it before.
//!
//! Each build of a plugin has its own, at each engine: a better build does not pay for a worse one.
//!
//! Not here: missed deadlines. They are as often the other side's fault as the plugin's.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const TRAPS_IN_A_ROW: u32 = 10;
const OPEN_FOR: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    in_a_row: u32,
    open_until: Option<Instant>,
    trips: u64,
}

/// What a breaker says of its plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls are made.
    Closed,
    /// None is made.
    Open,
    /// The next call tries for all, or does so now.
    HalfOpen,
}

/// A breaker as operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerView {
    pub state: BreakerState,
    /// Until one call is let through.
    pub open_for: Duration,
    /// Traps since the last answer.
    pub in_a_row: u32,
    /// How often it opened.
    pub trips: u64,
}

impl Breaker {
    /// Whether a call may be made; if not, for how long none may.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.open_until {
            Some(until) if now < until => Err(until - now),
            Some(_) => {
                // This one tries for all; the others wait for what comes of it.
                state.open_until = Some(now + OPEN_FOR);
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(crate) fn went_well(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { trips: state.trips, ..State::default() };
    }

    /// Closed by an operator. `false`: it was.
    pub(crate) fn reset(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_open = state.open_until.is_some();
        *state = State { trips: state.trips, ..State::default() };
        was_open
    }

    pub(crate) fn view(&self, now: Instant) -> BreakerView {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open_for = state.open_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let shown = match state.open_until {
            None => BreakerState::Closed,
            Some(_) if open_for.is_zero() => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        };
        BreakerView { state: shown, open_for, in_a_row: state.in_a_row, trips: state.trips }
    }

    pub(crate) fn trapped(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.in_a_row = state.in_a_row.saturating_add(1);
        if state.in_a_row >= TRAPS_IN_A_ROW {
            if state.open_until.is_none() {
                state.trips += 1;
            }
            state.open_until = Some(now + OPEN_FOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_traps_in_a_row_break_a_plugin_off() {
        // t: a trap; o: an answer; w: the open time passes; r: reset; c, p, h: closed, open, half-open;
        // a digit: calls admitted of three tried.
        for script in [
            "cttttttttt3c",
            "tttttttttt0p",
            "ttttto tttttt3c",
            "tttttttttt0wh1p",
            "tttttttttt0w1o3c",
            "ttttttttttw1t0p",
            "ttttttttttpr3c",
            "ttttttttttr ttttttttt3",
        ] {
            let breaker = Breaker::default();
            let mut now = Instant::now();
            for step in script.chars().filter(|step| !step.is_whitespace()) {
                match step {
                    't' => breaker.trapped(now),
                    'o' => breaker.went_well(),
                    'w' => now += OPEN_FOR,
                    'r' => assert!(breaker.reset(), "{script}"),
                    'c' => assert_eq!(breaker.view(now).state, BreakerState::Closed, "{script}"),
                    'p' => assert_eq!(breaker.view(now).state, BreakerState::Open, "{script}"),
                    'h' => assert_eq!(breaker.view(now).state, BreakerState::HalfOpen, "{script}"),
                    admitted => {
                        let tried = (0..3).filter(|_| breaker.admit(now).is_ok()).count();
                        assert_eq!(Some(tried), admitted.to_digit(10).map(|digit| digit as usize), "{script}");
                    }
                }
            }
        }
    }
}
