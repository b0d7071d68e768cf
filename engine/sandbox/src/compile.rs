//! Turns a component's bytes into machine code, and keeps the code of earlier starts.
//!
//! The cache holds one file per (digest, engine compatibility hash) in a folder that only we may
//! read or write. A file is: 8 bytes of magic, the SHA-256 of the rest, the machine code.
//!
//! Invariants:
//! - Machine code reaches the unsafe `deserialize` only if this process made it, or if its
//!   checksum is right and it lay in our own 0700 folder. A damaged file is compiled anew.
//! - No bytes from outside are ever deserialized: a `.cwasm` that is uploaded is refused (`load`).
//! - One compilation at a time, so that a hostile component costs one core for one while.
//!
//! Not here: a child process with limits of its own around [`Compiler::translate`]. It would take
//! the same bytes and give the same code.
#![allow(unsafe_code, reason = "machine code made by this engine is loaded back; see the SAFETY comments")]

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, io};

use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::Digest;

const MAGIC: &[u8; 8] = b"stepwAOT";
const HEADER_BYTES: usize = MAGIC.len() + 32;

/// Why there is no machine code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    /// A core module that says too little of its interface.
    #[error("{0}")]
    NoComponent(String),
    /// The component is at fault.
    #[error("{0}")]
    Refused(String),
    /// It took too long. The same bytes will take as long again.
    #[error("not compiled within {0} ms")]
    TooSlow(u64),
}

pub(crate) struct Compiler {
    cache: Option<PathBuf>,
    one_at_a_time: Arc<Semaphore>,
    compile_ms_max: u64,
}

impl Compiler {
    /// `cache` is created with mode 0700 and, if it is there already, narrowed to it.
    pub(crate) fn new(cache: Option<PathBuf>, compile_ms_max: u64) -> io::Result<Self> {
        if let Some(folder) = &cache {
            fs::create_dir_all(folder)?;
            narrow(folder)?;
        }
        Ok(Self { cache, one_at_a_time: Arc::new(Semaphore::new(1)), compile_ms_max })
    }

    /// The component, ready for `engine`.
    pub(crate) async fn compile(
        &self,
        engine: &Engine,
        digest: &Digest,
        wasm: Arc<[u8]>,
    ) -> Result<Component, CompileError> {
        let file = self.cache.as_ref().map(|folder| folder.join(file_name(engine, digest)));
        let engine = engine.clone();
        let limit_ms = self.compile_ms_max;
        let turn = Arc::clone(&self.one_at_a_time);
        let work = async move {
            let permit = turn.acquire_owned().await;
            // The permit goes with the thread: a compilation that overruns keeps it until it ends.
            let thread = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                cached_or_translated(&engine, file.as_deref(), &wasm)
            });
            thread.await.unwrap_or_else(|panic| Err(CompileError::Refused(format!("the compiler failed: {panic}"))))
        };
        match tokio::time::timeout(Duration::from_millis(limit_ms), work).await {
            Ok(result) => result,
            Err(_) => Err(CompileError::TooSlow(limit_ms)),
        }
    }
}

/// The same component for another engine with the same settings but for allocation.
pub(crate) fn transfer(component: &Component, engine: &Engine) -> wasmtime::Result<Component> {
    let code = component.serialize()?;
    // SAFETY: the bytes come from a live component, so an engine of this process made them.
    unsafe { Component::deserialize(engine, code) }
}

fn cached_or_translated(engine: &Engine, file: Option<&Path>, wasm: &[u8]) -> Result<Component, CompileError> {
    if let Some(file) = file
        && let Some(code) = read_cached(file)
    {
        // SAFETY: `read_cached` has compared the checksum, and the bytes are our own copy now; the
        // folder is ours alone, so they are what this engine wrote.
        match unsafe { Component::deserialize(engine, &code) } {
            Ok(component) => return Ok(component),
            Err(reason) => tracing::warn!(file = %file.display(), %reason, "cached machine code does not fit"),
        }
    }
    let component = as_component(wasm)?;
    let code = engine.precompile_component(&component).map_err(|error| CompileError::Refused(format!("{error:#}")))?;
    if let Some(file) = file
        && let Err(reason) = write_cached(file, &code)
    {
        // The next start is slower, that is all.
        tracing::warn!(file = %file.display(), %reason, "machine code was not cached");
    }
    // SAFETY: `code` was made by this engine a moment ago.
    let component = unsafe { Component::deserialize(engine, &code) };
    component.map_err(|error| CompileError::Refused(format!("{error:#}")))
}

/// A component as it is; a core module, as `cargo build --target wasm32-unknown-unknown` leaves it,
/// wrapped into one.
fn as_component(wasm: &[u8]) -> Result<Cow<'_, [u8]>, CompileError> {
    if wasm.starts_with(b"\0asm\x0d\0\x01\0") {
        return Ok(Cow::Borrowed(wasm));
    }
    let encoder = wit_component::ComponentEncoder::default().validate(true).module(wasm);
    let component = encoder.and_then(|mut encoder| encoder.encode());
    component.map(Cow::Owned).map_err(|error| {
        CompileError::NoComponent(format!("the file is a core module that no component can be made of: {error:#}"))
    })
}

/// None where there is no file, or one that is not as it was written.
fn read_cached(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs::read(file).ok()?;
    let sound = bytes.len() > HEADER_BYTES
        && bytes.starts_with(MAGIC)
        && bytes[MAGIC.len()..HEADER_BYTES] == Sha256::digest(&bytes[HEADER_BYTES..])[..];
    if !sound {
        tracing::warn!(file = %file.display(), "cached machine code is damaged and is compiled anew");
        return None;
    }
    bytes.drain(..HEADER_BYTES);
    Some(bytes)
}

fn write_cached(file: &Path, code: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + code.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&Sha256::digest(code));
    bytes.extend_from_slice(code);
    // Written aside and renamed: two engines on one folder never see half a file.
    static WRITTEN: AtomicU32 = AtomicU32::new(0);
    let nth = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let aside = file.with_extension(format!("{}-{nth}.tmp", std::process::id()));
    fs::write(&aside, bytes)?;
    fs::rename(&aside, file)
}

fn file_name(engine: &Engine, digest: &Digest) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}.cwasm", hasher.finish())
}

#[cfg(unix)]
fn narrow(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn narrow(_folder: &Path) -> io::Result<()> {
    Ok(())
}
