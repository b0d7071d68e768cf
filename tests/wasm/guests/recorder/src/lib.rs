//! Tells the time and draws numbers, and logs more than it may; on request it asks the host for something for ever.
//! Recorded.

use serde::Deserialize;
use serde_json::json;
use stepwell_sdk::{Call, Error, Manifest, Outcome, Plugin, done, export, manifest, permanent, read};
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::random::{insecure, random};

mod log {
    wit_bindgen::generate!({ path: "../../../../wit", world: "logging", generate_all });
}

use log::stepwell::host::log::{Level, log};

struct Recorder;

#[derive(Deserialize)]
struct Config {
    /// What to ask for, for ever.
    flood: Option<String>,
}

impl Plugin for Recorder {
    fn manifest() -> Manifest {
        manifest!("../manifest.json")
    }

    fn run(_: &str, _: &Call, config: &str, _: &str) -> Result<Outcome, Error> {
        if let Some(what) = read::<Config>(config)?.flood {
            return flood(&what);
        }
        let now = wall_clock::now();
        for line in 0..1000 {
            log(Level::Warn, &format!("{line} {}", "é".repeat(1000)));
        }
        let drawn = [random::get_random_u64(), random::get_random_u64()].map(|drawn| drawn.to_string());
        done(
            "out",
            &json!({
                "now_ms": now.seconds * 1000 + u64::from(now.nanoseconds) / 1_000_000,
                "passed": monotonic_clock::now(),
                "drawn": drawn,
                "insecure": insecure::get_insecure_random_u64().to_string(),
            }),
        )
    }
}

fn flood(what: &str) -> Result<Outcome, Error> {
    match what {
        "log" => loop {
            log(Level::Error, &"x".repeat(10_000));
        },
        "clock" => loop {
            std::hint::black_box(wall_clock::now());
        },
        "random" => loop {
            std::hint::black_box(random::get_random_bytes(60_000));
        },
        "handles" => {
            let mut all = Vec::new();
            loop {
                all.push(monotonic_clock::subscribe_duration(u64::MAX));
            }
        }
        "all-the-random" => done("out", &random::get_random_bytes(u64::MAX).len()),
        "sleep" => {
            monotonic_clock::subscribe_duration(u64::MAX).block();
            done("out", &"awake")
        }
        other => Err(permanent(format!("no flood of {other}"))),
    }
}

export!(Recorder);
