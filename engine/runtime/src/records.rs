//! What an instance does to records between two commits.
//!
//! A transactional call works at a [`Desk`]: it sees what the instance has staged, and stages more. What it did is
//! merged when its answer is taken ([`Staged::merge`]), and goes to disk with the commit that carries the answer.
//!
//! Invariants:
//! - What a call did is staged only if its answer is taken; a call that was cut or given up leaves nothing, one that
//!   failed leaves what it read alone.
//! - For each record the revision that was seen first stands, and the commit stands or falls with it. A revision
//!   counts every write, staged or not, so what a node sees does not depend on where commits fall.
//! - One instance's transactional calls are made one after the other: each sees what the one before it did.
//!
//! Not here: committed records (`store`), what a write may say (`core::record`), what a guest is told (`sandbox`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use stepwell_core::machine::{Call, Failure, Outcome};

use crate::journal::{RecordWrite, Touched};
use crate::nodes::Answer;

/// An instance whose records moved so often in a row makes no transactional call before the next commit.
pub(crate) const MOVES_MAX: u8 = 5;

type Name = (Arc<str>, String);
type Overlay = BTreeMap<Name, Standing>;

/// A record as an instance has it before it or others.
#[derive(Debug, Clone)]
struct Standing {
    /// The revision it had when it was first looked at; 0: there was none.
    seen: u64,
    write: Option<RecordWrite>,
}

/// Where one transactional call works on records.
#[derive(Debug, Default)]
pub struct Desk {
    /// What the instance had staged when the call began.
    staged: Arc<Overlay>,
    own: Mutex<Overlay>,
}

impl Desk {
    /// What the instance, or this call, has made of a record; `None`: it is as it is committed.
    pub fn staged(&self, kind: &str, id: &str) -> Option<RecordWrite> {
        let name = (Arc::from(kind), id.to_owned());
        let own = self.own().get(&name).and_then(|standing| standing.write.clone());
        own.or_else(|| self.staged.get(&name)?.write.clone())
    }

    /// All that is staged of a type, by id.
    pub fn all_staged(&self, kind: &str) -> BTreeMap<String, RecordWrite> {
        let own = self.own();
        let both = self.staged.iter().chain(own.iter()).filter(|((of, _), _)| **of == *kind);
        both.filter_map(|((_, id), standing)| Some((id.clone(), standing.write.clone()?))).collect()
    }

    /// The call saw a record at this revision; 0: that there is none. The commit depends on it.
    pub fn saw(&self, kind: &str, id: &str, revision: u64) {
        let name = (Arc::from(kind), id.to_owned());
        self.own().entry(name).or_insert(Standing { seen: revision, write: None });
    }

    /// Stages a write of a record that the call saw at `revision`; the result is at the next one.
    pub fn write(&self, kind: &str, id: &str, revision: u64, status: &str, status_code: i32, body: String) -> u64 {
        let revision = revision + 1;
        let write = RecordWrite { revision, status: status.to_owned(), status_code, body };
        let name = (Arc::from(kind), id.to_owned());
        let mut own = self.own();
        own.entry(name).or_insert(Standing { seen: revision - 1, write: None }).write = Some(write);
        revision
    }

    /// What this call alone makes the commit depend on, and writes.
    pub fn touched(&self) -> Vec<Touched> {
        touched(&self.own())
    }

    fn own(&self) -> std::sync::MutexGuard<'_, Overlay> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the call did, once it is over.
    pub(crate) fn clear(&self, outcome: &Outcome) -> Did {
        let mut own = std::mem::take(&mut *self.own());
        match outcome {
            Outcome::Done { .. } | Outcome::Waiting { .. } | Outcome::NeverRan => {}
            Outcome::Failed(_) => own.values_mut().for_each(|standing| standing.write = None),
            Outcome::Cut(_) => own.clear(),
        }
        Did(own)
    }
}

/// What one call did to records.
#[derive(Debug)]
pub(crate) struct Did(Overlay);

/// What an instance did to records since its last commit, and the calls that wait for their turn at them.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    overlay: Arc<Overlay>,
    /// A call is under way.
    busy: bool,
    queue: VecDeque<Call>,
}

impl Staged {
    /// The call whose turn it is, if it is anybody's; those that are not `wanted` any more are left out.
    pub(crate) fn next(&mut self, wanted: impl Fn(&Call) -> bool) -> Option<(Call, Arc<Desk>)> {
        if self.busy {
            return None;
        }
        while let Some(call) = self.queue.pop_front() {
            if wanted(&call) {
                self.busy = true;
                return Some((call, Arc::new(Desk { staged: self.overlay.clone(), own: Mutex::default() })));
            }
        }
        None
    }

