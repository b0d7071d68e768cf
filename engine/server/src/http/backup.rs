//! `/api/v1/backup`: the database as it stands, as one file, while work goes on.
//!
//! Invariants:
//! - The copy is of one moment, and holds whatever was acknowledged before it was asked for.
//! - One is made at a time; a caller that takes nothing for [`READS_WITHIN`] is cut off.
//! - Nothing of it is left here: the file loses its name before its first byte is sent. What a crash
//!   leaves goes at the next start ([`tidy`]).
//!
//! Not here: how a file is copied (`store`), where the copy ends up (`cli::backup`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::stream;
use http::{HeaderValue, header};
use serde_json::json;
use stepwell_runtime::Clock;
use stepwell_store::Act;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::{OwnedMutexGuard, mpsc};

use super::App;
use super::caller::Caller;
use super::problem::{Answer, Code, Refusal, RefusalBody};

const FRAME_BYTES: usize = 256 * 1024;
const FRAMES_BUFFERED: usize = 4;
const READS_WITHIN: Duration = Duration::from_secs(30);

/// Where copies are made.
fn folder(data: &Path) -> PathBuf {
    data.join("copying")
}

/// Takes away what was being copied when the process ended.
pub(crate) fn tidy(data: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder(data)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Copy the database
///
/// The answer is a file that an engine can be started on. A server's database is copied with its own tools.
#[utoipa::path(post, path = "/api/v1/backup", tag = "operation",
    responses((status = 200, body = Vec<u8>, content_type = "application/vnd.sqlite3"),
              (status = 409, body = RefusalBody), (status = 429, body = RefusalBody), (status = 503, body = RefusalBody)))]
pub(super) async fn make(State(app): State<App>, Extension(caller): Extension<Caller>) -> Answer<Response> {
    let store = app.engine.journal();
    if store.is_shared() {
        return Err(Refusal::say(Code::BackupNotHere, "use pg_dump, or the server's own continuous archiving"));
    }
    let turn = app.copying.clone().try_lock_owned();
    let turn = turn.map_err(|_| Refusal::say(Code::QueueFull, "a copy is being made already"))?;
    // Goes on without its caller: only who has seen the copy made can take it away again.
    let copied = tokio::spawn(copy(app.clone(), turn));
    let (file, bytes, turn) = copied.await.map_err(|error| Refusal::say(Code::Internal, error.to_string()))??;
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    store.audit(act, "store.backup", store.kind(), json!({ "bytes": bytes })).await?;
    let (frames, reading) = mpsc::channel(FRAMES_BUFFERED);
    tokio::spawn(send(file, frames, turn));
    let body = stream::unfold(reading, |mut reading| async move { reading.recv().await.map(|frame| (frame, reading)) });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.sqlite3"));
    headers.insert(header::CONTENT_LENGTH, bytes.into());
    Ok(response)
}

/// The copy, open and without a name, how long it is, and the turn that it is made in.
async fn copy(app: App, turn: OwnedMutexGuard<()>) -> Answer<(File, u64, OwnedMutexGuard<()>)> {
    let folder = folder(&app.config.data);
    let path = folder.join(uuid::Uuid::now_v7().to_string());
    let made = async {
        tokio::fs::create_dir_all(&folder).await.map_err(|error| out_of_reach(&error))?;
        app.engine.journal().backup(&path).await?;
        File::open(&path).await.map_err(|error| out_of_reach(&error))
    };
    let made = made.await;
    // It is read on by who has it open. Where nothing was made there is nothing to take away.
    let _ = tokio::fs::remove_file(&path).await;
    let file = made?;
    let bytes = file.metadata().await.map_err(|error| out_of_reach(&error))?.len();
    Ok((file, bytes, turn))
}

fn out_of_reach(error: &std::io::Error) -> Refusal {
    Refusal::say(Code::StoreUnavailable, format!("the copy: {error}"))
}

/// Sends the file and lets go of it. What broke off is shorter than was said, so nobody takes it for whole.
async fn send(mut file: File, frames: mpsc::Sender<std::io::Result<Bytes>>, _turn: OwnedMutexGuard<()>) {
    loop {
        let mut frame = BytesMut::with_capacity(FRAME_BYTES);
        let read = file.read_buf(&mut frame).await;
        let over = !matches!(read, Ok(bytes) if bytes > 0);
        let frame = match read {
            Ok(0) => return,
            Ok(_) => Ok(frame.freeze()),
            Err(error) => Err(error),
        };
        if frames.send_timeout(frame, READS_WITHIN).await.is_err() || over {
            return;
        }
    }
}
