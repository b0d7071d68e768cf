//! Habits of the text itself: paths, marks, sleeps, indexes.

use crate::refuse;
use crate::repository::{File, files};
use crate::rust_source::blank;

/// Where somebody's machine shows. Written in halves, so that this file does not refuse itself.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];

/// A wait of fixed length.
const SLEEPS: [&str; 4] = ["thread::sleep(", "time::sleep(", "waitForTimeout(", " sleep("];

/// Each place where `problem` finds something in a line.
fn lines(wanted: impl Fn(&File) -> bool, problem: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for file in files().iter().filter(|file| wanted(file)) {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(problem) = problem(line) {
                found.push(format!("{}:{}: {problem}", file.path, number + 1));
            }
        }
    }
    found
}

fn is_lock(file: &File) -> bool {
    file.path.ends_with("Cargo.lock") || file.path.ends_with("package-lock.json")
}

#[test]
fn no_machine_shows() {
    let found = lines(
        |file| !is_lock(file),
        |line| MACHINE_PATHS.iter().find(|path| begins_in(line, path)).map(|path| (*path).to_owned()),
    );
    refuse(&found, "name it from the repository's root, or let the caller pass it");
}

/// `true` when `path` stands in the line from its own beginning, not in the middle of a longer one.
fn begins_in(line: &str, path: &str) -> bool {
    line.match_indices(path)
        .any(|(at, _)| !line[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '.'))
}

#[test]
fn marks_carry_an_issue() {
    let [todo, fixme, placeholder] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let found = lines(
        |file| !is_lock(file) && file.extension() != "md",
        |line| {
            let words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '#' && letter != '(');
            let mut marks = words.filter(|word| {
                let word = word.trim_start_matches('(');
                word == fixme || word == placeholder || (word.starts_with(todo) && !with_issue(word, todo))
            });
            marks.next().map(|_| line.trim().to_owned())
        },
    );
    refuse(&found, &format!("do it now, or open an issue and write {todo}(#12) with its number"));
}

/// `true` for the mark followed by `(#` and a number; other words that merely begin alike pass too.
fn with_issue(word: &str, mark: &str) -> bool {
    let rest = &word[mark.len()..];
    let number = rest.strip_prefix("(#").is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()));
    number || rest.starts_with(|letter: char| letter.is_alphanumeric())
}

#[test]
fn tests_do_not_sleep() {
    let mut found = Vec::new();
    for file in &files() {
        let Some(from) = tests_begin(file) else { continue };
        let written: Vec<&str> = file.text.lines().collect();
        for (number, line) in blank(&file.text).lines().enumerate().skip(from) {
            let sleeps = SLEEPS.iter().any(|sleep| line.contains(sleep));
            let reason = written[number.saturating_sub(2)..=number].iter().any(|line| line.contains("// Sleeps "));
            if sleeps && !reason && !line.contains("fn sleep(") {
                found.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    refuse(&found, "wait for what the test is about; where time itself is, say above it: `// Sleeps because …`");
}

/// The line (from 0) where tests begin: at once in a test's own file, after the mark beside the code.
fn tests_begin(file: &File) -> Option<usize> {
    let code = ["rs", "ts", "mjs"].contains(&file.extension());
    // These are programs that tests start, not tests.
    let program = ["tests/commerce/src/", "tests/bench/"].iter().any(|folder| file.path.starts_with(folder));
    let own = !program && (file.path.starts_with("tests/") || file.path.contains("/tests/"));
    if !code {
        None
    } else if own || file.path.ends_with("tests.rs") || file.path.ends_with(".test.ts") {
        Some(0)
    } else {
        file.text.lines().position(|line| line.trim() == "#[cfg(test)]")
    }
}

#[test]
fn indexes_name_their_query() {
    let mut found = Vec::new();
    for file in files().iter().filter(|file| file.extension() == "sql") {
        let lines: Vec<&str> = file.text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let index =
                line.trim_start().starts_with("create index") || line.trim_start().starts_with("create unique index");
            if index && !(number > 0 && lines[number - 1].trim_start().starts_with("--")) {
                found.push(format!("{}:{}: {line}", file.path, number + 1));
            }
        }
    }
    refuse(&found, "say in a comment on the line above which query the index is for");
}
