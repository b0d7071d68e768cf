//! What the engine is told before it starts: one struct from three places.
//!
//! Invariants:
//! - Flags win over `STEPWELL_*` variables, which win over the file (`stepwell.toml`, or `--config`).
//! - A key the file should not have is refused; so is every value out of range. All of it is said
//!   at once, before the port opens.
//!
//! Not here: what the values do; grants (`grants`); documents, which live in the database.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;
use stepwell_store::{AbortAt, Store};
use zeroize::Zeroizing;

use crate::sealing::{self, Keys};

/// As given; everything may be absent. The same names in flags, variables and the file.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Settings {
    /// Folder of the database and the compiled-plugin cache [default: ./stepwell-data]
    #[arg(long, env = "STEPWELL_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Database that engines share, `postgres://user:password@host/database`, encrypted with `?sslmode=verify-full`
    /// [default: a file in the data folder]
    #[arg(long, env = "STEPWELL_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Seconds after which an engine that was not heard of is taken for dead, with a shared database [default: 10]
    #[arg(long, env = "STEPWELL_LEASE_SECONDS", value_name = "SECONDS")]
    pub lease_seconds: Option<u64>,
    /// Look for work of a shared database only now and then, without hints: for poolers that cannot listen [default: false]
    #[arg(long, env = "STEPWELL_DATABASE_POLL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub database_poll: Option<bool>,
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:7070]
    #[arg(long, env = "STEPWELL_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Folder of plugins (*.wasm), watched
    #[arg(long, env = "STEPWELL_PLUGINS", value_name = "DIR")]
    pub plugins: Option<PathBuf>,
    /// Folder of flows (*.json), watched: a new or changed file is published
    #[arg(long, env = "STEPWELL_FLOWS", value_name = "DIR")]
    pub flows: Option<PathBuf>,
    /// File of connections and grants, applied at each start
    #[arg(long, env = "STEPWELL_GRANTS", value_name = "FILE")]
    pub grants: Option<PathBuf>,
    /// API token of the administrator; without it one is made and kept in the data folder
    #[arg(long, env = "STEPWELL_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// Key that secrets are sealed with: 32 bytes in base64 or hexadecimal digits. Older ones after it, with commas
    /// between, open what they sealed
    #[arg(long, env = "STEPWELL_SECRET_KEY", value_name = "KEY", hide_env_values = true)]
    pub secret_key: Option<String>,
    /// File of such keys, one in a line [default: `secret-key` in the data folder, made at the first start; none with a
    /// shared database]
    #[arg(long, env = "STEPWELL_SECRET_KEY_FILE", value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
    /// Largest request body, in bytes [default: 1048576]
    #[arg(long, env = "STEPWELL_BODY_BYTES_MAX", value_name = "BYTES")]
    pub body_bytes_max: Option<usize>,
    /// Requests under way at once; more are answered 503 [default: 1024]
    #[arg(long, env = "STEPWELL_REQUESTS_MAX", value_name = "COUNT")]
    pub requests_max: Option<usize>,
    /// Open connections; more are answered 503 [default: 2048]
    #[arg(long, env = "STEPWELL_CONNECTIONS_MAX", value_name = "COUNT")]
    pub connections_max: Option<usize>,
    /// Readers of the event stream at once; more are answered 503 [default: 256]
    #[arg(long, env = "STEPWELL_READERS_MAX", value_name = "COUNT")]
    pub readers_max: Option<usize>,
    /// Seconds to finish or park work after SIGTERM [default: 20]
    #[arg(long, env = "STEPWELL_SHUTDOWN_SECONDS", value_name = "SECONDS")]
    pub shutdown_seconds: Option<u64>,
    /// What to log: error, warn, info, debug, trace, or per module [default: info]
    #[arg(long, env = "STEPWELL_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Send the session cookie over HTTPS only: where the console is reached through a proxy that ends TLS [default: false]
    #[arg(long, env = "STEPWELL_SECURE_COOKIES", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub secure_cookies: Option<bool>,
    /// Log as JSON lines
    #[arg(long, env = "STEPWELL_LOG_JSON", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub log_json: Option<bool>,
    /// For tests: die at the n-th commit of instances, `before:3` or `after:3`
    #[arg(long, env = "STEPWELL_TEST_ABORT_AT_COMMIT", hide = true)]
    #[serde(skip)]
    pub test_abort_at_commit: Option<String>,
    /// For tests, in debug builds: a file that says by how many milliseconds the clock is wrong
    #[arg(long, env = "STEPWELL_TEST_CLOCK", hide = true)]
    #[serde(skip)]
    pub test_clock: Option<PathBuf>,
}

