//! Sends the requests its config lists, one after the other, and tells what came back. External.

use serde::Deserialize;
use serde_json::{Value, json};
use stepwell_sdk::http::Request;
use stepwell_sdk::{Call, Error, Manifest, Outcome, Plugin, Waiting, done, export, manifest, read};

struct Courier;

#[derive(Deserialize)]
struct Config {
    requests: Vec<Errand>,
}

#[derive(Deserialize)]
struct Errand {
    method: String,
    connection: String,
    path: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body_bytes: usize,
    /// Sent as it is, and what comes back is told.
    #[serde(default)]
    text: Option<String>,
}

impl Plugin for Courier {
    fn manifest() -> Manifest {
        manifest!("../manifest.json")
    }

    fn run(_: &str, _: &Call, config: &str, _: &str) -> Result<Outcome, Error> {
        done("out", &send_all(config)?)
    }

    fn undo(_: &str, _: &Call, config: &str, _: &str, _: Option<&str>) -> Result<Option<Waiting>, Error> {
        send_all(config).map(|_| None)
    }
}

/// Never fails for what comes back: the host must insist on its own.
fn send_all(config: &str) -> Result<Vec<Value>, Error> {
    let Config { requests } = read(config)?;
    Ok(requests.iter().map(send).collect())
}

fn send(errand: &Errand) -> Value {
    let mut request = Request::new(&errand.method, &errand.connection, errand.path.clone());
    for (name, value) in &errand.headers {
        request = request.header(name.clone(), value.clone());
    }
    if errand.body_bytes > 0 {
        request = request.body(vec![b'x'; errand.body_bytes]);
    }
    if let Some(text) = &errand.text {
        request = request.body(text.clone().into_bytes());
    }
    match request.send() {
        Ok(response) if errand.text.is_some() => json!({ "text": String::from_utf8_lossy(&response.body) }),
        Ok(response) => json!({ "status": response.status, "bytes": response.body.len() }),
        Err(Error::Transient { message, .. }) => json!({ "transient": message }),
        Err(Error::Permanent(message)) => json!({ "permanent": message }),
        Err(Error::Unknown(message)) => json!({ "unknown": message }),
        Err(Error::Rejected { code, .. }) => json!({ "rejected": code }),
    }
}

export!(Courier: undo);
