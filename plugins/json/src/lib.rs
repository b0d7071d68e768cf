//! Package `json`: reshapes JSON with a few pure operations. Pure.

mod pointer;
mod transform;

use serde_json::Value;
use stepwell_sdk::{Call, Error, Manifest, OUT, Outcome, Plugin, done, export, manifest, no_such, read};

struct Json;

impl Plugin for Json {
    fn manifest() -> Manifest {
        manifest!("../manifest.json")
    }

    fn run(node_type: &str, _: &Call, config: &str, input: &str) -> Result<Outcome, Error> {
        match node_type {
            "transform" => {
                let config: transform::Config = read(config)?;
                done(OUT, &transform::run(config, read::<Value>(input)?)?)
            }
            other => Err(no_such("run", other)),
        }
    }
}

export!(Json);

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_are_true() {
        stepwell_sdk::testing::examples::<super::Json>();
    }
}
