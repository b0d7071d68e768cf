//! What is measured: the engine, and its peers (`peers`). Each is started fresh and asked two orders first.
//!
//! Invariant: no subject is measured whose answers to those two orders are wrong.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};

use super::load::{self, BODIES, Load, Target};
use super::{material, peers};
use crate::artifacts::Profile;
use crate::launch::{self, Engine};
use crate::process::{self, Daemon};
use crate::{dist, http, paths};

const DATABASE: &str = "stepwell.db";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Stepwell,
    NodeRed,
    Restate,
    Node,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stepwell => "stepwell",
            Self::NodeRed => "node-red",
            Self::Restate => "restate",
            Self::Node => "node",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Stepwell => "/api/v1/flows/order-5/instances?wait=10s",
            Self::NodeRed | Self::Node => "/order-5",
            Self::Restate => "/orders/order5",
        }
    }
}

/// A data folder as an engine leaves it after its first start: plugins compiled, flows published, nothing run.
pub(crate) struct Prepared {
    data: PathBuf,
    token: String,
    database_bytes: u64,
}

pub(crate) struct Subject {
    kind: Kind,
    /// The one that is asked first; a peer may need another beside it.
    daemons: Vec<Daemon>,
    address: SocketAddr,
    token: Option<String>,
    data: PathBuf,
    /// From the start of the process to its first right answer.
    pub(crate) started_ms: u64,
}

/// Lets an engine make its data folder, so that each run can begin with a copy and none pays for compiling.
pub(crate) fn prepare(folder: &Path) -> Result<Prepared> {
    let data = folder.join("prepared");
    clear(&data)?;
    let token = launch::fresh_token()?;
    let address = process::loopback(0)?;
    let log = paths::logs().join("bench-prepare.log");
    let mut engine =
        Engine { profile: Profile::Release, data: &data, address, token: &token, shop: None, log: &log }.start()?;
    if !engine.stop().is_some_and(|status| status.success()) {
        bail!("the engine did not stop cleanly\n{}", process::tail(&log, 30));
    }
    let database_bytes = database_bytes(&data);
    Ok(Prepared { data, token, database_bytes })
}

impl Subject {
    pub(crate) fn start(kind: Kind, folder: &Path, prepared: &Prepared) -> Result<Self> {
        let address = process::loopback(0)?;
        let data = folder.join("data");
        clear(&data)?;
        let begun = Instant::now();
        let daemons = match kind {
            Kind::Stepwell => {
                dist::copy_folder(&prepared.data, &data)?;
                vec![stepwell(&data, &prepared.token, address)?]
            }
            Kind::NodeRed => vec![peers::node_red(folder, &data, address)?],
            Kind::Restate => peers::restate(folder, &data, address)?,
            Kind::Node => vec![peers::node(folder, address)?],
        };
        let token = (kind == Kind::Stepwell).then(|| prepared.token.clone());
        let mut subject = Self { kind, daemons, address, token, data, started_ms: 0 };
        subject.probe()?;
        subject.started_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(subject)
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.daemons.iter().map(Daemon::pid).collect()
    }

    fn wraps(&self) -> bool {
        self.kind == Kind::Stepwell
    }

    /// Both orders, whose totals are known.
    fn probe(&self) -> Result<()> {
        for (file, expected) in BODIES {
            let order = fs::read_to_string(material(file))?.replace("__ID__", "probe");
            let body = if self.wraps() { format!("{{\"input\":{order}}}") } else { order };
            let answer = http::request(self.address, "POST", self.kind.path(), self.token.as_deref(), &body)?;
            let json = answer.json()?;
            let output = if self.wraps() { &json["output"] } else { &json };
            if answer.status != 200 || output["total_cents"].as_u64() != Some(expected) {
                bail!("{}: {file}: not total_cents {expected}: {} {}", self.kind.name(), answer.status, answer.body);
            }
        }
        Ok(())
    }

    pub(crate) fn load(
        &self,
        phase: &str,
        connections: usize,
        seconds: u64,
        folder: &Path,
        look: impl FnMut(),
    ) -> Result<Load> {
        let url = format!("http://{}{}", self.address, self.kind.path());
        let prefix = format!("{phase}{}", self.daemons.first().map_or(0, Daemon::pid));
        let target = Target { url: &url, wrap: self.wraps(), token: self.token.as_deref(), prefix: &prefix };
        load::run(&target, connections, seconds, folder, look)
    }

    /// An answer of 202 is no error to the load, so the engine is asked whether anything was left standing.
    pub(crate) fn check_settled(&self) -> Result<()> {
        if self.kind != Kind::Stepwell {
            return Ok(());
        }
        for state in ["incident", "waiting", "failed"] {
            let path = format!("/api/v1/instances?flow=order-5&state={state}&limit=1");
            let answer = http::request(self.address, "GET", &path, self.token.as_deref(), "")?;
            if answer.json()?["items"].as_array().is_none_or(|items| !items.is_empty()) {
                bail!("instances are left in state {state}: {} {}", answer.status, answer.body);
            }
        }
        Ok(())
    }

    /// Stops the subject. Returns what the engine's database grew by, once all is in its one file.
    pub(crate) fn stop_and_weigh(mut self, prepared: &Prepared) -> Result<Option<u64>> {
        for daemon in &mut self.daemons {
            let stopped = daemon.stop();
            if self.kind == Kind::Stepwell && !stopped.is_some_and(|status| status.success()) {
                bail!("the engine did not stop cleanly\n{}", process::tail(&daemon.log, 30));
            }
        }
        if self.kind != Kind::Stepwell {
            return Ok(None);
        }
        Ok(Some(database_bytes(&self.data).saturating_sub(prepared.database_bytes)))
    }
}

fn stepwell(data: &Path, token: &str, address: SocketAddr) -> Result<Daemon> {
    let log = paths::logs().join("bench-stepwell.log");
    Engine { profile: Profile::Release, data, address, token, shop: None, log: &log }.start()
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    launch::private_folder(folder)
}

/// The database and the log beside it.
fn database_bytes(data: &Path) -> u64 {
    ["", "-wal"]
        .iter()
        .filter_map(|ending| fs::metadata(data.join(format!("{DATABASE}{ending}"))).ok())
        .map(|file| file.len())
        .sum()
}
