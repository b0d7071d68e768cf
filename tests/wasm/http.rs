//! What a guest can reach, and what its requests carry.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use stepwell_core::machine::Op;
use stepwell_runtime::lease::Lease;
use stepwell_sandbox::Sandbox;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::rig::{Rig, guest, limits, shown, told};

/// A server that writes down what arrives and answers by path.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    /// Lets a request to `/held` be answered.
    pub(crate) go_on: Arc<Notify>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let go_on = Arc::new(Notify::new());
        let held = Arc::clone(&go_on);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, held) = (Arc::clone(&log), Arc::clone(&held));
                let service = service_fn(move |request| answer(request, Arc::clone(&log), Arc::clone(&held)));
                let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(served);
            }
        });
        Self { address, seen, go_on }
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// Begins as something that would become large.
const BOMB: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xed, 0xc1, 1, 1];

async fn answer(
    request: Request<Incoming>,
    log: Arc<Mutex<Vec<String>>>,
    go_on: Arc<Notify>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let bytes = body.len();
    let mut line = format!("{} {} {bytes}", parts.method, parts.uri);
    for name in
        ["host", "idempotency-key", "traceparent", "stepwell-business-key", "stepwell-forward-key", "authorization"]
    {
        if let Some(value) = parts.headers.get(name) {
            line += &format!(" {name}={}", value.to_str().unwrap());
        }
    }
    log.lock().unwrap().push(line);
    let response = match parts.uri.path() {
        "/redirect" => Response::builder().status(302).header("location", "/elsewhere").body(Full::default()),
        "/inside" => {
            Response::builder().status(302).header("location", "http://169.254.169.254/").body(Full::default())
        }
        "/gzip" => Response::builder().header("content-encoding", "gzip").body(Full::from(BOMB.to_vec())),
        "/echo" => Response::builder().body(Full::from(body)),
        "/large" => Response::builder().body(Full::from(vec![b'x'; 5 << 20])),
        "/never" => std::future::pending().await,
        "/held" => {
            go_on.notified().await;
            Response::builder().body(Full::from("ok"))
        }
        _ => Response::builder().status(200).body(Full::from("ok")),
    };
    Ok(response.unwrap())
}

/// Grants `courier` one connection, `shop`.
pub(crate) fn grant(rig: &Rig, connection: Value) {
    let grants =
        json!({ "connections": { "shop": connection }, "grants": [{ "plugin": "courier", "connections": ["shop"] }] });
    rig.sandbox.set_grants(&serde_json::from_value(grants).unwrap()).unwrap();
}

pub(crate) fn open(server: &Server) -> Value {
    json!({ "scheme": "http", "host": "127.0.0.1", "port": server.address.port(), "allowPrivate": true })
}

pub(crate) fn with(mut connection: Value, field: &str, value: Value) -> Value {
    connection[field] = value;
    connection
}

