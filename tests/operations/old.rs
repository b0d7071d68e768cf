//! Databases of every schema before today's, one file each for both databases in `old/`: today's engine takes them
//! over, shows what they hold, and everything in them goes on to its end.
//!
//! `make` writes such files: today's engine parks an instance in each kind of wait that the schema can hold, and the
//! database is brought back to that schema. `tests/tidy` asks for a file for each.
//!
//! Not here: what an engine of that time wrote itself (`upgrade` has one such file).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use postgres::NoTls;
use rusqlite::Connection;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use stepwell_tests::{Options, Stepwell, database, repository};

use crate::parked::{go_on, of_schema, park, reaches};

/// Stands in a file for the schema of a server's database that it is read into.
const PLACE: &str = "stepwell_old";
const APPLICATION_ID: i32 = 0x7374_6570;

/// Files for one of the databases, by schema.
fn files(of_server: bool) -> BTreeMap<u32, PathBuf> {
    let ending = if of_server { ".postgres.sql" } else { ".sqlite.sql" };
    let all = std::fs::read_dir(repository().join("tests/operations/old")).unwrap().map(|entry| entry.unwrap().path());
    let numbered = all.filter_map(|path| {
        let name = path.file_name()?.to_str()?.to_owned();
        Some((name.strip_prefix("schema-")?.strip_suffix(ending)?.parse().ok()?, path))
    });
    numbered.collect()
}

/// The schema that a database's URL names.
fn schema_of(url: &str) -> String {
    url.rsplit("%3D").next().unwrap().to_owned()
}

/// Where an engine finds what a file holds.
async fn begin_with(path: &PathBuf, of_server: bool) -> (Options, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let dump = std::fs::read_to_string(path).unwrap();
    if of_server {
        let url = database().unwrap();
        let (server, dump) = (url.clone(), dump.replace(PLACE, &schema_of(&url)));
        let reading = move || postgres::Client::connect(&server, NoTls).unwrap().batch_execute(&dump).unwrap();
        tokio::task::spawn_blocking(reading).await.unwrap();
        return (Options { database: Some(url), ..Options::default() }, folder);
    }
    let file = folder.path().join("old.db");
    Connection::open(&file).unwrap().execute_batch(&dump).unwrap();
    (Options { database: None, file: Some(file), ..Options::default() }, folder)
}

#[tokio::test]
async fn everything_in_a_database_of_an_earlier_schema_goes_on() {
    let of_server = database().is_some();
    let files = files(of_server);
    assert!(!files.is_empty());
    for (schema, path) in files {
        let (options, _folder) = begin_with(&path, of_server).await;
        let engine = Stepwell::start(options).await;
        for kind in of_schema(schema) {
            let state = if kind.name == "timer" { "completed" } else { kind.state };
            let shown = reaches(&engine, kind.name, state).await;
            go_on(&engine, kind.name, shown["id"].as_str().unwrap()).await;
            let shown = reaches(&engine, kind.name, "completed").await;
            assert_eq!(shown["output"], json!({ "key": kind.name }), "schema {schema}: {shown:#}");
            // New ones of the old version start, too.
            let body = json!({ "input": { "key": "new" } });
            let path = format!("/api/v1/flows/{}/instances", kind.name);
            assert!(engine.post(&path, &body).await.status < 300, "schema {schema}: {}", kind.name);
        }
        assert_eq!(engine.get("/api/v1/status").await.expect(200).json()["counts"]["incident"], 0, "schema {schema}");
    }
}

/// Of the schemas that `STEPWELL_OLD_SCHEMAS` names (`4,5`), or of today's.
#[tokio::test]
#[ignore = "writes files: see CONTRIBUTING.md"]
async fn make() {
    let today = migrations().len();
    let asked = std::env::var("STEPWELL_OLD_SCHEMAS").unwrap_or_else(|_| today.to_string());
    for schema in asked.split(',').map(|schema| schema.parse::<u32>().unwrap()) {
        let mut engine = Stepwell::start(Options::default()).await;
        park(&engine, schema).await;
        engine.sigterm().await;
        let database = engine.database().map(str::to_owned);
        let (dump, ending) = match database {
            Some(url) => {
                (tokio::task::spawn_blocking(move || dump_of_server(&url, schema)).await.unwrap(), ".postgres.sql")
            }
            None => (dump_of_file(&engine.data().join("stepwell.db"), schema), ".sqlite.sql"),
        };
        std::fs::write(repository().join(format!("tests/operations/old/schema-{schema}{ending}")), dump).unwrap();
    }
}

/// What each migration says to a file, by its name.
fn migrations() -> BTreeMap<String, String> {
    let folder = std::fs::read_dir(repository().join("engine/store/migrations")).unwrap();
    let paths = folder.map(|entry| entry.unwrap().path());
    let ours = paths.filter(|path| !path.to_str().unwrap().ends_with(".postgres.sql"));
    ours.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect()
}

