//! Measures what one call costs: a fresh store, about 1 KB of JSON in, an answer out.
//!
//! `cargo run --release -p stepwell-sandbox --example call_cost -- order.wasm [NODE_TYPE] [CALLS]`
//!
//! Takes the plugin's first example as the call. Prints the median of batches on one task, then
//! the throughput of several tasks at once.
#![allow(clippy::print_stdout, reason = "a measurement is for reading")]

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use stepwell_core::catalog::{Example, NodeType};
use stepwell_core::flow::Callee;
use stepwell_core::machine::{Call, Export, Op, TokenId};
use stepwell_runtime::Nodes as _;
use stepwell_runtime::nodes::About;
use stepwell_sandbox::{Limits, Sandbox};

const BATCH: u32 = 500;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let file = args.next().context("which .wasm?")?;
    let wanted = args.next();
    let calls: u32 = args.next().map_or(Ok(20_000), |calls| calls.parse())?;
    let sandbox = Arc::new(Sandbox::new(None, Limits::default())?);
    let info = sandbox.load(std::fs::read(file)?).await.map_err(|problems| anyhow!("{problems:#?}"))?;
    let is_wanted = |id: &str| wanted.as_ref().is_none_or(|wanted| id.ends_with(&format!("/{wanted}")));
    let node_type = info.node_types.iter().find(|one| is_wanted(&one.id)).context("no such node type")?;
    let example = node_type.examples.first().context("no example")?;
    let call = Arc::new(call(node_type, example));
    let about = About {
        instance: "01939f00-0000-7000-8000-000000000000".into(),
        flow: "bench".into(),
        version: 1,
        business_key: None,
        traceparent: None,
        records: None,
    };
    println!("{} with {} bytes of input", node_type.uses, example.input.to_string().len());
    let mut batches = Vec::new();
    for _ in 0..calls.div_ceil(BATCH) {
        let began = Instant::now();
        for _ in 0..BATCH {
            sandbox.call(&about, &call).await;
        }
        batches.push(began.elapsed() / BATCH);
    }
    batches.sort_unstable();
    println!("one task: median {:?}, best {:?} per call", batches[batches.len() / 2], batches[0]);
    for tasks in [2, 8] {
        let began = Instant::now();
        let work = (0..tasks).map(|_| {
            let (sandbox, about, call) = (Arc::clone(&sandbox), about.clone(), Arc::clone(&call));
            tokio::spawn(async move {
                for _ in 0..calls / tasks {
                    sandbox.call(&about, &call).await;
                }
            })
        });
        for task in work.collect::<Vec<_>>() {
            task.await?;
        }
        let per_second = f64::from(calls) / began.elapsed().as_secs_f64();
        println!("{tasks} tasks: {per_second:.0} calls/s");
    }
    Ok(())
}

/// The call an example makes.
fn call(node_type: &NodeType, example: &Example) -> Call {
    Call {
        token: TokenId::default(),
        node: "node".into(),
        visit: 1,
        attempt: 1,
        op: Op::Run,
        export: Export::Run,
        callee: Callee {
            uses: node_type.uses.as_str().into(),
            node_type: node_type.id.rsplit('/').next().unwrap_or_default().into(),
            digest: node_type.digest.as_str().into(),
            effect: node_type.effect,
            config: Arc::new(example.config.clone()),
            timeout_ms: 3000,
            undo: false,
            resume: false,
            query: false,
            cache: false,
        },
        key: "a".repeat(40),
        forward_key: None,
        input: Arc::new(example.input.clone()),
        output: None,
        memo: None,
        signal: None,
        priority: 0,
        visit_started_ms: 0,
    }
}
