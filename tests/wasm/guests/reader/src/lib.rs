//! Reads a record, and could send requests: external.

use serde::Deserialize;
use serde_json::{Value, json};
use stepwell_sdk::http::Request;
use stepwell_sdk::records;
use stepwell_sdk::{Call, Error, Manifest, Outcome, Plugin, done, export, manifest, read};

struct Reader;

#[derive(Deserialize)]
struct Input {
    id: String,
    #[serde(default)]
    send: bool,
}

impl Plugin for Reader {
    fn manifest() -> Manifest {
        manifest!("../manifest.json")
    }

    fn run(_: &str, _: &Call, _: &str, input: &str) -> Result<Outcome, Error> {
        let Input { id, send } = read(input)?;
        if send {
            Request::new("GET", "nowhere", "/".to_owned()).send()?;
        }
        let found = records::get::<Value>("order", &id)?;
        done("out", &json!({ "status": found.map(|one| one.status) }))
    }
}

export!(Reader);
