//! The peers: Node-RED, Restate, and a plain Node.js function, all from npm, in the versions of
//! `tests/bench/peers/package.json`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::material;
use crate::process::{self, Daemon};
use crate::steps::Steps;
use crate::{dist, http, paths};

const READY_LIMIT: Duration = Duration::from_mins(1);

pub(crate) fn node_red(folder: &Path, data: &Path, address: SocketAddr) -> Result<Daemon> {
    dist::copy_folder(&material("peers/node-red"), data)?;
    let mut command = node_js(folder);
    command.arg(folder.join("peers/node_modules/node-red/red.js")).arg("--userDir").arg(data);
    command.arg("--settings").arg(data.join("settings.cjs")).args(["--port", &address.port().to_string()]);
    let mut daemon = Daemon::spawn("node-red", &mut command, &paths::logs().join("bench-node-red.log"))?;
    daemon.wait_ready(address, "/ready", READY_LIMIT)?;
    Ok(daemon)
}

/// Restate's server on `address`, and the service that does the steps.
pub(crate) fn restate(folder: &Path, data: &Path, address: SocketAddr) -> Result<Vec<Daemon>> {
    let (admin, fabric, steps) = (process::loopback(0)?, process::loopback(0)?, process::loopback(0)?);
    let mut command = node_js(folder);
    command.arg(material("peers/restate.mjs")).arg(steps.port().to_string());
    command.current_dir(folder.join("peers")).env("RESTATE_LOGGING", "WARN");
    let service = Daemon::spawn("restate-service", &mut command, &paths::logs().join("bench-restate-service.log"))?;
    let program = folder.join("peers/node_modules/@restatedev/restate-server-linux-x64/bin/restate-server");
    let mut command = Command::new(program);
    command.arg("--base-dir").arg(data.join("restate")).current_dir(data);
    command.env("RESTATE_DISABLE_TELEMETRY", "true").env("RESTATE_LOG_FILTER", "warn");
    command.env("RESTATE_INGRESS__BIND_ADDRESS", address.to_string());
    command.env("RESTATE_ADMIN__BIND_ADDRESS", admin.to_string());
    command.env("RESTATE_BIND_ADDRESS", fabric.to_string());
    let mut server = Daemon::spawn("restate", &mut command, &paths::logs().join("bench-restate.log"))?;
    server.wait_ready(admin, "/health", READY_LIMIT)?;
    let body = format!("{{\"uri\":\"http://{steps}\"}}");
    let answer = http::request(admin, "POST", "/deployments", None, &body)?;
    if !matches!(answer.status, 200 | 201) {
        bail!("restate does not take the service: {} {}", answer.status, answer.body);
    }
    Ok(vec![server, service])
}

pub(crate) fn node(folder: &Path, address: SocketAddr) -> Result<Daemon> {
    let mut command = node_js(folder);
    command.arg(material("peers/node.mjs")).arg(address.port().to_string());
    let mut daemon = Daemon::spawn("node", &mut command, &paths::logs().join("bench-node.log"))?;
    daemon.wait_ready(address, "/", READY_LIMIT)?;
    Ok(daemon)
}

/// Node.js of the version that the peers ask for, from npm, whatever this machine has.
fn node_js(folder: &Path) -> Command {
    let mut command = Command::new(folder.join("peers/node_modules/node/bin/node"));
    command.env("NODE_ENV", "production");
    command
}

/// Installs them under `folder`, once per list of versions.
pub(crate) fn install(steps: &mut Steps, folder: &Path) -> Result<()> {
    let peers = folder.join("peers");
    fs::create_dir_all(&peers)?;
    let wanted = fs::read(material("peers/package.json"))?;
    let stamp = peers.join("node_modules/.installed.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    fs::write(peers.join("package.json"), &wanted)?;
    let mut command = Command::new("npm");
    steps.run("peers", command.args(["install", "--no-audit", "--no-fund", "--omit=dev"]).current_dir(&peers))?;
    fs::write(&stamp, wanted).context("npm left no node_modules")
}
