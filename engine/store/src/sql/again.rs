//! What lost against another engine is done again, from the start.

use std::time::Duration;

use super::{Result, Verdict};

/// How often a transaction that lost is tried.
pub(crate) const TRIES: u32 = 10;
/// How long to wait before that, the first time; a little longer each time.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// Runs a transaction of its own until it is not lost any more. Blocks.
pub(crate) fn again<T>(mut transaction: impl FnMut() -> Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        match transaction() {
            Err(error) if error.verdict() == Verdict::Again && tries < TRIES => {
                tracing::debug!(%error, tries, "a transaction is tried again");
                std::thread::sleep(PAUSE * tries);
                tries += 1;
            }
            done => return done,
        }
    }
}
