//! Breaks a plugin off that keeps trapping, so that it does not take slots from its neighbours.
//!
//! After [`TRAPS_IN_A_ROW`] cuts without an answer between them the breaker opens: calls are not
//! made for [`OPEN_FOR`]. Then one is let through; if it goes well the breaker closes.
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
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    pub(crate) fn trapped(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.in_a_row = state.in_a_row.saturating_add(1);
        if state.in_a_row >= TRAPS_IN_A_ROW {
            state.open_until = Some(now + OPEN_FOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_traps_in_a_row_break_a_plugin_off() {
        // t: a trap; o: an answer; w: the open time passes; a digit: calls admitted of three tried.
        for script in
            ["ttttttttt3", "tttttttttt0", "ttttto tttttt3", "tttttttttt0w1", "tttttttttt0w1o3", "ttttttttttw1t0"]
        {
            let breaker = Breaker::default();
            let mut now = Instant::now();
            for step in script.chars().filter(|step| !step.is_whitespace()) {
                match step {
                    't' => breaker.trapped(now),
                    'o' => breaker.went_well(),
                    'w' => now += OPEN_FOR,
                    admitted => {
                        let tried = (0..3).filter(|_| breaker.admit(now).is_ok()).count();
                        assert_eq!(Some(tried), admitted.to_digit(10).map(|digit| digit as usize), "{script}");
                    }
                }
            }
        }
    }
}
