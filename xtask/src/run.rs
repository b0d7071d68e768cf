//! `cargo xtask run`: builds everything, starts the engine and the shop, prints where to look, stays until told.

use std::process::ExitStatus;

use anyhow::{Result, bail};

use crate::artifacts::{self, Profile};
use crate::launch::{self, SHOP_PORT};
use crate::paths;
use crate::process::{self, Daemon};
use crate::steps::{Steps, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Port of the engine and its console; 0 picks a free one
    #[arg(long, default_value_t = 7070)]
    port: u16,
    /// Port of the stand-in shop; 0 picks a free one
    #[arg(long, default_value_t = SHOP_PORT)]
    shop_port: u16,
    /// Optimise as for a release
    #[arg(long)]
    release: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let profile = if args.release { Profile::Release } else { Profile::Dev };
    let mut steps = Steps::new("run")?;
    artifacts::all(&mut steps, profile)?;

    let data = paths::root().join("stepwell-data");
    launch::private_folder(&data)?;
    let token = launch::token(&data.join("dev-token"))?;
    let address = process::loopback(args.port)?;
    let shop_address = process::loopback(args.shop_port)?;
    let shop_log = paths::logs().join("commerce.log");
    let engine_log = paths::logs().join("stepwell.log");

    let shop = steps.call("start commerce", || {
        let file = data.join("commerce.db");
        let log = &shop_log;
        launch::Shop { profile, file: &file, address: shop_address, engine: address, token: &token, log }.start()
    })?;
    let engine = steps.call("start stepwell", || {
        let shop = Some(shop_address);
        launch::Engine { profile, data: &data, address, token: &token, shop, log: &engine_log }.start()
    })?;
    steps.finish()?;
    say(&format!("\nOpen  http://{address}/?token={token}"));
    say(&format!("The stand-in shop is at http://{shop_address}; data is in stepwell-data/; Ctrl-C stops both."));
    watch(&mut [engine, shop])
}

/// Stays until somebody asks to stop, or one of the two dies.
fn watch(daemons: &mut [Daemon]) -> Result<()> {
    while !process::interrupted() {
        for daemon in daemons.iter_mut() {
            if let Some(status) = daemon.ended() {
                let log = process::tail(&daemon.log, 40);
                bail!("{} ended ({status})\n{log}\nhint: the whole log is in {}", daemon.name, daemon.log.display());
            }
        }
        process::pause();
    }
    say("stopping");
    for daemon in daemons {
        let name = daemon.name.clone();
        if !daemon.stop().is_some_and(|status: ExitStatus| status.success()) {
            bail!("{name} did not stop cleanly\n{}", process::tail(&daemon.log, 40));
        }
    }
    Ok(())
}
