//! How a plugin comes in, what it changes, how it is taken back, and how flows get off an older build. With a real
//! plugin, and copies of it whose manifest says something else.

use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::orders::plugins;
use stepwell_tests::{Client, Options, Reply, Stepwell, until};

use crate::instances::{begin, reaches};

const SOON: Duration = Duration::from_mins(1);
const WASM: [(&str, &str); 1] = [("content-type", "application/wasm")];

fn built() -> Vec<u8> {
    std::fs::read(plugins().join("json.wasm")).unwrap()
}

/// The same component with another text of the same length in its manifest.
fn with(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut wasm = built();
    let at = wasm.windows(from.len()).position(|window| window == from.as_bytes()).expect(from);
    wasm[at..at + to.len()].copy_from_slice(to.as_bytes());
    wasm
}

/// Takes ten steps where the other takes fifty.
fn narrower() -> Vec<u8> {
    with("\"maxItems\": 50", "\"maxItems\": 10")
}

/// Other bytes that say the same.
fn same() -> Vec<u8> {
    [&built()[..], &[0, 5, 4, b't', b'e', b's', b't']].concat()
}

async fn bring(engine: &Client, query: &str, wasm: Vec<u8>) -> Reply {
    engine.send("POST", &format!("/api/v1/plugins{query}"), &WASM, wasm).await.unwrap()
}

async fn live(engine: &Client, wasm: Vec<u8>) -> String {
    let reply = bring(engine, "", wasm).await;
    assert!(reply.status == 200 || reply.status == 201, "{}", reply.text());
    reply.json()["digest"].as_str().unwrap().to_owned()
}

async fn engine() -> Stepwell {
    Stepwell::start(Options::default()).await
}

/// Waits for a person, then makes so many steps.
fn flow(key: &str, steps: usize) -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": key,
        "nodes": {
            "start": { "type": "start" },
            "ask": { "type": "user-task", "groups": ["g"] },
            "shape": { "type": "task", "uses": "json/transform@1", "with": "=input",
                       "config": { "steps": vec![json!({ "omit": ["/a"] }); steps] } },
            "end": { "type": "end", "output": "=nodes.shape" },
        },
        "edges": [{ "from": "start", "to": "ask" }, { "from": "ask", "to": "shape" }, { "from": "shape", "to": "end" }],
    })
}

fn calling(key: &str, called: &str) -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": key,
        "nodes": { "start": { "type": "start" }, "call": { "type": "call", "flow": called }, "end": { "type": "end" } },
        "edges": [{ "from": "start", "to": "call" }, { "from": "call", "to": "end" }],
    })
}

async fn answer_task(engine: &Client, instance: &str) {
    let tasks = engine.get(&format!("/api/v1/tasks?instance={instance}")).await.expect(200).json();
    let task = tasks["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{tasks:#}")).to_owned();
    engine.post(&format!("/api/v1/tasks/{task}/complete"), &json!({ "output": null })).await.expect(202);
}

