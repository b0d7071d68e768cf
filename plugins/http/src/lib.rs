//! Package `http`: one HTTP request to a granted connection. External.

mod base64;
mod request;

use stepwell_sdk::{Call, Error, Manifest, Outcome, Plugin, export, manifest, no_such, task};

struct Http;

impl Plugin for Http {
    fn manifest() -> Manifest {
        manifest!("../manifest.json")
    }

    fn run(node_type: &str, _: &Call, config: &str, input: &str) -> Result<Outcome, Error> {
        match node_type {
            "request" => task(config, input, request::run),
            other => Err(no_such("run", other)),
        }
    }
}

export!(Http);

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_are_true() {
        stepwell_sdk::testing::examples::<super::Http>();
    }
}
