//! Records change with commits, and a commit stands only on records that did not move.

use anyhow::{Result, bail};
use futures::future::join_all;
use stepwell_runtime::Journal as _;
use stepwell_runtime::journal::AppendError;

use crate::subject::{Commit, Subject, commit, moved, new_id, same, taken};

fn at(status: &str, revision: u64) -> (String, u64) {
    (status.to_owned(), revision)
}

pub(crate) async fn a_record_is_written_with_its_commit(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    same("before", subject.record("order", "1").await?, None)?;
    commit(journal, Commit::first(&id).writes("order", "1", 0, "NEW").reads("order", "2", 0)).await?;
    same("created", subject.record("order", "1").await?, Some(at("NEW", 1)))?;
    same("only read", subject.record("order", "2").await?, None)?;
    same("of another type", subject.record("refund", "1").await?, None)?;
    commit(journal, Commit::after(&id, 1, 1).writes("order", "1", 1, "PAYING")).await?;
    commit(journal, Commit::after(&id, 2, 1).reads("order", "1", 2)).await?;
    // Written several times since the commit before: each counts.
    commit(journal, Commit::after(&id, 3, 1).writes_up_to("order", "1", 2, 5, "PAID")).await?;
    let subject = subject.restart().await;
    same("after a restart", subject.record("order", "1").await?, Some(at("PAID", 5)))
}

pub(crate) async fn a_record_that_moved_refuses_the_whole_commit(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    commit(journal, Commit::first(&id).writes("order", "1", 0, "NEW")).await?;
    let next = || Commit::after(&id, 1, 1).writes("order", "2", 0, "NEW");
    for seen in [0, 2] {
        moved(journal, next().reads("order", "1", seen)).await?;
        moved(journal, next().writes("order", "1", seen, "PAID")).await?;
        // One that is not there moved as well, if it was seen.
        moved(journal, next().reads("order", "3", 1)).await?;
    }
    let other = new_id();
    moved(journal, Commit::first(&other).writes("order", "1", 0, "NEW")).await?;
    same("not admitted", journal.take(&other).await?.is_none(), true)?;
    same("not written", subject.record("order", "1").await?, Some(at("NEW", 1)))?;
    same("nor beside it", subject.record("order", "2").await?, None)?;
    same("not committed", journal.entries(&id, &[2]).await?.len(), 0)?;
    // It is still ours, as it was stored.
    commit(journal, next().reads("order", "1", 1)).await?;
    same("seq", taken(journal, &id).await?.seq, 2)
}

pub(crate) async fn of_many_that_claim_at_once_one_wins(subject: impl Subject) -> Result<()> {
    let journal = subject.journal();
    // Every other one touches nothing that the others do: it is not to be hurt.
    let claims = (0..60).map(async |n| {
        let it = Commit::first(&new_id());
        let it = if n % 2 == 0 { it.writes("order", "1", 0, "PAYING") } else { it };
        (n, journal.append(it.0).await)
    });
    let mut won = 0;
    for (n, outcome) in join_all(claims).await {
        match outcome {
            Ok(_) if n % 2 == 0 => won += 1,
            Err(AppendError::Moved(_)) if n % 2 == 0 => {}
            Ok(_) => {}
            Err(other) => bail!("{n}: {other:?}"),
        }
    }
    same("winners", won, 1)?;
    same("written once", subject.record("order", "1").await?, Some(at("PAYING", 1)))
}

pub(crate) async fn of_many_that_count_at_once_none_is_lost(subject: impl Subject) -> Result<()> {
    let (journal, record) = (subject.journal(), &subject);
    let counts = (0..8).map(async |_| {
        let id = new_id();
        loop {
            let seen = record.record("counter", "1").await?.map_or(0, |(_, revision)| revision);
            match journal.append(Commit::first(&id).writes("counter", "1", seen, "ON").0).await {
                Ok(_) => return anyhow::Ok(()),
                Err(AppendError::Moved(_)) => {}
                Err(other) => bail!("{other:?}"),
            }
        }
    });
    for outcome in join_all(counts).await {
        outcome?;
    }
    same("counted", subject.record("counter", "1").await?, Some(at("ON", 8)))
}

pub(crate) async fn a_commit_names_a_record_once(subject: impl Subject) -> Result<()> {
    let journal = subject.journal();
    let first = || Commit::first(&new_id());
    let twice = first().reads("order", "1", 0).writes("order", "1", 0, "NEW");
    let not_counted = first().writes_up_to("order", "1", 0, 0, "NEW");
    for wrong in [twice, not_counted] {
        match journal.append(wrong.0).await {
            Err(AppendError::Malformed(_)) => {}
            other => bail!("expected a refusal for good, got {other:?}"),
        }
    }
    same("nothing", subject.record("order", "1").await?, None)
}
