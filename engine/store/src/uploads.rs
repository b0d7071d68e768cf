//! What became of the components that were brought: the last [`UPLOADS_MAX`], with the stages they went through.
//!
//! Invariant: each step of one is told by the feed, in its order.
//!
//! Not here: the stages themselves (`sandbox`, `server`).

use serde_json::Value;
use stepwell_runtime::journal::Unavailable;

use crate::feed::{Change, notice};
use crate::rows::{integer, json as read_json, natural, text};
use crate::sql::{Result, Row, values};
use crate::{Act, Store};

/// Older ones are forgotten.
const UPLOADS_MAX: u32 = 100;

#[derive(Debug, Clone, PartialEq)]
pub struct Upload {
    /// A UUID.
    pub id: String,
    /// Who brought it, and when.
    pub act: Act,
    pub state: UploadState,
    /// As the API shows it.
    pub body: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadState {
    Running,
    /// It is in force.
    Live,
    /// It could be in force; nothing was kept of it.
    Tried,
    Refused,
}

impl UploadState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Live => "live",
            Self::Tried => "tried",
            Self::Refused => "refused",
        }
    }
}

impl Store {
    /// Keeps how far one has come; `stage` is for whoever follows.
    pub async fn put_upload(&self, upload: Upload, stage: &str, now_ms: u64) -> std::result::Result<(), Unavailable> {
        let (body, stage) = (text(&upload.body)?, stage.to_owned());
        self.write(move |tx| {
            let Upload { id, act, state, .. } = &upload;
            tx.db.execute(
                "insert into upload (id, at_ms, who, state, body) values (?1, ?2, ?3, ?4, ?5)
                 on conflict (id) do update set state = excluded.state, body = excluded.body",
                &values![id, integer(act.at_ms), &act.by, state.name(), &body],
            )?;
            if *state != UploadState::Running {
                tx.db.execute(
                    "delete from upload where at_ms <
                         (select min(at_ms) from (select at_ms from upload order by at_ms desc limit ?1) as kept)",
                    &values![UPLOADS_MAX],
                )?;
            }
            notice(tx, now_ms, &Change::Upload { id: id.clone(), state: state.name().to_owned(), stage: stage.clone() })
        })
        .await
    }

    pub async fn upload(&self, id: &str) -> std::result::Result<Option<Upload>, Unavailable> {
        let id = id.to_owned();
        self.read(move |db| {
            db.first("select id, at_ms, who, state, body from upload where id = ?1", &values![&id], upload)
        })
        .await
    }

    /// The newest first.
    pub async fn uploads(&self) -> std::result::Result<Vec<Upload>, Unavailable> {
        self.read(|db| {
            db.query(
                "select id, at_ms, who, state, body from upload order by at_ms desc, id desc limit ?1",
                &values![UPLOADS_MAX],
                upload,
            )
        })
        .await
    }
}

fn upload(row: &Row<'_>) -> Result<Upload> {
    let state: String = row.get(3)?;
    let all = [UploadState::Running, UploadState::Live, UploadState::Tried];
    Ok(Upload {
        id: row.get(0)?,
        act: Act { by: row.get(2)?, at_ms: natural(row, 1)? },
        state: all.into_iter().find(|one| one.name() == state).unwrap_or(UploadState::Refused),
        body: read_json(row, 4)?,
    })
}
