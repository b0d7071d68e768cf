//! One call of a plugin on its author's bench: the real sandbox, with a tape in place of the world.
//!
//! Not here: where cases come from and how a difference is shown (`server::cli`).

use serde_json::Value;
use stepwell_core::machine::Outcome;
use stepwell_runtime::nodes::LogLine;

use crate::call::{NodeCall, Operation};
use crate::contract::SignalKind;
use crate::examples::{self, Stage, TIMEOUT_MS};
use crate::limits::Limits;
use crate::load::Plugin;
use crate::manifest::{DescribedType, Proof};

/// What is called, with what.
#[derive(Debug, Clone)]
pub struct Case {
    pub title: String,
    /// Without the package.
    pub node_type: String,
    pub export: Export,
    pub config: Value,
    /// Of `run`, `undo` and `query`.
    pub input: Value,
    /// JSON text; see `example.http-tape` in `wit/types.wit`.
    pub tape: Option<String>,
}

/// Which export, and what only it is given.
#[derive(Debug, Clone)]
pub enum Export {
    Run,
    /// `output` of the forward call, if it is known.
    Undo {
        output: Option<Value>,
    },
    /// `payload` where a message came.
    Resume {
        memo: Value,
        signal: stepwell_core::machine::Signal,
    },
    Query,
}

/// What an example says.
#[derive(Debug, Clone)]
pub struct Expected {
    pub port: String,
    pub output: Value,
}

/// What came of a call.
#[derive(Debug)]
pub struct Played {
    pub outcome: Outcome,
    /// Where the output does not match the schema of its port.
    pub mismatch: Option<String>,
    /// Requests of the tape that were not sent.
    pub requests_left: usize,
    pub logs: Vec<LogLine>,
    pub duration_us: u64,
}

/// The examples as cases; none of a plugin whose proof was dropped.
pub(crate) fn examples(plugin: &Plugin) -> Vec<(Case, Expected)> {
    let of_type = |node_type: &DescribedType| -> Vec<(Case, Expected)> {
        let Some(proof) = &node_type.proof else { return Vec::new() };
        let examples = node_type.entry.examples.iter().zip(&proof.tapes);
        examples
            .map(|(example, tape)| {
                let case = Case {
                    title: example.title.clone(),
                    node_type: node_type.name.clone(),
                    export: Export::Run,
                    config: example.config.clone(),
                    input: example.input.clone(),
                    tape: tape.clone(),
                };
                (case, Expected { port: example.port.clone(), output: example.output.clone() })
            })
            .collect()
    };
    plugin.described.node_types.iter().flat_map(of_type).collect()
}

/// Makes the call. `Err`: a flow could not make it.
pub(crate) async fn play(plugin: &Plugin, limits: &Limits, case: &Case) -> Result<Played, String> {
    let found = plugin.described.node_types.iter().find(|one| one.name == case.node_type);
    let node_type = found.ok_or_else(|| format!("there is no node type `{}`", case.node_type))?;
    let proof = node_type.proof.as_ref();
    if let Some(proof) = proof {
        fits(proof, case)?;
    }
    let mut context = examples::context();
    let input = || case.input.to_string();
    let operation = match &case.export {
        Export::Run => Operation::Run { input: input() },
        Export::Query => Operation::Query { input: input() },
        Export::Undo { output } => {
            context.forward_key = Some(std::mem::replace(&mut context.key, "example-undo".to_owned()));
            Operation::Undo { input: input(), output: output.as_ref().map(Value::to_string) }
        }
        Export::Resume { memo, signal } => {
            use stepwell_core::machine::Signal;
            let (signal, payload) = match signal {
                Signal::Message { payload } => (SignalKind::Message, payload.to_string()),
                Signal::Timeout => (SignalKind::Timeout, "null".to_owned()),
                Signal::Cancelled => (SignalKind::Cancelled, "null".to_owned()),
            };
            Operation::Resume { memo: memo.to_string(), signal, payload }
        }
    };
    let call = NodeCall {
        node_type: &node_type.name,
        operation,
        context,
        config: case.config.to_string(),
        visit_started_ms: 0,
        timeout_ms: TIMEOUT_MS,
    };
    let stage = Stage { prepared: &plugin.first, class: plugin.class };
    let (answer, requests_left) = stage.play(limits, &call, case.tape.as_deref()).await?;
    let mismatch = match &answer.outcome {
        Outcome::Done { port, output } if !matches!(case.export, Export::Undo { .. }) => {
            proof.and_then(|proof| left_wrongly(node_type, proof, port, output))
        }
        _ => None,
    };
    let (outcome, logs, duration_us) = (answer.outcome, answer.logs, answer.duration_us);
    Ok(Played { outcome, mismatch, requests_left, logs, duration_us })
}

/// The engine checks both before it calls.
fn fits(proof: &Proof, case: &Case) -> Result<(), String> {
    let input = (!matches!(case.export, Export::Resume { .. })).then_some(("input", &proof.input, &case.input));
    for (what, validator, value) in [Some(("config", &proof.config, &case.config)), input].into_iter().flatten() {
        if let Err(error) = validator.validate(value) {
            return Err(format!("its {what} does not match the schema: {} {error}", error.instance_path()));
        }
    }
    Ok(())
}

fn left_wrongly(node_type: &DescribedType, proof: &Proof, port: &str, output: &Value) -> Option<String> {
    let Some(at) = node_type.entry.ports.iter().position(|one| one.name == port) else {
        return Some(format!("leaves by `{port}`, which it does not list"));
    };
    let error = proof.outputs.get(at)?.validate(output).err()?;
    Some(format!("the output does not match the schema of port `{port}`: {} {error}", error.instance_path()))
}
