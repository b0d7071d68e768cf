//! One HTTP request, one answer, no pool: enough to ask a process on this machine how it is.
//!
//! Speaks HTTP/1.0, so the answer ends where the connection does. Not for anything outside loopback.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

const TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON ({}): {}", self.status, self.body))
    }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    request(address, "GET", path, None, "")
}

/// Sends one request with a JSON body; `token` becomes the bearer token.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Result<Answer> {
    send(address, method, path, token, "application/json", body.as_bytes())
}

/// As [`request`], with a body of any kind.
pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    kind: &str,
    body: &[u8],
) -> Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{authorization}Content-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes)?;
    parse(&String::from_utf8_lossy(&bytes)).context("not an HTTP answer")
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[test]
fn answers_are_taken_apart() {
    let answer = parse("HTTP/1.1 422 Unprocessable Entity\r\nA: b\r\n\r\n{}\r\n\r\n");
    assert_eq!(answer.map(|answer| (answer.status, answer.body)), Some((422, "{}\r\n\r\n".to_owned())));
    assert!(parse("HTTP/1.1 200 OK\r\n").is_none()); // Cut off before its end.
}
