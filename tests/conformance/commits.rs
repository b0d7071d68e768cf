//! What a commit writes, and that it is all or nothing.

use anyhow::{Result, bail};
use futures::future::join_all;
use stepwell_core::machine::State;
use stepwell_runtime::Journal as _;
use stepwell_runtime::journal::{AppendError, Inbound, InboxItem};

use crate::subject::{
    Commit, Subject, cancel, commit, entry, message, missed, new_id, posted, refused, same, taken, told,
};

pub(crate) async fn only_the_expected_place_and_epoch_are_written(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    commit(journal, Commit::first(&id)).await?;
    commit(journal, Commit::after(&id, 1, 1)).await?;
    for (seq, epoch) in [(1, 1), (3, 1), (2, 0), (2, 2), (0, 1)] {
        refused(journal, Commit::after(&id, seq, epoch)).await?;
    }
    refused(journal, Commit::after(&new_id(), 0, 1)).await?;
    refused(journal, Commit::after(&"not an id of ours".into(), 2, 1)).await.or_else(|_| Ok::<_, anyhow::Error>(()))?;
    let it = taken(journal, &id).await?;
    same("seq", it.seq, 2)?;
    same("snapshot", &*it.snapshot, "as of 2")?;
    same("entries", journal.entries(&id, &[1, 2, 3, 4]).await?, vec![entry(1), entry(2)])
}

pub(crate) async fn a_refused_commit_leaves_no_part_of_it(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    commit(journal, Commit::first(&id).waits_for("paid", "1")).await?;
    posted(journal, message("paid", "1", "m1")).await?;
    let inbox = journal.inbox(&id).await?;
    same("inbox", told(&inbox), vec!["m1".to_owned()])?;
    let gone = InboxItem { id: inbox[0].id + 1_000, what: Inbound::Command { command: cancel(""), by: String::new() } };
    let mut wanted = inbox.clone();
    wanted.push(gone);
    // One of the two is not there to be taken, so nothing of this stands.
    missed(journal, Commit::after(&id, 1, 1).takes(&wanted).state(State::Completed)).await?;
    let it = taken(journal, &id).await?;
    same("seq", it.seq, 1)?;
    same("snapshot", &*it.snapshot, "as of 1")?;
    same("what waits", told(&it.inbox), vec!["m1".to_owned()])?;
    same("entries", journal.entries(&id, &[2]).await?.len(), 0)?;
    // What it can take, it takes.
    same("left", commit(journal, Commit::after(&id, 1, 2).takes(&inbox)).await?, Vec::new())
}

pub(crate) async fn a_refused_item_does_not_hurt_its_neighbours(subject: impl Subject) -> Result<()> {
    let journal = subject.journal();
    let ids: Vec<_> = (0..60).map(|_| new_id()).collect();
    let admitted = join_all(ids.iter().map(|id| journal.append(Commit::first(id).0))).await;
    same("admitted", admitted.iter().filter(|one| one.is_ok()).count(), 60)?;
    // Every third comes from a stale owner, every fifth names a version that was never published.
    let commits = ids.iter().enumerate().map(|(at, id)| {
        let mut one = if at % 3 == 0 { Commit::after(id, 7, 1) } else { Commit::after(id, 1, 1) };
        if at % 5 == 0 {
            one = Commit::first(&new_id());
            one.0.admission.as_mut().unwrap().version = 99;
        }
        journal.append(one.0)
    });
    for (at, outcome) in join_all(commits).await.into_iter().enumerate() {
        same(&format!("item {at}: {outcome:?}"), outcome.is_ok(), at % 3 != 0 && at % 5 != 0)?;
    }
    for (at, id) in ids.iter().enumerate() {
        let seq = if at % 3 != 0 && at % 5 != 0 { 2 } else { 1 };
        same(&format!("seq of {at}"), taken(journal, id).await?.seq, seq)?;
    }
    Ok(())
}

pub(crate) async fn entries_are_found_by_number(subject: impl Subject) -> Result<()> {
    let (journal, id, other) = (subject.journal(), new_id(), new_id());
    commit(journal, Commit::first(&other).entries(9)).await?;
    commit(journal, Commit::first(&id).entries(3)).await?;
    commit(journal, Commit::after(&id, 3, 1)).await?;
    commit(journal, Commit::after(&id, 4, 1).entries(4)).await?;
    for (asked, found) in [
        (vec![1], vec![1]),
        (vec![2, 3], vec![2, 3]),
        (vec![8, 1, 4], vec![1, 4, 8]),
        (vec![3, 3, 5], vec![3, 5]),
        (vec![9, 0], vec![]), // Neither was ever written.
        (vec![], vec![]),
        (vec![1, 2, 3, 4, 5, 6, 7, 8], vec![1, 2, 3, 4, 5, 6, 7, 8]),
    ] {
        let expected: Vec<_> = found.into_iter().map(entry).collect();
        same(&format!("{asked:?}"), journal.entries(&id, &asked).await?, expected)?;
    }
    same("nobody's", journal.entries(&new_id(), &[1]).await?, Vec::new())
}