    pub(crate) fn ask(&mut self, call: Call) {
        self.queue.push_back(call);
    }

    /// The call that had its turn is back.
    pub(crate) fn back(&mut self) {
        self.busy = false;
    }

    /// No call is made or awaited any more. What was done stays.
    pub(crate) fn stop(&mut self) {
        self.queue.clear();
        self.busy = false;
    }

    /// Takes over what a call did whose answer was taken.
    pub(crate) fn merge(&mut self, did: Did) {
        if did.0.is_empty() {
            return;
        }
        let overlay = Arc::make_mut(&mut self.overlay);
        for (name, own) in did.0 {
            match overlay.get_mut(&name) {
                // First seen here, or what the call saw as staged was committed meanwhile: at that very revision.
                None => {
                    overlay.insert(name, own);
                }
                Some(staged) => staged.write = own.write.or(staged.write.take()),
            }
        }
    }

    /// For the commit.
    pub(crate) fn touched(&self) -> Vec<Touched> {
        touched(&self.overlay)
    }

    /// The commit stands.
    pub(crate) fn committed(&mut self) {
        if !self.overlay.is_empty() {
            self.overlay = Arc::default();
        }
    }
}

fn touched(overlay: &Overlay) -> Vec<Touched> {
    let one = |((kind, id), standing): (&Name, &Standing)| Touched {
        kind: kind.clone(),
        id: id.clone(),
        seen: standing.seen,
        write: standing.write.clone(),
    };
    overlay.iter().map(one).collect()
}

/// The answer of a call that is not made because the records it would work on keep moving.
pub(crate) fn keeps_moving() -> Answer {
    let message = format!("records keep moving: {MOVES_MAX} commits in a row were too late");
    let outcome = Outcome::Failed(Failure::Transient { message, retry_after_ms: None });
    Answer { outcome, duration_us: 0, logs: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stepwell_core::machine::{Cut, CutReason};

    use super::*;

    fn desk(staged: &Staged) -> Desk {
        Desk { staged: staged.overlay.clone(), own: Mutex::default() }
    }

    fn outcome(word: &str) -> Outcome {
        match word {
            "done" => Outcome::Done { port: "out".into(), output: Arc::default() },
            "failed" => keeps_moving().outcome,
            _ => Outcome::Cut(Cut { reason: CutReason::Trap, message: String::new() }),
        }
    }

    /// Plays words, each a call or a commit; tells what the next commit depends on and writes.
    fn play(script: &str) -> String {
        let mut staged = Staged::default();
        for word in script.split_whitespace() {
            let Some((act, rest)) = word.split_once(':') else {
                staged.committed();
                continue;
            };
            let (ends, during) = rest.split_once('+').map_or((rest, false), |(ends, _)| (ends, true));
            let desk = desk(&staged);
            for letter in act.chars() {
                let seen = desk.staged("order", "1").map_or(7, |write| write.revision);
                match letter {
                    'r' => desk.saw("order", "1", seen),
                    _ => drop(desk.write("order", "1", seen, &letter.to_string(), 0, String::new())),
                }
            }
            if during {
                staged.committed();
            }
            staged.merge(desk.clear(&outcome(ends)));
        }
        let told = |one: &Touched| {
            let write = one.write.as_ref().map(|write| format!("{}@{}", write.status, write.revision));
            format!("{} {}", one.seen, write.unwrap_or_default())
        };
        staged.touched().iter().map(told).collect::<Vec<_>>().join(", ").trim().to_owned()
    }

    #[test]
    fn what_calls_did_is_staged_as_it_stands() {
        for (script, expected) in [
            ("r:done", "7"),
            ("A:done", "7 A@8"),
            ("rAr:done", "7 A@8"),
            // Each write counts, and what was seen first stands.
            ("A:done rB:done C:done", "7 C@10"),
            ("A:done B:failed", "7 A@8"),
            ("A:done B:cut", "7 A@8"),
            ("rA:failed", "7"),
            ("rA:cut", ""),
            ("A:done commit", ""),
            // The commit before carries what the call saw as staged; it is at that revision then.
            ("A:done r:done+commit", "8"),
            ("A:done B:done+commit", "8 B@9"),
            ("A:done B:failed+commit", "8"),
        ] {
            assert_eq!(play(script), expected, "{script}");
        }
    }
}
