//! Measures what a plugin costs in this process: its way in, calls of three sizes in a fresh and in a reused instance,
//! a second core, and memory. Used by `cargo xtask bench calls`, which makes the plugins.
//!
//! `call_cost measure PLUGIN.wasm CACHE SECONDS` and, in a process of its own, `call_cost idle CACHE FILE…`; each prints
//! one line of JSON.
//!
//! The plugin takes `{"name": TEXT}` and answers at once, unless the text is `spin`: then never.
#![allow(clippy::print_stdout, reason = "a measurement is for reading")]
#![allow(clippy::cast_precision_loss, reason = "counts and bytes of one run are far below 2^52")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use stepwell_core::catalog::NodeType;
use stepwell_core::flow::Callee;
use stepwell_core::machine::{Call, Export, Op, Outcome, TokenId};
use stepwell_runtime::Nodes as _;
use stepwell_runtime::nodes::About;
use stepwell_sandbox::{Limits, Sandbox};

/// Bytes of a call's input, as JSON text.
const SIZES: [usize; 3] = [200, 1_024, 65_536];
const WARM: u32 = 100;
/// A reused instance serves so many calls, the most that can be granted.
const REUSE: u32 = 10_000;
/// Calls that are under way at once when their memory is read.
const LIVE: u32 = 16;
const LIVE_FOR_MS: u64 = 6_000;

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mode = args.next().context("measure or idle?")?;
    let found = match mode.as_str() {
        "measure" => {
            let file = args.next().context("which .wasm?")?;
            let cache = args.next().context("which folder for machine code?")?;
            let seconds = args.next().context("how many seconds?")?.parse()?;
            measure(fs::read(file)?, cache.into(), Duration::from_secs_f64(seconds)).await?
        }
        "idle" => idle(args.next().context("which folder for machine code?")?.into(), args.collect()).await?,
        other => return Err(anyhow!("no such mode: {other}")),
    };
    println!("{found}");
    Ok(())
}

async fn measure(wasm: Vec<u8>, cache: PathBuf, seconds: Duration) -> Result<Value> {
    let sandbox = Arc::new(Sandbox::new(Some(cache), Limits::default())?);
    let began = Instant::now();
    let info = sandbox.load(wasm).await.map_err(|problems| anyhow!("{problems:#?}"))?;
    let loaded = began.elapsed();
    let node_type = info.node_types.first().context("no node type")?;
    let mut found = json!({ "load_ms": loaded.as_secs_f64() * 1e3 });
    for kind in ["fresh", "reused"] {
        if kind == "reused" {
            let grants = json!({ "grants": [{ "plugin": info.name, "reuse": REUSE }] });
            sandbox.set_grants(&serde_json::from_value(grants)?).map_err(|problems| anyhow!("{problems:?}"))?;
        }
        for bytes in SIZES {
            let text = "x".repeat(bytes - json!({ "name": "" }).to_string().len());
            let call = Arc::new(call(node_type, &text, 3_000));
            found[kind][bytes.to_string()] = spread(&sandbox, &call, seconds).await?;
        }
        let call = Arc::new(call(node_type, &"x".repeat(1_013), 3_000));
        for tasks in [1, 2] {
            found[kind][format!("per_second_{tasks}")] = json!(per_second(&sandbox, &call, tasks, seconds).await?);
        }
    }
    let call = Arc::new(call(node_type, "spin", LIVE_FOR_MS));
    found["live_bytes"] = json!(live_bytes(&sandbox, &call).await?);
    Ok(found)
}

/// Median and 99th percentile of calls that follow each other, in microseconds.
async fn spread(sandbox: &Sandbox, call: &Arc<Call>, seconds: Duration) -> Result<Value> {
    for _ in 0..WARM {
        made(sandbox, call).await?;
    }
    let (began, mut all) = (Instant::now(), Vec::new());
    while began.elapsed() < seconds {
        let began = Instant::now();
        made(sandbox, call).await?;
        all.push(began.elapsed());
    }
    all.sort_unstable();
    let at = |percent: usize| all[(all.len() * percent / 100).min(all.len() - 1)].as_secs_f64() * 1e6;
    Ok(json!({ "calls": all.len(), "p50_us": at(50), "p99_us": at(99) }))
}

async fn per_second(sandbox: &Arc<Sandbox>, call: &Arc<Call>, tasks: u32, seconds: Duration) -> Result<f64> {
    let began = Instant::now();
    let work: Vec<_> = (0..tasks)
        .map(|_| {
            let (sandbox, call) = (Arc::clone(sandbox), Arc::clone(call));
            tokio::spawn(async move {
                let mut calls = 0_u64;
                while began.elapsed() < seconds {
                    made(&sandbox, &call).await?;
                    calls += 1;
                }
                anyhow::Ok(calls)
            })
        })
        .collect();
    let mut calls = 0;
    for task in work {
        calls += task.await??;
    }
    Ok(calls as f64 / began.elapsed().as_secs_f64())
}

/// What a call holds that is under way: the growth of this process under some that never answer.
async fn live_bytes(sandbox: &Arc<Sandbox>, call: &Arc<Call>) -> Result<f64> {
    let before = resident()?;
    let work: Vec<_> = (0..LIVE)
        .map(|_| {
            let (sandbox, call) = (Arc::clone(sandbox), Arc::clone(call));
            tokio::spawn(async move { sandbox.call(&about(), &call).await })
        })
        .collect();
    let mut most = before;
    while !work.iter().all(tokio::task::JoinHandle::is_finished) {
        most = most.max(resident()?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for task in work {
        ensure!(matches!(task.await?.outcome, Outcome::Cut(_)), "a call that spins came back");
    }
    Ok((most - before) as f64 / f64::from(LIVE))
}

/// What plugins hold of which nothing is called: the growth of a fresh process under all but the first of them.
async fn idle(cache: PathBuf, files: Vec<String>) -> Result<Value> {
    let sandbox = Sandbox::new(Some(cache), Limits::default())?;
    let (mut began, mut before) = (Instant::now(), 0);
    for (at, file) in files.iter().enumerate() {
        if at == 1 {
            (began, before) = (Instant::now(), resident()?);
        }
        // The store keeps the bytes, not the engine.
        sandbox.restore(fs::read(file)?).await.map_err(|problems| anyhow!("{problems:#?}"))?;
    }
    let others = files.len().saturating_sub(1).max(1) as f64;
    Ok(json!({
        "idle_bytes": (resident()? - before) as f64 / others,
        "restore_ms": began.elapsed().as_secs_f64() * 1e3 / others,
    }))
}

fn resident() -> Result<i64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<i64>()? * 1024)
}

async fn made(sandbox: &Sandbox, call: &Arc<Call>) -> Result<()> {
    let answer = sandbox.call(&about(), call).await;
    ensure!(matches!(answer.outcome, Outcome::Done { .. }), "{:?}", answer.outcome);
    Ok(())
}

fn about() -> About {
    About {
        instance: "01939f00-0000-7000-8000-000000000000".into(),
        flow: "bench".into(),
        version: 1,
        business_key: None,
        traceparent: None,
        records: None,
    }
}

fn call(node_type: &NodeType, name: &str, timeout_ms: u64) -> Call {
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
            config: Arc::new(json!({})),
            timeout_ms,
            undo: false,
            resume: false,
            query: false,
            cache: false,
        },
        key: "a".repeat(40),
        forward_key: None,
        input: Arc::new(json!({ "name": name })),
        output: None,
        memo: None,
        signal: None,
        priority: 0,
        visit_started_ms: 0,
    }
}
