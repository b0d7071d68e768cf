//! Asks a plugin about a configuration, while a flow is checked. The store is inert: nothing it could call acts.

use std::time::{Duration, Instant};

use serde_json::Value;
use stepwell_core::problem::Problem;

use crate::call::{self, Stopped};
use crate::contract::{CheckParams, CheckResult};
use crate::host::CallState;
use crate::limits::Limits;
use crate::load::Plugin;
use crate::said::{MESSAGE_BYTES_MAX, clip};

const PROBLEMS_MAX: usize = 100;
const CODE_BYTES_MAX: usize = 64;

/// Pointers are into `config`. A check that does not answer is a warning: it must not keep a flow
/// from being published for a fault of the plugin's.
pub(crate) async fn run(plugin: &Plugin, limits: &Limits, node_type: &str, config: &Value) -> Vec<Problem> {
    let prepared = &plugin.first;
    let mut store = call::new_store(prepared, CallState::inert(limits.memory_bytes_max), limits.output_bytes_max);
    let config = config.to_string();
    let work = async {
        let instance = prepared.pre.instantiate_async(&mut store).await?;
        let params: CheckParams<'_> = (node_type, &config);
        call::invoke(&mut store, &instance, prepared.exports.check.as_ref(), params).await
    };
    let deadline = Instant::now() + Duration::from_millis(limits.describe_ms_max);
    let not_made = |why: String| {
        let name = &plugin.described.name;
        vec![Problem::warning("CONFIG_NOT_CHECKED", "", format!("`{name}` did not check this configuration: {why}"))]
    };
    match tokio::time::timeout_at(deadline.into(), work).await {
        Err(_) => not_made(format!("no answer within {} ms", limits.describe_ms_max)),
        Ok(Err(error)) => match call::stopped(&error, &store.data().ledger, limits) {
            Stopped::Cut(cut) => not_made(cut.message),
            Stopped::PoolExhausted => not_made("no free instance".to_owned()),
        },
        Ok(Ok((problems,))) => {
            let problems: CheckResult = (problems,);
            problems.0.into_iter().take(PROBLEMS_MAX).map(read).collect()
        }
    }
}

fn read(problem: crate::contract::Problem) -> Problem {
    let at = problem.line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let message = clip(format!("{at}{}", problem.message), MESSAGE_BYTES_MAX);
    Problem::error(&clip(problem.code, CODE_BYTES_MAX), problem.pointer, message)
}
