//! A component's way in, told step by step: the stages of the loader, what it changes, and whether it is in force.
//!
//! Invariants:
//! - Once begun, an upload comes to its end whoever stopped listening.
//! - Whatever fails, what was live stays live, and the upload says at which stage and why.
//! - What is live is never told of as anything else: where its end could not be kept, it is kept later.
//! - So many at once ([`AT_ONCE`]) and no more: each holds its bytes.
//!
//! Not here: the checks (`sandbox`), keeping a build (`packages`), the API's view (`http::uploads`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock as _;
use stepwell_runtime::journal::Unavailable;
use stepwell_sandbox::{Digest, PluginInfo, Stage};
use stepwell_store::{Act, PluginKept, Upload, UploadState};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use crate::compatibility::{self, Compatibility};
use crate::http::App;
use crate::http::time::rfc3339;
use crate::packages::{self, LoadError};

pub(crate) const AT_ONCE: usize = 4;
/// Of one upload; who has more has enough to do.
const PROBLEMS_MAX: usize = 100;
/// A report that is larger is not kept.
const REPORT_BYTES_MAX: usize = 256 * 1024;
/// How often, and how many times, the end of an upload is kept again where that failed: as long as it is not taken for
/// lost.
const KEEPS_EVERY: Duration = Duration::from_secs(1);
const KEEPS_MAX: u32 = 600;
/// The stages of the loader and what comes after it, in their order.
pub(crate) const STAGES: [&str; 8] =
    ["size", "imports", "compile", "describe", "schemas", "examples", "compatibility", "live"];

pub(crate) fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Size => "size",
        Stage::Imports => "imports",
        Stage::Compile => "compile",
        Stage::Describe => "describe",
        Stage::Schemas => "schemas",
        Stage::Examples => "examples",
    }
}

/// What is brought.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub wasm: Vec<u8>,
    /// As its author calls it.
    pub file: Option<String>,
    /// Nothing is kept of it.
    pub dry_run: bool,
    /// The digest of the build that it is compared with; the newest of its name unless given.
    pub against: Option<String>,
    pub act: Act,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Came {
    /// It is in force; whether it was there before.
    Live(Box<PluginInfo>, PluginKept, Option<Box<Compatibility>>),
    /// It could be in force.
    Tried(Box<PluginInfo>, Option<Box<Compatibility>>),
    /// With the stage that it did not pass.
    Refused(&'static str, Vec<Problem>),
}

/// Uploads under way, counted.
pub(crate) struct Uploading(Semaphore);

impl Default for Uploading {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Uploading {
    /// `None`: so many are under way that this one has to come back.
    pub(crate) fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.0.try_acquire().ok()
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Begun {
    stage: &'static str,
    at: String,
}

/// How far it is; what is kept of it follows.
struct Progress {
    app: App,
    id: String,
    act: Act,
    about: Value,
    stages: Mutex<Vec<Begun>>,
}

impl Progress {
    fn stage(&self) -> &'static str {
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.last().map_or(STAGES[0], |last| last.stage)
    }

    fn begin(&self, stage: &'static str) {
        let at = rfc3339(self.app.clock.now_ms());
        self.stages.lock().unwrap_or_else(PoisonError::into_inner).push(Begun { stage, at });
    }

    async fn keep(&self, state: UploadState, more: Value) -> Result<(), Unavailable> {
        let mut body = self.about.clone();
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        body["stages"] = json!(stages);
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        let upload = Upload { id: self.id.clone(), act: self.act.clone(), state, body };
        self.app.engine.journal().put_upload(upload, self.stage(), self.app.clock.now_ms()).await
    }
}

impl Progress {
    /// Keeps the end of it as soon as the store takes it. Who asks meanwhile is told that it is running.
    async fn keep_at_last(&self, state: UploadState, more: Value) {
        for _ in 0..KEEPS_MAX {
            self.app.clock.sleep(KEEPS_EVERY).await;
            match self.keep(state, more.clone()).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, upload = self.id, "what came of an upload could not be kept"),
            }
        }
        tracing::error!(upload = self.id, "what came of an upload was not kept, and counts as lost");
    }
}

