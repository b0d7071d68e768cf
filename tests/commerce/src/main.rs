//! The stand-in shop as a program of its own; see the library for what it does.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use commerce::{AutoSettle, Config, Settings, serve};
use tokio::signal::unix::{SignalKind, signal};

/// Stand-in stock, lockers, logistics, payment gateway and property accounts, with faults on demand.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, env = "COMMERCE_LISTEN", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The database file; created if missing.
    #[arg(long, env = "COMMERCE_DATA", default_value = "commerce.db")]
    data: PathBuf,
    /// Where payment callbacks go: `http://host:port` of a Stepwell, or a whole URL.
    #[arg(long, env = "COMMERCE_CALLBACK_URL")]
    callback_url: Option<String>,
    /// The bearer token of callbacks.
    #[arg(long, env = "COMMERCE_CALLBACK_TOKEN", hide_env_values = true)]
    callback_token: Option<String>,
    /// The secret that callbacks are signed with.
    #[arg(long, env = "COMMERCE_CALLBACK_SECRET", hide_env_values = true)]
    callback_secret: Option<String>,
    /// What becomes of payments by themselves.
    #[arg(long, env = "COMMERCE_AUTO_SETTLE", value_enum, default_value = "none")]
    auto_settle: Auto,
    /// Milliseconds until they do.
    #[arg(long, env = "COMMERCE_SETTLE_AFTER_MS", default_value_t = 0)]
    settle_after_ms: u64,
    /// Pieces of every SKU that was never set.
    #[arg(long, env = "COMMERCE_STOCK_DEFAULT", default_value_t = Settings::default().stock_default)]
    stock_default: u32,
    /// Attempts after which a callback is given up.
    #[arg(long, env = "COMMERCE_CALLBACK_ATTEMPTS_MAX", default_value_t = Settings::default().callback_attempts_max)]
    callback_attempts_max: u32,
    /// What fault rates are decided by: the same seed, the same faults.
    #[arg(long, env = "COMMERCE_SEED", default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Auto {
    None,
    Paid,
    Failed,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let settings = Settings {
        auto_settle: match args.auto_settle {
            Auto::None => AutoSettle::None,
            Auto::Paid => AutoSettle::Paid,
            Auto::Failed => AutoSettle::Failed,
        },
        settle_after_ms: args.settle_after_ms,
        callback_url: args.callback_url,
        callback_token: args.callback_token,
        callback_secret: args.callback_secret,
        callback_attempts_max: args.callback_attempts_max,
        stock_default: args.stock_default,
        ..Settings::default()
    };
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let running = serve(Config { listen: args.listen, data: args.data, seed: args.seed, settings }).await?;
    announce(&running.url());
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    running.shutdown().await;
    Ok(())
}

#[allow(clippy::print_stdout, reason = "whoever starts the program reads the address here")]
fn announce(url: &str) {
    println!("commerce listening on {url}");
}
