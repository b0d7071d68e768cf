//! Sessions of browsers: made by a login, ended by time, by their user, or with what their user had.
//!
//! Invariants:
//! - Only the digest of what the browser shows is kept.
//! - A session is made only while the password that was compared is still its user's: of a login and a change of
//!   password at once, the change wins.
//!
//! Not here: what a session may do (`server`), and what ends all of a user's (`users`).

use serde_json::{Value as Json, json};
use stepwell_runtime::journal::Unavailable;

use crate::administration::audit;
use crate::feed::{Change, notice};
use crate::rows::{integer, natural};
use crate::sql::Kind::{Int, Text};
use crate::sql::{Each, values};
use crate::{Act, Store};

/// Sessions of one user at once; the oldest give way.
const SESSIONS_MAX: u32 = 50;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// `None`: bought with the engine's own token.
    pub account: Option<String>,
    pub created_ms: u64,
    pub seen_ms: u64,
    pub ends_ms: u64,
}

/// By what a session is bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bought {
    /// The engine's own token.
    ByToken,
    /// A user, and the hash their password was compared with.
    ByPassword { name: String, password: String },
}

static SEEN: Each<2> = Each::new(
    [Text, Int],
    "update session set seen_ms = ?2 {from each} where session.digest = ?1 and session.seen_ms < ?2",
);
static USED: Each<2> = Each::new(
    [Text, Int],
    "update api_token set used_ms = ?2 {from each} where api_token.id = ?1 and coalesce(api_token.used_ms, 0) < ?2",
);

impl Store {
    /// Keeps a session that begins now. `false`: its user is gone or disabled, or has another password by now.
    pub async fn begin_session(
        &self,
        act: Act,
        digest: &str,
        bought: Bought,
        ends_ms: u64,
    ) -> std::result::Result<bool, Unavailable> {
        let digest = digest.to_owned();
        self.write(move |tx| {
            let now = integer(act.at_ms);
            let account = match &bought {
                Bought::ByToken => None,
                Bought::ByPassword { name, password } => {
                    // Held against a change of the password, or the end of the user, until the commit.
                    let sound =
                        "select 1 from account as a where a.name = ?1 and a.password = ?2 and a.disabled = 0 {lock a}";
                    if !tx.db.exists(sound, &values![name, password])? {
                        return Ok(false);
                    }
                    Some(name.clone())
                }
            };
            tx.db.execute(
                "insert into session (digest, account, created_ms, seen_ms, ends_ms) values (?1, ?2, ?3, ?3, ?4)",
                &values![&digest, &account, now, integer(ends_ms)],
            )?;
            tx.db.execute(
                "delete from session where account is not distinct from ?1 and digest not in
                     (select s.digest from session as s where s.account is not distinct from ?1
                      order by s.created_ms desc, s.digest limit ?2)",
                &values![&account, SESSIONS_MAX],
            )?;
            audit(tx, &act.by, act.at_ms, "session.login", "session", &Json::Null)?;
            Ok(true)
        })
        .await
    }

    pub async fn session(&self, digest: &str) -> std::result::Result<Option<Session>, Unavailable> {
        let digest = digest.to_owned();
        self.read(move |db| {
            db.first(
                "select account, created_ms, seen_ms, ends_ms from session where digest = ?1",
                &values![&digest],
                |row| {
                    Ok(Session {
                        account: row.get(0)?,
                        created_ms: natural(row, 1)?,
                        seen_ms: natural(row, 2)?,
                        ends_ms: natural(row, 3)?,
                    })
                },
            )
        })
        .await
    }

    /// Ends one session, here and at every engine.
    pub async fn end_session(&self, act: Act, digest: &str) -> std::result::Result<(), Unavailable> {
        let digest = digest.to_owned();
        self.write(move |tx| {
            tx.db.execute("delete from session where digest = ?1", &values![&digest])?;
            audit(tx, &act.by, act.at_ms, "session.logout", "session", &json!({}))?;
            notice(tx, act.at_ms, &Change::Access)
        })
        .await
    }

    /// Notes when sessions (by digest) and tokens (by id) were used last.
    pub async fn touch(
        &self,
        sessions: Vec<(String, u64)>,
        tokens: Vec<(String, u64)>,
    ) -> std::result::Result<(), Unavailable> {
        self.write(move |tx| {
            for (each, rows) in [(&SEEN, &sessions), (&USED, &tokens)] {
                let rows: Vec<_> = rows.iter().map(|(name, at_ms)| values![name, integer(*at_ms)]).collect();
                tx.db.execute_each(each, &rows)?;
            }
            Ok(())
        })
        .await
    }
}
