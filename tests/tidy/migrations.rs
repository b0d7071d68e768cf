//! Migrations: each is there for both databases, and databases of every schema before it are kept to be tried.

use crate::refuse;
use crate::repository::{exists, paths, read};

/// The first schema of which databases are kept.
const FIRST: usize = 3;

/// Names of migrations, in their order.
fn migrations() -> Vec<String> {
    let all = paths().into_iter().filter_map(|path| path.strip_prefix("engine/store/migrations/").map(str::to_owned));
    all.filter(|name| !name.ends_with(".postgres.sql")).collect()
}

#[test]
fn migrations_are_numbered_and_listed() {
    let listed = read("engine/store/src/migrate.rs");
    let wrong = migrations().into_iter().zip(1..).filter(|(name, number)| {
        !name.starts_with(&format!("{number:04}-"))
            || !listed.contains(&format!("include_str!(\"../migrations/{name}\")"))
    });
    let wrong: Vec<String> = wrong.map(|(name, _)| name).collect();
    refuse(&wrong, "name it NNNN-words.sql with the next number, and list it in engine/store/src/migrate.rs");
}

#[test]
fn databases_of_every_schema_are_kept() {
    let wanted = (FIRST..=migrations().len()).flat_map(|schema| {
        ["sqlite", "postgres"].map(|database| format!("tests/operations/old/schema-{schema}.{database}.sql"))
    });
    let missing: Vec<String> = wanted.filter(|path| !exists(path)).collect();
    refuse(&missing, "make it as CONTRIBUTING.md says under \"A migration\", and check it in with the migration");
}

/// Engines agree by rows alone: a number from a sequence is taken before its transaction is, so a reader that goes by
/// numbers could pass it by; an advisory lock outlives what it was taken for, or is lost with its connection.
#[test]
fn nothing_in_the_database_but_rows_is_agreed_by() {
    let refused = ["sequence", "serial", "bigserial", "nextval", "setval", "currval", "identity", "autoincrement"];
    let sql = |path: &String| path.starts_with("engine/store/migrations/") || path.starts_with("engine/store/src/");
    let mut wrong = Vec::new();
    let mut looked = 0;
    for path in paths().into_iter().filter(sql).filter(|path| !path.contains("/tests/")) {
        looked += 1;
        for (number, line) in (1..).zip(read(&path).lines()) {
            // What is said about it in words is no use of it.
            let code = line.split("--").next().unwrap_or_default().split("//").next().unwrap_or_default();
            let code = code.to_ascii_lowercase();
            let words = code.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            let of_them = words.filter(|word| refused.contains(word) || word.contains("advisory"));
            wrong.extend(of_them.map(|word| format!("{path}:{number}: {word}")));
        }
    }
    assert!(looked > 40, "{looked} files");
    refuse(&wrong, "number rows by engine and counter (engine/store/src/numbers.rs), and lock rows");
}