pub(crate) async fn an_ended_instance_is_not_taken(subject: impl Subject) -> Result<()> {
    let journal = subject.journal();
    for state in [State::Completed, State::Failed, State::Compensated, State::Cancelled] {
        let (id, at_once) = (new_id(), new_id());
        commit(journal, Commit::first(&id).waits_for("paid", "1")).await?;
        journal.command(&id, cancel("late"), "test", 1_000).await?;
        commit(journal, Commit::after(&id, 1, 1).state(state).waits_for("paid", "1")).await?;
        commit(journal, Commit::first(&at_once).entries(4).state(state)).await?;
        for id in [&id, &at_once] {
            same("taken", journal.take(id).await?.is_none(), true)?;
            refused(journal, Commit::after(id, if *id == at_once { 4 } else { 2 }, 1)).await?;
            same("inbox", journal.inbox(id).await?, Vec::new())?;
        }
        same("first entry", journal.entries(&id, &[1]).await?, vec![entry(1)])?;
    }
    same("ready", journal.ready(u64::MAX / 2, 10).await?, Vec::new())?;
    same("due", journal.next_due_ms().await?, None)
}

pub(crate) async fn a_commit_without_entries_parks(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    commit(journal, Commit::first(&id)).await?;
    commit(journal, Commit::after(&id, 1, 1).entries(0).parked(Some(5_000))).await?;
    same("due", journal.next_due_ms().await?, Some(5_000))?;
    let it = taken(journal, &id).await?;
    same("seq", it.seq, 1)?;
    same("entries", journal.entries(&id, &[1, 2]).await?.len(), 1)
}

pub(crate) async fn what_was_acknowledged_is_there_after_a_restart(subject: impl Subject) -> Result<()> {
    let (driven, parked, ended) = (new_id(), new_id(), new_id());
    let journal = subject.journal();
    commit(journal, Commit::first(&driven).waits_for("paid", "1")).await?;
    commit(journal, Commit::first(&parked).parked(Some(9_000)).idempotency("k", "asked")).await?;
    commit(journal, Commit::first(&ended).state(State::Completed)).await?;
    journal.command(&driven, cancel("first"), "test", 1_000).await?;
    posted(journal, message("paid", "1", "m1")).await?;

    let subject = subject.restart().await;
    let journal = subject.journal();
    // Whoever drove it is gone: it is wanted at once, whatever it waits for.
    same("ready", journal.ready(2_000, 10).await?, vec![driven.clone()])?;
    refused(journal, Commit::after(&driven, 1, 1)).await?;
    let it = taken(journal, &driven).await?;
    same("inbox", told(&it.inbox), vec!["first".to_owned(), "m1".to_owned()])?;
    same("due", journal.next_due_ms().await?, Some(9_000))?;
    same("parked", journal.ready(9_000, 10).await?, vec![parked.clone()])?;
    same("ended", journal.take(&ended).await?.is_none(), true)?;
    same("its entries", journal.entries(&ended, &[1]).await?, vec![entry(1)])?;
    let again = journal.append(Commit::first(&new_id()).idempotency("k", "asked").0).await;
    same("the key is known", again.is_err(), true)?;
    // Numbers of new inbox items are new.
    let old: Vec<_> = it.inbox.iter().map(|item| item.id).collect();
    journal.command(&driven, cancel("second"), "test", 3_000).await?;
    let inbox = journal.inbox(&driven).await?;
    same("no number twice", inbox.last().is_some_and(|last| !old.contains(&last.id)), true)
}

pub(crate) async fn a_commit_that_contradicts_itself_is_refused_for_good(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    commit(journal, Commit::first(&id)).await?;
    let mut wrong_number = Commit::after(&id, 1, 1);
    wrong_number.0.entries = vec![entry(7)];
    let mut nothing_to_go_on_from = Commit::after(&id, 1, 1);
    nothing_to_go_on_from.0.snapshot = None;
    for one in [wrong_number, nothing_to_go_on_from] {
        match journal.append(one.0).await {
            Err(AppendError::Malformed(_)) => {}
            other => bail!("{other:?}"),
        }
    }
    same("seq", taken(journal, &id).await?.seq, 1)
}
