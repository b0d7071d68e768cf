//! The stand-in outside world: stock, lockers, logistics, a payment gateway and property accounts over HTTP.
//!
//! It behaves as real services do (idempotency keys, signed callbacks that are retried), misbehaves on demand
//! (`faults`), and keeps every request and every effect in a database file, so a test can prove what happened.
//!
//! One request: `http` (connection) → `door` (record, fault, tombstone, dedupe) → the work of `stock`, `lockers`,
//! `logistics`, `gateway` or `property`, all in one transaction of the `ledger` → commit → answer. Callbacks
//! leave through the `courier`; `control` is for tests only.
//!
//! Invariants:
//! - An effect, the answer kept under its key and the record of its request are one transaction.
//! - Once a request was read, its work is done whether or not the caller is still there.
//!
//! Not here: authentication. The shop is for tests and demonstrations, and listens where it is told.

mod arrival;
mod control;
mod courier;
mod door;
mod effect;
mod facts;
mod faults;
mod gateway;
mod http;
mod ledger;
mod lockers;
mod logistics;
mod orders;
mod property;
mod settings;
mod signature;
mod stock;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, oneshot, watch};

pub use faults::Rule as FaultRule;
pub use ledger::LedgerError;
pub use settings::{AutoSettle, Settings};
pub use signature::{SIGNATURE_HEADER, sign, verify};

/// Requests worked on at a time; more are answered 503.
const IN_FLIGHT_MAX: usize = 4096;

/// How a shop is started.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The database file; created if missing.
    pub data: PathBuf,
    /// What rates of faults are decided by; the same seed decides the same way.
    pub seed: u64,
    /// What can also be changed while it runs.
    pub settings: Settings,
}

impl Config {
    /// A shop on a free loopback port, with default settings.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: data.into(),
            seed: 0,
            settings: Settings::default(),
        }
    }
}

/// Why a shop did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data file cannot be used, perhaps because another shop has it open.
    #[error("cannot use the data file {file}")]
    Data {
        file: PathBuf,
        #[source]
        source: LedgerError,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// A setting makes no sense.
    #[error("{0}")]
    Settings(String),
}

/// A shop that runs. Dropping it stops it too, but does not wait for the data file to be closed.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    end: watch::Sender<bool>,
    closed: oneshot::Receiver<()>,
}

impl Running {
    /// The base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Stops at once, cutting open connections, and returns when the data file is closed.
    pub async fn shutdown(self) {
        self.end.send_replace(true);
        let _ = self.closed.await;
    }
}

/// What every request and the courier share.
struct Shop {
    ledger: ledger::Ledger,
    faults: faults::Faults,
    settings: RwLock<Arc<Settings>>,
    seed: u64,
    in_flight: Arc<Semaphore>,
    /// Requests in the ledger, for its limit.
    recorded: AtomicU64,
    /// Wakes the courier when there may be something to settle or send.
    courier: Notify,
    client: courier::Client,
    /// Turns true when the shop is to stop.
    ending: watch::Receiver<bool>,
}

impl Shop {
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Starts a shop on the current Tokio runtime and returns once it listens.
pub async fn serve(config: Config) -> Result<Running, ServeError> {
    config.settings.check().map_err(ServeError::Settings)?;
    let data_error = |source| ServeError::Data { file: config.data.clone(), source };
    let (ledger, closed) = ledger::Ledger::open(&config.data).map_err(data_error)?;
    let recorded = ledger.run(arrival::recorded).await.map_err(data_error)?;
    let listen_error = |source| ServeError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
    let addr = listener.local_addr().map_err(listen_error)?;
    let (end, ending) = watch::channel(false);
    let shop = Arc::new(Shop {
        ledger,
        faults: faults::Faults::default(),
        settings: RwLock::new(Arc::new(config.settings)),
        seed: config.seed,
        in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
        recorded: AtomicU64::new(recorded),
        courier: Notify::new(),
        client: courier::client(),
        ending,
    });
    tokio::spawn(courier::run(Arc::clone(&shop)));
    tokio::spawn(http::accept(listener, shop));
    Ok(Running { addr, end, closed })
}

/// Milliseconds since the Unix epoch, UTC: the one place that reads the clock.
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
