//! The engine as a process: its folder, its port, its end.

use std::fs::File;
use std::future::Future;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Client;

const STARTS_WITHIN: Duration = Duration::from_mins(2);
const ENDS_WITHIN: Duration = Duration::from_secs(40);
const LOOKS_EVERY: Duration = Duration::from_millis(10);
const LOG_LINES_SHOWN: usize = 60;

/// How an engine is started. The default: an empty data folder, no plugins, no flows, one token.
#[derive(Debug, Clone)]
pub struct Options {
    pub token: String,
    pub plugins: Option<PathBuf>,
    pub flows: Option<PathBuf>,
    pub grants: Option<PathBuf>,
    /// The binary makes its own token when this is false.
    pub give_token: bool,
    /// The server and schema it shares with others; see [`database`].
    pub database: Option<String>,
    /// A database file that it begins with.
    pub file: Option<PathBuf>,
    /// Further arguments of `serve`.
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// What a shell does before it becomes the engine: limits, mostly.
    pub under: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: "a-token-for-tests-only".to_owned(),
            plugins: None,
            flows: None,
            grants: None,
            give_token: true,
            database: database(),
            file: None,
            args: Vec::new(),
            env: Vec::new(),
            under: None,
        }
    }
}

impl Options {
    /// For one of several engines on one database. On the server its connections are called after the
    /// database and `name`, so that a test can tell them from all others.
    #[must_use]
    pub fn named(&self, name: &str, args: &[&str]) -> Self {
        let mut own = self.clone();
        own.database = own.database.map(|url| {
            let unnamed = url.split("&application_name").next().unwrap_or_default();
            let database = unnamed.rsplit("%3D").next().unwrap_or_default();
            format!("{unnamed}&application_name={database}-{name}")
        });
        own.args = args.iter().map(|&arg| arg.to_owned()).collect();
        own
    }
}

/// A running engine. Derefs to its [`Client`], which carries the administrator's token.
pub struct Stepwell {
    client: Client,
    child: Option<Child>,
    folder: TempDir,
    options: Options,
    address: String,
    /// What it printed before it listened.
    pub printed: Vec<String>,
}

impl Deref for Stepwell {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Stepwell {
    pub async fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let client = Client::new("http://127.0.0.1:1", None);
        let address = "127.0.0.1:0".to_owned();
        let mut engine = Self { client, child: None, folder, options, address, printed: Vec::new() };
        if let Some(file) = &engine.options.file {
            std::fs::create_dir(engine.data()).expect("a folder for its data");
            std::fs::copy(file, engine.data().join("stepwell.db")).expect("a copy of the file");
        }
        engine.restart().await;
        engine
    }

    /// Where this engine keeps its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The database it was told to use, if it does not keep a file.
    pub fn database(&self) -> Option<&str> {
        self.options.database.as_deref()
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("a running engine")
    }

    /// What the engine has logged since its first start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Ends the engine as a power cut would, and waits until it is gone.
    pub async fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.start_kill().expect("a process to kill");
            child.wait().await.expect("its end");
        }
    }

    /// Asks the engine to end, and waits until it has.
    pub async fn sigterm(&mut self) -> ExitStatus {
        self.signal("TERM").await;
        self.ended().await
    }

    /// Sends a signal, by name, and does not wait.
    pub async fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Waits for the end of an engine that was told to end.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running engine");
        let status = tokio::time::timeout(ENDS_WITHIN, child.wait()).await.expect("the engine ends in time");
        status.expect("an exit status")
    }

    /// As [`Self::restart`], in another environment.
    pub async fn restart_in(&mut self, env: &[(&str, &str)]) {
        self.options.env = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.restart().await;
    }

    /// Whether its process is gone without having been told to.
    pub fn is_gone(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| matches!(child.try_wait(), Ok(Some(_))))
    }

    /// Starts the engine (again), on the same data and port. Ends it first if it still runs.
    pub async fn restart(&mut self) {
        self.kill9().await;
        let mut child = self.command().spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("its output");
        let mut lines = BufReader::new(stdout).lines();
        self.child = Some(child);
        self.printed.clear();
        let listening = async {
            while let Some(line) = lines.next_line().await.expect("its output") {
                if let Some(url) = line.strip_prefix("stepwell listening on ") {
                    return Some(url.trim().to_owned());
                }
                self.printed.push(line);
            }
            None
        };
        let url = tokio::time::timeout(STARTS_WITHIN, listening).await.expect("the engine listens in time");
        let Some(url) = url else { panic!("the engine ended before it listened:\n{}", tail(&self.log())) };
        url.strip_prefix("http://").expect("a plain address").clone_into(&mut self.address);
        let token = if self.options.give_token {
            self.options.token.clone()
        } else {
            std::fs::read_to_string(self.data().join("admin-token")).expect("a token was made")
        };
        self.client = Client::new(&url, Some(&token));
        // Nobody reads on, and the engine says nothing more there; but a closed pipe would be an error.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    }

    fn command(&self) -> Command {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        let mut command = match &self.options.under {
            None => Command::new(binary()),
            Some(first) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{first}; exec \"$@\""), "sh"]).arg(binary());
                shell
            }
        };
        command.current_dir(self.folder.path()).arg("serve");
        command.arg("--data").arg(self.data()).arg("--listen").arg(&self.address);
        if let Some(database) = &self.options.database {
            command.arg("--database-url").arg(database);
            // Engines of one database share it; each would have to be given it.
            command.env("STEPWELL_SECRET_KEY", "5a".repeat(32));
        }
        for (flag, value) in
            [("--plugins", &self.options.plugins), ("--flows", &self.options.flows), ("--grants", &self.options.grants)]
        {
            if let Some(value) = value {
                command.arg(flag).arg(value);
            }
        }
        if self.options.give_token {
            command.env("STEPWELL_ADMIN_TOKEN", &self.options.token);
        }
        command.args(&self.options.args).envs(self.options.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        command
    }
}

impl Drop for Stepwell {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of the engine's log ---\n{}", tail(&self.log()));
        }
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}

/// A database of a test's own on the server that `STEPWELL_TEST_POSTGRES` names; without one, engines
/// keep a file each. `cargo xtask test` runs the suites both ways.
pub fn database() -> Option<String> {
    let server = std::env::var("STEPWELL_TEST_POSTGRES").ok()?;
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let own = TOLD.fetch_add(1, Ordering::Relaxed);
    Some(format!("{server}?options=-csearch_path%3Dt{}_{at}_{own}", std::process::id()))
}

/// How many databases of their own were told to this process's tests.
static TOLD: AtomicU32 = AtomicU32::new(0);

/// The repository's root.
pub fn repository() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        // Cargo says at run time where the tests stand; what was compiled in may be another checkout.
        let tests =
            std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        tests.parent().expect("tests/ stands in the repository").to_owned()
    })
}

/// The engine's binary: `STEPWELL_BIN`, or the one built beside this test.
pub fn binary() -> PathBuf {
    if let Some(given) = std::env::var_os("STEPWELL_BIN") {
        return given.into();
    }
    let beside = std::env::current_exe().expect("a path");
    let binary = beside.ancestors().nth(2).expect("target/<profile>/deps/<test>").join("stepwell");
    assert!(binary.exists(), "{} is not built; run `cargo build -p stepwell`", binary.display());
    binary
}

/// Looks again and again until `ask` gives something; fails the test after `at_most`.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, at_most: Duration, mut ask: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            // Sleeps between two looks only; nothing depends on how long.
            tokio::time::sleep(LOOKS_EVERY).await;
        }
    };
    tokio::time::timeout(at_most, looking).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}
