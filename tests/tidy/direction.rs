//! The arrows between crates, `core ← runtime ← {store, sandbox} ← server`, and what the core may not know.

use crate::refuse;
use crate::repository::{self, files};
use crate::rust_source::blank;

/// Each crate, and every crate of ours that it may depend on outside tests.
const ARROWS: [(&str, &[&str]); 6] = [
    ("engine/core", &[]),
    ("engine/runtime", &["stepwell-core"]),
    ("engine/store", &["stepwell-core", "stepwell-runtime"]),
    ("engine/sandbox", &["stepwell-core", "stepwell-runtime"]),
    ("engine/guests", &[]),
    ("engine/server", &["stepwell-core", "stepwell-runtime", "stepwell-store", "stepwell-sandbox", "stepwell-guests"]),
];

/// What would let the core read a clock, a file, a socket, chance or its surroundings.
const IMPURE_CRATES: [&str; 7] = ["tokio", "futures", "rand", "getrandom", "reqwest", "hyper", "rusqlite"];
const IMPURE_PATHS: [&str; 9] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "Utc::now",
    "Local::now",
];

/// Names under `[dependencies]` of a crate's manifest.
fn dependencies(folder: &str) -> Vec<String> {
    let manifest = repository::read(&format!("{folder}/Cargo.toml"));
    let section = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    section
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    let mut problems = Vec::new();
    for (folder, allowed) in ARROWS {
        for name in dependencies(folder) {
            let ours = name.starts_with("stepwell") || name == "commerce" || name == "xtask";
            if ours && !allowed.contains(&name.as_str()) {
                problems.push(format!("{folder} depends on {name}"));
            }
        }
    }
    refuse(
        &problems,
        "move the code one crate further in, or hand it over as a value or through a seam of the runtime",
    );
}

#[test]
fn the_core_is_pure() {
    let named = dependencies("engine/core").into_iter().filter(|name| IMPURE_CRATES.contains(&name.as_str()));
    let mut problems: Vec<String> = named.map(|name| format!("engine/core depends on {name}")).collect();
    for file in files().iter().filter(|file| file.is_rust() && file.path.starts_with("engine/core/src/")) {
        for (number, line) in blank(&file.text).lines().enumerate() {
            if let Some(path) = IMPURE_PATHS.iter().find(|path| line.contains(**path)) {
                problems.push(format!("{}:{}: {path}", file.path, number + 1));
            }
        }
    }
    refuse(&problems, "time, chance and input reach the core in events; acts leave it as effects");
}

#[test]
fn unsafe_stays_in_the_sandbox() {
    let mut problems = Vec::new();
    // What runs in the sandbox may try what it likes.
    let guest = |path: &str| path.starts_with("plugins/") || path.starts_with("tests/wasm/guests/");
    for file in files().iter().filter(|file| file.is_rust() && !guest(&file.path)) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (number, line) in blank(&file.text).lines().enumerate() {
            if !line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == "unsafe") {
                continue;
            }
            let explained = lines[number.saturating_sub(6)..=number].iter().any(|line| line.contains("SAFETY:"));
            if !file.path.starts_with("engine/sandbox/") || !explained {
                problems.push(format!("{}:{}", file.path, number + 1));
            }
        }
    }
    refuse(&problems, "find a safe way; in engine/sandbox, say above it why it is sound: `// SAFETY: …`");
}

#[test]
fn bugs_are_planted_for_the_simulation_alone() {
    let mut problems = Vec::new();
    for file in files().iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let home = ["engine/core/Cargo.toml", "engine/runtime/Cargo.toml", "tests/sim/Cargo.toml"];
        let named = file.text.lines().any(|line| !line.starts_with('#') && line.contains("planted"));
        if named && !home.contains(&file.path.as_str()) {
            problems.push(format!("{} names the feature `planted`", file.path));
        }
        if file.text.lines().any(|line| line.starts_with("default = ") && line.contains("planted")) {
            problems.push(format!("{} has `planted` on by default", file.path));
        }
    }
    refuse(&problems, "the feature is for `tests/sim` alone, and off unless a command asks for it");
}

#[test]
fn limits_are_lifted_for_a_measurement_alone() {
    let mut problems = Vec::new();
    for file in files() {
        let home = ["engine/core/Cargo.toml", "engine/server/Cargo.toml", "engine/core/src/machine/mod.rs"];
        let bench = file.path.starts_with("xtask/src/bench/")
            || file.path.starts_with("docs/")
            || file.path.starts_with("tests/tidy/");
        if file.text.contains("long-histories") && !bench && !home.contains(&file.path.as_str()) {
            problems.push(format!("{} names the feature `long-histories`", file.path));
        }
        if file.text.lines().any(|line| line.starts_with("default = ") && line.contains("long-histories")) {
            problems.push(format!("{} has `long-histories` on by default", file.path));
        }
    }
    refuse(&problems, "the feature is for `cargo xtask bench recovery` alone");
}
