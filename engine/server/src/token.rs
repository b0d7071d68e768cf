//! The administrator's token when nobody gave one: made once, kept in the data folder.
//!
//! Invariant: the file is readable by its owner alone.
//!
//! Not here: how tokens are compared (`http::auth`).

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::http::auth::random_token;

const SECRET_BYTES: usize = 32;

/// Where the token stands, for people and for commands on the same machine.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("admin-token")
}

/// The token in the data folder, made now if there is none.
pub(crate) fn kept(data: &Path) -> io::Result<String> {
    let path = path(data);
    if let Some(token) = read(data)? {
        return Ok(token);
    }
    let token = random_token(SECRET_BYTES);
    // Written beside and renamed, so that a crash leaves no empty token.
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(token.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    Ok(token)
}

/// The token in the data folder, if one was made.
pub(crate) fn read(data: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path(data)) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let token = kept(dir.path()).unwrap();
        assert_eq!(kept(dir.path()).unwrap(), token);
        assert_eq!(fs::metadata(path(dir.path())).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(token.len() >= 40);
    }
}
