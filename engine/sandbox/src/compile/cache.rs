//! The folder of machine code: one file per (digest, engine compatibility hash).
//!
//! A file is: 8 bytes of magic, its seal, the machine code. The seal is an HMAC-SHA256 of the file's
//! name and the code under a key that this installation made for itself.
//!
//! Invariants:
//! - The folder is ours alone (0700), the key in it too (0600).
//! - Code is given out only under a seal that fits: not what was cut off or damaged, not another plugin's
//!   file under this one's name, not a file of another installation.

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use wasmtime::Engine;

use crate::Digest;

const MAGIC: &[u8; 8] = b"stepwAO2";
const SEAL_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + SEAL_BYTES;
const KEY: &str = "seal.key";
const KEY_BYTES: usize = 32;

pub(super) struct Cache {
    folder: PathBuf,
    key: Arc<[u8; KEY_BYTES]>,
}

/// Where the code of one component is kept.
#[derive(Clone)]
pub(super) struct Place {
    folder: PathBuf,
    name: String,
    key: Arc<[u8; KEY_BYTES]>,
}

impl Cache {
    /// The folder is created with mode 0700 and, if it is there already, narrowed to it.
    pub(super) fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        narrow(&folder)?;
        let key = Arc::new(key(&folder)?);
        Ok(Self { folder, key })
    }

    pub(super) fn place(&self, engine: &Engine, digest: &Digest) -> Place {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let name = format!("{digest}-{:016x}.cwasm", hasher.finish());
        Place { folder: self.folder.clone(), name, key: Arc::clone(&self.key) }
    }
}

impl Place {
    /// None where there is no file, or one that is not as it was written.
    pub(super) fn read(&self) -> Option<Vec<u8>> {
        let file = self.folder.join(&self.name);
        let mut bytes = fs::read(&file).ok()?;
        let sound = bytes.len() > HEADER_BYTES
            && bytes.starts_with(MAGIC)
            && self.seal(&bytes[HEADER_BYTES..]).verify_slice(&bytes[MAGIC.len()..HEADER_BYTES]).is_ok();
        if !sound {
            tracing::warn!(file = %file.display(), "cached machine code is not as it was written and is made anew");
            return None;
        }
        bytes.drain(..HEADER_BYTES);
        Some(bytes)
    }

    pub(super) fn write(&self, code: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + code.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.seal(code).finalize().into_bytes());
        bytes.extend_from_slice(code);
        put(&self.folder, &self.name, &bytes)
    }

    fn seal(&self, code: &[u8]) -> Hmac<Sha256> {
        let mut seal = new_mac(&self.key);
        seal.update(self.name.as_bytes());
        seal.update(code);
        seal
    }
}

fn new_mac(key: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
    // As long as a block is, a key is taken as it is: there is none that does not fit.
    let mut block = [0; 64];
    block[..KEY_BYTES].copy_from_slice(key);
    Mac::new(&block.into())
}

/// Made when there is none. Two that start at once agree: the file of the later one stands, and what the
/// other sealed meanwhile is made anew.
fn key(folder: &Path) -> io::Result<[u8; KEY_BYTES]> {
    if let Ok(kept) = fs::read(folder.join(KEY))
        && let Ok(key) = <[u8; KEY_BYTES]>::try_from(kept)
    {
        return Ok(key);
    }
    let key: [u8; KEY_BYTES] = rand::random();
    put(folder, KEY, &key)?;
    Ok(key)
}

/// Written aside and renamed: two engines on one folder never see half a file.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut aside = OsString::from(name);
    aside.push(format!(".{}.tmp", std::process::id()));
    let aside = folder.join(aside);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&aside).and_then(|mut file| file.write_all(bytes));
    let put = written.and_then(|()| fs::rename(&aside, folder.join(name)));
    if put.is_err() {
        // A full disk should not be fuller for it.
        let _ = fs::remove_file(&aside);
    }
    put
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn a_file_counts_only_under_its_name_whole_and_of_this_installation() {
        let [ours, theirs] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let engine = Engine::default();
        let cache = Cache::open(ours.path().join("c")).unwrap();
        let [a, b] = [b"a", b"b"].map(|wasm| cache.place(&engine, &Digest::of(wasm)));
        let elsewhere = Cache::open(theirs.path().join("c")).unwrap().place(&engine, &Digest::of(b"a"));
        let path = |place: &Place| place.folder.join(&place.name);
        for (what, change, counts) in [
            ("as it was written", (|_: &mut Vec<u8>| {}) as fn(&mut Vec<u8>), true),
            ("a bit flipped", |bytes| *bytes.last_mut().unwrap() ^= 1, false),
            ("cut off", |bytes| bytes.truncate(bytes.len() - 1), false),
            ("longer", |bytes| bytes.push(0), false),
            ("another seal", |bytes| bytes[MAGIC.len()] ^= 1, false),
            ("without code", |bytes| bytes.truncate(HEADER_BYTES), false),
            ("empty", Vec::clear, false),
        ] {
            a.write(b"machine code").unwrap();
            let mut bytes = fs::read(path(&a)).unwrap();
            change(&mut bytes);
            fs::write(path(&a), bytes).unwrap();
            assert_eq!(a.read().is_some(), counts, "{what}");
        }
        a.write(b"machine code").unwrap();
        fs::copy(path(&a), path(&b)).unwrap();
        assert!(b.read().is_none(), "the code of one plugin under the name of another");
        fs::copy(path(&a), path(&elsewhere)).unwrap();
        assert!(elsewhere.read().is_none(), "brought from another installation");
        // The next start of the same one finds its key again.
        let again = Cache::open(ours.path().join("c")).unwrap().place(&engine, &Digest::of(b"a"));
        assert_eq!(again.read().unwrap(), b"machine code");
    }
}
