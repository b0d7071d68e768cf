//! `cargo xtask bench parked` and `recovery`: what instances that stand cost, and how long the way back is.
//!
//! Not here: orders that run through (`order-5`, beside this).

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::usage;
use crate::artifacts::{self, Profile};
use crate::launch::{self, Engine};
use crate::process::{self, Daemon};
use crate::steps::{self, Steps};
use crate::{http, paths};

/// Callers at once.
const CALLERS: u64 = 8;
const LOOKS_EVERY: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_mins(20);
/// The longest history whose rounds the product takes.
const EVENTS_OF_THE_PRODUCT: u64 = 25_000;
/// A timer later than this is a defect, whatever the machine.
const LAG_MS_MAX: u64 = 10_000;

#[derive(clap::Args)]
pub(crate) struct Parked {
    #[arg(long, default_value_t = 100_000)]
    instances: u64,
    /// Their timers are due within so many seconds of each other
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Measure what is built already
    #[arg(long)]
    as_built: bool,
}

#[derive(clap::Args)]
pub(crate) struct Recovery {
    /// Events of an instance before it is taken up again
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1_000, 100_000])]
    events: Vec<u64>,
    /// Instances of each length
    #[arg(long, default_value_t = 5)]
    instances: u64,
    /// Measure what is built already
    #[arg(long)]
    as_built: bool,
}

/// An engine of its own, on a folder of its own.
pub(super) struct Subject<'a> {
    data: &'a Path,
    token: String,
    address: SocketAddr,
    daemon: Daemon,
}

