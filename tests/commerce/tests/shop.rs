//! The shop as its callers see it: keys, tombstones, faults and callbacks.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod world;

use commerce::{AutoSettle, Config, Running, SIGNATURE_HEADER, Settings, serve, verify};
use serde_json::json;
use world::{Receiver, play, send, until};

async fn shop(settings: Settings) -> (Running, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { settings, ..Config::new(folder.path().join("shop.db")) };
    (serve(config).await.unwrap(), folder)
}

/// Each script against a shop of its own.
async fn each(scripts: &[&str]) {
    for script in scripts {
        let (running, _folder) = shop(Settings { stock_default: 10, ..Settings::default() }).await;
        play(&running.url(), script).await;
        running.shutdown().await;
    }
}

#[tokio::test]
async fn every_service_does_its_work_and_takes_it_back() {
    each(&[
        r#"
        GET /health -> 200
        GET /stock/tea -> 200 {"sku":"tea","available":10}
        POST /stock/reservations key=a order=o1 {"sku":"tea","quantity":4} -> 201 {"reservation":"RES-1","sku":"tea","quantity":4}
        GET /stock/tea -> 200 {"available":6}
        POST /stock/reservations key=b order=o2 {"sku":"tea","quantity":7} -> 409 {"code":"OUT_OF_STOCK"}
        POST /stock/reservations key=c order=o3 {"sku":"SOLD-OUT-7","quantity":1} -> 409 {"code":"OUT_OF_STOCK"}
        POST /stock/reservations/release key=u order=o1 {"forwardKey":"a"} -> 200 {"released":true}
        GET /stock/tea -> 200 {"available":10}
        POST /stock/tea {"available":3} -> 200 {"available":3}
        GET /stock/tea -> 200 {"available":3}
        GET /control/effects?order=o1 -> 200 {"items":[{"kind":"stock","key":"a","order":"o1","undone":true,"undo_key":"u"}],"next":null}
        "#,
        r#"
        POST /lockers/locks key=a {"community":"riverside"} -> 201 {"locker":"LCK-1","community":"riverside"}
        POST /lockers/locks key=b {"community":"FULL-moon"} -> 409 {"code":"NO_LOCKER"}
        POST /lockers/locks/release key=u {"forwardKey":"a","locker":"LCK-1"} -> 200 {"released":true}
        "#,
        r#"
        POST /logistics/assignments key=a {"order":"o1","community":"riverside"} -> 201 {"assignment":"ASG-1","order":"o1"}
        POST /logistics/shipments key=b {"order":"o1"} -> 201 {"parcel":"PRC-2","order":"o1"}
        GET /logistics/parcels/PRC-2 -> 200 {"state":"CREATED","delivered":false}
        GET /logistics/parcels/PRC-2 -> 200 {"state":"PICKED_UP"}
        GET /logistics/parcels/PRC-2 -> 200 {"state":"IN_TRANSIT"}
        GET /logistics/parcels/PRC-2 -> 200 {"state":"DELIVERED","delivered":true}
        GET /logistics/parcels/PRC-2 -> 200 {"state":"DELIVERED"}
        POST /logistics/shipments/cancel key=u {"forwardKey":"b"} -> 200 {"cancelled":true}
        GET /logistics/parcels/PRC-2 -> 200 {"state":"CANCELLED"}
        GET /logistics/parcels/PRC-9 -> 404 {"code":"NO_PARCEL"}
        POST /logistics/assignments/cancel key=v {"forwardKey":"a"} -> 200 {"cancelled":true}
        GET /control/effects?order=o1 -> 200 {"items":[{"kind":"assignment","undone":true},{"kind":"shipment","undone":true}]}
        "#,
        r#"
        POST /gateway/payments key=a {"order":"o1","amount_cents":1200} -> 201 {"payment":"PAY-1","status":"PAYING"}
        GET /gateway/payments?key=a -> 200 {"payment":"PAY-1","status":"PAYING"}
        GET /gateway/payments?key=z -> 404 {"code":"NO_PAYMENT"}
        POST /gateway/payments/o1/settle {"status":"PAID"} -> 200 {"status":"PAID"}
        GET /gateway/payments?key=a -> 200 {"status":"PAID"}
        POST /gateway/payments/o1/settle {"status":"FAILED"} -> 409 {"code":"NOT_PAYING"}
        POST /gateway/payments/cancel key=u {"forwardKey":"a"} -> 200 {"cancelled":true}
        GET /gateway/payments?key=a -> 200 {"status":"REFUNDED"}
        POST /gateway/payments key=b {"order":"o2","amount_cents":0} -> 201 {"payment":"PAY-2"}
        POST /gateway/payments/cancel key=v {"payment":"PAY-2"} -> 200 {"cancelled":true}
        GET /gateway/payments?key=b -> 200 {"status":"CANCELLED"}
        POST /gateway/payments/o2/settle {"status":"PAID"} -> 409 {"code":"NOT_PAYING"}
        POST /gateway/payments/o9/settle {"status":"PAID"} -> 404 {"code":"NO_PAYMENT"}
        "#,
        r#"
        GET /property/accounts/7-1201 -> 200 {"account":"7-1201","status":"ACTIVE","balance_cents":0}
        POST /property/payments key=a {"account":"7-1201","amount_cents":900} -> 201 {"payment":"FEE-1","balance_cents":900}
        POST /property/payments/cancel key=u {"forwardKey":"a"} -> 200 {"cancelled":true}
        GET /property/accounts/7-1201 -> 200 {"balance_cents":0}
        GET /property/accounts/BAD-1 -> 404 {"code":"NO_ACCOUNT"}
        POST /property/payments key=b {"account":"BAD-1","amount_cents":900} -> 404 {"code":"NO_ACCOUNT"}
        "#,
    ])
    .await;
}

