//! Sizes, headers and names: what lets a newcomer find their way.

use crate::refuse;
use crate::repository::{self, File, files, generated};
use crate::rust_source::functions;

const FILE_LINES_MAX: usize = 700;
const FUNCTION_LINES_MAX: usize = 70;

/// Functions over the limit, each with the most lines it may have and why. Shrink an entry when its function
/// shrinks; a new entry needs a reason that a reviewer believes.
const LONG_FUNCTIONS: [(&str, &str, usize, &str); 3] = [
    (
        "engine/core/src/expr/functions.rs",
        "call",
        103,
        "one arm per function of the expression language; apart, the list could not be read as one",
    ),
    ("tests/http/refusals.rs", "rows", 173, "one table, a row per refusal"),
    ("tests/wasm/load.rs", "what_may_not_load_is_refused_with_its_reason", 87, "one table, a row per refusal"),
];

/// Names that say nothing of what is inside.
const GRAB_BAGS: [&str; 13] = [
    "util", "utils", "common", "commons", "types", "service", "services", "helper", "helpers", "misc", "shared",
    "manager", "stuff",
];

fn is_code(file: &File) -> bool {
    ["rs", "ts", "svelte", "js", "mjs", "py", "c", "h", "wit", "sql", "lua", "css", "sh"].contains(&file.extension())
}

#[test]
fn files_are_short() {
    let generated = generated();
    let long: Vec<String> = files()
        .iter()
        .filter(|file| is_code(file) && !generated.contains(&file.path))
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(file, lines)| format!("{}: {lines} lines", file.path))
        .collect();
    refuse(&long, &format!("split by meaning; aim for 400 lines, {FILE_LINES_MAX} is the end"));
}

#[test]
fn functions_are_short() {
    let mut problems = Vec::new();
    let mut met = [false; LONG_FUNCTIONS.len()];
    for file in files().iter().filter(|file| file.is_rust()) {
        for function in functions(&file.text) {
            let entry = LONG_FUNCTIONS.iter().position(|(path, name, ..)| *path == file.path && *name == function.name);
            let limit = entry.map_or(FUNCTION_LINES_MAX, |entry| {
                met[entry] |= function.lines > FUNCTION_LINES_MAX;
                LONG_FUNCTIONS[entry].2
            });
            if function.lines > limit {
                let (path, line) = (&file.path, function.line);
                problems
                    .push(format!("{path}:{line}: {} has {} lines, at most {limit}", function.name, function.lines));
            }
        }
    }
    let unmet = LONG_FUNCTIONS.iter().zip(met).filter(|(_, met)| !met);
    problems.extend(unmet.map(|((path, name, ..), _)| format!("{path}: {name} is short now: drop it from the list")));
    refuse(&problems, "give each part of the function a name of its own");
}

#[test]
fn modules_say_what_they_decide() {
    let bare: Vec<String> =
        files().iter().filter(|file| file.is_rust() && !has_header(&file.text)).map(|file| file.path.clone()).collect();
    refuse(&bare, "open the file with `//!`: what it decides, its invariants, what is not here");
}

/// `true` when a `//!` line comes before anything but inner attributes.
fn has_header(text: &str) -> bool {
    text.lines()
        .find(|line| !line.is_empty() && !line.starts_with("#!["))
        .is_some_and(|line| line.starts_with("//!") && line.len() > "//! ".len())
}

#[test]
fn names_say_what_is_inside() {
    let vague: Vec<String> = files()
        .iter()
        .filter(|file| ["rs", "ts", "svelte", "js", "mjs"].contains(&file.extension()))
        .filter(|file| {
            let mut parts = file.path.split('/').map(|part| part.split('.').next().unwrap_or(part).to_lowercase());
            parts.any(|part| GRAB_BAGS.contains(&part.as_str()))
        })
        .map(|file| file.path.clone())
        .collect();
    refuse(&vague, "name it after what it decides, or move each piece to the one place that uses it");
}

#[test]
fn crates_share_the_lints() {
    // The guests that the sandbox is tried with are badly behaved on purpose.
    let ours = files().into_iter().filter(|file| !file.path.starts_with("tests/wasm/guests/"));
    let manifests = ours.filter(|file| {
        file.path.ends_with("/Cargo.toml") && file.text.contains("[package]") && file.text.contains(".workspace = true")
    });
    let without: Vec<String> =
        manifests.filter(|file| !file.text.contains("[lints]\nworkspace = true")).map(|file| file.path).collect();
    refuse(&without, "add `[lints]` with `workspace = true`");
}

#[test]
fn generated_files_are_listed_and_checked() {
    let check = repository::read("xtask/src/check.rs");
    let listed = generated();
    let mut problems: Vec<String> = listed
        .iter()
        .filter(|path| !check.contains(&format!("\"{path}\"")))
        .map(|path| format!("{path}: listed, but `cargo xtask check` does not compare it"))
        .collect();
    let marker = concat!("@", "generated");
    let claiming =
        files().into_iter().filter(|file| is_code(file) && file.text.lines().take(5).any(|line| line.contains(marker)));
    problems.extend(
        claiming
            .filter(|file| !listed.contains(&file.path))
            .map(|file| format!("{}: says that it is generated, but is not listed", file.path)),
    );
    refuse(&problems, "list it in .gitattributes as linguist-generated and in GENERATED of xtask/src/check.rs");
}
