//! How a statement of ours is said to each database.
//!
//! Parameters are `?1`, `?2` … Marks stand in braces:
//!
//! | mark | `SQLite` | `PostgreSQL` |
//! |---|---|---|
//! | `{at}` | `0` | the number of the row of values |
//! | `{from each}`, `{using each}`, `{each,}` | nothing | the rows of values, with `from`, `using`, or a comma after |
//! | `{lateral}` | nothing | `lateral` |
//! | `{lock i}`, `{lock i, leave}` | nothing | locks the rows of `i` until the commit; leaves out those that others have locked |
//! | `{share i}` | nothing | keeps others from changing the rows of `i` until the commit; they may share them, too |
//! | `{by x}`, `{by none}` | the index to go by | nothing |
//! | `{like}` | `like` | `ilike` |
//!
//! Types are said once, in the migrations, in the words of `SQLite`; see [`migration`].

use std::fmt::Write as _;
use std::sync::OnceLock;

/// What a parameter of an [`Each`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Text,
    Bytes,
}

/// A statement for many rows of values.
pub(crate) struct Each<const N: usize> {
    pub(super) kinds: [Kind; N],
    sql: &'static str,
    to_sqlite: OnceLock<String>,
    to_postgres: OnceLock<String>,
}

impl<const N: usize> Each<N> {
    pub(crate) const fn new(kinds: [Kind; N], sql: &'static str) -> Self {
        Self { kinds, sql, to_sqlite: OnceLock::new(), to_postgres: OnceLock::new() }
    }

    pub(super) fn to_sqlite(&self) -> &str {
        self.to_sqlite.get_or_init(|| to_sqlite(self.sql))
    }

    pub(super) fn to_postgres(&self) -> &str {
        self.to_postgres.get_or_init(|| to_postgres(self.sql, &self.kinds))
    }
}

/// Replaces each mark by what `fill` says of it.
fn filled(sql: &str, mut fill: impl FnMut(&str) -> String) -> String {
    let mut said = String::with_capacity(sql.len() * 2);
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once('{') {
        let (mark, after) = after.split_once('}').unwrap_or((after, ""));
        said.push_str(before);
        said.push_str(&fill(mark));
        rest = after;
    }
    said.push_str(rest);
    said
}

pub(super) fn to_sqlite(sql: &str) -> String {
    filled(sql, |mark| match mark.split_once(' ') {
        Some(("by", "none")) => "not indexed".to_owned(),
        Some(("by", index)) => format!("indexed by {index}"),
        _ if mark == "at" => "0".to_owned(),
        _ if mark == "like" => mark.to_owned(),
        _ => String::new(),
    })
}

/// `kinds` are those of the rows of values; empty for a statement that is asked once.
pub(super) fn to_postgres(sql: &str, kinds: &[Kind]) -> String {
    let rows = rows(kinds);
    let said = filled(sql, |mark| match mark {
        "at" => "each.at - 1".to_owned(),
        "from each" => format!("from {rows}"),
        "using each" => format!("using {rows}"),
        "each," => format!("{rows},"),
        "lateral" => mark.to_owned(),
        "like" => "ilike".to_owned(),
        _ => match mark.strip_prefix("lock ").map(|what| what.split_once(", ")) {
            Some(Some((what, _))) => format!("for update of {what} skip locked"),
            Some(None) => format!("for update of {}", &mark["lock ".len()..]),
            None => mark.strip_prefix("share ").map_or_else(String::new, |what| format!("for share of {what}")),
        },
    });
    // In a set of rows a parameter is a column of it.
    said.replace('?', if kinds.is_empty() { "$" } else { "each.c" })
}

fn rows(kinds: &[Kind]) -> String {
    let (mut arrays, mut names) = (String::new(), String::new());
    for (at, kind) in (1..).zip(kinds) {
        let kind = match kind {
            Kind::Int => "bigint",
            Kind::Text => "text",
            Kind::Bytes => "bytea",
        };
        let _ = write!(arrays, "{}${at}::{kind}[]", if at == 1 { "" } else { ", " }); // Writing to a string cannot fail.
        let _ = write!(names, "c{at}, ");
    }
    format!("unnest({arrays}) with ordinality as each ({names}at)")
}

/// A migration in the words of `PostgreSQL`. Comments are left out; their words are not ours to change.
pub(super) fn migration(sql: &str) -> String {
    let code: String = sql.lines().map(|line| line.split("--").next().unwrap_or_default()).fold(
        String::with_capacity(sql.len()),
        |mut code, line| {
            code.push_str(line);
            code.push('\n');
            code
        },
    );
    code.replace(" integer", " bigint")
        .replace(" blob", " bytea")
        // Compared byte by byte, as the other database does.
        .replace(" text", " text collate \"C\"")
        .replace(") strict, without rowid", ")")
        .replace(") strict", ")")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_said_to_each() {
        let kinds = [Kind::Bytes, Kind::Int];
        for (sql, sqlite, postgres) in [
            (
                "select {at}, i.n from {each,} instance as i where i.id = ?1 and i.seq = ?2 {lock i}",
                "select 0, i.n from  instance as i where i.id = ?1 and i.seq = ?2 ",
                "select each.at - 1, i.n from unnest($1::bytea[], $2::bigint[]) with ordinality as each (c1, c2, at), \
                 instance as i where i.id = each.c1 and i.seq = each.c2 for update of i",
            ),
            (
                "update t set x = ?2 {from each} where id = ?1",
                "update t set x = ?2  where id = ?1",
                "update t set x = each.c2 from unnest($1::bytea[], $2::bigint[]) with ordinality as each (c1, c2, at) \
                 where id = each.c1",
            ),
            ("{lock i, leave}", "", "for update of i skip locked"),
            ("{share i}", "", "for share of i"),
        ] {
            assert_eq!((to_sqlite(sql).as_str(), to_postgres(sql, &kinds).as_str()), (sqlite, postgres));
        }
        let once = "select n from instance {by instance_by_flow} where key {like} ?1 limit ?2";
        assert_eq!(to_sqlite(once), "select n from instance indexed by instance_by_flow where key like ?1 limit ?2");
        assert_eq!(to_postgres(once, &[]), "select n from instance  where key ilike $1 limit $2");
    }

    #[test]
    fn a_migration_is_said_in_other_types() {
        let ours = "create table t ( -- an integer\n    n integer primary key,\n    b blob not null, t text\n) strict, without rowid;\n";
        let said = "create table t ( \n    n bigint primary key,\n    b bytea not null, t text collate \"C\"\n);\n";
        assert_eq!(migration(ours), said);
    }
}
