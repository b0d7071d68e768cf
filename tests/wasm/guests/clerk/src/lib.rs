//! Does to records what its input lists, one after the other, and tells what came back. Transactional.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepwell_sdk::records::{self, Filter, Guard, Record};
use stepwell_sdk::{Call, Error, Manifest, Outcome, Plugin, Signal, done, export, manifest, read, rejected, wait};

struct Clerk;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
enum Deed {
    Get {
        id: String,
    },
    List {
        status: Option<String>,
        min: Option<i32>,
        max: Option<i32>,
        after: Option<String>,
        limit: u32,
    },
    Put {
        id: String,
        status: String,
        body: Value,
    },
    /// The body grows with each.
    Claim {
        id: String,
        from: Option<String>,
        min: Option<i32>,
        max: Option<i32>,
        revision: Option<u64>,
        status: String,
        body: Option<Value>,
    },
    Repeat {
        times: u32,
        deeds: Vec<Deed>,
    },
    Wait {
        message: String,
        key: String,
    },
    Reject {
        code: String,
    },
    Trap,
}

#[derive(Deserialize)]
struct Input {
    #[serde(default = "order")]
    r#type: String,
    deeds: Vec<Deed>,
}

#[derive(Serialize, Deserialize)]
struct Memo {
    r#type: String,
    deeds: Vec<Deed>,
    told: Vec<Value>,
}

fn order() -> String {
    "order".to_owned()
}

impl Plugin for Clerk {
    fn manifest() -> Manifest {
        manifest!("../manifest.json")
    }

    fn run(_: &str, _: &Call, _: &str, input: &str) -> Result<Outcome, Error> {
        let Input { r#type, deeds } = read(input)?;
        go_on(Memo { r#type, deeds, told: Vec::new() })
    }

    fn resume(_: &str, _: &Call, _: &str, memo: &str, _: &Signal) -> Result<Outcome, Error> {
        go_on(read(memo)?)
    }
}

fn go_on(memo: Memo) -> Result<Outcome, Error> {
    let Memo { r#type, deeds, mut told } = memo;
    let mut deeds = deeds.into_iter();
    while let Some(deed) = deeds.next() {
        match deed {
            Deed::Wait { message, key } => {
                let memo = Memo { r#type, deeds: deeds.collect(), told };
                return wait(&message, &key, None, &memo);
            }
            Deed::Reject { code } => return Err(rejected(code, "as it was told to")),
            Deed::Trap => std::process::abort(),
            other => told.push(act(&r#type, &other)),
        }
    }
    done("out", &told)
}

fn act(kind: &str, deed: &Deed) -> Value {
    let said = match deed {
        Deed::Get { id } => records::get::<Value>(kind, id).map(|found| found.map_or(Value::Null, |one| shown(&one))),
        Deed::List { status, min, max, after, limit } => {
            let filter = Filter { status: status.as_deref(), min: *min, max: *max };
            records::list::<Value>(kind, filter, after.as_deref(), *limit).map(|page| {
                let ids: Vec<_> = page.records.iter().map(|one| format!("{} {}", one.id, one.status)).collect();
                json!({ "ids": ids, "next": page.next })
            })
        }
        Deed::Put { id, status, body } => records::put(kind, id, status, body).map(Value::from),
        Deed::Claim { id, from, min, max, revision, status, body } => {
            let guard = match (from, min.or(*max), revision) {
                (Some(from), ..) => Guard::Status(from),
                (_, Some(_), _) => Guard::Between(*min, *max),
                (.., Some(revision)) => Guard::Revision(*revision),
                _ => Guard::Absent,
            };
            records::compare_and_set(kind, id, guard, status, body.as_ref()).map(Value::from)
        }
        Deed::Repeat { times, deeds } => {
            let all = (0..*times).flat_map(|_| deeds.iter().map(|deed| act(kind, deed)));
            Ok(all.last().unwrap_or_default())
        }
        _ => Ok(Value::Null),
    };
    said.unwrap_or_else(|error| json!({ "error": format!("{error:?}") }))
}

fn shown(one: &Record<Value>) -> Value {
    json!({ "status": one.status, "code": one.status_code, "revision": one.revision, "body": one.body })
}

export!(Clerk: resume);
