//! Users, API tokens, and which role each has where.
//!
//! Invariants:
//! - Nothing here can be shown to be let in: passwords are hashes, tokens digests.
//! - Whatever takes something from somebody (a role, a password, the account) ends their sessions or is told to
//!   every engine ([`Change::Access`]) in the same transaction.
//! - Once there is an administrator everywhere, there is one: the last can neither go nor be made less.
//!
//! Not here: sessions (`sessions`), what roles may do, and how a password is hashed (`server`).

use std::collections::BTreeMap;

use serde_json::json;
use stepwell_runtime::journal::Unavailable;

use crate::administration::audit;
use crate::feed::{Change, notice};
use crate::rows::{integer, natural, natural_or_null};
use crate::sql::{Db, Error, Result, values};
use crate::tx::Tx;
use crate::within::{EVERYWHERE, Role, Roles};
use crate::{Act, Store};

/// Every engine holds all of them in memory.
pub const USERS_MAX: u64 = 10_000;
pub const TOKENS_MAX: u64 = 10_000;

/// A user, without what they log in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub disabled: bool,
    pub must_change: bool,
    pub created_ms: u64,
    pub created_by: String,
    pub roles: Roles,
    /// Of the sessions they have now.
    pub seen_ms: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct NewUser {
    pub name: String,
    /// The hash.
    pub password: String,
    pub must_change: bool,
    pub roles: Roles,
}

/// A program's token, without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    pub id: String,
    pub name: String,
    /// The sha256 of the token, in hexadecimal digits.
    pub digest: String,
    /// `None`: made with the engine's own token.
    pub owner: Option<String>,
    pub created_ms: u64,
    pub expires_ms: Option<u64>,
    pub used_ms: Option<u64>,
    pub roles: Roles,
}

