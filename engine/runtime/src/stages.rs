//! How long the stages of flows take, counted in buckets since the engine started; for metrics.
//!
//! Invariant: a bounded number of flows and stages is told apart; what comes after counts as one.
//!
//! Not here: what a stage is (`core`), how figures are written (`server`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use stepwell_core::flow::{Flow, Kind, NodeIx};
use stepwell_core::machine::{At, Instance};

/// Most (flow, stage) that are told apart.
const STAGES_MAX: usize = 1_000;
/// Upper bounds of the buckets, milliseconds; one more takes what is longer.
pub const BUCKETS_MS: [u64; 12] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_000, 5_000, 10_000, 60_000];

/// Times of one stage of one flow.
#[derive(Debug, Clone, Default)]
pub struct Times {
    /// By [`BUCKETS_MS`], each for itself.
    pub buckets: [u64; BUCKETS_MS.len() + 1],
    pub total_ms: u64,
}

/// A flow and one of its stages.
pub type Stage = (Arc<str>, Arc<str>);

/// Times by flow and stage.
#[derive(Debug, Default)]
pub struct Stages(Mutex<BTreeMap<Stage, Times>>);

/// A stage that an instance is in: its token, and since when.
pub(crate) type Standing = (u32, NodeIx, u64);

/// The stages that an instance is in.
pub(crate) fn standing(flow: &Flow, it: &Instance) -> Vec<Standing> {
    // A stage's handlers wait there beside its own token.
    let stages = it
        .tokens
        .iter()
        .filter(|(_, token)| matches!(token.at, At::Inside) && matches!(flow.nodes[token.node].kind, Kind::Stage(_)));
    stages.map(|(id, token)| (*id, token.node, token.since_ms)).collect()
}

impl Stages {
    /// Counts those that the instance is in no more. One that is passed within a step took no time, and is not counted.
    pub(crate) fn left(&self, flow: &Flow, stood: Vec<Standing>, it: &Instance) {
        for (token, node, since_ms) in stood {
            if it.tokens.get(&token).is_none_or(|now| now.node != node) {
                let key = flow.bodies[flow.nodes[node].body].key.clone();
                self.count(key, flow.nodes[node].id.clone(), it.now_ms.saturating_sub(since_ms));
            }
        }
    }

    fn count(&self, flow: Arc<str>, stage: Arc<str>, took_ms: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (flow, stage);
        let key = if all.len() < STAGES_MAX || all.contains_key(&key) { key } else { ("*".into(), "*".into()) };
        let times = all.entry(key).or_default();
        let bucket = BUCKETS_MS.iter().position(|bound| took_ms <= *bound).unwrap_or(BUCKETS_MS.len());
        times.buckets[bucket] += 1;
        times.total_ms += took_ms;
    }

    /// All of them, by flow and stage.
    pub fn all(&self) -> BTreeMap<Stage, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_buckets_and_stages_are_bounded() {
        let stages = Stages::default();
        for (took_ms, bucket) in [(0, 0), (5, 0), (6, 1), (2_000, 8), (60_001, 12)] {
            let before = stages.all().get(&("f".into(), "s".into())).cloned().unwrap_or_default();
            stages.count("f".into(), "s".into(), took_ms);
            let after = stages.all()[&(Arc::from("f"), Arc::from("s"))].clone();
            assert_eq!(after.buckets[bucket], before.buckets[bucket] + 1, "{took_ms}");
            assert_eq!(after.total_ms, before.total_ms + took_ms);
        }
        for number in 0..STAGES_MAX + 5 {
            stages.count(format!("f{number}").into(), "s".into(), 1);
        }
        assert_eq!(stages.all().len(), STAGES_MAX + 1);
        assert_eq!(stages.all()[&(Arc::from("*"), Arc::from("*"))].total_ms, 6);
    }
}
