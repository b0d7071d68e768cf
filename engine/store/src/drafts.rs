//! The one mutable form of each flow. Nobody overwrites what they have not seen: every write says
//! which revision it was made from.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use stepwell_runtime::journal::Unavailable;

use crate::administration::audit;
use crate::feed::{Change, notice};
use crate::rows::{integer, json as read_json, natural, shared, text};
use crate::sql::{Db, Result, values};
use crate::tx::Tx;
use crate::{Act, Store};

#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub flow: String,
    pub document: Arc<Json>,
    /// 1, 2, 3 …; the `ETag`.
    pub revision: u64,
    /// The version it was last published as, or made from.
    pub base_version: Option<u32>,
    /// The checked document's hash; `None` while it holds errors.
    pub hash: Option<String>,
    pub updated_ms: u64,
    pub updated_by: String,
}

/// What the writer of a draft believes to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// No draft yet.
    None,
    /// This revision.
    Revision(u64),
}

#[derive(Debug, Clone)]
pub struct SaveDraft {
    pub flow: String,
    pub document: Arc<Json>,
    pub hash: Option<String>,
    pub expect: Expect,
    pub act: Act,
}

#[derive(Debug, Clone, PartialEq)]
pub enum DraftSaved {
    Saved(Draft),
    /// Nothing was changed: this is what stands there (`None`: nothing does).
    Conflict(Option<Draft>),
}

/// Writes what lists show of a flow.
pub(crate) fn name_flow(tx: &mut Tx<'_>, flow: &str, document: &Json, at_ms: u64) -> Result<()> {
    let kind = document.get("kind").and_then(Json::as_str).unwrap_or("graph");
    let title = document.get("title").cloned().unwrap_or_else(|| Json::String(flow.to_owned()));
    tx.db
        .execute(
            "insert into flow (key, kind, title, updated_ms) values (?1, ?2, ?3, ?4)
             on conflict (key) do update set kind = case
                     when exists (select 1 from version where flow = excluded.key) then flow.kind else excluded.kind end,
                 title = excluded.title,
                                             updated_ms = excluded.updated_ms",
            &values![flow, kind, title.to_string(), integer(at_ms)],
        )
        .map(|_| ())
}

/// The draft as it stands.
pub(crate) fn find(db: &mut Db, flow: &str) -> Result<Option<Draft>> {
    db.first(
        "select flow, document, revision, base_version, hash, updated_ms, updated_by from draft where flow = ?1",
        &values![flow],
        |row| {
            Ok(Draft {
                flow: row.get(0)?,
                document: shared(read_json(row, 1)?),
                revision: natural(row, 2)?,
                base_version: row.get(3)?,
                hash: row.get(4)?,
                updated_ms: natural(row, 5)?,
                updated_by: row.get(6)?,
            })
        },
    )
}

impl Store {
    pub async fn draft(&self, flow: &str) -> std::result::Result<Option<Draft>, Unavailable> {
        let flow = flow.to_owned();
        self.read(move |db| find(db, &flow)).await
    }

    pub async fn save_draft(&self, save: SaveDraft) -> std::result::Result<DraftSaved, Unavailable> {
        let document = text(&*save.document)?;
        self.write(move |tx| {
            let SaveDraft { flow, hash, expect, act, .. } = &save;
            tx.hold(flow)?;
            let current = find(tx.db, flow)?;
            let revision = match (expect, &current) {
                (Expect::None, None) => 1,
                (Expect::Revision(expected), Some(draft)) if draft.revision == *expected => expected + 1,
                (Expect::None | Expect::Revision(_), _) => return Ok(DraftSaved::Conflict(current)),
            };
            name_flow(tx, flow, &save.document, act.at_ms)?;
            let latest: Option<u32> =
                tx.db.only("select max(version) from version where flow = ?1", &values![flow], |row| row.get(0))?;
            let base_version = current.map_or(latest, |draft| draft.base_version);
            tx.db.execute(
                "insert into draft (flow, document, revision, base_version, hash, updated_ms, updated_by)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 on conflict (flow) do update set document = excluded.document, revision = excluded.revision,
                     hash = excluded.hash, updated_ms = excluded.updated_ms, updated_by = excluded.updated_by",
                &values![flow, &document, integer(revision), base_version, hash, integer(act.at_ms), &act.by],
            )?;
            audit(tx, &act.by, act.at_ms, "draft.save", flow, &json!({ "revision": revision }))?;
            notice(tx, act.at_ms, &Change::Draft { flow: flow.clone() })?;
            Ok(DraftSaved::Saved(Draft {
                flow: flow.clone(),
                document: save.document.clone(),
                revision,
                base_version,
                hash: hash.clone(),
                updated_ms: act.at_ms,
                updated_by: act.by.clone(),
            }))
        })
        .await
    }

    /// Drops a draft; a flow that was never published goes with it. False: there was none.
    pub async fn delete_draft(&self, act: Act, flow: &str) -> std::result::Result<bool, Unavailable> {
        let flow = flow.to_owned();
        self.write(move |tx| {
            tx.hold(&flow)?;
            if tx.db.execute("delete from draft where flow = ?1", &values![&flow])? == 0 {
                return Ok(false);
            }
            tx.db.execute(
                "delete from flow where key = ?1 and not exists (select 1 from version where flow = ?1)",
                &values![&flow],
            )?;
            audit(tx, &act.by, act.at_ms, "draft.delete", &flow, &Json::Null)?;
            notice(tx, act.at_ms, &Change::Draft { flow: flow.clone() })?;
            Ok(true)
        })
        .await
    }
}
