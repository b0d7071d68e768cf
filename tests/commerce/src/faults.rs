//! Decides what goes wrong with a request or a callback.
//!
//! A rule belongs to a path prefix; the longest prefix that fits a path is the only rule that counts for it.
//! Counted faults (`*_next`) are taken by the first requests that come; rates are decided by a hash of the seed,
//! the path, the key and how often that key had arrived before, so they do not depend on how requests interleave
//! and a run can be repeated.
//!
//! Not here: carrying the faults out (`door`, `courier`).

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Prefixes with a rule of their own.
const RULES_MAX: usize = 64;
/// No fault holds a request or callback back longer than this.
const WAIT_MS_MAX: u64 = 600_000;
/// Extra copies of one callback.
const DUPLICATES_MAX: u32 = 100;

/// What goes wrong under one path prefix; the body of `PUT /control/faults`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// The paths this is for; empty means all.
    pub path_prefix: String,
    /// How long a request waits before the work, milliseconds. The work is done even if the caller left.
    pub latency_ms: u64,
    /// How long the answer waits after the work, milliseconds.
    pub reply_latency_ms: u64,
    /// Share of requests, 0 to 1, that fail with `status` before the work.
    pub fail_rate: f64,
    /// So many of the next requests fail with `status` before the work.
    pub fail_next: u32,
    /// The status of failures, 500 to 599.
    pub status: u16,
    /// Share of requests, 0 to 1, whose work is done and whose connection is then closed without an answer.
    pub lose_reply_rate: f64,
    /// So many of the next requests lose their answer.
    pub lose_reply_next: u32,
    /// Each callback is sent so many times more, at once, under the same event id.
    pub duplicate_callbacks: u32,
    /// Callbacks leave so much later, milliseconds.
    pub callback_delay_ms: u64,
    /// The callback is sent, and answered, before the reply to the request that caused it is written.
    pub callback_inside_reply: bool,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            path_prefix: String::new(),
            latency_ms: 0,
            reply_latency_ms: 0,
            fail_rate: 0.0,
            fail_next: 0,
            status: 503,
            lose_reply_rate: 0.0,
            lose_reply_next: 0,
            duplicate_callbacks: 0,
            callback_delay_ms: 0,
            callback_inside_reply: false,
        }
    }
}

impl Rule {
    fn problem(&self) -> Option<String> {
        let rate = |name: &str, value: f64| {
            (!(0.0..=1.0).contains(&value)).then(|| format!("{name} must be between 0 and 1, not {value}"))
        };
        let at_most = |name: &str, value: u64, max: u64| {
            (value > max).then(|| format!("{name} must be at most {max}, not {value}"))
        };
        rate("fail_rate", self.fail_rate)
            .or_else(|| rate("lose_reply_rate", self.lose_reply_rate))
            .or_else(|| at_most("latency_ms", self.latency_ms, WAIT_MS_MAX))
            .or_else(|| at_most("reply_latency_ms", self.reply_latency_ms, WAIT_MS_MAX))
            .or_else(|| at_most("callback_delay_ms", self.callback_delay_ms, WAIT_MS_MAX))
            .or_else(|| at_most("duplicate_callbacks", u64::from(self.duplicate_callbacks), u64::from(DUPLICATES_MAX)))
            .or_else(|| at_most("length of path_prefix", self.path_prefix.len() as u64, 256))
            .or_else(|| {
                (!(500..=599).contains(&self.status))
                    .then(|| format!("status must be between 500 and 599, not {}", self.status))
            })
    }
}

/// What one request has to pay: counted faults are already taken, rates are still to be decided.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Toll {
    pub(crate) latency_ms: u64,
    pub(crate) reply_latency_ms: u64,
    fail: f64,
    status: u16,
    lose: f64,
}

/// How a request ends before or after its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Spared,
    /// Answer with this status; do no work.
    Fails(u16),
    /// Do the work, then close the connection.
    LosesReply,
}

impl Toll {
    /// Decides by hash; `arrival` is how often this key had arrived before.
    pub(crate) fn fate(&self, seed: u64, path: &str, key: &str, arrival: u64) -> Fate {
        if chance(seed, "fail", path, key, arrival) < self.fail {
            Fate::Fails(self.status)
        } else if chance(seed, "lose", path, key, arrival) < self.lose {
            Fate::LosesReply
        } else {
            Fate::Spared
        }
    }
}

/// A number in [0, 1) that depends on its arguments alone.
fn chance(seed: u64, fault: &str, path: &str, key: &str, arrival: u64) -> f64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(arrival.to_be_bytes());
    for part in [fault, path, key] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let bits = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// The rules in force. They live in memory: a restarted shop has none.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Mutex<Vec<Rule>>,
}

