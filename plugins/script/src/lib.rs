//! Package `script`: JavaScript in the flow's own text, on QuickJS. Pure: no clock, no randomness,
//! no input or output but the values.
//!
//! Starting QuickJS costs several times what a short script does, so it is done once, when the
//! component is built: [`machine::wizer_initialize`] runs then, and the memory it leaves behind is
//! what every call starts from.
//!
//! Not here: the time limit and the memory limit; the engine sets both.

mod failure;
mod machine;

use serde::Deserialize;
use stepwell_sdk::{Call, Emission, Error, Manifest, OUT, Outcome, Plugin, Problem, export, manifest, no_such, read};

struct Script;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    script: String,
}

impl Plugin for Script {
    fn manifest() -> Manifest {
        manifest!("../manifest.json")
    }

    fn run(node_type: &str, _: &Call, config: &str, input: &str) -> Result<Outcome, Error> {
        if node_type != "js" {
            return Err(no_such("run", node_type));
        }
        let Config { script } = read(config)?;
        let output = machine::once(|machine| machine.run(&script, input))?;
        Ok(Outcome::Done(Emission { port: OUT.to_owned(), output }))
    }

    fn check(_: &str, config: &str) -> Vec<Problem> {
        let problem =
            |code: &str, message, line| Problem { pointer: "/script".to_owned(), code: code.to_owned(), message, line };
        let Ok(Config { script }) = read(config) else {
            return vec![problem("SCRIPT_MISSING", "there is no script".to_owned(), None)];
        };
        match machine::once(|machine| machine.check(&script)) {
            Ok(None) => Vec::new(),
            Ok(Some(fault)) => vec![problem("SCRIPT_SYNTAX", fault.message, fault.line)],
            Err(_) => vec![problem("SCRIPT_SYNTAX", "the script cannot be read".to_owned(), None)],
        }
    }
}

export!(Script: check);

#[cfg(test)]
mod tests;
