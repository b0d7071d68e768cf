//! The simulation finds every planted bug.
#![allow(clippy::print_stdout, reason = "the list of docs/reliability.md is what this prints")]

use std::thread;

use stepwell_core::planted;
use stepwell_sim::run;

/// No bug may hide longer.
const SEEDS_MAX: u64 = 400;

/// The first seed that finds the bug, and what it violates.
fn hunt(name: &'static str) -> Option<(u64, &'static str)> {
    planted::choose(Some(name));
    let found = (1..=SEEDS_MAX).find_map(|seed| Some((seed, run(seed, false).violation?.invariant)));
    planted::choose(None);
    found
}

#[test]
fn every_planted_bug_is_found() {
    let (ours, theirs) = planted::ALL.split_at(planted::ALL.len() / 2);
    let hunt_all = |names: &'static [&'static str]| names.iter().map(|&name| (name, hunt(name))).collect::<Vec<_>>();
    let all = thread::scope(|threads| {
        let other = threads.spawn(|| hunt_all(theirs));
        let mut all = hunt_all(ours);
        all.extend(other.join().unwrap_or_default());
        all
    });
    for (name, found) in &all {
        match found {
            Some((seed, invariant)) => println!("| `{name}` | {seed} | {invariant} |"),
            None => println!("| `{name}` | not found in {SEEDS_MAX} seeds | |"),
        }
    }
    let missed: Vec<_> = all.iter().filter(|(_, found)| found.is_none()).map(|(name, _)| name).collect();
    assert!(missed.is_empty() && all.len() == planted::ALL.len(), "not found: {missed:?}");
}