#[tokio::test]
async fn bad_requests_are_refused_and_do_nothing() {
    each(&[r#"
        POST /stock/reservations key=a {"sku":"tea"} -> 400 {"code":"BAD_REQUEST"}
        POST /stock/reservations key=a {"sku":"tea","quantity":0} -> 400 {"code":"BAD_REQUEST"}
        POST /stock/reservations key=a {"sku":"tea","quantity":-3} -> 400 {"code":"BAD_REQUEST"}
        POST /stock/reservations key=a {"sku":"","quantity":1} -> 400 {"code":"BAD_REQUEST"}
        POST /stock/reservations key=a {not json -> 400 {"code":"BAD_REQUEST"}
        POST /stock/reservations/release key=u {} -> 400 {"code":"BAD_REQUEST"}
        POST /stock/tea {"available":-1} -> 400 {"code":"BAD_REQUEST"}
        POST /lockers/locks key=a -> 400 {"code":"BAD_REQUEST"}
        POST /gateway/payments key=a {"order":"o","amount_cents":1.5} -> 400 {"code":"BAD_REQUEST"}
        POST /gateway/payments key=a {"order":"o","amount_cents":-1} -> 400 {"code":"BAD_REQUEST"}
        POST /gateway/payments key=a {"order":"o","amount_cents":1,"callback_url":"ftp://x"} -> 400 {"code":"BAD_REQUEST"}
        GET /gateway/payments -> 400 {"code":"BAD_REQUEST"}
        GET /nowhere -> 404 {"code":"NOT_FOUND"}
        DELETE /stock/tea -> 405
        PUT /control/faults {"fail_rate":2} -> 400 {"code":"BAD_REQUEST"}
        PUT /control/faults {"fial_next":2} -> 422
        PUT /control/settings {"callback_url":"nowhere"} -> 400 {"code":"BAD_REQUEST"}
        GET /control/effects?path=/x -> 400 {"code":"BAD_REQUEST"}
        # The key was not used up by any of this.
        POST /stock/reservations key=a {"sku":"tea","quantity":1} -> 201
        GET /control/summary -> 200 {"effects":1}
    "#])
    .await;
    let (running, _folder) = shop(Settings::default()).await;
    let long = format!(r#"POST /lockers/locks key=a {{"community":"{}"}}"#, "x".repeat(70_000));
    assert_eq!(send(&running.url(), &long).await.unwrap().status, 413);
    let long = format!(r#"POST /lockers/locks key={} {{"community":"x"}}"#, "k".repeat(300));
    assert_eq!(send(&running.url(), &long).await.unwrap().status, 400);
}

#[tokio::test]
async fn a_key_has_one_effect_and_one_answer() {
    each(&[
        r#"
        POST /stock/reservations key=a order=o {"sku":"tea","quantity":4} -> 201 {"reservation":"RES-1"}
        POST /stock/reservations key=a order=o {"sku":"tea","quantity":4} -> 201 replayed {"reservation":"RES-1"}
        POST /stock/reservations key=a order=o {"sku":"tea","quantity":5} -> 422 {"code":"KEY_REUSED"}
        POST /lockers/locks key=a order=o {"community":"x"} -> 422 {"code":"KEY_REUSED"}
        GET /stock/tea -> 200 {"available":6}
        GET /control/requests?key=a -> 200 {"items":[{"status":201,"replayed":false,"outcome":"answered"},{"status":201,"replayed":true},{"status":422},{"status":422}]}
        GET /control/summary -> 200 {"effects":1,"distinct_keys":1,"keys_repeated":1,"requests_repeated":3,"requests_replayed":1,"keys_reused":2,"order_kinds_with_many_keys":0}
        "#,
        // A refusal is an answer too: stock that comes in later does not change it.
        r#"
        POST /stock/reservations key=a {"sku":"tea","quantity":11} -> 409 {"code":"OUT_OF_STOCK"}
        POST /stock/tea {"available":50} -> 200
        POST /stock/reservations key=a {"sku":"tea","quantity":11} -> 409 replayed {"code":"OUT_OF_STOCK"}
        POST /stock/reservations key=b {"sku":"tea","quantity":11} -> 201
        "#,
        // Without keys everything happens as often as it is asked for, and the summary tells.
        r#"
        POST /lockers/locks order=o {"community":"x"} -> 201
        POST /lockers/locks order=o {"community":"x"} -> 201
        GET /control/summary -> 200 {"effects":2,"effects_without_key":2,"order_kinds_with_many_keys":1,"order_kinds_with_many_effects":1}
        "#,
        r#"
        POST /lockers/locks key=a order=o {"community":"x"} -> 201
        POST /lockers/locks key=b order=o {"community":"x"} -> 201
        POST /lockers/locks key=c order=p {"community":"x"} -> 201
        GET /control/summary -> 200 {"effects":3,"order_paths_with_many_keys":1,"order_kinds_with_many_keys":1,"order_kinds_with_many_effects":1}
        DELETE /control/data -> 204
        GET /control/summary -> 200 {"effects":0,"requests":0}
        "#,
    ])
    .await;
}

#[tokio::test]
async fn a_key_that_arrives_many_times_at_once_has_one_effect() {
    let (running, _folder) = shop(Settings::default()).await;
    let base = running.url();
    let line = r#"POST /lockers/locks key=a order=o {"community":"x"}"#;
    let replies = futures_of(32, |_| send(&base, line)).await;
    assert!(replies.iter().all(|reply| reply.as_ref().unwrap().body["locker"] == "LCK-1"), "{replies:?}");
    assert_eq!(replies.iter().filter(|reply| !reply.as_ref().unwrap().replayed).count(), 1);
    play(&base, r#"GET /control/summary -> 200 {"effects":1,"requests":32,"requests_repeated":31}"#).await;
}

async fn futures_of<T, F: Future<Output = T>>(count: usize, make: impl Fn(usize) -> F) -> Vec<T> {
    // All are polled from one task: enough for requests, whose work is in the shop's tasks.
    let mut waiting = (0..count).map(|n| Box::pin(make(n))).collect::<Vec<_>>();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        waiting.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(value) => {
                done.push(value);
                false
            }
            std::task::Poll::Pending => true,
        });
        if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test]
async fn an_undo_comes_before_after_or_instead_of_its_forward() {
    each(&[
        // The forward never ran: nothing to take back, and it may not run any more.
        r#"
        POST /stock/reservations/release key=u order=o {"forwardKey":"a"} -> 200 {"released":false}
        POST /stock/reservations key=a order=o {"sku":"tea","quantity":4} -> 409 {"code":"UNDONE"}
        GET /stock/tea -> 200 {"available":10}
        GET /control/tombstones -> 200 {"items":[{"kind":"stock","key":"a","order":"o","undo_key":"u","ran":false}]}
        GET /control/summary -> 200 {"effects":0,"tombstones":1,"undos_of_nothing":1,"late_forwards_refused":1}
        "#,
        // It ran: taken back once, however often that is asked for, and a late copy is not told that it stands.
        r#"
        POST /stock/reservations key=a order=o {"sku":"tea","quantity":4} -> 201
        POST /stock/reservations/release key=u order=o {"forwardKey":"a"} -> 200 {"released":true}
        POST /stock/reservations/release key=u order=o {"forwardKey":"a"} -> 200 replayed {"released":true}
        POST /stock/reservations/release key=v order=o {"forwardKey":"a"} -> 200 {"released":true}
        GET /stock/tea -> 200 {"available":10}
        POST /stock/reservations key=a order=o {"sku":"tea","quantity":4} -> 409 {"code":"UNDONE"}
        GET /control/summary -> 200 {"effects":1,"effects_undone":1,"tombstones":1,"undos_of_nothing":0}
        "#,
        // The header names the forward where the body does not; a forward's own header does not undo it.
        r#"
        POST /lockers/locks key=a forward=z {"community":"x"} -> 201
        POST /lockers/locks/release key=u forward=a {} -> 200 {"released":true}
        POST /lockers/locks key=a {"community":"x"} -> 409 {"code":"UNDONE"}
        "#,
        // Later requests of one run go with it; other keys and other kinds do not.
        r#"
        POST /logistics/shipments key=a.2 {"order":"o"} -> 201
        POST /logistics/shipments/cancel key=u {"forwardKey":"a"} -> 200 {"cancelled":true}
        POST /logistics/shipments key=a.3 {"order":"o"} -> 409 {"code":"UNDONE"}
        POST /logistics/shipments key=b {"order":"o"} -> 201
        POST /logistics/assignments key=a {"order":"o"} -> 201
        "#,
        // The body of a payment may name the key that its undo will name.
        r#"
        POST /gateway/payments key=a {"order":"o","amount_cents":5,"forwardKey":"f"} -> 201
        POST /gateway/payments/cancel key=u {"forwardKey":"f"} -> 200 {"cancelled":true}
        GET /gateway/payments?key=a -> 200 {"status":"CANCELLED"}
        POST /gateway/payments key=b {"order":"o","amount_cents":5,"forwardKey":"f"} -> 409 {"code":"UNDONE"}
        "#,
        // Undone by name: the key is closed as well.
        r#"
        POST /property/payments key=a {"account":"x","amount_cents":5} -> 201 {"payment":"FEE-1"}
        POST /property/payments/cancel {"payment":"FEE-1"} -> 200 {"cancelled":true}
        POST /property/payments/cancel {"payment":"FEE-7"} -> 200 {"cancelled":false}
        POST /property/payments key=a {"account":"x","amount_cents":5} -> 409 {"code":"UNDONE"}
        "#,
    ])
    .await;
}

#[tokio::test]
async fn faults_come_when_asked_for_and_a_retry_finds_one_effect() {
    each(&[
        // The work is done, the answer never comes, and the retry gets it.
        r#"
        PUT /control/faults {"path_prefix":"/stock","lose_reply_next":2} -> 200
        POST /stock/reservations key=a order=o {"sku":"tea","quantity":4} -> lost
        POST /stock/reservations key=a order=o {"sku":"tea","quantity":4} -> lost
        POST /stock/reservations key=a order=o {"sku":"tea","quantity":4} -> 201 replayed {"reservation":"RES-1"}
        GET /stock/tea -> 200 {"available":6}
        GET /control/requests?order=o -> 200 {"items":[{"outcome":"lost","status":201,"replayed":false},{"outcome":"lost","replayed":true},{"outcome":"answered"}]}
        "#,
        // A failure comes before the work and does not use the key up.
        r#"
        PUT /control/faults {"fail_next":1,"status":500} -> 200
        POST /stock/reservations key=a {"sku":"tea","quantity":4} -> 500 {"code":"FAULT"}
        GET /stock/tea -> 200 {"available":10}
        POST /stock/reservations key=a {"sku":"tea","quantity":4} -> 201
        "#,
        r#"
        PUT /control/faults {"path_prefix":"/lockers","fail_rate":1} -> 200
        POST /lockers/locks key=a {"community":"x"} -> 503
        POST /logistics/shipments key=b {"order":"o"} -> 201
        DELETE /control/faults -> 204
        GET /control/faults -> 200 {"items":[]}
        POST /lockers/locks key=a {"community":"x"} -> 201
        "#,
    ])
    .await;
}

#[tokio::test]
async fn a_caller_who_left_still_gets_the_work_done_unless_the_undo_was_faster() {
    for (undo_first, summary) in [
        (false, json!({ "effects": 1, "late_forwards_refused": 0, "requests_pending": 0 })),
        (true, json!({ "effects": 0, "late_forwards_refused": 1, "requests_pending": 0 })),
    ] {
        let (running, _folder) = shop(Settings::default()).await;
        let base = running.url();
        play(&base, r#"PUT /control/faults {"path_prefix":"/lockers/locks","latency_ms":400} -> 200"#).await;
        let slow = {
            let base = base.clone();
            tokio::spawn(async move { send(&base, r#"POST /lockers/locks key=a {"community":"x"}"#).await })
        };
        until(&base, "/control/requests?key=a", &json!({ "items": [{ "outcome": "pending" }] })).await;
        slow.abort();
        if undo_first {
            play(&base, "DELETE /control/faults -> 204").await;
            play(&base, r#"POST /lockers/locks/release key=u {"forwardKey":"a"} -> 200 {"released":false}"#).await;
        }
        until(&base, "/control/summary", &summary).await;
    }
}

#[tokio::test]
async fn every_request_is_kept_with_what_names_it() {
    each(&[r#"
        POST /lockers/locks key=a order=订单-1 trace=00-1-2-01 {"community":"x"} -> 201
        POST /lockers/locks/release key=u forward=a order=订单-1 {} -> 200
        GET /stock/tea -> 200
        GET /control/requests?path=/lockers -> 200 {"items":[{"method":"POST","path":"/lockers/locks","key":"a","order":"订单-1","traceparent":"00-1-2-01","body":{"community":"x"},"code":null},{"forward_key":"a","key":"u"}],"next":null}
        GET /control/requests?limit=1 -> 200 {"items":[{"id":1}],"next":1}
        GET /control/requests?limit=2&after=1 -> 200 {"items":[{"id":2},{"id":3,"path":"/stock/tea"}],"next":null}
    "#])
    .await;
}

#[tokio::test]
async fn a_settled_payment_is_called_back_with_token_and_signature() {
    // Refused twice: the third attempt counts.
    let mut stepwell = Receiver::start(&[503, 401]).await;
    let settings = Settings {
        callback_url: Some(stepwell.url.clone()),
        callback_token: Some("token".into()),
        callback_secret: Some("secret".into()),
        ..Settings::default()
    };
    let (running, _folder) = shop(settings).await;
    let base = running.url();
    let begin = r#"POST /gateway/payments key=a {"order":"o1","amount_cents":1200} -> 201"#;
    play(&base, &format!("{begin}\nPOST /gateway/payments/o1/settle {{\"status\":\"PAID\"}} -> 200")).await;
    let mut events = Vec::new();
    for _ in 0..3 {
        let callback = stepwell.next().await;
        assert_eq!(callback.path, "/api/v1/messages");
        assert_eq!(callback.headers["authorization"], "Bearer token");
        assert!(verify("secret", callback.headers[SIGNATURE_HEADER].to_str().unwrap(), &callback.raw).is_some());
        let payload = json!({ "status": "PAID", "amount_cents": 1200, "payment": "PAY-1", "order": "o1" });
        assert_eq!((&callback.body["name"], &callback.body["key"]), (&json!("payment"), &json!("o1")));
        assert_eq!(callback.body["payload"], payload);
        events.push(callback.body["id"].as_str().unwrap().to_owned());
    }
    events.dedup();
    assert_eq!(events.len(), 1);
    let delivered = json!({ "items": [{ "state": "delivered", "attempts": 3, "last_status": 202 }] });
    until(&base, "/control/callbacks?order=o1", &delivered).await;
    assert!(stepwell.here().is_empty());
}

#[tokio::test]
async fn a_callback_nobody_takes_is_given_up() {
    let mut stepwell = Receiver::start(&[500; 9]).await;
    let url = Some(stepwell.url.clone());
    let settings = Settings { callback_url: url, callback_attempts_max: 2, ..Settings::default() };
    let (running, _folder) = shop(settings).await;
    let base = running.url();
    let begin = r#"POST /gateway/payments key=a {"order":"o1","amount_cents":1200} -> 201"#;
    play(&base, &format!("{begin}\nPOST /gateway/payments/o1/settle {{\"status\":\"FAILED\"}} -> 200")).await;
    let given_up = json!({ "items": [{ "state": "given_up", "attempts": 2, "last_status": 500 }] });
    until(&base, "/control/callbacks", &given_up).await;
    assert_eq!(stepwell.here().len(), 2);
}

#[tokio::test]
async fn a_callback_inside_the_reply_comes_first() {
    for (order, auto, settle_after_ms, status) in [
        ("o1", AutoSettle::Paid, 0, "PAID"),
        ("o1", AutoSettle::Failed, 0, "FAILED"),
        ("UNPAID-1", AutoSettle::Paid, 0, "FAILED"),
    ] {
        let mut stepwell = Receiver::start(&[]).await;
        let url = Some(stepwell.url.clone());
        let (running, _folder) =
            shop(Settings { callback_url: url, auto_settle: auto, settle_after_ms, ..Settings::default() }).await;
        let base = running.url();
        play(&base, r#"PUT /control/faults {"callback_inside_reply":true,"lose_reply_next":1} -> 200"#).await;
        let line = format!(r#"POST /gateway/payments key=a {{"order":"{order}","amount_cents":1}}"#);
        assert_eq!(send(&base, &line).await, None);
        // Here before the reply was even lost.
        let came = stepwell.here();
        assert_eq!(came.len(), 1, "{order}");
        assert_eq!(came[0].body["payload"]["status"], status);
        // The retry gets the old answer and causes no second callback.
        play(&base, &format!("{line} -> 201 replayed {{\"status\":\"PAYING\"}}")).await;
        let once = json!({ "effects": 1, "callbacks": 1, "callbacks_delivered": 1, "callback_attempts": 1 });
        until(&base, "/control/summary", &once).await;
        assert!(stepwell.here().is_empty());
    }
}

#[tokio::test]
async fn callbacks_come_late_twice_or_after_the_payment_was_cancelled() {
    let mut stepwell = Receiver::start(&[]).await;
    let settings = Settings {
        callback_url: Some(stepwell.url.clone()),
        auto_settle: AutoSettle::Paid,
        settle_after_ms: 30,
        ..Settings::default()
    };
    let (running, _folder) = shop(settings).await;
    let base = running.url();
    play(
        &base,
        r#"
        PUT /control/faults {"duplicate_callbacks":2,"callback_delay_ms":100} -> 200
        POST /gateway/payments key=a {"order":"o1","amount_cents":1} -> 201 {"status":"PAYING"}
        "#,
    )
    .await;
    until(&base, "/gateway/payments?key=a", &json!({ "status": "PAID" })).await;
    // Cancelled while the callback is on its way: it arrives all the same.
    play(&base, r#"POST /gateway/payments/cancel key=u {"forwardKey":"a"} -> 200 {"cancelled":true}"#).await;
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(stepwell.next().await.body["id"].clone());
    }
    assert!(events.iter().all(|event| event == &events[0]), "{events:?}");
    until(&base, "/control/summary", &json!({ "callbacks_delivered": 3, "callbacks_pending": 0 })).await;
    // Cancelled before it was settled: nothing is called back.
    play(
        &base,
        r#"
        PUT /control/settings {"settle_after_ms":60000} -> 200 {"settle_after_ms":60000,"auto_settle":"paid"}
        POST /gateway/payments key=b {"order":"o2","amount_cents":1} -> 201
        POST /gateway/payments/cancel key=v {"forwardKey":"b"} -> 200 {"cancelled":true}
        GET /gateway/payments?key=b -> 200 {"status":"CANCELLED"}
        GET /control/callbacks?order=o2 -> 200 {"items":[]}
        "#,
    )
    .await;
}

#[tokio::test]
async fn the_token_stays_with_the_configured_origin() {
    let mut stepwell = Receiver::start(&[]).await;
    let mut stranger = Receiver::start(&[]).await;
    let (url, token) = (Some(stepwell.url.clone()), Some("token".into()));
    let auto_settle = AutoSettle::Paid;
    let (running, _folder) =
        shop(Settings { callback_url: url, callback_token: token, auto_settle, ..Settings::default() }).await;
    let base = running.url();
    let begin = |key: &str, url: &str| {
        format!(
            r#"POST /gateway/payments key={key} {{"order":"{key}","amount_cents":1,"callback_url":"{url}"}} -> 201"#
        )
    };
    play(&base, &begin("a", &format!("{}/hooks/pay", stranger.url))).await;
    play(&base, &begin("b", &format!("{}/hooks/pay", stepwell.url))).await;
    let (strange, own) = (stranger.next().await, stepwell.next().await);
    assert_eq!((strange.path.as_str(), own.path.as_str()), ("/hooks/pay", "/hooks/pay"));
    assert!(!strange.headers.contains_key("authorization"));
    assert_eq!(own.headers["authorization"], "Bearer token");
    let shown = send(&base, "GET /control/settings").await.unwrap().body.to_string();
    assert!(!shown.contains("token"), "{shown}");
}
