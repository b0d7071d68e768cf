//! For tests on the host: asks a plugin, plays its examples.
//!
//! [`answer`] shows what a node said as one line, so that tests can be tables of text:
//! `done PORT OUTPUT`, `wait MESSAGE KEY TIMEOUT MEMO`, `rejected CODE MESSAGE DATA`,
//! `transient MESSAGE RETRY`, `permanent MESSAGE`, `unknown MESSAGE`.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use crate::{Call, Emission, Error, Outcome, Plugin, Waiting};
use serde_json::Value;

/// The call that examples and tests are run with.
pub fn call() -> Call {
    Call {
        instance: "00000000-0000-7000-8000-000000000000".to_owned(),
        flow: "example".to_owned(),
        version: 1,
        node: "example".to_owned(),
        visit: 1,
        attempt: 1,
        key: "example".to_owned(),
        forward_key: None,
        business_key: Some("example".to_owned()),
        deadline_ms: 0,
        traceparent: None,
    }
}

/// The call of an undo of [`call`].
pub fn undo_call() -> Call {
    Call { key: "example-undo".to_owned(), forward_key: Some("example".to_owned()), ..call() }
}

/// Runs the node and shows the answer.
pub fn answer<P: Plugin>(node_type: &str, config: &str, input: &str) -> String {
    show(P::run(node_type, &call(), config, input))
}

/// An answer as one line.
pub fn show(answer: Result<Outcome, Error>) -> String {
    match answer {
        Ok(Outcome::Done(Emission { port, output })) => format!("done {port} {output}"),
        Ok(Outcome::Wait(waiting)) => show_waiting(&waiting),
        Err(error) => show_error(error),
    }
}

/// The answer of an undo as one line; `undone` where it does not wait.
pub fn show_undo(answer: Result<Option<Waiting>, Error>) -> String {
    match answer {
        Ok(None) => "undone".to_owned(),
        Ok(Some(waiting)) => show_waiting(&waiting),
        Err(error) => show_error(error),
    }
}

/// The answer of a query as one line; `never ran` for none.
pub fn show_query(answer: Result<Option<Outcome>, Error>) -> String {
    answer.transpose().map_or_else(|| "never ran".to_owned(), show)
}

fn show_waiting(waiting: &Waiting) -> String {
    let Waiting { message, key, timeout_ms, memo } = waiting;
    format!("wait {message} {key} {} {memo}", timeout_ms.map_or("-".to_owned(), |ms| ms.to_string()))
}

fn show_error(error: Error) -> String {
    match error {
        Error::Rejected { code, message, data } => format!("rejected {code} {message} {}", data.unwrap_or_default()),
        Error::Transient { message, retry_after_ms } => {
            format!("transient {message} {}", retry_after_ms.map_or("-".to_owned(), |ms| ms.to_string()))
        }
        Error::Permanent(message) => format!("permanent {message}"),
        Error::Unknown(message) => format!("unknown {message}"),
    }
}

/// Plays the author's cases in `folder`, in the format of `docs/plugins/testing.md`.
///
/// # Panics
///
/// Where an answer is not what a case expects.
pub fn cases<P: Plugin>(folder: &str) {
    crate::cases::play::<P>(std::path::Path::new(folder));
}

/// Plays every example of the manifest, as the engine does when the plugin is installed.
///
/// # Panics
///
/// Where an answer differs from the example.
pub fn examples<P: Plugin>() {
    for node_type in P::manifest().node_types {
        // A node of records may have none: there are no records yet when examples are played.
        assert!(cfg!(feature = "records") || !node_type.examples.is_empty(), "{}: no example", node_type.name);
        for schema in node_type
            .ports
            .iter()
            .map(|port| &port.output_schema)
            .chain([&node_type.config_schema, &node_type.input_schema])
        {
            assert!(serde_json::from_str::<Value>(schema).unwrap().is_object(), "{}: {schema}", node_type.name);
        }
        for example in &node_type.examples {
            #[cfg(feature = "http")]
            crate::http::tape::put(example.http_tape.as_deref().unwrap_or("[]"));
            let shown = match P::run(&node_type.name, &call(), &example.config, &example.input) {
                Ok(Outcome::Done(emission)) => emission,
                other => panic!("{}: {}", node_type.name, show(other)),
            };
            assert_eq!(shown.port, example.port, "{}", node_type.name);
            let [got, expected] =
                [&shown.output, &example.output].map(|text| serde_json::from_str::<Value>(text).unwrap());
            assert_eq!(got, expected, "{}", node_type.name);
            #[cfg(feature = "http")]
            crate::http::tape::assert_played(&node_type.name);
        }
    }
}
