//! Tells the time and draws numbers, and logs more than it may. Recorded.

use serde_json::json;
use stepwell_sdk::{Call, Error, Manifest, Outcome, Plugin, done, export, manifest};
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::random::{insecure, random};

mod log {
    wit_bindgen::generate!({ path: "../../../../wit", world: "logging", generate_all });
}

use log::stepwell::host::log::{Level, log};

struct Recorder;

impl Plugin for Recorder {
    fn manifest() -> Manifest {
        manifest!("../manifest.json")
    }

    fn run(_: &str, _: &Call, _: &str, _: &str) -> Result<Outcome, Error> {
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

export!(Recorder);
