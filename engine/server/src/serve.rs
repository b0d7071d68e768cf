//! `stepwell serve`: puts the parts together, opens the port, and takes everything down in order.
//!
//! The order of a start: settings, store, plugins of earlier lives, grants, engine (which then
//! drives what is ready), watched folders, port. Instances are driven only once the plugins they
//! are pinned to are back.
//!
//! The order of an end: no more starts (503), instances finish or park, answers under way are
//! sent, the store is closed. All of it within the configured grace, then exit 0.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;
use stepwell_runtime::clock::SystemClock;
use stepwell_runtime::{Clock, Options};
use stepwell_sandbox::{Limits as SandboxLimits, Program, Sandbox};
use stepwell_store::{Act, Store};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::cli;
use crate::config::Config;
use crate::http::auth::Auth;
use crate::http::limits::Limits;
use crate::http::{self, App, Shared, listen};
use crate::library::Library;
use crate::watch::Watcher;
use crate::{Engine, follow, granting, grants, packages, pauses, records, revocations, schedules, secrets, token};

/// Answers under way get this much of the grace to themselves, at the end.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
const SWEEPS_EVERY: Duration = Duration::from_mins(1);
/// How late an instance whose time is over goes.
const FORGETS_EVERY: Duration = Duration::from_secs(5);

pub(crate) fn run(config: Config) -> anyhow::Result<()> {
    log(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(config));
    // Whatever still runs (a compilation) is not waited for: nothing it does is acknowledged.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

fn log(config: &Config) -> anyhow::Result<()> {
    let filter: tracing_subscriber::EnvFilter = config.log.parse()?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if config.log_json {
        lines.json().init();
    } else {
        lines.init();
    }
    Ok(())
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let started = Instant::now();
    let (stop_sender, stop) = watch::channel(false);
    // Bound before the store is touched, so that a taken port costs nothing; nothing is accepted yet.
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let (listen_on, grace) = (address, Duration::from_secs(config.shutdown_seconds));
    let app = assemble(config, stop.clone()).await?;

    let following = tokio::spawn(follow::run(app.clone()));
    let mut watcher = Watcher::new(app.clone());
    watcher.first_look().await;
    let watching = tokio::spawn(watcher.run());
    let sweeping = tokio::spawn(sweep(app.clone()));
    let forgetting = tokio::spawn(forget(app.clone()));
    let scheduling = tokio::spawn(schedules::run(app.clone()));
    let pausing = tokio::spawn(pauses::run(app.clone()));

    // Before anyone knows that we listen: whoever ends us at once must find us listening for that, too.
    let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let link = if app.auth.book.is_administered().await? { None } else { Some(app.auth.new_link()) };
    announce(listen_on, link.as_deref());
    tracing::info!(ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX), "started");
    let router = http::router(app.clone());
    let serving = tokio::spawn(listen::serve(listener, app.clone(), router, stop, ANSWERS_WITHIN));

    asked_to_end(signals).await;
    tracing::info!("stopping: no more starts");
    app.limits.close();
    following.abort();
    watching.abort();
    sweeping.abort();
    forgetting.abort();
    scheduling.abort();
    pausing.abort();
    app.engine.shut_down(grace.saturating_sub(ANSWERS_WITHIN)).await;
    let left = app.engine.live();
    let _ = stop_sender.send(true);
    if let Err(error) = serving.await {
        tracing::error!(%error, "the port did not close well");
    }
    tracing::info!(left, "stopped");
    Ok(())
}

