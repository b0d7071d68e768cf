//! Many seeds, and some that are run twice.
#![allow(clippy::print_stdout, reason = "a run says what it did")]

use std::time::Instant;

use stepwell_sim::{run, search};

/// Per run of the suite, unless `STEPWELL_SIM_STEPS` says otherwise.
const STEPS: u64 = 110_000;

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn whatever_goes_wrong_the_invariants_hold() {
    if let Some(seed) = asked("STEPWELL_SIM_SEED") {
        let one = run(seed, true);
        assert!(one.violation.is_none(), "{one}");
        println!("{one}");
        return;
    }
    let begun = Instant::now();
    let first = asked("STEPWELL_SIM_FIRST").unwrap_or(1);
    let found = search(first, asked("STEPWELL_SIM_STEPS").unwrap_or(STEPS));
    println!(
        "{} seeds from {first} on, {} steps in {:?}\n{:?}\n{:?}",
        found.seeds,
        found.count.steps(),
        begun.elapsed(),
        found.count,
        found.constructs
    );
    if let Some(failed) = &found.failed {
        panic!("{failed}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 14, 159] {
        let (one, again) = (run(seed, false), run(seed, true));
        assert_eq!((one.digest, &one.count), (again.digest, &again.count), "seed {seed}");
    }
}
