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