impl<'a> Subject<'a> {
    pub(super) fn start(data: &'a Path, token: &str) -> Result<(Self, Duration)> {
        let address = process::loopback(0)?;
        let log = paths::logs().join("bench-standing.log");
        let begun = Instant::now();
        let daemon = Engine { profile: Profile::Release, data, address, token, shop: None, log: &log }.start()?;
        Ok((Self { data, token: token.to_owned(), address, daemon }, begun.elapsed()))
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = http::request(self.address, method, path, Some(&self.token), &body)?;
        ensure!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.body);
        answer.json()
    }

    fn publish(&self, document: &Value) -> Result<()> {
        let key = document["key"].as_str().unwrap_or_default();
        self.ask("POST", &format!("/api/v1/flows/{key}/publish"), &json!({ "document": document })).map(|_| ())
    }

    fn count(&self, flow: &str, state: &str) -> Result<u64> {
        let shown = self.ask("GET", &format!("/api/v1/flows/{flow}"), &Value::Null)?;
        Ok(shown["counts"][state].as_u64().unwrap_or(0))
    }

    fn until(&self, flow: &str, state: &str, wanted: u64) -> Result<()> {
        let begun = Instant::now();
        while self.count(flow, state)? < wanted {
            ensure!(begun.elapsed() < PATIENCE, "{flow}: not {wanted} instances are {state} in time");
            thread::sleep(LOOKS_EVERY);
        }
        Ok(())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    pub(super) fn rss_mb(&self) -> u64 {
        usage::rss_bytes(&[self.daemon.pid()]) / 1_000_000
    }

    /// Starts so many instances, each with the input that its number gives.
    fn fill(&self, flow: &str, instances: u64, input: impl Fn(u64) -> (String, Value) + Sync) -> Result<()> {
        let next = AtomicU64::new(0);
        let call = || -> Result<()> {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= instances {
                    return Ok(());
                }
                let (key, input) = input(n);
                let body = json!({ "input": input, "businessKey": key });
                self.ask("POST", &format!("/api/v1/flows/{flow}/instances"), &body)?;
            }
        };
        thread::scope(|threads| {
            let callers: Vec<_> = (0..CALLERS).map(|_| threads.spawn(call)).collect();
            callers.into_iter().try_for_each(|caller| match caller.join() {
                Ok(done) => done,
                Err(_) => bail!("a caller panicked"),
            })
        })
    }

    pub(super) fn stop(mut self) -> Result<u64> {
        ensure!(self.daemon.stop().is_some_and(|status| status.success()), "the engine did not stop cleanly");
        Ok(fs::metadata(self.data.join("stepwell.db")).map_or(0, |file| file.len()))
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn fresh(name: &str) -> Result<std::path::PathBuf> {
    let data = paths::root().join("target/bench").join(name);
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    launch::private_folder(&data)?;
    Ok(data)
}

/// A fold of sorted figures, in words.
pub(super) fn spread(mut all: Vec<u64>) -> String {
    all.sort_unstable();
    let at =
        |percent: usize| all.get((all.len() * percent / 100).min(all.len().saturating_sub(1))).copied().unwrap_or(0);
    format!("median {}, 99 of 100 within {}, most {}", at(50), at(99), at(100))
}

/// Whether what is built already is the build of [`recovery`], which takes histories that the product ends.
fn is_lifted() -> Result<bool> {
    let program = artifacts::program(Profile::Release, "stepwell");
    let told = Command::new(&program).arg("--version").output();
    let told = told.with_context(|| format!("{} does not run", program.display()))?;
    Ok(String::from_utf8_lossy(&told.stdout).trim_end().ends_with("+long"))
}

pub(crate) fn parked(args: &Parked, steps: &mut Steps) -> Result<()> {
    if !args.as_built {
        artifacts::all(steps, Profile::Release)?;
    }
    ensure!(
        !is_lifted()?,
        "what is built is not the product, but what `recovery` measures\nhint: leave --as-built out"
    );
    let data = fresh("parked")?;
    let token = launch::fresh_token()?;
    let (engine, _) = Subject::start(&data, &token)?;
    engine.publish(&json!({
        "stepwell": 1, "kind": "graph", "key": "parked",
        "nodes": { "start": { "type": "start" }, "wait": { "type": "timer", "until": "=input.at" }, "end": { "type": "end" } },
        "edges": [{ "from": "start", "to": "wait" }, { "from": "wait", "to": "end" }],
    }))?;
    let empty_mb = engine.rss_mb();
    // Long enough for all of them to be parked, and for the engine to stop and start between.
    let first_due_ms = now_ms() + 60_000 + args.instances;
    let due_ms = |n: u64| first_due_ms + n * args.seconds * 1_000 / args.instances.max(1);
    let begun = Instant::now();
    engine.fill("parked", args.instances, |n| (due_ms(n).to_string(), json!({ "at": due_ms(n) })))?;
    engine.until("parked", "waiting", args.instances)?;
    let filled = begun.elapsed();
    let parked_mb = engine.rss_mb();
    let bytes = engine.stop()?;
    let (engine, started) = Subject::start(&data, &token)?;
    let started_mb = engine.rss_mb();
    ensure!(now_ms() < first_due_ms, "the first timers were due before all were parked; take fewer instances");
    engine.until("parked", "completed", args.instances)?;
    let ended_mb = engine.rss_mb();
    let lags = lags(&engine)?;
    let most = lags.iter().max().copied().unwrap_or(0);
    steps::say(&format!(
        "{} instances parked in {:.1} s; RSS {empty_mb} MB empty, {parked_mb} MB with them, {started_mb} MB after a \
         restart, {ended_mb} MB when all have ended; {} bytes of database for each; restart to ready {} ms; \
         timer lag in ms: {} ({} read)",
        args.instances,
        filled.as_secs_f64(),
        bytes / args.instances.max(1),
        started.as_millis(),
        spread(lags.clone()),
        lags.len(),
    ));
    engine.stop()?;
    ensure!(most < LAG_MS_MAX, "a timer fired {most} ms late");
    Ok(())
}

/// How late instances ended after they were due, of as many as the lists show in a reasonable time.
fn lags(engine: &Subject<'_>) -> Result<Vec<u64>> {
    let (mut lags, mut cursor) = (Vec::new(), String::new());
    for _ in 0..200 {
        let page = engine.ask(
            "GET",
            &format!("/api/v1/instances?flow=parked&state=completed&limit=200{cursor}"),
            &Value::Null,
        )?;
        for item in page["items"].as_array().context("a page")? {
            let due_ms: u64 = item["businessKey"].as_str().and_then(|text| text.parse().ok()).context("a due time")?;
            let ended = &item["endedAt"];
            let ended_ms = ended.as_u64().or_else(|| rfc3339_ms(ended.as_str()?)).context("an end")?;
            lags.push(ended_ms.saturating_sub(due_ms));
        }
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    Ok(lags)
}

/// `2026-11-20T10:00:00.123Z`, as the API writes times.
fn rfc3339_ms(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split([':', '.']);
    let mut part = || time.next()?.parse::<u64>().ok();
    let (hour, minute, second) = (part()?, part()?, part()?);
    let ms = part().unwrap_or(0);
    // Days of a year that begins in March, so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + ms)
}

#[test]
fn times_are_read() {
    assert_eq!(rfc3339_ms("1970-01-01T00:00:00.001Z"), Some(1));
    assert_eq!(rfc3339_ms("2024-02-29T12:34:56.789Z"), Some(1_709_210_096_789));
}

/// A loop of so many timers, each an event; then a message, which is taken by an engine that has just been started.
fn rounds(timers: u64) -> Value {
    let mut nodes = json!({
        "start": { "type": "start" }, "count": { "type": "set", "vars": { "n": 0 } },
        "more": { "type": "set", "vars": { "n": "=vars.n + 1" } }, "again": { "type": "exclusive" },
        "go": { "type": "receive", "message": "go", "key": "=input.key" }, "end": { "type": "end" },
    });
    let mut edges = vec![json!({ "from": "start", "to": "count" }), json!({ "from": "count", "to": "t1" })];
    for at in 1..=timers {
        nodes[format!("t{at}")] = json!({ "type": "timer", "after": "1ms" });
        let next = if at < timers { format!("t{}", at + 1) } else { "more".to_owned() };
        edges.push(json!({ "from": format!("t{at}"), "to": next }));
    }
    edges.extend([
        json!({ "from": "more", "to": "again" }),
        json!({ "from": "again", "to": "t1", "when": "vars.n < input.rounds" }),
        json!({ "from": "again", "to": "go", "default": true }),
        json!({ "from": "go", "to": "end" }),
    ]);
    json!({ "stepwell": 1, "kind": "graph", "key": "rounds", "nodes": nodes, "edges": edges })
}

pub(crate) fn recovery(args: &Recovery, steps: &mut Steps) -> Result<()> {
    if !args.as_built {
        // An instance of the product ends at half the longest of these.
        artifacts::all_with(steps, Profile::Release, &["stepwell/long-histories"])?;
    }
    let lifted = is_lifted()?;
    let longest = args.events.iter().copied().max().unwrap_or_default();
    ensure!(
        lifted || longest <= EVENTS_OF_THE_PRODUCT,
        "the product ends an instance before {longest} events\nhint: leave --as-built out, or measure at most {EVENTS_OF_THE_PRODUCT}"
    );
    steps::say(&format!(
        "measured: {}",
        if lifted { "a build whose histories may be longer than the product's" } else { "the product" }
    ));
    for &events in &args.events {
        let data = fresh("recovery")?;
        let token = launch::fresh_token()?;
        let (engine, _) = Subject::start(&data, &token)?;
        // No node may be visited more than 10,000 times.
        let timers = if events < 1_000 { 5 } else { 20 };
        engine.publish(&rounds(timers))?;
        let input = |n: u64| (format!("K{n}"), json!({ "key": format!("K{n}"), "rounds": (events / timers).max(1) }));
        let begun = Instant::now();
        engine.fill("rounds", args.instances, input)?;
        // All that came before must have happened: they stand at the message, and wait for nothing else.
        while engine.ask("GET", "/api/v1/instances?flow=rounds&node=go", &Value::Null)?["items"]
            .as_array()
            .is_none_or(|items| (items.len() as u64) < args.instances)
        {
            ensure!(begun.elapsed() < PATIENCE, "{events} events take too long");
            thread::sleep(LOOKS_EVERY);
        }
        engine.stop()?;
        // What the loops wrote is on its way to the disk for a while, and flushes wait behind it.
        ensure!(std::process::Command::new("sync").status()?.success(), "sync");
        let (engine, started) = Subject::start(&data, &token)?;
        let mut taken_us = Vec::new();
        for n in 0..args.instances {
            let begun = Instant::now();
            let message = json!({ "name": "go", "key": format!("K{n}"), "payload": {} });
            engine.ask("POST", "/api/v1/messages", &message)?;
            engine.until_quick("rounds", "completed", n + 1)?;
            taken_us.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
        engine.stop()?;
        steps::say(&format!(
            "{events} events: restart to ready {} ms; from a message to the end in us: {}",
            started.as_millis(),
            spread(taken_us)
        ));
    }
    Ok(())
}

impl Subject<'_> {
    /// As [`Self::until`], without a pause between two looks.
    fn until_quick(&self, flow: &str, state: &str, wanted: u64) -> Result<()> {
        let begun = Instant::now();
        while self.count(flow, state)? < wanted {
            ensure!(begun.elapsed() < PATIENCE, "{flow}: not {wanted} instances are {state} in time");
        }
        Ok(())
    }
}
