//! Seals secrets and opens them again: AES-256-GCM under a key that never enters the database.
//!
//! Invariants:
//! - What was sealed for one name does not open for another.
//! - A key has a name that tells nothing of it; each sealed value carries the name of its key.
//! - The first key that is given seals; those after it only open, until everything is sealed anew.
//!
//! Not here: which secrets there are and who is put in when (`secrets`).

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};
use stepwell_sandbox::Secret;
use stepwell_store::Sealed;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
/// While keys are exchanged there are two; more are an error.
const KEYS_MAX: usize = 8;

/// The keys at hand, the one that seals first. None: nothing can be sealed or opened.
#[derive(Default)]
pub(crate) struct Keys(Vec<Key>);

struct Key {
    id: String,
    key: LessSafeKey,
}

/// What is wrong with keys as given; their text is not repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("key {0} is not {KEY_BYTES} bytes in base64 or hexadecimal digits")]
    Malformed(usize),
    #[error("{0} keys, at most {KEYS_MAX} are taken")]
    TooMany(usize),
    #[error("no key in it")]
    Empty,
}

/// No key was given, so nothing can be sealed.
#[derive(Debug, thiserror::Error)]
#[error("secrets cannot be kept: this engine was given no key")]
pub(crate) struct NoKey;

impl Keys {
    /// Reads keys as they are given: one, or several with commas or line ends between them.
    pub(crate) fn read(text: &str) -> Result<Self, KeyError> {
        let given: Vec<&str> = text.split([',', '\n', '\r', ' ', '\t']).filter(|part| !part.is_empty()).collect();
        match given.len() {
            0 => return Err(KeyError::Empty),
            count if count > KEYS_MAX => return Err(KeyError::TooMany(count)),
            _ => {}
        }
        let keys = given.iter().enumerate().map(|(at, text)| Key::read(text).ok_or(KeyError::Malformed(at + 1)));
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// The name of the key that seals.
    pub(crate) fn id(&self) -> Option<&str> {
        self.0.first().map(|key| key.id.as_str())
    }

    pub(crate) fn seal(&self, name: &str, value: &Secret) -> Result<Sealed, NoKey> {
        let Key { id, key } = self.0.first().ok_or(NoKey)?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| NoKey)?;
        let mut text = Zeroizing::new(Vec::with_capacity(value.0.len() + AES_256_GCM.tag_len()));
        text.extend_from_slice(value.0.as_bytes());
        let sealing = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(sealing, Aad::from(about(name)), &mut *text).map_err(|_| NoKey)?;
        let whole = [&nonce[..], &text].concat();
        Ok(Sealed { key_id: id.clone(), text: STANDARD.encode(whole) })
    }

    /// The value, if its key is at hand and it was sealed for this name.
    pub(crate) fn open(&self, name: &str, sealed: &Sealed) -> Option<Secret> {
        let Key { key, .. } = self.0.iter().find(|key| key.id == sealed.key_id)?;
        let whole = STANDARD.decode(&sealed.text).ok()?;
        let (nonce, text) = whole.split_first_chunk::<NONCE_LEN>()?;
        let mut text = Zeroizing::new(text.to_vec());
        let opening = Nonce::assume_unique_for_key(*nonce);
        let value = key.open_in_place(opening, Aad::from(about(name)), &mut text).ok()?;
        std::str::from_utf8(value).ok().map(|value| Secret(value.to_owned()))
    }
}

impl Key {
    fn read(text: &str) -> Option<Self> {
        let bytes = if text.len() == KEY_BYTES * 2 { hex::decode(text).ok() } else { STANDARD.decode(text).ok() };
        let bytes = Zeroizing::new(bytes?);
        let id = Sha256::new().chain_update("stepwell key\0").chain_update(&*bytes).finalize();
        let key = UnboundKey::new(&AES_256_GCM, bytes.get(..).filter(|bytes| bytes.len() == KEY_BYTES)?).ok()?;
        Some(Self { id: hex::encode(&id[..4]), key: LessSafeKey::new(key) })
    }
}

