//! Shows the runs: a table of medians and ratios for the terminal, every run for the file.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;

use super::load::Load;
use crate::paths;
use crate::steps::say;

#[derive(Serialize)]
pub(crate) struct Run {
    pub(crate) subject: &'static str,
    pub(crate) connections: usize,
    pub(crate) cpu_ms_per_request: f64,
    /// Sent to the disk, by the kernel's count.
    pub(crate) written_bytes_per_request: f64,
    /// What the database grew by, for the engine.
    pub(crate) kept_bytes_per_request: Option<f64>,
    pub(crate) rss_bytes_max: u64,
    /// From the start of the process to its first right answer, caches warm.
    pub(crate) started_ms: u64,
    #[serde(flatten)]
    pub(crate) load: Load,
}

pub(crate) fn show(runs: &[Run], seconds: u64, file: &Path) -> Result<()> {
    say(&format!("\norder-5, medians of runs of {seconds} s\n{}", table(runs)));
    let taken_at_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let summary = json!({
        "work": "order-5", "taken_at_s": taken_at_s, "commit": commit(), "cores": cores,
        "seconds": seconds, "runs": runs,
    });
    fs::write(file, format!("{summary:#}\n")).with_context(|| format!("cannot write {}", file.display()))?;
    say(&format!("every run is in {}", file.display()));
    Ok(())
}

fn table(runs: &[Run]) -> String {
    let mut text = format!(
        "{:<10}{:>6}{:>10}{:>9}{:>9}{:>8}{:>10}{:>8}{:>12}{:>10}{:>10}\n",
        "subject",
        "conns",
        "req/s",
        "p50 ms",
        "p99 ms",
        "errors",
        "CPU ms",
        "RSS MB",
        "written B",
        "kept B",
        "start ms"
    );
    let connections: BTreeSet<usize> = runs.iter().map(|run| run.connections).collect();
    for &connections in &connections {
        for subject in subjects(runs) {
            let of: Vec<&Run> =
                runs.iter().filter(|run| run.subject == subject && run.connections == connections).collect();
            let middle = |value: fn(&Run) -> f64| median(of.iter().map(|run| value(run)).collect());
            let kept = of.iter().filter_map(|run| run.kept_bytes_per_request).collect::<Vec<f64>>();
            let kept = if kept.is_empty() { "-".to_owned() } else { format!("{:.0}", median(kept)) };
            let errors: u64 = of.iter().map(|run| run.load.errors).sum();
            let _ = writeln!(
                text,
                "{subject:<10}{connections:>6}{:>10.0}{:>9.2}{:>9.2}{errors:>8}{:>10.3}{:>8.0}{:>12.0}{kept:>10}{:>10.0}",
                middle(|run| run.load.per_second),
                middle(|run| run.load.p50_ms),
                middle(|run| run.load.p99_ms),
                middle(|run| run.cpu_ms_per_request),
                middle(|run| precise(run.rss_bytes_max) / 1e6),
                middle(|run| run.written_bytes_per_request),
                middle(|run| precise(run.started_ms)),
            );
        }
        text.push_str(&ratios(runs, connections));
    }
    text
}

/// The engine's throughput beside each peer's, at one number of connections.
fn ratios(runs: &[Run], connections: usize) -> String {
    let throughput = |subject: &str| {
        let of = runs.iter().filter(|run| run.subject == subject && run.connections == connections);
        median(of.map(|run| run.load.per_second).collect())
    };
    let mut text = String::new();
    for peer in subjects(runs).into_iter().filter(|subject| *subject != "stepwell") {
        let _ = writeln!(text, "  at {connections}: {:.2} x {peer}", throughput("stepwell") / throughput(peer));
    }
    text
}

/// In the order they were run.
fn subjects(runs: &[Run]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for run in runs {
        if !found.contains(&run.subject) {
            found.push(run.subject);
        }
    }
    found
}

/// The middle one, or the mean of the middle two; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with three figures")]
fn precise(value: u64) -> f64 {
    value as f64
}

fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(paths::root()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[test]
fn medians_are_in_the_middle() {
    for (values, expected) in
        [(vec![], 0.0), (vec![3.0], 3.0), (vec![9.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0, 2.0, 9.0], 3.0)]
    {
        assert!((median(values.clone()) - expected).abs() < 1e-9, "{values:?}");
    }
}
