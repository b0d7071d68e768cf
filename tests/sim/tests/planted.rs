//! The simulation finds every planted bug, and `docs/reliability.md` says with which seed.

use std::collections::BTreeMap;
use std::path::Path;
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
    let missed: Vec<_> = all.iter().filter(|(_, found)| found.is_none()).map(|(name, _)| name).collect();
    assert!(missed.is_empty() && all.len() == planted::ALL.len(), "not found: {missed:?}");
    let found: BTreeMap<String, String> = all
        .into_iter()
        .filter_map(|(name, found)| Some((name, found?)))
        .map(|(name, (seed, invariant))| (name.to_owned(), format!("{seed} | {invariant}")))
        .collect();
    let told = told();
    let moved: Vec<String> = found
        .iter()
        .filter(|(name, found)| told.get(*name) != Some(found))
        .map(|(name, found)| format!("`{name}` … | {found}"))
        .collect();
    assert!(moved.is_empty(), "the table of docs/reliability.md says otherwise; write there:\n{}", moved.join("\n"));
    assert_eq!(told.len(), found.len(), "docs/reliability.md lists bugs that are not planted");
}

/// What the table of planted bugs says: by name, seed and invariant.
fn told() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reliability.md");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let table = text.split("### Planted bugs").nth(1).and_then(|rest| rest.split("\n#").next()).unwrap_or_default();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.filter_map(|(name, rest)| {
        let (_, found) = rest.trim_end().trim_end_matches('|').split_once(" | ")?;
        Some((name.to_owned(), found.trim().to_owned()))
    })
    .collect()
}
