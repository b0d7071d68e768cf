//! A running engine takes builds in: the flow that is pinned to one keeps it, and who listens hears of the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepwell_tests::{Options, Stepwell};

use crate::desk::Desk;

/// A new form is served so soon after the end of its build, on a machine that has nothing else to do; beside other tests
/// it takes its turn.
const FORM_WITHIN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });

fn flow(key: &str) -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": key,
        "nodes": {
            "start": { "type": "start" },
            "greet": { "type": "task", "uses": "greeting/greet@0", "with": { "name": "=input.name" }, "timeout": "5m" },
            "end": { "type": "end", "output": { "text": "=nodes.greet.text" } }
        },
        "edges": [{ "from": "start", "to": "greet" }, { "from": "greet", "to": "end" }]
    })
}

async fn greeted(engine: &Stepwell, key: &str) -> Value {
    let path = format!("/api/v1/flows/{key}/instances?wait=20s");
    let answer = engine.post(&path, &json!({ "input": { "name": "Ada" } })).await.expect(200);
    answer.json()["output"]["text"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_is_pushed_is_live_and_heard_of() {
    let engine = Stepwell::start(Options::default()).await;
    let token = engine.options().token.clone();
    let desk = Arc::new(Desk::new("js"));
    // Turns for a while where it is told to.
    desk.edit(
        "src/plugin.js",
        "run({ input }) {",
        "run({ input }) { for (let n = 0; input.name === 'Zeno' && n < 3e8; n += 1);",
    );
    let refused = desk.run_at(&["push"], engine.url(), &token);
    assert!(!refused.ok && refused.err.contains("hint: stepwell plugin build"), "{refused:?}");

    let first = desk.run_at(&["dev", "--once"], engine.url(), &token);
    assert!(first.ok && first.out.contains("live: greeting@0.1.0"), "{first:?}");
    assert!(first.out.contains("greeting/greet@0") && first.out.contains("push "), "{first:?}");
    engine.publish(&flow("before")).await;
    assert_eq!(greeted(&engine, "before").await, "Hello, Ada");

    let mut events = engine.events("", None).await;
    desk.edit("src/plugin.js", "Hello, ", "Good day, ");
    desk.edit("src/plugin.js", "title: 'Who is greeted'", "title: 'Whom'");
    let slow = tokio::spawn({
        let caller = engine.with_token(Some(&token));
        async move {
            let begun = json!({ "input": { "name": "Zeno" } });
            caller.post("/api/v1/flows/before/instances?wait=60s", &begun).await.expect(200).json()
        }
    });
    assert!(desk.run(&["build"]).ok);
    let built = Instant::now();
    let pushing = tokio::task::spawn_blocking({
        let (desk, url) = (Arc::clone(&desk), engine.url().to_owned());
        let token = token.clone();
        move || desk.run_at(&["push"], &url, &token)
    });
    let event = events.until(|event| event.name == "plugin" && event.data["status"] == "live").await;
    assert_eq!(event.data["name"], "greeting");
    let types = engine.get("/api/v1/node-types").await.expect(200).json();
    let form = &types["items"][0]["input"]["properties"]["name"]["title"];
    let took = built.elapsed();
    assert_eq!(form, "Whom");
    assert!(took < FORM_WITHIN, "{took:?}");
    // A call that was under way all the time goes on, in the build it began in.
    assert!(!slow.is_finished());
    let second = pushing.await.unwrap();
    assert!(second.ok, "{second:?}");
    let ended = slow.await.unwrap();
    assert_eq!((&ended["state"], &ended["output"]["text"]), (&json!("completed"), &json!("Hello, Zeno")));

    // What was published is pinned to the first build; what is published now has the second.
    assert_eq!(greeted(&engine, "before").await, "Hello, Ada");
    engine.publish(&flow("after")).await;
    assert_eq!(greeted(&engine, "after").await, "Good day, Ada");

    // A build whose example is not true leaves the one before in force, and says why.
    desk.edit("src/plugin.js", "output: { text: 'Good day, Ada' }", "output: { text: 'Good night' }");
    let third = desk.run_at(&["dev", "--once"], engine.url(), &token);
    assert!(!third.ok && third.err.contains("PLUGIN_EXAMPLE_FAILED"), "{third:?}");
    let listed = desk.run_at(&["list"], engine.url(), &token);
    assert!(listed.ok && listed.out.contains("live") && listed.out.contains("superseded"), "{listed:?}");

    let other = desk.run_at(&["list"], engine.url(), "not-a-token-at-all");
    assert!(!other.ok && other.err.contains("401 UNAUTHENTICATED"), "{other:?}");
    let nobody = desk.run_at(&["list"], "http://127.0.0.1:1", &token);
    assert!(!nobody.ok && nobody.err.contains("no engine answers at http://127.0.0.1:1"), "{nobody:?}");
}
