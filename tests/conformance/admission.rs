//! How instances come to be: each once, and one per caller's key.

use anyhow::{Result, bail};
use futures::future::join_all;
use stepwell_runtime::Journal as _;
use stepwell_runtime::journal::AppendError;

use crate::subject::{Commit, OTHER_FLOW, Subject, commit, new_id, refused, same, taken};

pub(crate) async fn an_admitted_instance_is_there_as_it_was_given(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    same("before", journal.take(&id).await?.is_none(), true)?;
    commit(journal, Commit::first(&id).entries(3)).await?;
    let it = taken(journal, &id).await?;
    same("epoch and seq", (it.epoch, it.seq), (2, 3))?;
    same("flow", (&*it.flow, it.version), ("order", 1))?;
    same("business key", it.business_key.as_deref(), Some("key of it"))?;
    same("traceparent", it.traceparent.as_deref(), Some("00-trace-01"))?;
    same("snapshot", &*it.snapshot, "as of 1")?;
    same("inbox", it.inbox.len(), 0)
}

pub(crate) async fn an_id_is_admitted_once(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    commit(journal, Commit::first(&id)).await?;
    refused(journal, Commit::first(&id).entries(2)).await?;
    same("seq", taken(journal, &id).await?.seq, 1)
}

pub(crate) async fn an_idempotency_key_has_one_winner(subject: impl Subject) -> Result<()> {
    let (journal, winner) = (subject.journal(), new_id());
    commit(journal, Commit::first(&winner).idempotency("k", "asked")).await?;
    for (request, other) in [("asked", false), ("asked otherwise", true)] {
        let loser = new_id();
        match journal.append(Commit::first(&loser).idempotency("k", request).0).await {
            Err(AppendError::Duplicate { instance, other_request }) => {
                same(request, (instance, other_request), (winner.clone(), other))?;
            }
            other => bail!("{request}: {other:?}"),
        }
        same("the loser", journal.take(&loser).await?.is_none(), true)?;
    }
    // Another key, another flow, or no key at all: nobody's duplicate.
    commit(journal, Commit::first(&new_id()).idempotency("other", "asked")).await?;
    commit(journal, Commit::first(&new_id()).of_flow(OTHER_FLOW).idempotency("k", "asked")).await?;
    commit(journal, Commit::first(&new_id())).await?;
    Ok(())
}

pub(crate) async fn of_many_racing_starts_one_wins(subject: impl Subject) -> Result<()> {
    let journal = subject.journal();
    let starts = (0..20).map(|_| journal.append(Commit::first(&new_id()).idempotency("k", "asked").0));
    let (won, lost): (Vec<_>, Vec<_>) = join_all(starts).await.into_iter().partition(Result::is_ok);
    same("winners", won.len(), 1)?;
    let named: std::collections::BTreeSet<_> = lost
        .into_iter()
        .map(|loser| match loser {
            Err(AppendError::Duplicate { instance, .. }) => instance.to_string(),
            other => format!("{other:?}"),
        })
        .collect();
    same("winners named", named.len(), 1)
}
