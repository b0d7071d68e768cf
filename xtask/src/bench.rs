//! `cargo xtask bench order-5`: the engine under load on this machine, and its peers in the same run. What instances
//! cost that stand, and the way back, are in [`standing`].
//!
//! Every subject does the same work for the same closed loop of wrk, one after the other, in turns, so that a noisy
//! machine is noisy for all. Medians are shown; every single run is in `target/bench/order-5.json`.
//!
//! The engine runs as a release would: optimised, fresh data on this disk, full durability, a fresh sandbox per call.
//!
//! Not here: judgement. The figures go to `docs/benchmarks.md` by hand, with how they were taken.

mod calls;
mod load;
mod peers;
mod report;
mod standing;
mod subject;
mod usage;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::artifacts::{self, Profile};
use crate::steps::Steps;
use crate::{needs, paths};
use report::Run;
use subject::{Kind, Subject};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    work: Work,
}

#[derive(clap::Subcommand)]
enum Work {
    /// One HTTP order in, one answer out, five steps between
    #[command(name = "order-5")]
    Order5(Order5),
    /// What a plugin costs, by language, and a start with very many of them
    Calls(calls::Calls),
    /// Many instances that wait for a timer: memory, restart, how late they are woken
    Parked(standing::Parked),
    /// Instances with a long history: how long the way back is
    Recovery(standing::Recovery),
}

#[derive(clap::Args)]
struct Order5 {
    /// Length of one measured run
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Load before each measured run, not counted
    #[arg(long, default_value_t = 3)]
    warmup: u64,
    /// Runs of each kind; the median is shown
    #[arg(long, default_value_t = 2)]
    repeats: usize,
    /// Connections of the closed loop
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    connections: Vec<usize>,
    /// Beside it: Node-RED, and the same work in a plain Node.js function
    #[arg(long)]
    vs_node: bool,
    /// Beside it: Restate with a service in Node.js
    #[arg(long)]
    vs_restate: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let mut steps = Steps::new("bench")?;
    let order = match &args.work {
        Work::Order5(order) => order,
        Work::Calls(calls) => {
            calls::main(calls, &mut steps)?;
            return steps.finish();
        }
        Work::Parked(parked) => {
            standing::parked(parked, &mut steps)?;
            return steps.finish();
        }
        Work::Recovery(recovery) => {
            standing::recovery(recovery, &mut steps)?;
            return steps.finish();
        }
    };
    needs::wrk(&mut steps)?;
    artifacts::all(&mut steps, Profile::Release)?;
    let folder = paths::root().join("target/bench");
    fs::create_dir_all(&folder)?;
    let mut kinds = vec![Kind::Stepwell];
    if order.vs_node {
        kinds.extend([Kind::NodeRed, Kind::Node]);
    }
    if order.vs_restate {
        kinds.push(Kind::Restate);
    }
    if kinds.len() > 1 {
        peers::install(&mut steps, &folder)?;
    }
    let prepared = steps.call("prepare", || subject::prepare(&folder))?;
    let mut runs = Vec::new();
    for repeat in 1..=order.repeats {
        for &connections in &order.connections {
            for &kind in &kinds {
                let name = format!("{} at {connections}, {repeat} of {}", kind.name(), order.repeats);
                runs.push(steps.call(&name, || measure(kind, connections, order, &folder, &prepared))?);
            }
        }
    }
    report::show(&runs, order.seconds, &folder.join("order-5.json"))?;
    steps.finish()
}

/// One subject, started fresh, warmed up, loaded, stopped.
fn measure(kind: Kind, connections: usize, order: &Order5, folder: &Path, prepared: &subject::Prepared) -> Result<Run> {
    let subject = Subject::start(kind, folder, prepared)?;
    let mut warm_requests = 0;
    if order.warmup > 0 {
        warm_requests = subject.load("w", connections, order.warmup, folder, || {})?.requests;
    }
    let pids = subject.pids();
    let before = usage::read(&pids)?;
    let mut rss_bytes_max = 0;
    let load = subject.load("m", connections, order.seconds, folder, || {
        rss_bytes_max = rss_bytes_max.max(usage::rss_bytes(&pids));
    })?;
    let after = usage::read(&pids)?;
    subject.check_settled()?;
    let started_ms = subject.started_ms;
    let database_bytes = subject.stop_and_weigh(prepared)?;
    let requests = load.requests.max(1);
    #[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
    let per_request = |amount: u64| amount as f64 / requests as f64;
    #[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
    let kept = database_bytes.map(|bytes| bytes as f64 / (requests + warm_requests) as f64);
    if kind == Kind::Stepwell && kept.is_some_and(|bytes| bytes > KEPT_BYTES_MAX) {
        anyhow::bail!("{kept:?} bytes are kept of an order, at most {KEPT_BYTES_MAX} may be");
    }
    Ok(Run {
        subject: kind.name(),
        connections,
        cpu_ms_per_request: per_request(after.cpu_ms - before.cpu_ms),
        written_bytes_per_request: per_request(after.written_bytes - before.written_bytes),
        kept_bytes_per_request: kept,
        rss_bytes_max,
        started_ms,
        load,
    })
}

/// What the database may keep of one finished order.
const KEPT_BYTES_MAX: f64 = 2_500.0;

/// Where the load's own files are.
fn material(name: &str) -> PathBuf {
    paths::root().join("tests/bench").join(name)
}