/// Brings a component in, to the end. `id` is what it can be asked about by.
pub(crate) async fn run(app: App, id: String, wanted: Wanted) -> Result<Came, Unavailable> {
    let digest = Digest::of(&wanted.wasm).to_string();
    let about = json!({
        "file": wanted.file, "bytes": wanted.wasm.len(), "digest": digest, "dryRun": wanted.dry_run, "problems": [],
    });
    let progress = Arc::new(Progress { app, id, act: wanted.act.clone(), about, stages: Mutex::default() });
    progress.begin(STAGES[0]);
    progress.keep(UploadState::Running, Value::Null).await?;
    let came = bring(&progress, wanted, &digest).await?;
    let (state, more) = match &came {
        Came::Live(info, _, report) => (UploadState::Live, told(info, report.as_deref())),
        Came::Tried(info, report) => (UploadState::Tried, told(info, report.as_deref())),
        Came::Refused(stage, problems) => {
            let kept = &problems[..problems.len().min(PROBLEMS_MAX)];
            (UploadState::Refused, json!({ "problems": kept, "failedAt": stage }))
        }
    };
    if let Err(error) = progress.keep(state, more.clone()).await {
        // What came of it stands: only the telling is late, and goes on by itself.
        tracing::warn!(%error, upload = progress.id, "what came of an upload could not be kept");
        tokio::spawn(async move { progress.keep_at_last(state, more).await });
    }
    Ok(came)
}

fn told(info: &PluginInfo, report: Option<&Compatibility>) -> Value {
    let mut told = json!({
        "name": info.name, "version": info.version, "effect": info.effect,
        "compatibility": report,
    });
    if told.to_string().len() > REPORT_BYTES_MAX {
        told["compatibility"] = Value::Null;
    }
    told
}

async fn bring(progress: &Arc<Progress>, wanted: Wanted, digest: &str) -> Result<Came, Unavailable> {
    let app = &progress.app;
    let sandbox = app.engine.nodes();
    let refused = |problems| Ok(Came::Refused(progress.stage(), problems));
    let revoked = app.engine.journal().revocations().await?;
    if revoked.iter().any(|one| one.digest == digest) {
        return refused(vec![packages::revoked(digest)]);
    }
    // In their order, behind the work: the store is not waited for.
    let (stages, mut heard) = mpsc::unbounded_channel();
    let keeper = tokio::spawn({
        let progress = Arc::clone(progress);
        async move {
            while let Some(()) = heard.recv().await {
                if let Err(error) = progress.keep(UploadState::Running, Value::Null).await {
                    tracing::warn!(%error, "how far an upload is could not be kept");
                }
            }
        }
    });
    let begin = |stage: &'static str| {
        if progress.stage() != stage {
            progress.begin(stage);
            let _ = stages.send(());
        }
    };
    let wasm: Arc<[u8]> = wanted.wasm.into();
    let came = async {
        let ready = match sandbox.prepare(wasm.clone(), &|stage| begin(name(stage))).await {
            Ok(ready) => ready,
            Err(problems) => return refused(problems),
        };
        begin("compatibility");
        let report = match compatibility::of(app, &ready, wanted.against.as_deref()).await? {
            Ok(report) => report.map(Box::new),
            Err(problem) => return refused(vec![problem]),
        };
        if wanted.dry_run {
            return Ok(Came::Tried(Box::new(ready.info()), report));
        }
        begin("live");
        match packages::keep(app, ready, &wasm, wanted.act).await {
            Ok((info, kept)) => Ok(Came::Live(Box::new(info), kept, report)),
            Err(LoadError::Refused(problems)) => refused(problems),
            Err(LoadError::Unavailable(error)) => Err(error),
        }
    }
    .await;
    drop(stages);
    // So that its end is the last thing that is said of it.
    let _ = keeper.await;
    came
}
