//! The control-flow patterns of the workflow patterns initiative, each as a flow that is run.
//!
//! `flows/patterns/NN-name.json` holds a flow document and plays of it: `input`, and a `script` of
//! what happens, each with what is seen then (see `patterns/player.rs`). `docs/patterns.md` says
//! which pattern is supported how far; the last tests keep the page, the files and these tests in step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "patterns/player.rs"]
mod player;

use std::path::{Path, PathBuf};

use serde_json::Value;
use stepwell_core::catalog::{Catalog, NodeType};
use stepwell_core::flow::check::check;
use stepwell_core::schema::Schema;

use player::Play;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn catalog() -> Catalog {
    let mut stored = read(&root().join("flows/checks/catalog.json"));
    let types: Vec<NodeType> = serde_json::from_value(stored["nodeTypes"].take()).unwrap();
    Catalog { flows: serde_json::from_value(stored["flows"].take()).unwrap(), ..Catalog::new(types) }
}

/// `p08_multi_merge` is shown by `08-multi-merge.json`.
fn file_of(test: &str) -> String {
    format!("{}.json", test[1..].replace('_', "-"))
}

fn run(test: &str) {
    let file = read(&root().join("flows/patterns").join(file_of(test)));
    let schema = Schema::compile(&stepwell_core::flow::document::schema()).unwrap();
    assert!(schema.is_valid(&file["document"]), "{:?}", schema.check(&file["document"]));
    let checked = check(&file["document"], &catalog());
    assert!(checked.problems.is_empty(), "{:#?}", checked.problems);
    let flow = checked.flow.unwrap();
    let plays = file["plays"].as_array().unwrap();
    assert!(!plays.is_empty());
    for (index, play) in plays.iter().enumerate() {
        let mut played: Option<Play<'_>> = None;
        let mut before = String::new();
        for (place, pair) in play["script"].as_array().unwrap().iter().enumerate() {
            let (what, wanted) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
            match &mut played {
                None => {
                    assert_eq!(what, "start", "a script begins with `start`");
                    played = Some(Play::of(&flow, &play["input"]));
                }
                Some(played) => played.happen(what),
            }
            let shown = played.as_ref().map(Play::shown).unwrap_or_default();
            assert_eq!(shown, wanted, "play {index}, event {place}, `{what}` after {before}");
            before = shown;
        }
    }
}

macro_rules! patterns {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })+

        /// Every test above, by name.
        const TESTS: &[&str] = &[$(stringify!($name)),+];
    };
}

patterns! {
    p01_sequence
    p02_parallel_split
    p03_synchronization
    p04_exclusive_choice
    p05_simple_merge
    p06_multi_choice
    p07_structured_synchronizing_merge
    p08_multi_merge
    p09_structured_discriminator
    p10_arbitrary_cycles
    p11_implicit_termination
    p12_multiple_instances_without_synchronization
    p13_multiple_instances_with_a_priori_design_time_knowledge
    p14_multiple_instances_with_a_priori_run_time_knowledge
    p15_multiple_instances_without_a_priori_run_time_knowledge
    p16_deferred_choice
    p17_interleaved_parallel_routing
    p18_milestone
    p19_cancel_task
    p20_cancel_case
    p21_structured_loop
    p22_recursion
    p23_transient_trigger
    p24_persistent_trigger
    p25_cancel_region
    p26_cancel_multiple_instance_task
    p27_complete_multiple_instance_task
    p28_blocking_discriminator
    p29_cancelling_discriminator
    p30_structured_partial_join
    p31_blocking_partial_join
    p32_cancelling_partial_join
    p33_generalised_and_join
    p34_static_partial_join_for_multiple_instances
    p35_cancelling_partial_join_for_multiple_instances
    p36_dynamic_partial_join_for_multiple_instances
    p37_local_synchronizing_merge
    p38_general_synchronizing_merge
    p39_critical_section
    p40_interleaved_routing
    p41_thread_merge
    p42_thread_split
    p43_explicit_termination
}

#[test]
fn each_file_is_played() {
    let mut files: Vec<String> = std::fs::read_dir(root().join("flows/patterns"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, TESTS.iter().map(|test| file_of(test)).collect::<Vec<_>>());
}

/// `(number, support, whole line)` of each row of the page's table.
fn rows(page: &str) -> Vec<(usize, &str, &str)> {
    let row = |line: &str| -> Option<(usize, String)> {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let number = cells.next()?.parse().ok()?;
        Some((number, cells.nth(1)?.to_owned()))
    };
    page.lines()
        .filter_map(|line| {
            let (number, support) = row(line)?;
            let support = ["full", "partial", "no"].into_iter().find(|one| *one == support)?;
            Some((number, support, line))
        })
        .collect()
}

#[test]
fn the_page_says_what_is_tested() {
    let page = std::fs::read_to_string(root().join("docs/patterns.md")).unwrap();
    let rows = rows(&page);
    assert_eq!(rows.iter().map(|(number, ..)| *number).collect::<Vec<_>>(), (1..=43).collect::<Vec<_>>());
    for (number, support, line) in &rows {
        let test = TESTS.iter().find(|test| test[1..3].parse() == Ok(*number));
        if *support == "full" {
            let test = test.unwrap_or_else(|| panic!("pattern {number} has no test"));
            assert!(line.contains(&format!("(../flows/patterns/{})", file_of(test))), "{line}");
            assert!(line.contains(&format!("`{test}`")), "{line}");
        } else {
            let remark = page.lines().find(|line| line.starts_with(&format!("- {number}, ")));
            assert!(remark.is_some_and(|remark| remark.len() > 100), "pattern {number}: no reason is given");
        }
    }
    let full = rows.iter().filter(|(_, support, _)| *support == "full").count();
    let said = match 43 - full {
        0 => "all 43 in full".to_owned(),
        part => format!("{full} in full and {part} in part"),
    };
    assert!(page.contains(&said), "{said}");
    assert!(full >= 30, "{full}");
}