/// An empty file's database of a schema.
fn empty(schema: u32) -> Connection {
    let made = Connection::open_in_memory().unwrap();
    let book = "create table migration (number integer primary key, name text not null, sha256 text not null) strict";
    made.execute_batch(book).unwrap();
    made.pragma_update(None, "foreign_keys", false).unwrap();
    for (number, (name, sql)) in (1..=schema).zip(migrations()) {
        made.execute_batch(&sql).unwrap();
        let row = (number, name, hex::encode(Sha256::digest(&sql)));
        made.execute("insert into migration values (?1, ?2, ?3)", row).unwrap();
    }
    made.pragma_update(None, "user_version", schema).unwrap();
    made.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    made
}

/// Names of one kind in it, `table` or `index`.
fn named(of: &Connection, kind: &str) -> Vec<String> {
    let sql = "select name from sqlite_schema where type = ?1 and name not like 'sqlite_%' order by rowid";
    let mut statement = of.prepare(sql).unwrap();
    statement.query_map([kind], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn columns(of: &Connection, table: &str) -> Vec<String> {
    let mut statement = of.prepare("select name from pragma_table_info(?1)").unwrap();
    statement.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Today's rows under an earlier schema, as SQL.
fn dump_of_file(path: &std::path::Path, schema: u32) -> String {
    let made = empty(schema);
    made.execute("attach ?1 as today", [path.to_str().unwrap()]).unwrap();
    let mut dump = String::from("pragma foreign_keys = off;\nbegin;\n");
    let mut statement =
        made.prepare("select sql || ';' from main.sqlite_schema where sql is not null order by rowid").unwrap();
    let shape: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for table in named(&made, "table") {
        let columns = columns(&made, &table);
        if table != "migration" {
            let names = columns.join(", ");
            made.execute(&format!("insert into main.{table} ({names}) select {names} from today.{table}"), []).unwrap();
        }
        let quoted: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
        let sql = format!("select {} from main.{table}", quoted.join(" || ',' || "));
        let mut statement = made.prepare(&sql).unwrap();
        let rows: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        dump.push_str(
            shape
                .iter()
                .find(|sql| {
                    sql.to_lowercase().contains(&format!("table {table} "))
                        || sql.to_lowercase().contains(&format!("table \"{table}\" "))
                })
                .unwrap(),
        );
        dump.push('\n');
        for row in rows {
            writeln!(dump, "insert into {table} values ({row});").unwrap();
        }
    }
    for sql in shape.iter().filter(|sql| !sql.to_lowercase().starts_with("create table")) {
        dump.push_str(sql);
        dump.push('\n');
    }
    write!(dump, "commit;\npragma application_id = {APPLICATION_ID};\npragma user_version = {schema};\n").unwrap();
    dump
}

/// Takes from a server's database what came after a schema, and dumps it with the server's own tool.
fn dump_of_server(url: &str, schema: u32) -> String {
    let (own, then) = (schema_of(url), empty(schema));
    let mut client = postgres::Client::connect(url, NoTls).unwrap();
    let ask = |client: &mut postgres::Client,
               sql: &str,
               values: &[&(dyn postgres::types::ToSql + Sync)]|
     -> Vec<String> { client.query(sql, values).unwrap().iter().map(|row| row.get(0)).collect() };
    let tables = ask(&mut client, "select tablename::text from pg_tables where schemaname = $1", &[&own]);
    for table in tables {
        if !named(&then, "table").contains(&table) {
            client.batch_execute(&format!("drop table {table}")).unwrap();
            continue;
        }
        let sql =
            "select column_name::text from information_schema.columns where table_schema = $1 and table_name = $2";
        for column in ask(&mut client, sql, &[&own, &table]) {
            if !columns(&then, &table).contains(&column) {
                client.batch_execute(&format!("alter table {table} drop column {column}")).unwrap();
            }
        }
    }
    let sql = "select i.indexname::text from pg_indexes as i where i.schemaname = $1 and not exists
               (select 1 from pg_constraint as c join pg_namespace as n on n.oid = c.connamespace
                where n.nspname = i.schemaname and c.conname = i.indexname)";
    for index in ask(&mut client, sql, &[&own]) {
        if !named(&then, "index").contains(&index) {
            client.batch_execute(&format!("drop index {index}")).unwrap();
        }
    }
    client.batch_execute(&format!("delete from migration where number > {schema}")).unwrap();
    let tool = std::env::var("POSTGRES_BIN").map_or_else(|_| "pg_dump".to_owned(), |bin| format!("{bin}/pg_dump"));
    let arguments = ["--inserts", "--no-owner", "--no-privileges", "--schema", &own, "--dbname", url];
    let output = Command::new(tool).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let dump = String::from_utf8(output.stdout).unwrap().replace(&own, PLACE);
    // What the tool says of itself and of its session is no part of the database.
    let said = |line: &&str| {
        let apart = ["--", "\\", "SET ", "SELECT pg_catalog.set_config"];
        !line.is_empty() && !apart.iter().any(|apart| line.starts_with(apart))
    };
    dump.lines().filter(said).map(|line| line.to_owned() + "\n").collect()
}
