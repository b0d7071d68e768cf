//! Runs a plugin's examples in the real sandbox before it goes live. External ones play against
//! their tape; nothing they do leaves the process.

use std::time::{Duration, Instant};

use jsonschema::Validator;
use serde_json::Value;
use stepwell_core::catalog::{EffectClass, Example};
use stepwell_core::machine::{Cut, Failure, Outcome, Rejection};
use stepwell_core::problem::Problem;
use stepwell_runtime::nodes::Answer;

use crate::call::{Attempt, CallContext, NodeCall, Operation, Prepared, Stopped};
use crate::host::Ways;
use crate::http::Outgoing;
use crate::http::tape::Tape;
use crate::limits::Limits;
use crate::load::Rehearsed;
use crate::manifest::{Described, DescribedType, Proof};
use crate::problems;
use crate::records::Way;

/// The default deadline of a node: an example that needs longer would be cut in a flow, too.
pub(crate) const TIMEOUT_MS: u64 = 3_000;

pub(crate) struct Rehearsal<'a> {
    pub(crate) prepared: &'a Prepared,
    pub(crate) described: &'a Described,
    pub(crate) class: EffectClass,
    pub(crate) limits: &'a Limits,
}

impl Rehearsal<'_> {
    /// How long each took, or every example that does not do what it says.
    pub(crate) async fn run(&self) -> Result<Vec<Rehearsed>, Vec<Problem>> {
        let (mut rehearsed, mut problems) = (Vec::new(), Vec::new());
        let limit = Duration::from_millis(self.limits.examples_ms_max);
        let begun = Instant::now();
        for (at, node_type) in self.described.node_types.iter().enumerate() {
            let Some(proof) = &node_type.proof else { continue };
            for (nth, (example, tape)) in node_type.entry.examples.iter().zip(&proof.tapes).enumerate() {
                if begun.elapsed() > limit {
                    let message = format!("the examples before it took more than {} s in all", limit.as_secs());
                    problems.push(problems::example(format!("/node-types/{at}/examples/{nth}"), message));
                    return Err(problems);
                }
                match self.example(node_type, proof, example, tape.as_deref()).await {
                    Ok(took_us) => {
                        let node_type = node_type.name.clone();
                        rehearsed.push(Rehearsed { node_type, example: nth, took_us });
                    }
                    Err(message) => {
                        problems.push(problems::example(format!("/node-types/{at}/examples/{nth}"), message));
                    }
                }
            }
        }
        if problems.is_empty() { Ok(rehearsed) } else { Err(problems) }
    }

    async fn example(
        &self,
        node_type: &DescribedType,
        proof: &Proof,
        example: &Example,
        tape: Option<&str>,
    ) -> Result<u64, String> {
        let fits = |what: &str, validator: &Validator, value: &Value| match validator.validate(value) {
            Ok(()) => Ok(()),
            Err(error) => Err(format!("its {what} does not match the schema: {} {error}", error.instance_path())),
        };
        fits("config", &proof.config, &example.config)?;
        fits("input", &proof.input, &example.input)?;
        let port = node_type.entry.ports.iter().position(|port| port.name == example.port);
        let port = port.ok_or_else(|| format!("there is no port `{}`", example.port))?;
        fits("output", &proof.outputs[port], &example.output)?;
        let (answer, requests_left) = self.play(node_type, example, tape).await?;
        let Outcome::Done { port, output } = &answer.outcome else { return Err(unexpected(&answer.outcome)) };
        if **port != *example.port {
            return Err(format!("leaves by `{port}`, expected `{}`", example.port));
        }
        if !same(output, &example.output) {
            return Err(format!("answers {output}, expected {}", example.output));
        }
        if requests_left > 0 {
            return Err(format!("leaves {requests_left} requests of its tape unsent"));
        }
        Ok(answer.duration_us)
    }

    async fn play(
        &self,
        node_type: &DescribedType,
        example: &Example,
        tape: Option<&str>,
    ) -> Result<(Answer, usize), String> {
        let call = NodeCall {
            node_type: &node_type.name,
            operation: Operation::Run { input: example.input.to_string() },
            context: context(),
            config: example.config.to_string(),
            visit_started_ms: 0,
            timeout_ms: TIMEOUT_MS,
        };
        let stage = Stage { prepared: self.prepared, class: self.class };
        stage.play(self.limits, &call, tape).await
    }
}

/// The visit that examples and cases are told of; see `example` in `wit/types.wit`.
pub(crate) fn context() -> CallContext {
    CallContext {
        instance: "00000000-0000-7000-8000-000000000000".into(),
        flow: "example".into(),
        version: 1,
        node: "example".into(),
        visit: 1,
        attempt: 1,
        key: "example".into(),
        business_key: Some("example".into()),
        ..CallContext::default()
    }
}

/// Where a plugin is played without the world.
pub(crate) struct Stage<'a> {
    pub(crate) prepared: &'a Prepared,
    pub(crate) class: EffectClass,
}

impl Stage<'_> {
    /// The answer, and how many requests of the tape were not sent.
    pub(crate) async fn play(
        &self,
        limits: &Limits,
        call: &NodeCall<'_>,
        tape: Option<&str>,
    ) -> Result<(Answer, usize), String> {
        let deadline = Instant::now() + Duration::from_millis(call.timeout_ms);
        let outgoing = if self.class == EffectClass::External {
            let tape = tape.map(Tape::read).transpose().map_err(|error| format!("its tape cannot be read: {error}"))?;
            Outgoing::tape(tape.unwrap_or_default(), &call.context, deadline, limits)
        } else {
            Outgoing::default()
        };
        let ways = Ways { outgoing: outgoing.clone(), records: Way::Played };
        let attempt = Attempt { call, class: self.class, limits, ways, deadline, reuse: None };
        match attempt.on(self.prepared).await {
            Ok(answer) => Ok((answer, outgoing.tape_left())),
            Err(Stopped::Cut(cut)) => Err(cut.message),
            Err(Stopped::PoolExhausted) => Err("no free instance to run it in".into()),
        }
    }
}

fn unexpected(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Cut(Cut { reason, message }) => format!("was cut ({reason:?}): {message}"),
        Outcome::Failed(Failure::Rejected(Rejection { code, message, .. })) => {
            format!("is rejected: {code}: {message}")
        }
        Outcome::Failed(Failure::Transient { message, .. }) => format!("fails as transient: {message}"),
        Outcome::Failed(Failure::Permanent { message, .. }) => format!("fails as permanent: {message}"),
        Outcome::Failed(Failure::Unknown { message }) => format!("fails as unknown: {message}"),
        Outcome::Waiting { message, .. } => format!("waits for `{message}`; an example must end with an output"),
        Outcome::Done { .. } | Outcome::NeverRan => "does not end with an output".into(),
    }
}

/// Equal as JSON: 1 and 1.0 are the same number.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || ((left.is_f64() || right.is_f64()) && left.as_f64() == right.as_f64())
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}
