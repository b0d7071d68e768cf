//! What holds where engines share a database: who is taken for dead can write nothing more of what it
//! held, and is as good as new for everything else. Of a file there is one engine, and nothing to try.

use std::sync::Arc;

use stepwell_core::flow::Unique;
use stepwell_core::machine::State;
use stepwell_runtime::journal::{Append, AppendError, Idempotency};

use super::{Place, admitted, published, started};
use crate::sql::values;
use crate::{Options, Removed, Store};

/// Two engines on one database; `None` on a file.
fn two() -> Option<(Store, Store, Place, tempfile::TempDir)> {
    let place = Place::new();
    let Place::Server(url, _) = &place else { return None };
    let folder = tempfile::tempdir().unwrap();
    let other = Store::connect(url, folder.path().join("engine"), Options::default()).unwrap();
    Some((place.open(), other, place, folder))
}

/// `one` was not heard of for ages, and `other` notices.
async fn bury(one: &Store, other: &Store) {
    let number = one.engine();
    let buried = other.write(move |tx| {
        tx.db.execute("update engine set seen_ms = 0 where number = ?1", &values![number])?;
        tx.seat.map_or(Ok(0), |seat| seat.bury_others(tx.db))
    });
    assert_eq!(buried.await.unwrap(), 1);
}

fn driven(flow: &str) -> Append {
    let mut one = admitted(flow, 1, State::Running, None);
    one.park = false;
    one
}

fn next(of: &Append, epoch: u64) -> Append {
    let mut next = of.clone();
    (next.admission, next.expected_seq, next.epoch, next.entries) = (None, 1, epoch, vec![started(2)]);
    next
}

#[tokio::test]
async fn who_is_taken_for_dead_writes_nothing_more_of_what_it_held() {
    let Some((one, other, _place, _folder)) = two() else { return };
    published(&one, "f", "1").await;
    let it = driven("f");
    one.append(it.clone()).await.unwrap();
    assert!(other.take(&it.instance).await.unwrap().is_none(), "its owner lives");
    assert_eq!(other.ready(9_000, 10).await.unwrap(), []);
    bury(&one, &other).await;
    assert_eq!(other.ready(9_000, 10).await.unwrap(), std::slice::from_ref(&it.instance));
    // Whatever the batch held is refused, once; then the engine begins anew, and its own guards speak.
    let first = one.append(next(&it, 1)).await;
    assert!(matches!(&first, Err(AppendError::Unavailable(why)) if why.0.contains("lease is over")), "{first:?}");
    let second = one.append(next(&it, 1)).await;
    assert!(matches!(second, Err(AppendError::Conflict(_))), "{second:?}");
    let taken = other.take(&it.instance).await.unwrap().unwrap();
    assert_eq!((taken.epoch, taken.seq), (2, 1));
    assert!(one.take(&it.instance).await.unwrap().is_none(), "it has another owner now");
    other.append(next(&it, 2)).await.unwrap();
    one.append(driven("f")).await.unwrap();
}

#[tokio::test]
async fn one_engine_wins_an_idempotency_key() {
    let Some((one, other, _place, _folder)) = two() else { return };
    published(&one, "f", "1").await;
    for round in 0..20 {
        let start = || {
            let mut start = driven("f");
            let idempotency = Idempotency { key: format!("k{round}"), request: "asked".to_owned() };
            start.admission.as_mut().unwrap().idempotency = Some(idempotency);
            start
        };
        let (of_one, of_other) = (start(), start());
        let ids = [of_one.instance.clone(), of_other.instance.clone()];
        let (first, second) = futures::join!(one.append(of_one), other.append(of_other));
        let (winner, loser) = if first.is_ok() { (&ids[0], second) } else { (&ids[1], first) };
        assert!(matches!(&loser, Err(AppendError::Duplicate { instance, .. }) if instance == winner), "{loser:?}");
    }
}

#[tokio::test]
async fn of_many_that_want_an_instance_one_takes_it() {
    let Some((one, other, _place, _folder)) = two() else { return };
    published(&one, "f", "1").await;
    let mut ids: Vec<Arc<str>> = Vec::new();
    for _ in 0..50 {
        let it = admitted("f", 1, State::Running, None);
        ids.push(it.instance.clone());
        one.append(it).await.unwrap();
    }
    assert_eq!(one.ready(9_000, 100).await.unwrap().len(), 50);
    let takes = |store: Store| {
        let ids = ids.clone();
        async move { futures::future::join_all(ids.iter().map(|id| store.take(id))).await }
    };
    let (of_one, of_other) = futures::join!(takes(one.clone()), takes(other.clone()));
    for (first, second) in of_one.into_iter().zip(of_other) {
        // One has it; the other is told that somebody has, or that somebody has hold of it just now.
        let owners = [first, second].into_iter().filter(|taken| matches!(taken, Ok(Some(_)))).count();
        assert_eq!(owners, 1);
    }
}

#[tokio::test]
async fn one_engine_wins_a_business_key() {
    let Some((one, other, _place, _folder)) = two() else { return };
    published(&one, "f", "1").await;
    for round in 0..20 {
        let start = || {
            let mut start = driven("f");
            let admission = start.admission.as_mut().unwrap();
            admission.business_key = Some(format!("k{round}"));
            admission.unique = Some(if round % 2 == 0 { Unique::Running } else { Unique::Always });
            start
        };
        let starts: Vec<Append> = (0..6).map(|_| start()).collect();
        let ids: Vec<Arc<str>> = starts.iter().map(|one| one.instance.clone()).collect();
        let stores = [&one, &other].into_iter().cycle();
        let outcomes = futures::future::join_all(stores.zip(starts).map(|(store, start)| store.append(start))).await;
        let winners: Vec<&Arc<str>> =
            ids.iter().zip(&outcomes).filter(|(_, one)| one.is_ok()).map(|(id, _)| id).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        for loser in outcomes.into_iter().filter_map(Result::err) {
            assert!(matches!(&loser, AppendError::KeyTaken { instance } if instance == winners[0]), "{loser:?}");
        }
    }
}

#[tokio::test]
async fn a_start_at_one_engine_and_a_removal_at_another_never_both_win() {
    let Some((one, other, _place, _folder)) = two() else { return };
    published(&one, "f", "1").await;
    for round in 1..40 {
        published(&one, "f", &format!("{}", round + 1)).await;
        let act = crate::Act { by: "ada".to_owned(), at_ms: 9 };
        let (started, removed) = futures::join!(
            one.append(admitted("f", round, State::Waiting, None)),
            other.remove_version(act, "f", round)
        );
        match (started, removed.unwrap()) {
            (Ok(_), Removed::Needed(_)) | (Err(AppendError::Retired), Removed::Gone) => {}
            both => panic!("{both:?}"),
        }
    }
}
