//! The program itself, killed with SIGKILL: what it answered for is still there, and callbacks go on.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod world;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use world::{Receiver, play, until};

struct Program {
    child: Child,
    base: String,
}

impl Program {
    fn start(data: &Path, callback_url: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_commerce"))
            .args(["--listen", "127.0.0.1:0", "--callback-url", callback_url, "--callback-token", "token"])
            .arg("--data")
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("commerce listening on ").unwrap().to_owned();
        Self { child, base }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn keys_tombstones_and_callbacks_outlive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop.db");
    // Nobody listens there: the callback has to wait for the second life.
    let nobody = "http://127.0.0.1:1";
    let first = Program::start(&data, nobody);
    play(
        &first.base,
        r#"
        PUT /control/faults {"path_prefix":"/lockers","lose_reply_next":1} -> 200
        POST /lockers/locks key=a order=o1 {"community":"x"} -> lost
        POST /stock/reservations/release key=u order=o1 {"forwardKey":"s"} -> 200 {"released":false}
        POST /gateway/payments key=p {"order":"o1","amount_cents":100} -> 201
        POST /gateway/payments/o1/settle {"status":"PAID"} -> 200
        "#,
    )
    .await;
    first.kill();
    let mut stepwell = Receiver::start(&[]).await;
    let second = Program::start(&data, &stepwell.url);
    play(
        &second.base,
        r#"
        POST /lockers/locks key=a order=o1 {"community":"x"} -> 201 replayed {"locker":"LCK-1"}
        POST /stock/reservations key=s order=o1 {"sku":"tea","quantity":1} -> 409 {"code":"UNDONE"}
        GET /gateway/payments?key=p -> 200 {"status":"PAID"}
        GET /control/requests?key=a -> 200 {"items":[{"outcome":"lost"},{"outcome":"answered","replayed":true}]}
        "#,
    )
    .await;
    let callback = stepwell.next().await;
    assert_eq!(callback.body["payload"]["status"], "PAID");
    until(&second.base, "/control/summary", &json!({ "effects": 2, "callbacks_delivered": 1 })).await;
    second.kill();
}

#[tokio::test]
async fn nothing_answered_for_is_lost_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop.db");
    let mut answered = Vec::new();
    for life in 0..3 {
        let program = Program::start(&data, "http://127.0.0.1:1");
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for worker in 0..8 {
            let (base, tell) = (program.base.clone(), tell.clone());
            tokio::spawn(async move {
                for n in 0.. {
                    let key = format!("{life}-{worker}-{n}");
                    let line = format!(r#"POST /lockers/locks key={key} order={key} {{"community":"x"}}"#);
                    let Some(reply) = world::send(&base, &line).await else { return };
                    if tell.send((line, reply.body)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        // Killed in the middle of the others' requests.
        for _ in 0..200 {
            answered.push(told.recv().await.unwrap());
        }
        program.kill();
        while let Some(more) = told.recv().await {
            answered.push(more);
        }
    }
    let program = Program::start(&data, "http://127.0.0.1:1");
    for (line, body) in &answered {
        let again = world::send(&program.base, line).await.unwrap();
        assert!(again.replayed && &again.body == body, "{line}: {again:?}, was {body}");
    }
    let none = json!({ "order_kinds_with_many_keys": 0, "order_kinds_with_many_effects": 0 });
    until(&program.base, "/control/summary", &none).await;
    program.kill();
}