/// What holds, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    pub data: PathBuf,
    pub database_url: Option<String>,
    pub lease_seconds: u64,
    pub database_poll: bool,
    pub listen: SocketAddr,
    pub plugins: Option<PathBuf>,
    pub flows: Option<PathBuf>,
    pub grants: Option<PathBuf>,
    pub admin_token: Option<String>,
    pub secret_key: Option<Zeroizing<String>>,
    pub secret_key_file: Option<PathBuf>,
    pub body_bytes_max: usize,
    pub requests_max: usize,
    pub connections_max: usize,
    pub readers_max: usize,
    pub shutdown_seconds: u64,
    pub log: String,
    pub log_json: bool,
    pub secure_cookies: bool,
    pub test_abort_at_commit: Option<String>,
    pub test_clock: Option<PathBuf>,
}

/// Everything that is wrong with the settings. Correct them and start again.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct ConfigError(pub Vec<String>);

/// The file read when `--config` names none, if it is there.
pub(crate) const DEFAULT_FILE: &str = "stepwell.toml";
/// Bytes of an uploaded plugin, whatever `body_bytes_max` says.
pub(crate) const PLUGIN_BYTES_MAX: usize = 32 * 1024 * 1024;
/// A token that is too short can be guessed.
const TOKEN_CHARS_MIN: usize = 16;

/// Puts flags and variables (`given`, as clap read them) over the file.
pub(crate) fn load(given: Settings, file: Option<&Path>) -> Result<Config, ConfigError> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => String::new(),
        Err(error) => return Err(ConfigError(vec![format!("{}: {error}", path.display())])),
    };
    let from_file: Settings = toml::from_str(&text)
        .map_err(|error| ConfigError(vec![format!("{}: {}", path.display(), error.to_string().trim_end())]))?;
    resolve(given.or(from_file))
}

impl Settings {
    fn or(self, under: Self) -> Self {
        Self {
            data: self.data.or(under.data),
            database_url: self.database_url.or(under.database_url),
            lease_seconds: self.lease_seconds.or(under.lease_seconds),
            database_poll: self.database_poll.or(under.database_poll),
            listen: self.listen.or(under.listen),
            plugins: self.plugins.or(under.plugins),
            flows: self.flows.or(under.flows),
            grants: self.grants.or(under.grants),
            admin_token: self.admin_token.or(under.admin_token),
            secret_key: self.secret_key.or(under.secret_key),
            secret_key_file: self.secret_key_file.or(under.secret_key_file),
            body_bytes_max: self.body_bytes_max.or(under.body_bytes_max),
            requests_max: self.requests_max.or(under.requests_max),
            connections_max: self.connections_max.or(under.connections_max),
            readers_max: self.readers_max.or(under.readers_max),
            shutdown_seconds: self.shutdown_seconds.or(under.shutdown_seconds),
            log: self.log.or(under.log),
            log_json: self.log_json.or(under.log_json),
            secure_cookies: self.secure_cookies.or(under.secure_cookies),
            test_abort_at_commit: self.test_abort_at_commit,
            test_clock: self.test_clock,
        }
    }
}

fn resolve(from: Settings) -> Result<Config, ConfigError> {
    let config = Config {
        data: from.data.unwrap_or_else(|| PathBuf::from("./stepwell-data")),
        database_url: from.database_url.filter(|url| !url.is_empty()),
        lease_seconds: from.lease_seconds.unwrap_or(10),
        database_poll: from.database_poll.unwrap_or(false),
        listen: from.listen.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7070)),
        plugins: from.plugins,
        flows: from.flows,
        grants: from.grants,
        admin_token: from.admin_token.filter(|token| !token.is_empty()),
        secret_key: from.secret_key.filter(|key| !key.is_empty()).map(Zeroizing::new),
        secret_key_file: from.secret_key_file,
        body_bytes_max: from.body_bytes_max.unwrap_or(1024 * 1024),
        requests_max: from.requests_max.unwrap_or(1024),
        connections_max: from.connections_max.unwrap_or(2048),
        readers_max: from.readers_max.unwrap_or(256),
        shutdown_seconds: from.shutdown_seconds.unwrap_or(20),
        log: from.log.unwrap_or_else(|| "info".to_owned()),
        log_json: from.log_json.unwrap_or(false),
        secure_cookies: from.secure_cookies.unwrap_or(false),
        test_abort_at_commit: from.test_abort_at_commit,
        test_clock: from.test_clock,
    };
    let wrong = faults(&config);
    if wrong.is_empty() { Ok(config) } else { Err(ConfigError(wrong)) }
}

impl Config {
    /// The keys of secrets: as given, or as made in the data folder. Engines that share a database share them, too, so
    /// there none is made.
    pub(crate) fn secret_keys(&self) -> anyhow::Result<Keys> {
        match (&self.secret_key, &self.secret_key_file) {
            (Some(text), _) => Ok(Keys::read(text)?),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file).map(Zeroizing::new);
                let text = text.with_context(|| format!("cannot read {}", file.display()))?;
                Keys::read(&text).with_context(|| format!("in {}", file.display()))
            }
            (None, None) if self.database_url.is_some() => Ok(Keys::default()),
            (None, None) => sealing::kept(&self.data).context("the key for secrets cannot be kept"),
        }
    }
}

