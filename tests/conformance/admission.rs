//! How instances come to be: each once, and one per caller's key.

use anyhow::{Result, bail};
use futures::future::join_all;
use stepwell_core::flow::Unique;
use stepwell_core::machine::State;
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

/// The instance that has the key, or nothing where the start was taken.
async fn started(journal: &impl stepwell_runtime::Journal, commit: Commit) -> Result<Option<String>> {
    match journal.append(commit.0).await {
        Ok(_) => Ok(None),
        Err(AppendError::KeyTaken { instance }) => Ok(Some(instance.to_string())),
        Err(other) => bail!("{other:?}"),
    }
}

pub(crate) async fn a_business_key_stands_for_one_where_the_flow_says_so(subject: impl Subject) -> Result<()> {
    let journal = subject.journal();
    let (running, always) = (Some(Unique::Running), Some(Unique::Always));
    let (plain, live, forever) = (new_id(), new_id(), new_id());
    // One that was started before the flow said so has its key all the same.
    same("plain", started(journal, Commit::first(&plain).unique("a", None)).await?, None)?;
    for (unique, holder) in [(running, Some(plain.to_string())), (always, Some(plain.to_string())), (None, None)] {
        same("beside plain", started(journal, Commit::first(&new_id()).unique("a", unique)).await?, holder)?;
    }
    same("live", started(journal, Commit::first(&live).unique("b", running)).await?, None)?;
    let other = || Commit::first(&new_id()).unique("b", running);
    same("beside live", started(journal, other()).await?, Some(live.to_string()))?;
    same("of another flow", started(journal, other().of_flow(OTHER_FLOW)).await?, None)?;
    same("of another key", started(journal, Commit::first(&new_id()).unique("c", running)).await?, None)?;
    // A refused start is not there, and the first goes on; once it has ended, the key is free.
    commit(journal, Commit::after(&live, 1, 1).state(State::Completed)).await?;
    same(
        "for good, after the end",
        started(journal, Commit::first(&new_id()).unique("b", always)).await?,
        Some(live.to_string()),
    )?;
    let next = new_id();
    same("after the end", started(journal, Commit::first(&next).unique("b", running)).await?, None)?;
    same("it goes on", taken(journal, &next).await?.seq, 1)?;
    // For good: the end changes nothing.
    same(
        "forever",
        started(journal, Commit::first(&forever).unique("d", always).state(State::Completed)).await?,
        None,
    )?;
    same("again", started(journal, Commit::first(&new_id()).unique("d", always)).await?, Some(forever.to_string()))?;
    same("now only while running", started(journal, Commit::first(&new_id()).unique("d", running)).await?, None)?;
    // Who repeats a request is answered as before, whatever its key.
    let (first, again) = (new_id(), new_id());
    commit(journal, Commit::first(&first).unique("e", running).idempotency("k", "asked")).await?;
    match journal.append(Commit::first(&again).unique("e", running).idempotency("k", "asked").0).await {
        Err(AppendError::Duplicate { instance, .. }) => same("repeated", instance, first),
        other => bail!("{other:?}"),
    }
}

pub(crate) async fn of_many_racing_starts_one_has_the_business_key(subject: impl Subject) -> Result<()> {
    let journal = subject.journal();
    for (key, unique) in [("r", Unique::Running), ("s", Unique::Always)] {
        let starts = (0..30).map(|_| started(journal, Commit::first(&new_id()).unique(key, Some(unique))));
        let (mut won, mut named) = (0, std::collections::BTreeSet::new());
        for outcome in join_all(starts).await {
            match outcome? {
                None => won += 1,
                Some(holder) => {
                    named.insert(holder);
                }
            }
        }
        same("winners", won, 1)?;
        same("winners named", named.len(), 1)?;
        let winner = named.into_iter().next().unwrap_or_default();
        same("the winner is there", journal.take(&winner).await?.is_some(), true)?;
    }
    Ok(())
}

pub(crate) async fn nothing_starts_on_a_version_that_is_not_there(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    match journal.append(Commit::first(&id).version(7).0).await {
        Err(AppendError::Retired) => same("it", journal.take(&id).await?.is_none(), true),
        other => bail!("{other:?}"),
    }
}

pub(crate) async fn nothing_goes_on_with_a_version_that_is_not_there(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    commit(journal, Commit::first(&id)).await?;
    let mut moved = Commit::after(&id, 1, 1);
    moved.0.version = 7;
    match journal.append(moved.0).await {
        Err(AppendError::Retired) => {}
        other => bail!("{other:?}"),
    }
    // It is its owner's still, as it was stored.
    commit(journal, Commit::after(&id, 1, 1)).await?;
    same("version", taken(journal, &id).await?.version, 1)
}