fn stages(upload: &Value) -> Vec<&str> {
    upload["stages"].as_array().unwrap().iter().map(|one| one["stage"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_upload_tells_how_far_it_is() {
    let engine = engine().await;
    let mut events = engine.events("", None).await;
    let headers = [WASM[0], ("prefer", "respond-async")];
    let path = "/api/v1/plugins?file=json.wasm";
    let taken = engine.send("POST", path, &headers, built()).await.unwrap().expect(202);
    let place = taken.header("location").to_owned();
    assert_eq!(taken.header("preference-applied"), "respond-async");
    let done = until("it is live", SOON, async || {
        let upload = engine.get(&place).await;
        (upload.status == 200 && upload.json()["state"] == "live").then(|| upload.json())
    })
    .await;
    let whole = ["size", "imports", "compile", "describe", "schemas", "examples", "compatibility", "live"];
    assert_eq!(stages(&done), whole, "{done:#}");
    assert_eq!(
        (&done["name"], &done["file"], &done["compatibility"]),
        (&json!("json"), &json!("json.wasm"), &json!(null))
    );
    let mut told = Vec::new();
    loop {
        let event = events.until(|event| event.name == "upload").await;
        assert_eq!(event.data["id"], done["id"]);
        let stage = event.data["stage"].as_str().unwrap().to_owned();
        if told.last() != Some(&stage) {
            told.push(stage);
        }
        if event.data["state"] == "live" {
            break;
        }
    }
    // What came faster than it could be kept was told of in one.
    let mut in_order = whole.iter();
    assert!(told.iter().all(|stage| in_order.any(|one| one == stage)), "{told:?}");
    let listed = engine.get("/api/v1/plugins").await.expect(200).json();
    let plugin = &listed["items"][0];
    assert!(plugin["sizes"]["codeBytes"].as_u64().unwrap() > 1_000, "{plugin:#}");
    assert!(!plugin["rehearsed"].as_array().unwrap().is_empty(), "{plugin:#}");
    assert_eq!((&plugin["raisedBy"], &plugin["revoked"]), (&json!([]), &json!(null)));
    // The same bytes again are known, and keep what was found out.
    let again = bring(&engine, "", built()).await.expect(200).json();
    assert_eq!(again["rehearsed"], plugin["rehearsed"]);
    engine.get("/api/v1/plugins/uploads/none").await.expect(404);
}

#[tokio::test]
async fn whatever_fails_leaves_the_old_one_live_and_says_why() {
    let engine = engine().await;
    let digest = live(&engine, built()).await;
    let example = with("\"example", "\"exampel");
    let cut = built()[..built().len() / 2].to_vec();
    for (what, wasm, stage, code) in [
        ("text", b"hello".to_vec(), "size", "PLUGIN_NOT_A_COMPONENT"),
        ("machine code", b"\x7fELF and more".to_vec(), "size", "PLUGIN_NOT_A_COMPONENT"),
        ("half of it", cut, "compile", "PLUGIN_NOT_COMPILED"),
        ("another manifest", example, "describe", "PLUGIN_NOT_DESCRIBED"),
    ] {
        let refused = bring(&engine, "?file=it.wasm", wasm).await.expect(422);
        let said = refused.json();
        assert_eq!((refused.code().as_str(), &said["stage"]), ("PLUGIN_REFUSED", &json!(stage)), "{what}: {said:#}");
        let upload = said["upload"].as_str().unwrap();
        let kept = engine.get(&format!("/api/v1/plugins/uploads/{upload}")).await.expect(200).json();
        assert_eq!((&kept["state"], &kept["failedAt"]), (&json!("refused"), &json!(stage)), "{what}: {kept:#}");
        assert_eq!(kept["problems"], said["problems"], "{what}");
        assert_eq!(kept["problems"][0]["code"], code, "{what}: {kept:#}");
        let newest = engine.get("/api/v1/plugins/uploads").await.expect(200).json();
        assert_eq!(newest["items"][0], kept, "{what}");
    }
    let types = engine.get("/api/v1/node-types").await.expect(200).json();
    assert!(types["items"].as_array().unwrap().iter().all(|one| one["digest"] == digest), "{types:#}");
    let against = bring(&engine, "?against=none", same()).await.expect(422).json();
    assert_eq!(
        (&against["stage"], &against["problems"][0]["code"]),
        (&json!("compatibility"), &json!("PLUGIN_NOT_COMPARED"))
    );
}

#[tokio::test]
async fn a_dry_run_says_what_would_break_and_changes_nothing() {
    let engine = engine().await;
    let digest = live(&engine, built()).await;
    for (key, steps) in [("few", 2), ("many", 12)] {
        engine.publish(&flow(key, steps)).await;
    }
    let mut broken = flow("broken", 12);
    broken["edges"] = json!([]);
    engine
        .send(
            "PUT",
            "/api/v1/flows/broken/draft",
            &[("if-none-match", "*"), ("content-type", "application/json")],
            json!({ "document": broken }).to_string(),
        )
        .await
        .unwrap();
    let tried = bring(&engine, "?dry-run=true", narrower()).await.expect(200).json();
    assert_eq!(tried["state"], "tried", "{tried:#}");
    let compatibility = &tried["compatibility"];
    let report = &compatibility["report"];
    assert_eq!(
        (&compatibility["replaces"]["digest"], &report["breaking"]),
        (&json!(digest), &json!(true)),
        "{report:#}"
    );
    let change = &report["nodeTypes"][0]["changes"][0];
    assert_eq!(
        (&change["code"], &change["of"], &change["pointer"]),
        (&json!("limit-tightened"), &json!("config"), &json!("/steps"))
    );
    let named: Vec<_> =
        compatibility["broken"].as_array().unwrap().iter().map(|one| (&one["flow"], &one["version"])).collect();
    // The draft that is broken anyway has one more error with it.
    assert_eq!(named, [(&json!("broken"), &json!(null)), (&json!("many"), &json!(1))], "{compatibility:#}");
    assert_eq!(compatibility["checked"], 3);
    let kept = engine.get("/api/v1/plugins").await.expect(200).json();
    assert_eq!(kept["items"].as_array().unwrap().len(), 1, "{kept:#}");
    let named = bring(&engine, &format!("?dryRun=true&against={digest}"), same()).await.expect(200).json();
    assert_eq!(named["compatibility"]["report"]["breaking"], false, "{named:#}");
    assert_eq!(named["compatibility"]["broken"], json!([]));
}

#[tokio::test]
async fn a_revoked_build_is_neither_called_nor_started_nor_taken_in() {
    let engine = engine().await;
    let digest = live(&engine, built()).await;
    engine.publish(&flow("few", 2)).await;
    engine.publish(&calling("caller", "few")).await;
    let waiting = begin(&engine, "few", json!({ "b": 1 })).await;
    reaches(&engine, &waiting, "waiting").await;
    let revoke = format!("/api/v1/plugins/{digest}/revoke");
    engine.post("/api/v1/plugins/none/revoke", &json!({ "reason": "r" })).await.expect(404);
    engine.post(&revoke, &json!({ "reason": "" })).await.expect(422);
    let revoked = engine.post(&revoke, &json!({ "reason": "it leaks" })).await.expect(200).json();
    assert_eq!(revoked["reason"], "it leaks");

    for key in ["few", "caller"] {
        let refused = engine.post(&format!("/api/v1/flows/{key}/instances"), &json!({ "input": {} })).await.expect(409);
        assert_eq!((refused.code().as_str(), &refused.json()["digest"]), ("PLUGIN_REVOKED", &json!(digest)), "{key}");
        assert!(refused.text().contains("it leaks"), "{}", refused.text());
    }
    answer_task(&engine, &waiting).await;
    let stopped = reaches(&engine, &waiting, "incident").await;
    assert_eq!(stopped["error"]["code"], "PLUGIN_REVOKED", "{stopped:#}");
    let again = bring(&engine, "", built()).await.expect(422).json();
    assert_eq!(again["problems"][0]["code"], "PLUGIN_REVOKED", "{again:#}");
    let check = engine.post("/api/v1/flows/check", &json!({ "document": flow("new", 1) })).await.expect(200).json();
    assert_eq!(check["problems"][0]["code"], "PLUGIN_MISSING", "{check:#}");
    let used = engine.get(&format!("/api/v1/plugins/{digest}/where-used")).await.expect(200).json();
    assert_eq!(used["versions"].as_array().unwrap().len(), 2, "{used:#}");
    let listed = engine.get("/api/v1/plugins").await.expect(200).json();
    assert_eq!(listed["items"][0]["revoked"]["reason"], "it leaks", "{listed:#}");

    engine.delete(&revoke).await.expect(204);
    engine.delete(&revoke).await.expect(404);
    engine.post(&format!("/api/v1/instances/{waiting}/retry"), &json!({})).await.expect(202);
    assert_eq!(reaches(&engine, &waiting, "completed").await["output"], json!({ "b": 1 }));
    let audit = engine.get("/api/v1/audit?limit=20").await.expect(200).json();
    let actions: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert!(actions.contains(&"plugin.revoke") && actions.contains(&"plugin.unrevoke"), "{actions:?}");
}

#[tokio::test]
async fn a_revocation_outlives_a_restart_and_its_build() {
    let mut engine = engine().await;
    let digest = live(&engine, built()).await;
    engine.post(&format!("/api/v1/plugins/{digest}/revoke"), &json!({ "reason": "r" })).await.expect(200);
    engine.delete(&format!("/api/v1/plugins/{digest}")).await.expect(204);
    engine.kill9().await;
    engine.restart().await;
    bring(&engine, "", built()).await.expect(422);
    let revoked = engine.get("/api/v1/plugins/revoked").await.expect(200).json();
    assert_eq!((&revoked["items"][0]["digest"], &revoked["items"][0]["name"]), (&json!(digest), &json!("json")));
    engine.delete(&format!("/api/v1/plugins/{digest}/revoke")).await.expect(204);
    bring(&engine, "", built()).await.expect(201);
}

#[tokio::test]
async fn flows_are_rolled_forward_each_on_its_own() {
    let engine = engine().await;
    let old = live(&engine, built()).await;
    for (key, steps) in [("few", 2), ("many", 12), ("past", 2)] {
        engine.publish(&flow(key, steps)).await;
    }
    engine.publish(&calling("above", "few")).await;
    engine.publish(&calling("fixed", "few@1")).await;
    engine.publish(&calling("past", "few")).await;
    let way = format!("/api/v1/plugins/{old}/roll-forward");
    let alone = engine.post(&way, &json!({})).await.expect(422);
    assert_eq!(alone.code(), "ROLL_FORWARD_UNFIT");
    let new = live(&engine, narrower()).await;
    engine.post(&way, &json!({ "to": "none" })).await.expect(404);
    engine.post(&way, &json!({ "to": old })).await.expect(422);

    let outcomes = |answer: &Value| {
        let mut shown: Vec<_> = answer["flows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                format!("{} {} {}", one["flow"].as_str().unwrap(), one["outcome"].as_str().unwrap(), one["version"])
            })
            .collect();
        shown.sort();
        shown
    };
    let dry = engine.post(&way, &json!({})).await.expect(200).json();
    assert_eq!((&dry["dryRun"], &dry["to"]["digest"]), (&json!(true), &json!(new)));
    assert_eq!(
        outcomes(&dry),
        ["above ready null", "few ready null", "fixed ready null", "many would-break null", "past ready null"],
        "{dry:#}"
    );
    let done = engine.post(&way, &json!({ "to": new, "dryRun": false })).await.expect(200).json();
    assert_eq!(
        outcomes(&done),
        ["above done 2", "few done 2", "fixed stays null", "many would-break null", "past done 3"],
        "{done:#}"
    );
    let many = done["flows"].as_array().unwrap().iter().find(|one| one["flow"] == "many").unwrap().clone();
    assert_eq!(many["problems"][0]["code"], "CONFIG_MISMATCH", "{many:#}");
    let version = engine.get("/api/v1/flows/few/versions/2").await.expect(200).json();
    assert_eq!(version["digests"]["json/transform@1"]["digest"], new, "{version:#}");
    let again = engine.post(&way, &json!({ "dryRun": false })).await.expect(200).json();
    assert_eq!(
        outcomes(&again),
        [
            "above not-needed null",
            "few not-needed null",
            "fixed stays null",
            "many would-break null",
            "past not-needed null"
        ]
    );
    // The older one cannot be called any more; what was rolled forward starts all the same.
    engine.post(&format!("/api/v1/plugins/{old}/revoke"), &json!({ "reason": "old" })).await.expect(200);
    begin(&engine, "few", json!({})).await;
    engine.post("/api/v1/flows/many/instances", &json!({ "input": {} })).await.expect(409);
}

#[tokio::test]
async fn a_file_of_the_watched_folder_goes_the_way_of_an_upload() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Stepwell::start(Options { plugins: Some(folder.path().to_owned()), ..Options::default() }).await;
    let put = |name: &str, wasm: Vec<u8>| {
        let unseen = folder.path().join("unseen");
        std::fs::write(&unseen, wasm).unwrap();
        std::fs::rename(unseen, folder.path().join(name)).unwrap();
    };
    put("first.wasm", built());
    put("broken.wasm", b"no component".to_vec());
    for (by, state) in [("file:first.wasm", "live"), ("file:broken.wasm", "refused")] {
        let upload = until(&format!("{by} is told of"), SOON, async || {
            let all = engine.get("/api/v1/plugins/uploads").await.expect(200).json();
            let found = all["items"].as_array().unwrap().iter().find(|one| one["by"] == by).cloned();
            found.filter(|one| one["state"] != "running")
        })
        .await;
        assert_eq!((&upload["state"], upload["file"].as_str()), (&json!(state), by.strip_prefix("file:")), "{upload}");
    }
    put("narrower.wasm", narrower());
    let upload = until("the next is told of", SOON, async || {
        let all = engine.get("/api/v1/plugins/uploads").await.expect(200).json();
        let found = all["items"].as_array().unwrap().iter().find(|one| one["by"] == "file:narrower.wasm").cloned();
        found.filter(|one| one["state"] != "running")
    })
    .await;
    assert_eq!((&upload["state"], &upload["compatibility"]["report"]["breaking"]), (&json!("live"), &json!(true)));
}
