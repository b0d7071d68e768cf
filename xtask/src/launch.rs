//! Starts a whole system on this machine: the engine, and the stand-in shop it calls.
//!
//! Used by `run`, `screenshots` and the benches, which differ in profile, folders and ports only.
//! Both processes end with the value that holds them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::artifacts::{self, Profile};
use crate::paths;
use crate::process::Daemon;

/// The first start compiles every plugin; on two busy cores that is most of this.
const READY_LIMIT: Duration = Duration::from_mins(3);
/// The port in `flows/dev-grants.json`.
pub(crate) const SHOP_PORT: u16 = 7071;
const GRANTS: &str = "flows/dev-grants.json";

pub(crate) struct Engine<'a> {
    pub(crate) profile: Profile,
    pub(crate) data: &'a Path,
    pub(crate) address: SocketAddr,
    pub(crate) token: &'a str,
    /// The engine is told of the shop only when there is one.
    pub(crate) shop: Option<SocketAddr>,
    pub(crate) log: &'a Path,
}

impl Engine<'_> {
    /// Starts the engine and waits until it is ready.
    pub(crate) fn start(&self) -> Result<Daemon> {
        let mut command = Command::new(artifacts::program(self.profile, "stepwell"));
        command.arg("serve").arg("--data").arg(self.data).args(["--listen", &self.address.to_string()]);
        command.arg("--plugins").arg(paths::plugins_built()).arg("--flows").arg(paths::root().join("flows"));
        if let Some(shop) = self.shop {
            command.arg("--grants").arg(self.grants(shop)?);
        }
        command.env("STEPWELL_ADMIN_TOKEN", self.token).current_dir(paths::root());
        let mut daemon = Daemon::spawn("stepwell", &mut command, self.log)?;
        daemon.wait_ready(self.address, "/readyz", READY_LIMIT)?;
        Ok(daemon)
    }

    /// The grants for development, with the shop's port as it is in this run.
    fn grants(&self, shop: SocketAddr) -> Result<PathBuf> {
        let source = paths::root().join(GRANTS);
        if shop.port() == SHOP_PORT {
            return Ok(source);
        }
        let text = fs::read_to_string(&source).with_context(|| format!("cannot read {GRANTS}"))?;
        let changed = self.data.join("dev-grants.json");
        fs::write(&changed, text.replace(&SHOP_PORT.to_string(), &shop.port().to_string()))?;
        Ok(changed)
    }
}

/// Starts the shop and waits until it answers.
pub(crate) fn shop(
    profile: Profile,
    data: &Path,
    address: SocketAddr,
    engine: SocketAddr,
    log: &Path,
) -> Result<Daemon> {
    let mut command = Command::new(artifacts::program(profile, "commerce"));
    command.args(["--listen", &address.to_string()]).arg("--data").arg(data);
    command.args(["--callback", &format!("http://{engine}")]).current_dir(paths::root());
    let mut daemon = Daemon::spawn("commerce", &mut command, log)?;
    daemon.wait_ready(address, "/healthz", READY_LIMIT)?;
    Ok(daemon)
}

/// Makes a folder that only its owner can enter.
pub(crate) fn private_folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create {}", path.display()))
}

/// The token kept in `file`, made there if it is absent. Only the owner can read it.
pub(crate) fn token(file: &Path) -> Result<String> {
    if let Ok(token) = fs::read_to_string(file) {
        return Ok(token.trim().to_owned());
    }
    let token = fresh_token()?;
    let mut opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    opened.write_all(token.as_bytes())?;
    Ok(token)
}

/// 32 random bytes, in hex.
pub(crate) fn fresh_token() -> Result<String> {
    let mut bytes = [0_u8; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
}