/// Everybody who can be let in.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// By name.
    pub users: Vec<User>,
    /// The oldest first.
    pub tokens: Vec<ApiToken>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserAdded {
    Added,
    Exists,
    /// There is an administrator already.
    NotFirst,
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChanged {
    Done,
    Unknown,
    /// Nobody would be left to administer.
    LastAdmin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAdded {
    Added,
    /// Its owner is gone or disabled.
    NoOwner,
    Full,
}

/// Held by whoever changes users: two must not each take away the other of the last two administrators.
const USERS: &str = "users";

fn roles(db: &mut Db, kind: &str) -> Result<BTreeMap<String, Roles>> {
    let mut all: BTreeMap<String, Roles> = BTreeMap::new();
    let sql = "select holder, namespace, role from role_given where kind = ?1";
    let rows = db.query(sql, &values![kind], |row| {
        let role: String = row.get(2)?;
        let role = Role::parse(&role).ok_or(Error::Column { column: 2, holds: "no role" })?;
        Ok((row.get::<String>(0)?, row.get::<String>(1)?, role))
    })?;
    for (holder, namespace, role) in rows {
        all.entry(holder).or_default().insert(namespace, role);
    }
    Ok(all)
}

fn give(tx: &mut Tx<'_>, kind: &str, holder: &str, roles: &Roles) -> Result<()> {
    take(tx, kind, holder)?;
    for (namespace, role) in roles {
        let sql = "insert into role_given (kind, holder, namespace, role) values (?1, ?2, ?3, ?4)";
        tx.db.execute(sql, &values![kind, holder, namespace, role.name()])?;
    }
    Ok(())
}

fn take(tx: &mut Tx<'_>, kind: &str, holder: &str) -> Result<()> {
    tx.db.execute("delete from role_given where kind = ?1 and holder = ?2", &values![kind, holder])?;
    Ok(())
}

const AN_ADMIN: &str = "select 1 from account as a join role_given as r
     on r.kind = 'user' and r.holder = a.name and r.namespace = '*' and r.role = 'admin'
     where a.disabled = 0 and a.name <> ?1 limit 1";

/// Is there one beside this user?
fn administered(db: &mut Db, beside: &str) -> Result<bool> {
    db.exists(AN_ADMIN, &values![beside])
}

fn exists(db: &mut Db, name: &str) -> Result<bool> {
    db.exists("select 1 from account where name = ?1", &values![name])
}

fn count(db: &mut Db, table: &str) -> Result<u64> {
    db.only(&format!("select count(*) from {table}"), &[], |row| natural(row, 0))
}

pub(crate) fn end_sessions_of(tx: &mut Tx<'_>, name: &str) -> Result<usize> {
    tx.db.execute("delete from session where account = ?1", &values![name])
}

fn add(tx: &mut Tx<'_>, act: &Act, user: &NewUser) -> Result<UserAdded> {
    if exists(tx.db, &user.name)? {
        return Ok(UserAdded::Exists);
    }
    if count(tx.db, "account")? >= USERS_MAX {
        return Ok(UserAdded::Full);
    }
    tx.db.execute(
        "insert into account (name, password, disabled, must_change, created_ms, created_by)
         values (?1, ?2, 0, ?3, ?4, ?5)",
        &values![&user.name, &user.password, user.must_change, integer(act.at_ms), &act.by],
    )?;
    give(tx, "user", &user.name, &user.roles)?;
    audit(tx, &act.by, act.at_ms, "user.add", &user.name, &json!({ "roles": user.roles }))?;
    notice(tx, act.at_ms, &Change::Access)?;
    Ok(UserAdded::Added)
}

impl Store {
    /// Everybody, at one moment.
    pub async fn directory(&self) -> std::result::Result<Directory, Unavailable> {
        self.read(|db| {
            let (mut of_users, mut of_tokens) = (roles(db, "user")?, roles(db, "token")?);
            let users = db.query(
                "select a.name, a.disabled, a.must_change, a.created_ms, a.created_by,
                     (select max(s.seen_ms) from session as s where s.account = a.name)
                 from account as a order by a.name",
                &[],
                |row| {
                    let name: String = row.get(0)?;
                    Ok(User {
                        disabled: row.get(1)?,
                        must_change: row.get(2)?,
                        created_ms: natural(row, 3)?,
                        created_by: row.get(4)?,
                        seen_ms: natural_or_null(row, 5)?,
                        roles: of_users.remove(&name).unwrap_or_default(),
                        name,
                    })
                },
            )?;
            let tokens = db.query(
                "select id, name, digest, owner, created_ms, expires_ms, used_ms from api_token order by id",
                &[],
                |row| {
                    let id: String = row.get(0)?;
                    Ok(ApiToken {
                        name: row.get(1)?,
                        digest: row.get(2)?,
                        owner: row.get(3)?,
                        created_ms: natural(row, 4)?,
                        expires_ms: natural_or_null(row, 5)?,
                        used_ms: natural_or_null(row, 6)?,
                        roles: of_tokens.remove(&id).unwrap_or_default(),
                        id,
                    })
                },
            )?;
            Ok(Directory { users, tokens })
        })
        .await
    }

    /// What a user's password is compared with; `None`: there is nobody of this name.
    pub async fn password(&self, name: &str) -> std::result::Result<Option<String>, Unavailable> {
        let name = name.to_owned();
        self.read(move |db| db.first("select password from account where name = ?1", &values![&name], |row| row.get(0)))
            .await
    }

    /// Is there somebody who administers everything?
    pub async fn is_administered(&self) -> std::result::Result<bool, Unavailable> {
        self.read(|db| administered(db, "")).await
    }

    pub async fn add_user(&self, act: Act, user: NewUser) -> std::result::Result<UserAdded, Unavailable> {
        self.write(move |tx| {
            tx.hold(USERS)?;
            add(tx, &act, &user)
        })
        .await
    }

    /// Makes a user who administers everything, if nobody does yet.
    pub async fn add_first_admin(&self, at_ms: u64, mut user: NewUser) -> std::result::Result<UserAdded, Unavailable> {
        user.roles = Roles::from([(EVERYWHERE.to_owned(), Role::Admin)]);
        let act = Act { by: user.name.clone(), at_ms };
        self.write(move |tx| {
            tx.hold(USERS)?;
            if administered(tx.db, "")? { Ok(UserAdded::NotFirst) } else { add(tx, &act, &user) }
        })
        .await
    }

    pub async fn set_roles(&self, act: Act, name: &str, roles: Roles) -> std::result::Result<UserChanged, Unavailable> {
        let stays = roles.get(EVERYWHERE) == Some(&Role::Admin);
        self.change_user(act, name, "user.roles", !stays, move |tx, name| {
            give(tx, "user", name, &roles)?;
            Ok(json!({ "roles": roles }))
        })
        .await
    }

    /// Disables a user, which ends their sessions, or enables them again.
    pub async fn set_disabled(
        &self,
        act: Act,
        name: &str,
        disabled: bool,
    ) -> std::result::Result<UserChanged, Unavailable> {
        let action = if disabled { "user.disable" } else { "user.enable" };
        self.change_user(act, name, action, disabled, move |tx, name| {
            tx.db.execute("update account set disabled = ?2 where name = ?1", &values![name, disabled])?;
            if disabled {
                end_sessions_of(tx, name)?;
            }
            Ok(json!({}))
        })
        .await
    }

    /// Sets a password's hash, which ends the user's sessions.
    pub async fn set_password(
        &self,
        act: Act,
        name: &str,
        password: String,
        must_change: bool,
    ) -> std::result::Result<UserChanged, Unavailable> {
        self.change_user(act, name, "user.password", false, move |tx, name| {
            let sql = "update account set password = ?2, must_change = ?3 where name = ?1";
            tx.db.execute(sql, &values![name, &password, must_change])?;
            end_sessions_of(tx, name)?;
            Ok(json!({}))
        })
        .await
    }

    /// Ends all of a user's sessions.
    pub async fn end_sessions(&self, act: Act, name: &str) -> std::result::Result<UserChanged, Unavailable> {
        self.change_user(act, name, "user.log-out", false, |tx, name| {
            Ok(json!({ "sessions": end_sessions_of(tx, name)? }))
        })
        .await
    }

    /// Deletes a user with their sessions and tokens. What they did stays in the audit.
    pub async fn delete_user(&self, act: Act, name: &str) -> std::result::Result<UserChanged, Unavailable> {
        self.change_user(act, name, "user.delete", true, |tx, name| {
            end_sessions_of(tx, name)?;
            let theirs = "select id from api_token where owner = ?1";
            for token in tx.db.query(theirs, &values![name], |row| row.get::<String>(0))? {
                take(tx, "token", &token)?;
            }
            let tokens = tx.db.execute("delete from api_token where owner = ?1", &values![name])?;
            take(tx, "user", name)?;
            tx.db.execute("delete from account where name = ?1", &values![name])?;
            Ok(json!({ "tokens": tokens }))
        })
        .await
    }

    /// One change of a user who is there, with its audit row. `lessens`: they administer nothing after it.
    async fn change_user(
        &self,
        act: Act,
        name: &str,
        action: &'static str,
        lessens: bool,
        change: impl Fn(&mut Tx<'_>, &str) -> Result<serde_json::Value> + Send + 'static,
    ) -> std::result::Result<UserChanged, Unavailable> {
        let name = name.to_owned();
        self.write(move |tx| {
            tx.hold(USERS)?;
            if !exists(tx.db, &name)? {
                return Ok(UserChanged::Unknown);
            }
            // Where nobody administers yet, nobody is the last.
            if lessens && administered(tx.db, "")? && !administered(tx.db, &name)? {
                return Ok(UserChanged::LastAdmin);
            }
            let detail = change(tx, &name)?;
            audit(tx, &act.by, act.at_ms, action, &name, &detail)?;
            notice(tx, act.at_ms, &Change::Access)?;
            Ok(UserChanged::Done)
        })
        .await
    }

    pub async fn add_token(&self, act: Act, token: ApiToken) -> std::result::Result<TokenAdded, Unavailable> {
        self.write(move |tx| {
            tx.hold(USERS)?;
            let sound = "select 1 from account where name = ?1 and disabled = 0";
            if let Some(owner) = &token.owner
                && !tx.db.exists(sound, &values![owner])?
            {
                return Ok(TokenAdded::NoOwner);
            }
            if count(tx.db, "api_token")? >= TOKENS_MAX {
                return Ok(TokenAdded::Full);
            }
            tx.db.execute(
                "insert into api_token (id, name, digest, owner, created_ms, expires_ms)
                 values (?1, ?2, ?3, ?4, ?5, ?6)",
                &values![
                    &token.id,
                    &token.name,
                    &token.digest,
                    &token.owner,
                    integer(token.created_ms),
                    token.expires_ms.map(integer)
                ],
            )?;
            give(tx, "token", &token.id, &token.roles)?;
            let detail = json!({ "id": token.id, "owner": token.owner, "roles": token.roles });
            audit(tx, &act.by, act.at_ms, "token.add", &token.name, &detail)?;
            notice(tx, act.at_ms, &Change::Access)?;
            Ok(TokenAdded::Added)
        })
        .await
    }

    /// Takes a token back. `false`: there is none.
    pub async fn revoke_token(&self, act: Act, id: &str) -> std::result::Result<bool, Unavailable> {
        let id = id.to_owned();
        self.write(move |tx| {
            let sql = "select name from api_token where id = ?1";
            let Some(name) = tx.db.first(sql, &values![&id], |row| row.get::<String>(0))? else { return Ok(false) };
            take(tx, "token", &id)?;
            tx.db.execute("delete from api_token where id = ?1", &values![&id])?;
            audit(tx, &act.by, act.at_ms, "token.revoke", &name, &json!({ "id": id }))?;
            notice(tx, act.at_ms, &Change::Access)?;
            Ok(true)
        })
        .await
    }
}
