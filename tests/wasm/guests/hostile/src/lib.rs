//! Does the harm its config names. Pure: it imports nothing.

use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};
use stepwell_sdk::{Call, Error, Manifest, Outcome, Plugin, Problem, done, export, manifest, permanent, read, wait};

struct Hostile;

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "do")]
    deed: String,
    #[serde(default)]
    bytes: usize,
}

/// Shows whether one call sees what another left.
static CALLS: AtomicU32 = AtomicU32::new(0);

impl Plugin for Hostile {
    fn manifest() -> Manifest {
        manifest!("../manifest.json")
    }

    fn run(_: &str, call: &Call, config: &str, input: &str) -> Result<Outcome, Error> {
        let config: Config = read(config)?;
        match config.deed.as_str() {
            "good" => done("out", &read::<Value>(input)?),
            "loop" => loop {
                std::hint::black_box(());
            },
            "allocate" => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                for _ in 0..64 {
                    hoard.push(vec![1; 64 << 20]);
                }
                done("out", &hoard.len())
            }
            "trap" => std::process::abort(),
            "output" => done("out", &"x".repeat(config.bytes)),
            // Keeps what it takes, as an allocator that never frees does.
            "hoard" => {
                std::mem::forget(std::hint::black_box(vec![1_u8; config.bytes]));
                done("out", &CALLS.fetch_add(1, Ordering::Relaxed))
            }
            "count" => done("out", &CALLS.fetch_add(1, Ordering::Relaxed)),
            "long-message" => Err(permanent("x".repeat(100_000))),
            "recurse" => done("out", &deeper(0)),
            "not-json" => raw("{not json".into()),
            "deep-json" => raw("[".repeat(500_000)),
            "wide-number" => raw("1e999".into()),
            "not-text" => {
                let bytes = vec![b'"', 0xff, 0xfe, b'"'];
                // What no honest guest can do; the host must not believe it.
                raw(unsafe { String::from_utf8_unchecked(bytes) })
            }
            // A page at a time, as often as it goes, and then as if nothing were.
            "creep" => {
                let mut pages = 0_u32;
                while core::arch::wasm32::memory_grow(0, 1) != usize::MAX {
                    pages += 1;
                }
                done("out", &(pages < 1024))
            }
            "long-key" => wait("paid", &"k".repeat(501), None, &json!(null)),
            "tell" => done(
                "out",
                &json!({ "attempt": call.attempt, "deadline": call.deadline_ms, "trace": call.traceparent,
                         "key": call.key, "node": call.node, "business": call.business_key }),
            ),
            other => Err(permanent(format!("no such deed: {other}"))),
        }
    }

    fn check(_: &str, config: &str) -> Vec<Problem> {
        let Ok(Config { deed, .. }) = read(config) else { return Vec::new() };
        match deed.as_str() {
            "trap" => std::process::abort(),
            "good" => Vec::new(),
            _ => vec![Problem {
                pointer: "/do".into(),
                code: "HARM".into(),
                message: format!("`{deed}` does harm"),
                line: Some(1),
            }],
        }
    }
}

/// An answer that the SDK would not make.
fn raw(output: String) -> Result<Outcome, Error> {
    Ok(Outcome::Done(stepwell_sdk::Emission { port: "out".into(), output }))
}

/// Never ends; the arithmetic keeps the compiler from making it a loop.
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    let below = if std::hint::black_box(true) { deeper(depth + 1) } else { depth };
    std::hint::black_box(below ^ depth)
}

export!(Hostile: check);
