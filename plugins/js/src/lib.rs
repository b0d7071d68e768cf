//! Runs plugins written in JavaScript. Not a plugin by itself: `stepwell plugin build` gives it a program, starts it,
//! and keeps the memory that stands then; every call begins there.
//!
//! Invariants:
//! - What a program is asked and answers crosses as JSON text; the shapes are in `stepwell.js`.
//! - Every optional export is there; the program's manifest says which of its nodes have what.
//!
//! Not here: time and memory limits; the engine sets both.

#![cfg_attr(
    not(any(test, target_arch = "wasm32")),
    allow(dead_code, reason = "a program is started when its component is built")
)]

mod answer;
mod files;
mod host;
mod machine;
#[cfg(target_arch = "wasm32")]
mod start;

use stepwell_sdk::{
    Call, Error, Manifest, Outcome, Plugin, Problem, Signal, SignalKind, Waiting, export, permanent, read,
    read_manifest,
};

use crate::answer::Answer;
use crate::machine::{Asked, ask};

struct Program;

impl Plugin for Program {
    fn manifest() -> Manifest {
        match machine::manifest() {
            Ok((about, node_types)) => read_manifest(&about.name, &about.version, &about.licence, &node_types),
            // Was read when the component was built; the engine refuses one that traps here.
            Err(problem) => panic!("{problem}"),
        }
    }

    fn run(node_type: &str, call: &Call, config: &str, input: &str) -> Result<Outcome, Error> {
        let answer = ask(&Asked { export: "run", node_type, call: &told(call), config, input, ..Asked::default() })?;
        read::<Answer<'_>>(&answer)?.outcome()
    }

    fn undo(
        node_type: &str,
        call: &Call,
        config: &str,
        input: &str,
        output: Option<&str>,
    ) -> Result<Option<Waiting>, Error> {
        let output = output.unwrap_or("null");
        let asked = Asked { export: "undo", node_type, call: &told(call), config, input, output, ..Asked::default() };
        match read::<Answer<'_>>(&ask(&asked)?)? {
            Answer::Undone => Ok(None),
            other => match other.outcome()? {
                Outcome::Wait(waiting) => Ok(Some(waiting)),
                Outcome::Done(_) => Err(permanent("undo answers with nothing, or with a wait")),
            },
        }
    }

    fn resume(node_type: &str, call: &Call, config: &str, memo: &str, signal: &Signal) -> Result<Outcome, Error> {
        let kind = match signal.kind {
            SignalKind::Message => "message",
            SignalKind::Timeout => "timeout",
            SignalKind::Cancelled => "cancelled",
        };
        let signal = format!(r#"{{"kind":"{kind}","payload":{}}}"#, signal.payload);
        let asked =
            Asked { export: "resume", node_type, call: &told(call), config, memo, signal: &signal, ..Asked::default() };
        read::<Answer<'_>>(&ask(&asked)?)?.outcome()
    }

    fn query(node_type: &str, call: &Call, config: &str, input: &str) -> Result<Option<Outcome>, Error> {
        let answer = ask(&Asked { export: "query", node_type, call: &told(call), config, input, ..Asked::default() })?;
        match read::<Answer<'_>>(&answer)? {
            Answer::NeverRan => Ok(None),
            other => other.outcome().map(Some),
        }
    }

    fn check(node_type: &str, config: &str) -> Vec<Problem> {
        let found = ask(&Asked { export: "check", node_type, config, ..Asked::default() });
        found.and_then(|text| answer::problems(&text)).unwrap_or_else(|error| {
            let message = match error {
                Error::Permanent(message) => message,
                other => format!("{other:?}"),
            };
            vec![Problem { pointer: String::new(), code: "CHECK_FAILED".to_owned(), message, line: None }]
        })
    }
}

export!(Program: undo, resume, query, check);

/// The call as JSON, in the words of JavaScript.
fn told(call: &Call) -> String {
    serde_json::json!({
        "instance": call.instance, "flow": call.flow, "version": call.version, "node": call.node,
        "visit": call.visit, "attempt": call.attempt, "key": call.key, "forwardKey": call.forward_key,
        "businessKey": call.business_key, "deadlineMs": call.deadline_ms, "traceparent": call.traceparent,
    })
    .to_string()
}

#[cfg(test)]
mod tests;