fn faults(config: &Config) -> Vec<String> {
    let mut wrong = Vec::new();
    if config.secret_key.is_some() && config.secret_key_file.is_some() {
        wrong.push("secret-key: given beside secret-key-file".to_owned());
    }
    if let Some(Err(error)) = config.secret_key.as_ref().map(|text| Keys::read(text)) {
        wrong.push(format!("secret-key: {error}"));
    }
    for (name, folder) in [("plugins", &config.plugins), ("flows", &config.flows)] {
        if let Some(folder) = folder
            && !folder.is_dir()
        {
            wrong.push(format!("{name}: {} is not a folder", folder.display()));
        }
    }
    if let Some(file) = &config.grants
        && !file.is_file()
    {
        wrong.push(format!("grants: {} is not a file", file.display()));
    }
    if let Some(url) = &config.database_url
        && let Err(error) = Store::check_url(url)
    {
        wrong.push(format!("database-url: {error}"));
    }
    if config.data.exists() && !config.data.is_dir() {
        wrong.push(format!("data: {} is not a folder", config.data.display()));
    }
    if let Some(token) = &config.admin_token {
        if token.len() < TOKEN_CHARS_MIN {
            wrong.push(format!("admin-token: {} characters, at least {TOKEN_CHARS_MIN} are needed", token.len()));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            wrong.push("admin-token: only visible ASCII characters can stand in a header".to_owned());
        }
    }
    for (name, value, min, max) in [
        ("body-bytes-max", config.body_bytes_max, 1024, 64 * 1024 * 1024),
        ("requests-max", config.requests_max, 1, 100_000),
        ("connections-max", config.connections_max, 1, 100_000),
        ("readers-max", config.readers_max, 1, 100_000),
        ("lease-seconds", usize::try_from(config.lease_seconds).unwrap_or(usize::MAX), 2, 600),
        ("shutdown-seconds", usize::try_from(config.shutdown_seconds).unwrap_or(usize::MAX), 1, 600),
    ] {
        if !(min..=max).contains(&value) {
            wrong.push(format!("{name}: {value} is not between {min} and {max}"));
        }
    }
    if let Some(text) = &config.test_abort_at_commit
        && AbortAt::parse(text).is_none()
    {
        wrong.push(format!("test-abort-at-commit: {text} is neither before:N nor after:N"));
    }
    if config.test_clock.is_some() && !cfg!(debug_assertions) {
        wrong.push("test-clock: not in this build".to_owned());
    }
    if let Err(error) = config.log.parse::<tracing_subscriber::EnvFilter>() {
        wrong.push(format!("log: {error}"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    /// The resolved settings, or the errors, as text.
    fn outcome(flags: Settings, file: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("given.toml");
        std::fs::write(&path, file).unwrap();
        load(flags, Some(&path)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let flags = Settings { requests_max: Some(7), ..Settings::default() };
        let config = outcome(flags, "requests-max = 9\nreaders-max = 5").unwrap();
        assert_eq!((config.requests_max, config.readers_max, config.connections_max), (7, 5, 2048));
    }

    #[test]
    fn what_is_wrong_is_refused_all_at_once() {
        for (file, said) in [
            ("requestmax = 9", vec!["unknown field", "requestmax"]),
            ("listen = \"here\"", vec!["listen"]),
            ("requests-max = 0\nreaders-max = 0", vec!["requests-max: 0", "readers-max: 0"]),
            ("admin-token = \"short\"", vec!["at least 16"]),
            ("secret-key = \"short\"", vec!["secret-key: key 1 is not 32 bytes"]),
            ("secret-key = \"short\"\nsecret-key-file = \"x\"", vec!["secret-key: given beside"]),
            ("admin-token = \"with a space in it\"", vec!["visible ASCII"]),
            ("plugins = \"/no/such/folder\"", vec!["plugins: /no/such/folder is not a folder"]),
            ("log = \"a=b=c\"", vec!["log:"]),
            ("database-url = \"mysql://here\"\nlease-seconds = 1", vec!["database-url:", "lease-seconds: 1"]),
        ] {
            let error = outcome(Settings::default(), file).unwrap_err();
            for part in said {
                assert!(error.contains(part), "{file}: {error}");
            }
        }
    }

    #[test]
    fn a_named_file_must_exist_and_the_default_one_need_not() {
        assert!(load(Settings::default(), Some(Path::new("/no/such/file.toml"))).is_err());
        assert!(resolve(Settings::default()).is_ok());
    }
}
