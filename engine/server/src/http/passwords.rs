//! Passwords: what one must be, and how one is hashed and compared.
//!
//! Invariants:
//! - Argon2id with 19 MiB, 2 passes and 1 lane, as OWASP asks; a hash says how it was made, so another choice later
//!   leaves those of today good.
//! - Hashing runs beside the requests, a few at once: it is slow and large on purpose.
//! - Comparing with nobody's password costs the same as with somebody's.
//! - A password is neither kept nor logged.
//!
//! Not here: how often somebody may try (`tries`).

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use stepwell_core::problem::Problem;
use tokio::sync::Semaphore;

use super::auth::random_bytes;
use super::problem::{Answer, Code, Refusal};

pub(crate) const CHARS_MIN: usize = 12;
const BYTES_MAX: usize = 512;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// At once; each takes a processor and its memory.
const AT_ONCE: usize = 2;
/// Who waits longer for a turn is told to come again.
const TURN_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    /// What the password of nobody is compared with. Nothing hashes to it that anyone could find.
    nobodys: String,
}

/// What is wrong with a password that somebody chose.
pub(super) fn check(password: &str, at: &str, problems: &mut Vec<Problem>) {
    if password.chars().count() < CHARS_MIN || password.len() > BYTES_MAX {
        let message = format!("at least {CHARS_MIN} characters, and at most {BYTES_MAX} bytes");
        problems.push(Problem::error("TEXT_LENGTH", at, message));
    }
}

fn argon() -> Answer<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(HASH_BYTES)).map_err(|_| Refusal::new(Code::Internal))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let (salt, hash) = (random_bytes::<SALT_BYTES>(), random_bytes::<HASH_BYTES>());
        let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
        let nobodys = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${salt}${hash}");
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), nobodys }
    }

    pub(super) async fn hash(&self, password: String) -> Answer<String> {
        self.slowly(move || {
            let salt =
                SaltString::encode_b64(&random_bytes::<SALT_BYTES>()).map_err(|_| Refusal::new(Code::Internal))?;
            let hash = argon()?.hash_password(password.as_bytes(), &salt).map_err(|error| {
                tracing::error!(%error, "a password cannot be hashed");
                Refusal::new(Code::Internal)
            })?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether a password is the one that was hashed; `None`: there is nobody to have one.
    pub(super) async fn matches(&self, password: String, kept: Option<&str>) -> Answer<bool> {
        let is_somebodys = kept.is_some();
        let kept = kept.unwrap_or(&self.nobodys).to_owned();
        self.slowly(move || {
            if password.len() > BYTES_MAX {
                return Ok(false); // No password is that long, whoever's it is.
            }
            let kept = PasswordHash::new(&kept).map_err(|error| {
                tracing::error!(%error, "a kept password cannot be read");
                Refusal::new(Code::Internal)
            })?;
            let same = argon()?.verify_password(password.as_bytes(), &kept).is_ok();
            Ok(same && is_somebodys)
        })
        .await
    }

    async fn slowly<T: Send + 'static>(&self, work: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
        let busy = || Refusal::say(Code::Overloaded, "too many log in at once");
        let turn = tokio::time::timeout(TURN_WITHIN, self.turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        // The work goes on though whoever waits for it goes away, so it is what holds the turn.
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        working.await.map_err(|_| Refusal::new(Code::Internal))?
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[tokio::test]
    async fn only_the_password_that_was_hashed_matches() {
        let passwords = Passwords::new();
        let kept = passwords.hash("correct horse battery".to_owned()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, passwords.hash("correct horse battery".to_owned()).await.unwrap());
        for (password, kept, expected) in [
            ("correct horse battery", Some(kept.as_str()), true),
            ("correct horse batterz", Some(&kept), false),
            ("", Some(&kept), false),
            ("correct horse battery", None, false),
        ] {
            assert_eq!(passwords.matches(password.to_owned(), kept).await.unwrap(), expected, "{password}");
        }
        // What stands for nobody is a hash like any other, so that it costs the same.
        assert_eq!(PasswordHash::new(&passwords.nobodys).unwrap().hash.unwrap().len(), HASH_BYTES);
    }

    #[tokio::test]
    async fn who_goes_away_gives_no_turn_back_before_its_work_is_done() {
        let passwords = Passwords::new();
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        {
            let work = passwords.slowly(move || {
                let _ = wait.recv();
                Ok(())
            });
            tokio::pin!(work);
            // Begun, and not waited for.
            assert!(futures::poll!(&mut work).is_pending());
        }
        assert_eq!(passwords.turns.available_permits(), AT_ONCE - 1);
        go_on.send(()).unwrap();
        let all = u32::try_from(AT_ONCE).unwrap();
        let _all = tokio::time::timeout(TURN_WITHIN, passwords.turns.acquire_many(all)).await.unwrap().unwrap();
    }

    #[test]
    fn a_password_has_a_length() {
        for (password, fits) in
            [("short", false), ("twelve chars", true), ("十二个汉字的密码也足够长", true), (&*"x".repeat(513), false)]
        {
            let mut problems = Vec::new();
            check(password, "/password", &mut problems);
            assert_eq!(problems.is_empty(), fits, "{password}");
        }
    }
}
