//! Journals as an engine wrote them, each played again to the same end by this build.
//!
//! `journals/*.json` hold what a version was published as, the entries of one instance, and how it
//! ended. A file is added, never changed: an old journal must keep its meaning
//! (`docs/decisions/001-inspection-by-replay.md`).
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use serde_json::{Value, json};
use stepwell_core::catalog::Catalog;
use stepwell_core::flow::Flow;
use stepwell_core::flow::check::check;
use stepwell_core::machine::{Entry, Instance, Snapshot, snapshot, step};

/// The instance after its last entry; after each, its snapshot gives it back.
fn play(name: &str, flow: &Flow, entries: &[Entry]) -> Instance {
    let mut it = Instance::new("of the journal".into(), 1);
    for (place, entry) in entries.iter().enumerate() {
        let (next, taken) = step(flow, it, entry.at_ms, &entry.event);
        assert!(taken.is_ok(), "{name}: entry {} is refused: {taken:?}", entry.seq);
        assert_eq!((next.seq, next.now_ms), (entry.seq, entry.at_ms), "{name}");
        let mut stored = Snapshot::parse(&snapshot(flow, &next).unwrap()).unwrap();
        let rows = stored.rows();
        let named: Vec<Entry> = entries[..=place].iter().filter(|one| rows.contains(&one.seq)).cloned().collect();
        assert_eq!(stored.hydrate(flow, next.id.clone(), &named).unwrap(), next, "{name}: entry {}", entry.seq);
        it = next;
    }
    it
}

#[test]
fn every_recorded_journal_comes_to_the_end_it_had() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals");
    let mut played = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let recorded: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let catalog: Catalog = serde_json::from_value(recorded["catalog"].clone()).unwrap();
        let entries: Vec<Entry> = serde_json::from_value(recorded["entries"].clone()).unwrap();
        let flow = check(&recorded["document"], &catalog).flow.unwrap();
        let it = play(&name, &flow, &entries);
        let end = json!({
            "state": it.state().name(),
            "output": it.output().map(|held| (*held.value).clone()),
            "error": it.error().map(|error| error.code.clone()),
        });
        assert_eq!(end, recorded["end"], "{name}");
        played += 1;
    }
    assert!(played >= 8, "{played} journals");
}
