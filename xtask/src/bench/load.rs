//! The load: wrk with `tests/bench/order.lua`, one thread, closed loop.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::material;
use crate::process;
use crate::steps::SpawnInGroup as _;

pub(crate) const BODIES: [(&str, u64); 2] =
    [("bodies/order-physical.json", 35_484), ("bodies/order-virtual.json", 33_984)];

/// What wrk saw, as `order.lua` writes it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Answers of 400 and above, and requests without an answer.
    pub(crate) errors: u64,
}

pub(crate) struct Target<'a> {
    pub(crate) url: &'a str,
    /// The body goes inside `{"input": …}`.
    pub(crate) wrap: bool,
    pub(crate) token: Option<&'a str>,
    /// Begins every order's id.
    pub(crate) prefix: &'a str,
}

/// Loads `target`; calls `look` again and again meanwhile.
pub(crate) fn run(
    target: &Target<'_>,
    connections: usize,
    seconds: u64,
    folder: &Path,
    mut look: impl FnMut(),
) -> Result<Load> {
    let out = folder.join("load.json");
    let log = fs::File::create(folder.join("wrk.log"))?;
    let bodies: Vec<String> = BODIES.iter().map(|(file, _)| material(file).display().to_string()).collect();
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--timeout", "30s", "-s"]);
    command.arg(material("order.lua")).arg(target.url);
    command.env("BENCH_BODIES", bodies.join(":")).env("BENCH_RUN", target.prefix).env("BENCH_OUT", &out);
    if target.wrap {
        command.env("BENCH_WRAP", "yes");
    }
    if let Some(token) = target.token {
        command.env("BENCH_TOKEN", token);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut child = command.spawn_in_group().context("cannot start wrk")?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if process::interrupted() {
            process::kill_group(&mut child);
            bail!("interrupted");
        }
        look();
        // Looking often would take time from what is measured.
        std::thread::sleep(std::time::Duration::from_millis(200));
    };
    if !status.success() {
        bail!("wrk: {status}\n{}", process::tail(&folder.join("wrk.log"), 20));
    }
    let text = fs::read_to_string(&out).context("wrk left no result")?;
    serde_json::from_str(&text).with_context(|| format!("wrk's result: {text}"))
}