pub(crate) fn send(method: &str, path: &str) -> Value {
    json!({ "requests": [{ "method": method, "connection": "shop", "path": path }] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaves_without_a_grant() {
    let server = Server::start().await;
    let rig = Rig::new("courier").await;
    let get = send("GET", "/");
    let elsewhere = json!({ "requests": [{ "method": "GET", "connection": "bank", "path": "/" }] });
    let by_name = with(open(&server), "host", json!("localhost"));
    for (connection, config, expected) in [
        (None, &get, "the plugin `courier` has no grant for the connection `shop`"),
        (Some(open(&server)), &elsewhere, "the plugin `courier` has no grant for the connection `bank`"),
        (
            Some(with(open(&server), "allowPrivate", json!(false))),
            &get,
            "127.0.0.1 resolves to 127.0.0.1, which is loopback",
        ),
        (Some(with(by_name, "allowPrivate", json!(false))), &get, "localhost resolves to "),
        (Some(with(open(&server), "methods", json!(["POST"]))), &get, "the connection `shop` does not allow GET"),
        (
            Some(with(open(&server), "pathPrefix", json!("/api"))),
            &send("GET", "/../admin"),
            "`/../admin` leaves the path",
        ),
    ] {
        if let Some(connection) = connection {
            grant(&rig, connection);
        }
        // The guest answers `done` all the same; the host does not let it pass.
        let shown = rig.run(config.clone(), json!(null)).await;
        assert!(shown.starts_with(&format!("permanent NOT_GRANTED: {expected}")), "{shown}");
        assert!(server.seen().is_empty(), "{expected}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_carry_keys_and_trace() {
    let server = Server::start().await;
    let rig = Rig::new("courier").await;
    grant(&rig, with(open(&server), "pathPrefix", json!("/api/")));
    let request = |method: &str, headers: Value| json!({ "method": method, "connection": "shop", "path": "/x?y=1", "headers": headers });
    let requests = json!([
        request("POST", json!([])),
        request("POST", json!([])),
        request("GET", json!([])),
        request("PUT", json!([["idempotency-key", "own"]])),
        request("DELETE", json!([["stepwell-business-key", "forged"], ["content-length", "0"]])),
    ]);
    let call = rig.call(Op::Run, json!({ "requests": requests }), json!(null));
    let host = server.address;
    let trace = "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 stepwell-business-key=order-1";
    // The same on every attempt.
    for _ in 0..2 {
        rig.answer(&call).await;
        assert_eq!(
            server.seen(),
            [
                format!("POST /api/x?y=1 0 host={host} idempotency-key=key-1 {trace}"),
                format!("POST /api/x?y=1 0 host={host} idempotency-key=key-1.2 {trace}"),
                format!("GET /api/x?y=1 0 host={host} {trace}"),
                format!("PUT /api/x?y=1 0 host={host} idempotency-key=own {trace}"),
                format!("DELETE /api/x?y=1 0 host={host} idempotency-key=key-1.4 {trace}"),
            ]
        );
    }
    let undo = rig.call(Op::Undo, send("POST", "/undo"), json!(null));
    assert_eq!(shown(&rig.answer(&undo).await.outcome), "done  null");
    let expected = format!("POST /api/undo 0 host={host} idempotency-key=key-1 {trace} stepwell-forward-key=forward-1");
    assert_eq!(server.seen(), [expected]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_once_the_engine_may_have_been_taken_for_dead() {
    let server = Server::start().await;
    let lease = Lease::default();
    let sandbox = Sandbox::new(None, limits()).unwrap().under(lease.clone());
    let plugin = sandbox.load(guest("courier")).await.unwrap();
    let rig = Rig { sandbox: Arc::new(sandbox), plugin, timeout_ms: 3000 };
    grant(&rig, open(&server));
    for (until, arrives) in [(Duration::from_mins(1), 1), (Duration::ZERO, 0), (Duration::from_mins(1), 1)] {
        lease.renew(Instant::now() + until);
        rig.run(send("POST", "/"), json!(null)).await;
        assert_eq!(server.seen().len(), arrives, "{until:?}");
    }
    // A call that began before others took over sends nothing more, though the engine lives again.
    let slow = json!({ "requests": [{ "method": "POST", "connection": "shop", "path": "/held" }, { "method": "POST", "connection": "shop", "path": "/" }] });
    let (answer, ()) = tokio::join!(rig.run(slow, json!(null)), async {
        while server.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        lease.lost();
        lease.renew(Instant::now() + Duration::from_mins(1));
        server.go_on.notify_one();
    });
    assert!(server.seen().is_empty(), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_paused_connection_holds_back_has_sent_nothing() {
    let server = Server::start().await;
    let rig = Rig::new("courier").await;
    let connection = open(&server);
    let grants = json!({ "connections": { "shop": connection, "bank": connection },
                         "grants": [{ "plugin": "courier", "connections": ["shop", "bank"] }] });
    rig.sandbox.set_grants(&serde_json::from_value(grants).unwrap()).unwrap();
    rig.sandbox.set_pauses(["connection bank".to_owned()]);
    let requests = |names: &[&str]| {
        let requests: Vec<Value> = names
            .iter()
            .map(|name| json!({ "method": "POST", "connection": name, "path": format!("/{name}") }))
            .collect();
        json!({ "requests": requests })
    };
    for (names, expected, arrives) in [
        (&["shop"][..], "done out ", 1),
        // Whatever the guest makes of it, and whatever else it would do.
        (&["bank"], "cut paused: connection bank", 0),
        (&["bank", "shop"], "cut paused: connection bank", 0),
        (&["shop", "bank"], "transient: calls are paused: connection bank", 1),
    ] {
        let shown = rig.run(requests(names), json!(null)).await;
        assert!(shown.starts_with(expected), "{names:?}: {shown}");
        assert_eq!(server.seen().len(), arrives, "{names:?}");
    }
    assert!(rig.sandbox.let_one_through("connection bank"));
    assert!(rig.run(requests(&["bank"]), json!(null)).await.starts_with("done out "));
    assert_eq!(rig.run(requests(&["bank"]), json!(null)).await, "cut paused: connection bank");
    assert_eq!(server.seen().len(), 1);
    let probed = rig.sandbox.probed().await;
    assert_eq!((probed.len(), probed[0].well, &*probed[0].message), (1, true, "it answered 200"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_put_in_on_the_way_out() {
    let server = Server::start().await;
    let rig = Rig::new("courier").await;
    let secrets = with(open(&server), "secrets", json!({ "TOKEN": "s3cret" }));
    grant(&rig, secrets.clone());
    let with_header = |value: &str| json!({ "requests": [{ "method": "GET", "connection": "shop", "path": "/", "headers": [["authorization", value]] }] });
    let shown = rig.run(with_header("Bearer $secret:TOKEN"), json!(null)).await;
    assert_eq!(shown, r#"done out [{"bytes":2,"status":200}]"#);
    assert!(server.seen()[0].ends_with("authorization=Bearer s3cret"));
    let shown = rig.run(with_header("Bearer $secret:OTHER"), json!(null)).await;
    assert_eq!(shown, "permanent SECRET_UNKNOWN: the connection has no secret `OTHER`");
    assert!(server.seen().is_empty());
    // The connection's own header is not the guest's to change.
    grant(&rig, with(secrets, "headers", json!({ "authorization": "Basic fixed" })));
    rig.run(with_header("mine"), json!(null)).await;
    assert!(server.seen()[0].ends_with("authorization=Basic fixed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_and_failures_are_told_apart() {
    let server = Server::start().await;
    let mut rig = Rig::new("courier").await;
    rig.timeout_ms = 1500;
    grant(&rig, open(&server));
    let heavy = json!({ "requests": [{ "method": "POST", "connection": "shop", "path": "/", "body_bytes": 2 << 20 }] });
    for (config, expected, arrives) in [
        (send("GET", "/redirect"), r#"done out [{"bytes":0,"status":302}]"#, 1),
        (send("POST", "/large"), r#"done out [{"unknown":"POST shop/large: "#, 1),
        (heavy, r#"done out [{"permanent":"POST shop/: "#, 0),
        (send("POST", "/never"), "cut deadline: no answer within 1500 ms", 1),
        (
            json!({ "requests": [{ "method": "GET", "connection": "shop", "path": "/", "headers": [["host", "bank"]] }] }),
            r#"done out [{"permanent":"#,
            0,
        ),
    ] {
        let shown = rig.run(config.clone(), json!(null)).await;
        assert!(shown.starts_with(expected), "{config}: {shown}");
        assert_eq!(server.seen().len(), arrives, "{config}");
    }
    // Nobody listens there: nothing can have happened.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    grant(&rig, with(open(&server), "port", json!(closed.port())));
    let shown = rig.run(send("POST", "/"), json!(null)).await;
    assert!(shown.starts_with(r#"done out [{"transient":"POST shop/: "#), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Reads the request, then goes away.
            let mut buffer = [0; 4096];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await;
        }
    });
    let rig = Rig::new("courier").await;
    grant(&rig, json!({ "scheme": "http", "host": "127.0.0.1", "port": address.port(), "allowPrivate": true }));
    let shown = rig.run(send("POST", "/"), json!(null)).await;
    assert!(shown.starts_with(r#"done out [{"unknown":"POST shop/: "#), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_grants_change_nothing() {
    let server = Server::start().await;
    let rig = Rig::new("courier").await;
    grant(&rig, open(&server));
    let broken = json!({ "grants": [{ "plugin": "courier", "connections": ["nowhere"] }] });
    let problems = rig.sandbox.set_grants(&serde_json::from_value(broken).unwrap()).unwrap_err();
    assert_eq!(told(&problems), "CONNECTION_UNKNOWN /grants/0/connections/nowhere: there is no connection `nowhere`");
    assert_eq!(rig.run(send("GET", "/"), json!(null)).await, r#"done out [{"bytes":2,"status":200}]"#);
}
