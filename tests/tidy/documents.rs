//! Documents: links lead somewhere, the changelog is open, decisions are numbered once.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::refuse;
use crate::repository::{self, files, paths};

#[test]
fn links_resolve() {
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.extension() == "md") {
        for (number, line) in prose(&file.text) {
            for target in link_targets(line) {
                if !leads_somewhere(&file.path, target) {
                    broken.push(format!("{}:{number}: {target}", file.path));
                }
            }
        }
    }
    refuse(&broken, "point the link at a file or heading that is there");
}

/// Lines outside fenced code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((number + 1, line))
    })
}

/// What stands in `](…)`, without a title.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter_map(|target| target.split(' ').next())
}

/// `true` for the web, and for a file of the repository with the heading that is named.
fn leads_somewhere(from: &str, target: &str) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() { PathBuf::from(from) } else { resolve(from, path) };
    let Some(file) = file.to_str().filter(|file| repository::exists(file)) else { return false };
    let is_document = Path::new(file).extension().is_some_and(|extension| extension == "md");
    heading.is_empty() || !is_document || anchors(&repository::read(file)).iter().any(|anchor| anchor == heading)
}

/// `target` as seen from the folder of `from`.
fn resolve(from: &str, target: &str) -> PathBuf {
    let mut path = Path::new(from).parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path
}

/// The anchors of a document's headings, as code hosts make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).map(|(_, line)| line).filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
            kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
        })
        .collect()
}

#[test]
fn the_changelog_is_open() {
    let changelog = repository::read("CHANGELOG.md");
    let open = changelog.lines().any(|line| line == "## [Unreleased]" || line == "## Unreleased");
    let problems: Vec<String> = (!open).then(|| "CHANGELOG.md".to_owned()).into_iter().collect();
    refuse(&problems, "keep a section `## [Unreleased]` at the top for what operators and plugin authors will notice");
}

/// The functions that the last cells of a page's tables name, with their lines.
fn tests_named(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    let mut in_table = false;
    prose(text).filter_map(move |(number, line)| {
        let mut cells = line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim);
        let last = cells.next_back()?;
        if last == "test" {
            in_table = true;
            return None;
        }
        if line.starts_with("|---") || !in_table {
            return None;
        }
        Some((number, last.split('`').skip(1).step_by(2).collect()))
    })
}

#[test]
fn what_was_tried_names_a_test_that_is_there() {
    let page = "docs/security.md";
    let sources: Vec<String> = files().into_iter().filter(repository::File::is_rust).map(|file| file.text).collect();
    let mut problems = Vec::new();
    let text = repository::read(page);
    // The table of what fuzzing found has no such cell, and stands last.
    let tables = text.split("## Made-up input").next().unwrap_or_default();
    let mut rows = 0;
    for (number, names) in tests_named(tables) {
        rows += 1;
        if names.is_empty() {
            problems.push(format!("{page}:{number}: no test is named"));
        }
        let is_there = |name: &str| sources.iter().any(|source| source.contains(&format!("fn {name}(")));
        let gone = names.into_iter().filter(|name| !is_there(name));
        problems.extend(gone.map(|name| format!("{page}:{number}: no test `{name}`")));
    }
    assert!(rows > 30, "{rows} rows: the tables are not found any more");
    refuse(&problems, "name in the last cell the functions that try what the row says");
}

#[test]
fn decisions_are_numbered_once() {
    let mut numbers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut problems = Vec::new();
    for path in paths().into_iter().filter(|path| path.starts_with("docs/decisions/")) {
        let name = path.trim_start_matches("docs/decisions/");
        let number: String = name.chars().take_while(char::is_ascii_digit).collect();
        if number.len() != 3 || !name[3..].starts_with('-') {
            problems.push(format!("{path}: not NNN-words.md"));
        }
        numbers.entry(number).or_default().push(path);
    }
    problems.extend(numbers.into_values().filter(|paths| paths.len() > 1).map(|paths| paths.join(" and ")));
    refuse(&problems, "name it docs/decisions/NNN-words.md, with the next free number");
}

#[test]
fn tests_are_found_in_the_last_cells() {
    let text = "| a |\n|---|\n| `x` |\n\n| a | test |\n|---|---|\n| `b` | `c`, `d` |\n| e | f |\n";
    let found: Vec<_> = tests_named(text).collect();
    assert_eq!(found, [(7, vec!["c", "d"]), (8, vec![])]);
}

#[test]
fn links_are_found_and_anchors_made() {
    let targets: Vec<&str> = link_targets("see [a](b.md#c \"title\") and ![d](../e.png)").collect();
    assert_eq!(targets, ["b.md#c", "../e.png"]);
    assert_eq!(anchors("# The door, open\n```\n# no\n```\n## A-b"), ["the-door-open", "a-b"]);
    assert_eq!(resolve("docs/a/b.md", "../c.md"), Path::new("docs/c.md"));
}
