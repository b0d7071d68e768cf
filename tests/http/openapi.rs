//! The description is the checked-in one, and everything it describes is there and guarded.

use std::process::Command;

use serde_json::Value;
use stepwell_tests::{Options, Stepwell, binary, repository};

/// What the description says needs neither token nor session.
fn open(operation: &Value) -> bool {
    operation["security"]
        .as_array()
        .is_some_and(|any| any.iter().any(|one| one.as_object().is_some_and(serde_json::Map::is_empty)))
}

#[tokio::test]
async fn the_description_is_checked_in_served_and_true() {
    let printed = Command::new(binary()).args(["print", "openapi"]).output().unwrap().stdout;
    let kept = std::fs::read(repository().join("engine/server/openapi.json")).unwrap();
    assert!(
        printed == kept,
        "engine/server/openapi.json is not what the code says; run `stepwell print openapi > engine/server/openapi.json`"
    );
    let engine = Stepwell::start(Options::default()).await;
    let stranger = engine.with_token(None);
    let served = stranger.get("/openapi.json").await.expect(200);
    assert!(served.body == kept);
    let api = served.json();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut operations = 0;
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let asked = path.replace(['{', '}'], "");
            let reply = stranger.send(&method.to_uppercase(), &asked, &[], "").await.unwrap();
            let wanted = if open(operation) { reply.status != 404 && reply.status != 405 } else { reply.status == 401 };
            assert!(wanted, "{method} {path}: {} {}", reply.status, reply.text());
            operations += 1;
        }
    }
    assert!(operations >= 35, "{operations}");
}

#[tokio::test]
async fn every_code_is_documented() {
    let documented = std::fs::read_to_string(repository().join("docs/errors.md")).unwrap();
    let engine = Stepwell::start(Options::default()).await;
    let page = engine.get("/docs").await.expect(200).text();
    let codes: Vec<&str> = page.split("<tr id=\"").skip(1).filter_map(|part| part.split('"').next()).collect();
    assert!(codes.len() > 30, "{codes:?}");
    for code in codes {
        assert!(documented.contains(&format!("| `{code}` |")), "docs/errors.md has no row for {code}");
    }
    assert!(!page.contains("<script"), "the page works offline and without scripts");
}