/// Everything but the port.
async fn assemble(config: Config, stop: watch::Receiver<bool>) -> anyhow::Result<App> {
    std::fs::create_dir_all(&config.data).with_context(|| format!("cannot make {}", config.data.display()))?;
    // Payloads lie in the database in clear; so does, beside it, the key of secrets that was made here.
    std::fs::set_permissions(&config.data, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .with_context(|| format!("cannot close {} to others", config.data.display()))?;
    let admin_token = match &config.admin_token {
        Some(token) => token.clone(),
        None => token::kept(&config.data).context("the administrator's token cannot be kept")?,
    };
    let grants = config.grants.as_deref().map(grants::read).transpose()?;
    let store = open_store(&config).await?;
    // The store is ours now, so nobody else is copying it.
    http::backup::tidy(&config.data).context("an unfinished copy cannot be removed")?;
    let sandbox = Sandbox::new(Some(config.data.join("compiled")), SandboxLimits::default())?;
    let sandbox = sandbox.compiled_by(compiler()?);
    let (record_types, reading) = records::reading(&store);
    let sandbox = sandbox.under(store.lease().clone()).with_source(packages::source(&store)).reading(reading);
    let clock = config.test_clock.as_deref().map_or_else(SystemClock::default, SystemClock::set_by);
    let restored = packages::restore(&sandbox, &store).await?;
    tracing::info!(restored, "plugins are back");
    let granting = granting::Granting::new(config.secret_keys()?);
    secrets::tidy(&store, &granting.keys, clock.now_ms()).await?;
    if let Some(grants) = grants {
        let act = Act { by: "file:grants".to_owned(), at_ms: clock.now_ms() };
        granting::install(&store, &granting.keys, grants, &act).await?;
    }
    granting::enforce(&sandbox, &store, &granting).await?;
    let pausing = pauses::Pausing::default();
    pauses::enforce(&sandbox, &store, &pausing).await?;
    revocations::enforce(&sandbox, &store).await?;
    let fresh = Value::String(uuid::Uuid::now_v7().to_string());
    let engine_id = store.put_setting("engine", &fresh, true).await?;
    let engine = Engine::start_up(store, sandbox, clock.clone(), &Options::default());
    let library = Library::open(engine.clone()).await?;
    let auth = Auth::new(&admin_token, engine.journal().clone());
    auth.book.refresh().await?;
    Ok(App::new(Shared {
        auth,
        limits: Limits::new(config.requests_max, config.readers_max, config.connections_max),
        started_ms: clock.now_ms(),
        clock,
        engine,
        library,
        record_types,
        engine_id: engine_id.as_str().unwrap_or("engine").into(),
        underway: http::Underway::default(),
        loading: tokio::sync::Mutex::default(),
        uploading: crate::uploads::Uploading::default(),
        copying: std::sync::Arc::default(),
        granting,
        pausing,
        unverified: http::Unverified::default(),
        stop,
        config,
    }))
}

/// This very program: on Linux also where the file was replaced since, as an upgrade does.
fn compiler() -> anyhow::Result<Program> {
    let own = std::path::PathBuf::from("/proc/self/exe");
    let path = if own.exists() { own } else { std::env::current_exe().context("where this program is")? };
    Ok(Program { path, args: vec!["compile-plugin".into()] })
}

/// The file in the data folder, or the server that was named.
async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let lease = Duration::from_secs(config.lease_seconds);
    let hints = !config.database_poll;
    let abort = config.test_abort_at_commit.as_deref().and_then(stepwell_store::AbortAt::parse);
    let options = stepwell_store::Options { lease, hints, abort, ..stepwell_store::Options::default() };
    let (data, url) = (config.data.clone(), config.database_url.clone());
    let opening = move || match url {
        Some(url) => Store::connect(&url, data.join("engine"), options),
        None => Store::open(data.join("stepwell.db"), options),
    };
    Ok(tokio::task::spawn_blocking(opening).await??)
}

/// Tells the person, and the scripts that wait for it, where the engine is.
fn announce(address: SocketAddr, link: Option<&str>) {
    if let Some(link) = link {
        cli::result(&format!("become the administrator at http://{address}/?setup={link}\n"));
    }
    cli::result(&format!("stepwell listening on http://{address}\n"));
}

async fn asked_to_end((mut term, mut int): (Signal, Signal)) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

/// Forgets what nobody can ask for any more.
async fn sweep(app: App) {
    loop {
        app.clock.sleep(SWEEPS_EVERY).await;
        if let Err(error) = app.auth.book.write_uses().await {
            tracing::warn!(%error, "when sessions and tokens were used last was not written down");
        }
        loop {
            match app.engine.journal().sweep(app.clock.now_ms()).await {
                Ok(swept) if swept.more => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "nothing could be swept");
                    break;
                }
            }
        }
    }
}

/// Forgets ended instances that their flow keeps no longer.
async fn forget(app: App) {
    loop {
        app.clock.sleep(FORGETS_EVERY).await;
        loop {
            match app.engine.journal().forget(app.clock.now_ms()).await {
                Ok(swept) if swept.more => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "nothing could be forgotten");
                    break;
                }
            }
        }
    }
}
