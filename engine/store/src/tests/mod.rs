//! What this store promises beyond the seam. The seam's own rules are in `tests/conformance`.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod bindings;
mod definitions;
mod durability;
mod engines;
mod file;
mod forget;
mod lists;
mod machines;
mod tasks;
mod tls;
mod uploads;
mod users;

use std::sync::Arc;

use serde_json::{Value, json};
use stepwell_core::machine::{Entry, Event, State};
use stepwell_runtime::journal::{Admission, Append, Header, TaskMoves};

use crate::{Act, AuditFilter, Options, Publish, Published, Store};

struct Fixture {
    store: Store,
    place: Place,
}

/// Where a store of a test's own is.
enum Place {
    File(tempfile::TempDir),
    Server(String, tempfile::TempDir),
}

/// A server to try the store on; without it, a file serves.
const SERVER: &str = "STEPWELL_TEST_POSTGRES";

impl Place {
    fn new() -> Self {
        match std::env::var(SERVER) {
            Ok(url) => {
                let own = format!("{url}?options=-csearch_path%3Dt{}", uuid::Uuid::now_v7().simple());
                Self::Server(own, tempfile::tempdir().unwrap())
            }
            Err(_) => Self::File(tempfile::tempdir().unwrap()),
        }
    }

    fn open(&self) -> Store {
        match self {
            Self::File(folder) => Store::open(folder.path().join("stepwell.db"), Options::default()).unwrap(),
            Self::Server(url, folder) => Store::connect(url, folder.path().join("engine"), Options::default()).unwrap(),
        }
    }
}

fn open() -> Fixture {
    let place = Place::new();
    Fixture { store: place.open(), place }
}

fn act(at_ms: u64) -> Act {
    Act { by: "ada".to_owned(), at_ms }
}

fn of_target(target: &str) -> AuditFilter {
    AuditFilter { target: Some(target.to_owned()), ..AuditFilter::default() }
}

fn version_of(flow: &str, hash: &str) -> Publish {
    Publish {
        flow: flow.to_owned(),
        document: Arc::new(json!({ "kind": "graph", "key": flow, "title": format!("Flow {flow}"), "content": hash })),
        catalog: Arc::new(json!({ "nodeTypes": {} })),
        hash: hash.to_owned(),
        label: None,
        revision: None,
        triggers: Vec::new(),
        schedules: Vec::new(),
        file: None,
        act: act(1),
    }
}

async fn published(store: &Store, flow: &str, hash: &str) -> u32 {
    match store.publish(version_of(flow, hash)).await.unwrap() {
        Published::New(version) => version,
        other => panic!("{flow} {hash}: {other:?}"),
    }
}

fn new_id() -> Arc<str> {
    uuid::Uuid::now_v7().to_string().into()
}

/// A started instance, admitted in one entry; parked unless it has ended.
fn admitted(flow: &str, version: u32, state: State, business_key: Option<&str>) -> Append {
    Append {
        instance: new_id(),
        expected_seq: 0,
        epoch: 1,
        entries: vec![started(1)],
        header: Header {
            state,
            updated_ms: 2_000,
            due_ms: None,
            error: None,
            reply: None,
            output: None,
            priority: 0,
            forget_ms: None,
            standing: None,
        },
        version,
        tasks: TaskMoves::default(),
        snapshot: (!state.ended()).then(|| "{}".to_owned()),
        subscriptions: Vec::new(),
        taken: Vec::new(),
        records: Vec::new(),
        admission: Some(Admission {
            flow: flow.into(),
            version,
            business_key: business_key.map(str::to_owned),
            started_ms: 1_000,
            idempotency: None,
            traceparent: None,
            unique: None,
            bound_by: None,
            by: "admin".into(),
        }),
        park: true,
    }
}

fn started(seq: u64) -> Entry {
    let event = Event::Started { input: Arc::new(Value::from(seq)), business_key: None, priority: 0 };
    Entry { seq, at_ms: 1_000 + seq, event }
}
