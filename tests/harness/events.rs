//! Reads a stream of server-sent events.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::Client;

const COMES_WITHIN: Duration = Duration::from_secs(30);

/// One event; comments are skipped.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: String,
    pub name: String,
    pub data: Value,
}

/// An open stream.
pub struct Events {
    body: Incoming,
    buffer: BytesMut,
}

impl Client {
    /// Opens `/api/v1/events`, with a query (`"?instance=…"` or nothing), after an event's id if one is given.
    pub async fn events(&self, query: &str, after: Option<&str>) -> Events {
        let headers: Vec<(&str, &str)> = after.map(|id| ("last-event-id", id)).into_iter().collect();
        let path = format!("/api/v1/events{query}");
        let response = self.open("GET", &path, &headers, Bytes::new()).await.expect("an answer");
        assert_eq!(response.status(), 200);
        Events { body: response.into_body(), buffer: BytesMut::new() }
    }
}

impl Events {
    /// The next event; `None` once the stream has ended. Fails the test if neither comes in time.
    pub async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(COMES_WITHIN, self.read()).await.expect("an event in time")
    }

    /// Reads on until an event fits.
    pub async fn until(&mut self, fits: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if fits(&event) {
                return event;
            }
        }
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block = self.buffer.split_to(end + 2);
                if let Some(event) = parse(&String::from_utf8_lossy(&block)) {
                    return Some(event);
                }
                continue;
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

fn parse(block: &str) -> Option<Event> {
    let mut event = Event { id: String::new(), name: "message".to_owned(), data: Value::Null };
    let mut seen = false;
    for line in block.lines() {
        match line.split_once(':').map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value))) {
            Some(("id", value)) => value.clone_into(&mut event.id),
            Some(("event", value)) => {
                seen = true;
                value.clone_into(&mut event.name);
            }
            Some(("data", value)) => {
                seen = true;
                event.data = serde_json::from_str(value).unwrap_or(Value::String(value.to_owned()));
            }
            _ => {}
        }
    }
    seen.then_some(event)
}
