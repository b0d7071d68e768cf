//! Answers of pure nodes that a flow lets be given again: by component, node type, config and input.
//!
//! Invariants:
//! - What is kept was said by the guest of a call that named no instance, visit or key: it follows from what it is
//!   found by.
//! - Only what the guest meant is kept, a result or a business refusal; never a call that was cut off.
//! - The room it takes is bounded, and what was not asked for lately goes first.
//!
//! Not here: which calls may be answered so (`core` checks that the node is pure).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use stepwell_core::machine::{Failure, Outcome};

use crate::Digest;

/// Of both generations together.
const BYTES_MAX: usize = 64 << 20;
/// What one answer may take; a larger one costs more to keep than to make again.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// What an entry costs beside its answer.
const ENTRY_BYTES: usize = 256;

type Key = [u8; 32];

/// How often an answer was there, and how often it was not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheView {
    pub hits: u64,
    pub misses: u64,
    /// Bytes held.
    pub bytes: u64,
}

#[derive(Default)]
pub(crate) struct Cache {
    kept: Mutex<Generations>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What is asked for moves to the young; when those are half of all there may be, the old go.
#[derive(Default)]
struct Generations {
    young: HashMap<Key, (Outcome, usize)>,
    old: HashMap<Key, (Outcome, usize)>,
    young_bytes: usize,
    old_bytes: usize,
}

pub(crate) fn key(digest: &Digest, node_type: &str, config: &str, input: &str) -> Key {
    let mut hash = Sha256::new();
    for part in [&digest.0[..], node_type.as_bytes(), config.as_bytes(), input.as_bytes()] {
        // With its length in front, so that no two rows of parts are one text.
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Cache {
    pub(crate) fn get(&self, key: &Key) -> Option<Outcome> {
        let found = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(key);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(crate) fn keep(&self, key: Key, outcome: &Outcome) {
        let bytes = ENTRY_BYTES
            + match outcome {
                Outcome::Done { output, .. } => output.to_string().len(),
                Outcome::Failed(Failure::Rejected(why)) => {
                    why.code.len() + why.message.len() + why.data.as_ref().map_or(0, |data| data.to_string().len())
                }
                _ => return,
            };
        if bytes <= ANSWER_BYTES_MAX {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).put(key, outcome.clone(), bytes);
        }
    }

    pub(crate) fn view(&self) -> CacheView {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = u64::try_from(kept.young_bytes + kept.old_bytes).unwrap_or(u64::MAX);
        CacheView { hits: self.hits.load(Ordering::Relaxed), misses: self.misses.load(Ordering::Relaxed), bytes }
    }
}

impl Generations {
    fn get(&mut self, key: &Key) -> Option<Outcome> {
        if let Some((outcome, _)) = self.young.get(key) {
            return Some(outcome.clone());
        }
        let (outcome, bytes) = self.old.remove(key)?;
        self.old_bytes -= bytes;
        self.put(*key, outcome.clone(), bytes);
        Some(outcome)
    }

    fn put(&mut self, key: Key, outcome: Outcome, bytes: usize) {
        if self.young_bytes + bytes > BYTES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.old_bytes = std::mem::take(&mut self.young_bytes);
        }
        if let Some((_, before)) = self.young.insert(key, (outcome, bytes)) {
            self.young_bytes -= before;
        }
        self.young_bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use stepwell_core::machine::{Cut, CutReason};

    use super::*;

    fn done(text: &str) -> Outcome {
        Outcome::Done { port: "out".into(), output: Arc::new(json!(text)) }
    }

    fn key_of(n: u32) -> Key {
        key(&Digest::of(b"plugin"), "type", "{}", &n.to_string())
    }

    #[test]
    fn the_room_is_bounded_and_what_is_asked_for_stays() {
        let cache = Cache::default();
        let answer = done(&"x".repeat(100_000));
        cache.keep(key_of(0), &answer);
        for n in 1..5_000 {
            cache.keep(key_of(n), &answer);
            if n % 100 == 0 {
                assert_eq!(cache.get(&key_of(0)), Some(answer.clone()), "asked for every 10 MB");
            }
            assert!(cache.view().bytes <= BYTES_MAX as u64, "{n}");
        }
        assert_eq!(cache.get(&key_of(1)), None, "nobody asked for it");
    }

    #[test]
    fn what_was_cut_off_is_not_kept_nor_what_is_too_large() {
        let cache = Cache::default();
        cache.keep(key_of(1), &Outcome::Cut(Cut { reason: CutReason::Deadline, message: String::new() }));
        cache.keep(key_of(2), &done(&"x".repeat(ANSWER_BYTES_MAX)));
        cache.keep(key_of(3), &done("small"));
        let there = [1, 2, 3].map(|n| cache.get(&key_of(n)).is_some());
        assert_eq!((there, cache.view().hits, cache.view().misses), ([false, false, true], 1, 2));
    }

    #[test]
    fn parts_are_told_apart() {
        let digest = Digest::of(b"plugin");
        assert_ne!(key(&digest, "a", "bc", ""), key(&digest, "ab", "c", ""));
        assert_ne!(key(&digest, "a", "", "b"), key(&digest, "a", "b", ""));
    }
}
