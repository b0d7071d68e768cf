//! What nobody can ask for any more is forgotten, a few hundred rows at once, so that nobody waits long behind it.

use stepwell_runtime::journal::Unavailable;

use crate::Store;
use crate::rows::integer;
use crate::sql::{Result, values};
use crate::tx::Tx;

/// Rows forgotten in one transaction, per table.
const SWEPT_MAX: u32 = 500;
/// Meetings are held for the length of a transaction; this is longer than any.
const MEETING_MS: u64 = 60 * 60 * 1000;

/// What was forgotten; a full batch of anything means there may be more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    pub rows: usize,
    pub more: bool,
}

fn forget(tx: &mut Tx<'_>, now_ms: u64) -> Result<Swept> {
    let now = integer(now_ms);
    let mut swept = Swept { rows: 0, more: false };
    for sql in [
        "delete from inbox where n in
             (select n from inbox where expires_ms is not null and expires_ms <= ?1 limit ?2)",
        "delete from seen where (message, id) in
             (select message, id from seen where expires_ms <= ?1 limit ?2)",
        "delete from idempotency where (flow, key) in
             (select flow, key from idempotency where expires_ms <= ?1 limit ?2)",
        "delete from session where digest in (select digest from session where ends_ms <= ?1 limit ?2)",
    ] {
        let rows = tx.db.execute(sql, &values![now, SWEPT_MAX])?;
        swept.rows += rows;
        swept.more |= rows >= SWEPT_MAX as usize;
    }
    // Nobody put these there to be remembered, so they do not count.
    let meetings = tx.db.execute(
        "delete from meeting where (message, key) in
         (select message, key from meeting where touched_ms <= ?1 limit ?2)",
        &values![integer(now_ms.saturating_sub(MEETING_MS)), SWEPT_MAX],
    )?;
    swept.more |= meetings >= SWEPT_MAX as usize;
    Ok(swept)
}

impl Store {
    /// Forgets messages that nobody took in time, dedupe rows that are no longer promised, and sessions that
    /// are over, a few hundred at once. To be called every now and then, and again while there is more.
    pub async fn sweep(&self, now_ms: u64) -> std::result::Result<Swept, Unavailable> {
        self.tell(now_ms);
        self.write(move |tx| forget(tx, now_ms)).await
    }
}
