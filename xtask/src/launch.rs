//! Starts a whole system on this machine: the engine, and the stand-in shop it calls.
//!
//! Used by `run`, `test`, `screenshots` and the benches, which differ in profile, folders and ports only.
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
use crate::process::{self, Daemon};

/// The first start compiles every plugin; on two busy cores that is most of this.
const READY_LIMIT: Duration = Duration::from_mins(3);
/// The port in `flows/dev-grants.json`.
pub(crate) const SHOP_PORT: u16 = 7071;
const GRANTS: &str = "flows/dev-grants.json";
/// Long enough to see an order wait for its payment.
const SETTLE_AFTER_MS: &str = "2000";

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

pub(crate) struct Shop<'a> {
    pub(crate) profile: Profile,
    /// Its database.
    pub(crate) file: &'a Path,
    pub(crate) address: SocketAddr,
    /// Where callbacks go, and the token they bring.
    pub(crate) engine: SocketAddr,
    pub(crate) token: &'a str,
    pub(crate) log: &'a Path,
}

impl Shop<'_> {
    /// Starts the shop and waits until it answers. Its payments settle by themselves after a moment.
    pub(crate) fn start(&self) -> Result<Daemon> {
        let mut command = Command::new(artifacts::program(self.profile, "commerce"));
        command.args(["--listen", &self.address.to_string()]).arg("--data").arg(self.file);
        command.args(["--callback-url", &format!("http://{}", self.engine)]);
        command.args(["--auto-settle", "paid", "--settle-after-ms", SETTLE_AFTER_MS]);
        command.env("COMMERCE_CALLBACK_TOKEN", self.token).current_dir(paths::root());
        let mut daemon = Daemon::spawn("commerce", &mut command, self.log)?;
        daemon.wait_ready(self.address, "/health", READY_LIMIT)?;
        Ok(daemon)
    }
}

/// A whole system with no past, on free ports.
pub(crate) struct System {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    shop: SocketAddr,
    _shop: Daemon,
    _engine: Daemon,
}

impl System {
    /// Starts it with data in `folder`, which is emptied first. `name` begins the names of its logs.
    pub(crate) fn start(profile: Profile, folder: &Path, name: &str) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        private_folder(folder)?;
        let token = fresh_token()?;
        let (address, shop) = (process::loopback(0)?, process::loopback(0)?);
        let log = |program: &str| paths::logs().join(format!("{name}-{program}.log"));
        let (file, shop_log, engine_log) = (folder.join("commerce.db"), log("commerce"), log("stepwell"));
        let started =
            Shop { profile, file: &file, address: shop, engine: address, token: &token, log: &shop_log }.start()?;
        let engine = Engine { profile, data: folder, address, token: &token, shop: Some(shop), log: &engine_log };
        let engine = engine.start()?;
        Ok(Self { address, token, shop, _shop: started, _engine: engine })
    }

    /// Tells the designer's scripts to use this system.
    pub(crate) fn point(&self, command: &mut Command) {
        command.env("BASE_URL", format!("http://{}", self.address)).env("TOKEN", &self.token);
        command.env("SHOP_URL", format!("http://{}", self.shop));
    }
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
