//! Makes sandboxes, calls nodes, and shows answers as one line.

use std::sync::Arc;

use serde_json::Value;
use stepwell_core::flow::Callee;
use stepwell_core::machine::{Call, Cut, Failure, Op, Outcome, Rejection};
use stepwell_core::problem::Problem;
use stepwell_runtime::Nodes as _;
use stepwell_runtime::nodes::{About, Answer};
use stepwell_sandbox::{Limits, PluginInfo, Sandbox};

pub(crate) fn guest(name: &str) -> Vec<u8> {
    stepwell_tests::guest(env!("CARGO_TARGET_TMPDIR"), name)
}

pub(crate) fn sandbox() -> Arc<Sandbox> {
    Arc::new(Sandbox::new(None, limits()).unwrap())
}

pub(crate) fn limits() -> Limits {
    Limits { pooled_max: 16, ..Limits::default() }
}

/// A loaded guest with one node type.
pub(crate) struct Rig {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) plugin: PluginInfo,
    pub(crate) timeout_ms: u64,
}

impl Rig {
    pub(crate) async fn new(name: &str) -> Self {
        let sandbox = sandbox();
        let plugin = sandbox.load(guest(name)).await.unwrap();
        Self { sandbox, plugin, timeout_ms: 3000 }
    }

    pub(crate) fn call(&self, op: Op, config: Value, input: Value) -> Call {
        let node_type = &self.plugin.node_types[0];
        Call {
            token: 1,
            node: "node".into(),
            visit: 1,
            attempt: 2,
            op,
            export: op.export(),
            callee: Callee {
                uses: node_type.uses.as_str().into(),
                node_type: node_type.id.split_once('/').unwrap().1.into(),
                digest: node_type.digest.as_str().into(),
                effect: node_type.effect,
                config: Arc::new(config),
                timeout_ms: self.timeout_ms,
                undo: node_type.undo,
                resume: node_type.resume,
                query: node_type.query,
                cache: false,
            },
            key: "key-1".into(),
            forward_key: (op == Op::Undo).then(|| "forward-1".into()),
            input: Arc::new(input),
            output: None,
            memo: None,
            signal: None,
            priority: 0,
            visit_started_ms: 1_700_000_000_000,
        }
    }

    pub(crate) async fn answer(&self, call: &Call) -> Answer {
        self.answer_for("flow", call).await
    }

    /// As a call of another flow.
    pub(crate) async fn answer_for(&self, flow: &str, call: &Call) -> Answer {
        self.sandbox.call(&about(flow), call).await
    }

    pub(crate) async fn run(&self, config: Value, input: Value) -> String {
        shown(&self.answer(&self.call(Op::Run, config, input)).await.outcome)
    }
}

/// The instance of a flow that calls.
pub(crate) fn about(flow: &str) -> About {
    About {
        instance: "01939f00-0000-7000-8000-000000000000".into(),
        flow: flow.into(),
        version: 1,
        business_key: Some("order-1".into()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        records: None,
    }
}

/// `done out {…}`, `cut trap: …`, `permanent NOT_GRANTED: …`.
pub(crate) fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { port, output } => format!("done {port} {output}"),
        Outcome::Waiting { message, key, .. } => format!("waits for {message} {key}"),
        Outcome::NeverRan => "never ran".into(),
        Outcome::Cut(Cut { reason, message }) => format!("cut {}: {message}", format!("{reason:?}").to_lowercase()),
        Outcome::Failed(Failure::Rejected(Rejection { code, message, .. })) => format!("rejected {code}: {message}"),
        Outcome::Failed(Failure::Transient { message, .. }) => format!("transient: {message}"),
        Outcome::Failed(Failure::Unknown { message }) => format!("unknown: {message}"),
        Outcome::Failed(Failure::Permanent { message, code }) => {
            format!("permanent {}: {message}", code.as_deref().unwrap_or("-"))
        }
    }
}

/// `CODE /pointer: message`, one line each.
pub(crate) fn told(problems: &[Problem]) -> String {
    let line = |problem: &Problem| format!("{} {}: {}", problem.code, problem.pointer, problem.message);
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}