/// What a sealed value is bound to beside its key.
fn about(name: &str) -> String {
    format!("stepwell secret {name}")
}

/// Where the key stands that was made here.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("secret-key")
}

/// The key in the data folder, made now if there is none. Only its owner can read it.
pub(crate) fn kept(data: &Path) -> anyhow::Result<Keys> {
    let path = path(data);
    match fs::read_to_string(&path) {
        Ok(text) => return Ok(Keys::read(&Zeroizing::new(text))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    let text = Zeroizing::new(STANDARD.encode(*bytes) + "\n");
    // Written beside and renamed, so that a crash leaves no half a key.
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    tracing::info!(file = %path.display(), "made a key for secrets: keep a copy of it apart from backups");
    Ok(Keys::read(&text)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key(byte: u8) -> String {
        hex::encode([byte; KEY_BYTES])
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_and_for_its_name_alone() {
        let value = Secret("hush".to_owned());
        let one = Keys::read(&key(1)).unwrap();
        let sealed = one.seal("shop.TOKEN", &value).unwrap();
        assert!(
            !sealed.text.contains("hush") && !STANDARD.decode(&sealed.text).unwrap().windows(4).any(|w| w == b"hush")
        );
        assert_ne!(one.seal("shop.TOKEN", &value).unwrap(), sealed, "twice the same tells that it is the same");
        let base64 = STANDARD.encode([1; KEY_BYTES]);
        let flipped = |at: usize| {
            let mut bytes = STANDARD.decode(&sealed.text).unwrap();
            bytes[at] ^= 1;
            Sealed { text: STANDARD.encode(bytes), ..sealed.clone() }
        };
        for (keys, name, sealed, opens) in [
            (key(1), "shop.TOKEN", sealed.clone(), true),
            (base64, "shop.TOKEN", sealed.clone(), true),
            (format!("{}\n{}\n", key(2), key(1)), "shop.TOKEN", sealed.clone(), true),
            (format!("{},{}", key(2), key(1)), "shop.TOKEN", sealed.clone(), true),
            (key(2), "shop.TOKEN", sealed.clone(), false),
            (key(1), "bank.TOKEN", sealed.clone(), false),
            (key(1), "shop.TOKEN", flipped(0), false),
            (key(1), "shop.TOKEN", flipped(NONCE_LEN), false),
            (key(1), "shop.TOKEN", Sealed { text: "AAAA".to_owned(), ..sealed.clone() }, false),
            // Under the name of a key it was not sealed with.
            (
                key(2),
                "shop.TOKEN",
                Sealed { key_id: Keys::read(&key(2)).unwrap().id().unwrap().to_owned(), ..sealed.clone() },
                false,
            ),
        ] {
            let opened = Keys::read(&keys).unwrap().open(name, &sealed);
            assert_eq!(opened, opens.then(|| value.clone()), "{keys} {name}");
        }
        assert!(Keys::default().seal("x", &value).is_err());
    }

    #[test]
    fn keys_are_refused_without_being_repeated() {
        for (text, said) in [
            ("", KeyError::Empty),
            ("  \n", KeyError::Empty),
            ("hunter2", KeyError::Malformed(1)),
            (&format!("{}\n{}0", key(1), key(2)), KeyError::Malformed(2)),
            (&[key(1).as_str(); 9].join(","), KeyError::TooMany(9)),
        ] {
            let error = Keys::read(text).err().unwrap();
            assert!(error == said && !error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = kept(dir.path()).unwrap();
        let again = kept(dir.path()).unwrap();
        assert_eq!(first.id().unwrap(), again.id().unwrap());
        assert_eq!(fs::metadata(path(dir.path())).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(path(dir.path()), "short").unwrap();
        assert!(kept(dir.path()).is_err());
    }
}