impl Faults {
    /// Puts a rule in force in place of the one with the same prefix; says what is wrong with it otherwise.
    pub(crate) fn put(&self, rule: Rule) -> Result<(), String> {
        if let Some(problem) = rule.problem() {
            return Err(problem);
        }
        self.with(|rules| {
            rules.retain(|known| known.path_prefix != rule.path_prefix);
            if rules.len() == RULES_MAX {
                return Err(format!("at most {RULES_MAX} path prefixes"));
            }
            rules.push(rule);
            Ok(())
        })
    }

    pub(crate) fn clear(&self) {
        self.with(Vec::clear);
    }

    pub(crate) fn list(&self) -> Vec<Rule> {
        self.with(|rules| rules.clone())
    }

    /// The rule for `path`, without taking anything from its counts.
    pub(crate) fn look(&self, path: &str) -> Rule {
        self.with(|rules| fitting(rules, path).cloned()).unwrap_or_default()
    }

    /// What the request at `path` has to pay; takes from the counts.
    pub(crate) fn take(&self, path: &str) -> Toll {
        self.with(|rules| {
            let Some(rule) = fitting(rules, path) else { return Toll::default() };
            let mut toll = Toll {
                latency_ms: rule.latency_ms,
                reply_latency_ms: rule.reply_latency_ms,
                fail: rule.fail_rate,
                status: rule.status,
                lose: rule.lose_reply_rate,
            };
            // A request that fails has no answer to lose, so it takes from one count only.
            if rule.fail_next > 0 {
                rule.fail_next -= 1;
                toll.fail = 1.0;
            } else if rule.lose_reply_next > 0 {
                rule.lose_reply_next -= 1;
                (toll.fail, toll.lose) = (0.0, 1.0);
            }
            toll
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Rule>) -> T) -> T {
        act(&mut self.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn fitting<'a>(rules: &'a mut [Rule], path: &str) -> Option<&'a mut Rule> {
    rules.iter_mut().filter(|rule| path.starts_with(&rule.path_prefix)).max_by_key(|rule| rule.path_prefix.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    /// The fates of `count` requests in a row to `path`, one letter each.
    fn play(faults: &Faults, path: &str, count: u64) -> String {
        let letter = |n: u64| match faults.take(path).fate(7, path, &format!("key {n}"), 0) {
            Fate::Spared => '.',
            Fate::Fails(503) => 'f',
            Fate::Fails(_) => 'F',
            Fate::LosesReply => 'l',
        };
        (0..count).map(letter).collect()
    }

    #[test]
    fn counted_faults_are_taken_in_order_by_the_longest_prefix() {
        for (rules, path, shown) in [
            (r"[]", "/stock/reservations", "....."),
            (r#"[{"fail_next":2}]"#, "/stock/reservations", "ff..."),
            (r#"[{"fail_next":1,"status":500,"lose_reply_next":2}]"#, "/lockers/locks", "Fll.."),
            (r#"[{"fail_next":9},{"path_prefix":"/lockers","lose_reply_next":1}]"#, "/lockers/locks", "l...."),
            (r#"[{"path_prefix":"/lockers","fail_next":9}]"#, "/stock/reservations", "....."),
            // The second rule for a prefix replaces the first.
            (r#"[{"fail_next":9},{"lose_reply_next":1}]"#, "/gateway/payments", "l...."),
            (r#"[{"fail_rate":1.0,"lose_reply_next":1}]"#, "/gateway/payments", "lffff"),
            (r#"[{"fail_rate":1.0,"lose_reply_rate":1.0}]"#, "/gateway/payments", "fffff"),
        ] {
            let faults = Faults::default();
            for rule in serde_json::from_str::<Vec<Rule>>(rules).unwrap() {
                faults.put(rule).unwrap();
            }
            assert_eq!(play(&faults, path, 5), shown, "{rules} {path}");
        }
    }

    #[test]
    fn rates_repeat_with_the_seed_and_come_near_their_share() {
        let faults = Faults::default();
        faults.put(Rule { lose_reply_rate: 0.25, ..Rule::default() }).unwrap();
        let (first, second) = (play(&faults, "/a", 2000), play(&faults, "/a", 2000));
        assert_eq!(first, second);
        let lost = first.matches('l').count();
        assert!((400..600).contains(&lost), "{lost} of 2000");
        // A key that lost its first answer gets another throw the next time.
        let toll = faults.take("/a");
        let fates = |arrival| (0..100).map(|n| toll.fate(7, "/a", &format!("key {n}"), arrival)).collect::<Vec<_>>();
        assert_ne!(fates(0), fates(1));
    }

    #[test]
    fn impossible_rules_are_refused() {
        for rule in [
            r#"{"fail_rate":1.5}"#,
            r#"{"lose_reply_rate":-0.1}"#,
            r#"{"status":404}"#,
            r#"{"latency_ms":600001}"#,
            r#"{"duplicate_callbacks":101}"#,
        ] {
            let rule = serde_json::from_str::<Rule>(rule).unwrap();
            assert!(Faults::default().put(rule.clone()).is_err(), "{rule:?}");
        }
        assert!(serde_json::from_str::<Rule>(r#"{"latency":1}"#).is_err(), "a misspelt fault would test nothing");
    }
}
