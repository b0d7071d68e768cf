//! Builds of plugins that an operator took back: no call is made of them, and nothing new is pinned to them.
//!
//! Invariants:
//! - A revocation outlives its build: the same bytes are not taken in again (`plugins`).
//! - No version is published that is pinned to a revoked build (`flows`); publishing and revoking hold [`PLUGINS`].
//!
//! Not here: what keeps calls from being made (`sandbox`) and flows from being started (`server`).

use serde_json::json;
use stepwell_runtime::journal::Unavailable;

use crate::administration::audit;
use crate::feed::{Change, notice};
use crate::needs::PLUGINS;
use crate::rows::{integer, natural};
use crate::sql::{Db, Result, values};
use crate::{Act, Store};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub digest: String,
    pub name: String,
    pub version: String,
    pub reason: String,
    pub revoked_ms: u64,
    pub revoked_by: String,
}

pub(crate) fn is_revoked(db: &mut Db, digest: &str) -> Result<bool> {
    db.exists("select 1 from revocation where digest = ?1", &values![digest])
}

impl Store {
    /// Takes a build back, or says another reason. `false`: there is no such build.
    pub async fn revoke(&self, act: Act, digest: &str, reason: &str) -> std::result::Result<bool, Unavailable> {
        let (digest, reason) = (digest.to_owned(), reason.to_owned());
        self.write(move |tx| {
            tx.hold(PLUGINS)?;
            let named = "select name, version from plugin where digest = ?1
                         union select name, version from revocation where digest = ?1";
            let found: Option<(String, String)> =
                tx.db.first(named, &values![&digest], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let Some((name, version)) = found else { return Ok(false) };
            tx.db.execute(
                "insert into revocation (digest, name, version, reason, revoked_ms, revoked_by)
                 values (?1, ?2, ?3, ?4, ?5, ?6) on conflict (digest) do update set reason = excluded.reason",
                &values![&digest, &name, &version, &reason, integer(act.at_ms), &act.by],
            )?;
            let detail = json!({ "digest": digest, "reason": reason });
            audit(tx, &act.by, act.at_ms, "plugin.revoke", &format!("{name}@{version}"), &detail)?;
            notice(tx, act.at_ms, &Change::Revoked { name, version, digest: digest.clone(), revoked: true })?;
            Ok(true)
        })
        .await
    }

    /// Lets a build be called again. `false`: it was not revoked.
    pub async fn take_revocation_back(&self, act: Act, digest: &str) -> std::result::Result<bool, Unavailable> {
        let digest = digest.to_owned();
        self.write(move |tx| {
            tx.hold(PLUGINS)?;
            let named = "select name, version from revocation where digest = ?1";
            let found: Option<(String, String)> =
                tx.db.first(named, &values![&digest], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let Some((name, version)) = found else { return Ok(false) };
            tx.db.execute("delete from revocation where digest = ?1", &values![&digest])?;
            let detail = json!({ "digest": digest });
            audit(tx, &act.by, act.at_ms, "plugin.unrevoke", &format!("{name}@{version}"), &detail)?;
            notice(tx, act.at_ms, &Change::Revoked { name, version, digest: digest.clone(), revoked: false })?;
            Ok(true)
        })
        .await
    }

    /// By name and version.
    pub async fn revocations(&self) -> std::result::Result<Vec<Revocation>, Unavailable> {
        self.read(|db| {
            db.query(
                "select digest, name, version, reason, revoked_ms, revoked_by from revocation
                 order by name, version, digest",
                &[],
                |row| {
                    Ok(Revocation {
                        digest: row.get(0)?,
                        name: row.get(1)?,
                        version: row.get(2)?,
                        reason: row.get(3)?,
                        revoked_ms: natural(row, 4)?,
                        revoked_by: row.get(5)?,
                    })
                },
            )
        })
        .await
    }
}
