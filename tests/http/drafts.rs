//! Drafts are saved over what was seen, and published once.

use serde_json::{Value, json};
use stepwell_tests::{Options, Reply, Stepwell};

use crate::flows;

const DRAFT: &str = "/api/v1/flows/sum/draft";

async fn save(engine: &Stepwell, header: (&str, &str), document: &Value) -> Reply {
    engine.put(DRAFT, &[header], &json!({ "document": document })).await
}

#[tokio::test]
async fn a_draft_is_saved_over_the_revision_that_was_seen() {
    let engine = Stepwell::start(Options::default()).await;
    let mut document = flows::sum();
    let first = save(&engine, ("if-none-match", "*"), &document).await.expect(200);
    assert_eq!(first.json()["problems"], json!([]));
    let tag = first.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", first.json()["revision"].as_str().unwrap()));

    // A second first draft, and a save over an old revision, are told what stands there.
    document["title"] = "Sum".into();
    let second = save(&engine, ("if-match", &tag), &document).await.expect(200);
    for header in [("if-none-match", "*"), ("if-match", tag.as_str())] {
        let refused = save(&engine, header, &flows::sum()).await.expect(409);
        assert_eq!(refused.code(), "DRAFT_CONFLICT");
        let current = &refused.json()["current"];
        assert_eq!((&current["document"]["title"], &current["revision"]), (&json!("Sum"), &second.json()["revision"]));
    }

    // Problems do not keep a draft from being kept.
    document["edges"] = json!([]);
    let third = save(&engine, ("if-match", second.header("etag")), &document).await.expect(200);
    assert_ne!(third.json()["problems"], json!([]));
    let shown = engine.get(DRAFT).await.expect(200);
    assert_eq!(shown.json()["document"], document);
    assert_eq!(shown.header("etag"), third.header("etag"));
    let item = &engine.get("/api/v1/flows").await.json()["items"][0];
    assert_eq!((&item["key"], &item["hasDraft"], &item["latestVersion"]), (&json!("sum"), &json!(true), &Value::Null));

    let unpublished = engine.post("/api/v1/flows/sum/instances", &json!({ "input": { "a": 1, "b": 2 } })).await;
    assert_eq!((unpublished.status, unpublished.code().as_str()), (409, "FLOW_NOT_PUBLISHED"));
    assert_eq!(engine.delete(DRAFT).await.status, 204);
    assert_eq!(engine.get("/api/v1/flows").await.json()["items"], json!([]));
}

#[tokio::test]
async fn publishing_freezes_a_version_once() {
    let engine = Stepwell::start(Options::default()).await;
    let mut document = flows::sum();
    let saved = save(&engine, ("if-none-match", "*"), &document).await.expect(200);
    let publish = "/api/v1/flows/sum/publish";
    let first =
        engine.post(publish, &json!({ "revision": saved.json()["revision"], "label": "1.0.0" })).await.expect(201);
    assert_eq!(first.json()["version"], 1);
    // The same content is the same version.
    let same = engine.post(publish, &json!({})).await.expect(200);
    assert_eq!((&same.json()["version"], &same.json()["hash"]), (&json!(1), &first.json()["hash"]));
    // Where boxes stand on the canvas is not part of the content.
    document["layout"] = json!({ "start": { "x": 10, "y": 20 } });
    engine.post(publish, &json!({ "document": document })).await.expect(200);
    // An old revision is not published unseen.
    let moved = save(&engine, ("if-match", saved.header("etag")), &document).await.expect(200);
    let stale = engine.post(publish, &json!({ "revision": saved.json()["revision"] })).await.expect(409);
    assert_eq!(
        (stale.code().as_str(), &stale.json()["current"]["revision"]),
        ("DRAFT_CONFLICT", &moved.json()["revision"])
    );

    document["nodes"]["done"]["output"] = json!({ "sum": "=input.a + input.b + 1" });
    let second = engine.post(publish, &json!({ "document": document })).await.expect(201);
    assert_eq!(second.json()["version"], 2);
    let shown = engine.get("/api/v1/flows/sum/versions/1").await.expect(200).json();
    assert_eq!(
        (&shown["label"], &shown["document"]["nodes"]["done"]),
        (&json!("1.0.0"), &flows::sum()["nodes"]["done"])
    );
    let detail = engine.get("/api/v1/flows/sum").await.expect(200).json();
    assert_eq!((&detail["latestVersion"], detail["versions"].as_array().unwrap().len()), (&json!(2), 2));
    // New instances run on the newest version, unless they name one.
    for (version, sum) in [(Value::Null, 4.0), (json!(1), 3.0), (json!(2), 4.0)] {
        let body = json!({ "input": { "a": 1, "b": 2 }, "version": version });
        let reply = engine.post("/api/v1/flows/sum/instances?wait=10s", &body).await.expect(200);
        assert_eq!(reply.json()["output"]["sum"].as_f64(), Some(sum), "{version}");
    }
    // Two flows cannot have one path.
    let mut rival = document.clone();
    rival["key"] = "rival".into();
    let taken = engine.post("/api/v1/flows/rival/publish", &json!({ "document": rival })).await.expect(422);
    assert_eq!((taken.code().as_str(), taken.pointer().as_str()), ("FLOW_HAS_PROBLEMS", "/triggers/0/path"));
}

#[tokio::test]
async fn a_check_tells_all_problems_and_keeps_nothing() {
    let engine = Stepwell::start(Options::default()).await;
    let check = async |document: &Value| {
        engine.post("/api/v1/flows/check", &json!({ "document": document })).await.expect(200).json()
    };
    let good = check(&flows::sum()).await;
    assert_eq!(good["problems"], json!([]));
    assert!(good["hash"].is_string());
    let bad = check(&flows::unknown_plugin()).await;
    assert!(bad["hash"].is_null());
    assert_eq!((&bad["problems"][0]["severity"], &bad["problems"][0]["node"]), (&json!("error"), &json!("dream")));
    assert_eq!(engine.get("/api/v1/flows").await.json()["items"], json!([]));
}
