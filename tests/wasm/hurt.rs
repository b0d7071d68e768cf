//! Requests and answers that mean harm: what a guest tries to send where it should not, and what a server does to it.

use serde_json::{Value, json};
use stepwell_core::machine::Op;
use stepwell_runtime::Nodes as _;
use stepwell_runtime::nodes::About;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::http::{Server, grant, open, send, with};
use crate::rig::{Rig, shown};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_injected_into_a_request() {
    let server = Server::start().await;
    let rig = Rig::new("courier").await;
    grant(&rig, open(&server));
    let with_header = |name: &str, value: &str| json!({ "requests": [{ "method": "GET", "connection": "shop", "path": "/", "headers": [[name, value]] }] });
    for config in [
        with_header("x-a", "1\r\nauthorization: forged"),
        with_header("x-a", "1\nauthorization: forged"),
        with_header("x-a", "1\0"),
        with_header("x-a\r\nauthorization", "forged"),
        with_header("host", "elsewhere"),
        with_header("transfer-encoding", "chunked"),
        with_header("connection", "upgrade"),
        send("GET / HTTP/1.1\r\nauthorization: forged\r\n", "/"),
        send("GET", "/ HTTP/1.1\r\nauthorization: forged\r\n\r\n"),
        send("GET", "/\nauthorization: forged"),
    ] {
        let shown = rig.run(config.clone(), json!(null)).await;
        let arrived = server.seen();
        assert!(arrived.is_empty(), "{config}: {shown}: {arrived:?}");
    }
    // What an outsider chose travels in headers, too.
    let about = About {
        instance: "01939f00-0000-7000-8000-000000000000".into(),
        flow: "flow".into(),
        version: 1,
        business_key: Some("order-1\r\nauthorization: forged".into()),
        traceparent: None,
        records: None,
    };
    let call = rig.call(Op::Run, send("GET", "/"), json!(null));
    assert!(shown(&rig.sandbox.call(&about, &call).await.outcome).starts_with("done out"));
    let arrived = server.seen();
    assert!(arrived.len() == 1 && !arrived[0].contains("forged"), "{arrived:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_addresses_are_private_however_they_are_written() {
    let server = Server::start().await;
    let rig = Rig::new("courier").await;
    // A connection that was open before is no way around: it was made where private addresses were allowed.
    grant(&rig, open(&server));
    assert!(rig.run(send("GET", "/"), json!(null)).await.starts_with("done out"));
    server.seen();
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0.0.0.0",
        "::1",
        "::ffff:127.0.0.1",
        "::",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "fd00::1",
        "fe80::1",
        "100.64.0.1",
    ] {
        grant(&rig, with(with(open(&server), "allowPrivate", json!(false)), "host", json!(host)));
        let shown = rig.run(send("GET", "/"), json!(null)).await;
        // Where this machine has no such address, or knows no such name, nothing is sent either.
        let refused = shown.starts_with("permanent NOT_GRANTED: ") && shown.contains(" resolves to ");
        assert!(refused || shown.contains("transient"), "{host}: {shown}");
        assert!(server.seen().is_empty(), "{host}");
    }
    // A redirect there is an answer as any other: nobody follows it.
    grant(&rig, open(&server));
    assert_eq!(rig.run(send("GET", "/inside"), json!(null)).await, r#"done out [{"bytes":0,"status":302}]"#);
    assert_eq!(server.seen().len(), 1);
}

/// A server that says this, and then nothing, and does not go away.
async fn stalls(said: &'static [u8]) -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(said).await;
            open.push(stream);
        }
    });
    json!({ "scheme": "http", "host": "127.0.0.1", "port": port, "allowPrivate": true })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_end_or_does_not_fit_ends_with_the_call() {
    let mut rig = Rig::new("courier").await;
    rig.timeout_ms = 700;
    let deadline = "cut deadline: no answer within 700 ms";
    for (said, expected) in [
        (&b""[..], deadline),
        (b"HTTP/1.1 200 OK\r\nx-a: ", deadline),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345", deadline),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n12345", deadline),
        // A length that no memory has, and one that is none.
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775807\r\n\r\n1", r#"done out [{"unknown":"#),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n1", r#"done out [{"unknown":"#),
        (b"SSH-2.0-OpenSSH_9.9\r\n", r#"done out [{"unknown":"#),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "done out ["),
    ] {
        grant(&rig, stalls(said).await);
        let shown = rig.run(send("POST", "/"), json!(null)).await;
        assert!(shown.starts_with(expected), "{}: {shown}", String::from_utf8_lossy(said));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_packed_stays_packed() {
    let server = Server::start().await;
    let rig = Rig::new("courier").await;
    grant(&rig, open(&server));
    // The host neither asks for packed answers nor unpacks one: what is counted is what came.
    assert_eq!(rig.run(send("GET", "/gzip"), json!(null)).await, r#"done out [{"bytes":14,"status":200}]"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_requests_is_held_to_its_bound_and_harms_no_neighbour() {
    let server = Server::start().await;
    let mut rig = Rig::new("courier").await;
    rig.timeout_ms = 1000;
    let connection = open(&server);
    let all = json!({ "connections": { "shop": connection, "bank": connection }, "grants": [
        { "plugin": "courier", "namespace": "flood", "connections": { "shop": { "ratePerSecond": 50 } } },
        { "plugin": "courier", "namespace": "calm", "connections": ["shop"] },
    ] });
    rig.sandbox.set_grants(&serde_json::from_value(all).unwrap()).unwrap();
    let flood = json!({ "requests": vec![send("GET", "/")["requests"][0].clone(); 5000] });
    let flood = rig.call(Op::Run, flood, json!(null));
    let calm = rig.call(Op::Run, send("GET", "/"), json!(null));
    let (flooded, neighbour) = tokio::join!(rig.answer_for("flood.flow", &flood), rig.answer_for("calm.flow", &calm));
    assert!(shown(&neighbour.outcome).starts_with("done out"), "{}", shown(&neighbour.outcome));
    assert!(shown(&flooded.outcome).starts_with("transient: 1000 ms were over"), "{}", shown(&flooded.outcome));
    // Two seconds' worth at most begin within one, and the neighbour's.
    let arrived = server.seen().len();
    assert!((51..=101).contains(&arrived), "{arrived}");
}
