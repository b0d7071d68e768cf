//! `stepwell backup`: the running engine's database, as a file of the caller's.
//!
//! Invariant: a file of the name that was given is whole, or is not there.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::ask::{At, refused};

/// The copy is made before its first byte is sent.
const ANSWERS_WITHIN: Duration = Duration::from_hours(1);
const FRAME_WITHIN: Duration = Duration::from_secs(90);

#[derive(Args)]
pub(super) struct Backup {
    /// File to write; it must not be there
    to: PathBuf,
    #[command(flatten)]
    at: At,
}

#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(asked: &Backup) -> anyhow::Result<()> {
    let to = &asked.to;
    anyhow::ensure!(!to.exists(), "{} is there already", to.display());
    let mut partial: OsString = to.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = write(asked, &partial).await;
    let kept = written.and_then(|bytes| {
        // Unlike a renaming, this never takes the place of what came meanwhile.
        std::fs::hard_link(&partial, to).with_context(|| to.display().to_string())?;
        Ok(bytes)
    });
    let _ = std::fs::remove_file(&partial);
    let bytes = kept?;
    if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    super::result(&format!("{} {bytes} bytes\n", to.display()));
    Ok(())
}

/// Returns how many bytes there are, on disk.
async fn write(asked: &Backup, partial: &PathBuf) -> anyhow::Result<u64> {
    let sent = asked.at.send("POST", "/api/v1/backup", "application/json", Full::new(Bytes::new()));
    let response = tokio::time::timeout(ANSWERS_WITHIN, sent).await.context("no answer in time")??;
    if !response.status().is_success() {
        let status = response.status();
        anyhow::bail!("{}", refused(status, &response.into_body().collect().await?.to_bytes()));
    }
    // It holds secrets, as the database does.
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(partial);
    let mut file = opened.with_context(|| partial.display().to_string())?;
    let mut body: Incoming = response.into_body();
    let mut bytes = 0;
    while let Some(frame) = tokio::time::timeout(FRAME_WITHIN, body.frame()).await.context("the copy broke off")? {
        let frame = frame.context("the copy broke off")?;
        if let Some(data) = frame.data_ref() {
            file.write_all(data)?;
            bytes += u64::try_from(data.len()).unwrap_or_default();
        }
    }
    file.sync_all()?;
    Ok(bytes)
}
