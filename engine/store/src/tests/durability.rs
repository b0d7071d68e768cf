//! One owner, what survives, what a full disk does, backup and feed.

use rusqlite::Connection;
use stepwell_core::machine::State;
use stepwell_runtime::journal::AppendError;

use super::{admitted, open, published};
use crate::{FeedItem, OpenError, Options, Store};

#[tokio::test]
async fn a_second_owner_is_refused_by_name() {
    let it = open();
    let path = it.folder.path().join("stepwell.db");
    let refused = Store::open(&path, Options::default()).unwrap_err();
    let own = std::process::id().to_string();
    assert!(matches!(&refused, OpenError::InUse { owner, .. } if *owner == own), "{refused}");
    assert!(refused.to_string().ends_with(&format!("in use by process {own}: one process owns a store")), "{refused}");
    // One clone is enough to hold it; with the last one it is free.
    let clone = it.store.clone();
    drop(it.store);
    assert!(Store::open(&path, Options::default()).is_err());
    drop(clone);
    Store::open(&path, Options::default()).unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_after_a_drop() {
    let it = open();
    published(&it.store, "f", "1").await;
    let one = admitted("f", 1, State::Completed, None);
    let id = one.instance.clone();
    it.store.append(one).await.unwrap();
    drop(it.store);
    let store = Store::open(it.folder.path().join("stepwell.db"), Options::default()).unwrap();
    assert_eq!(store.instance(&id).await.unwrap().unwrap().summary.state, State::Completed);
    assert_eq!(store.journal(&id, 0, 10).await.unwrap().len(), 1);
}

#[test]
fn a_file_that_is_not_ours_is_left_alone() {
    let cases: [(&str, &str); 4] = [
        ("pragma user_version = 99; pragma application_id = 0x73746570", "has schema 99"),
        ("create table theirs (x)", "is not a Stepwell database"),
        ("pragma application_id = 7", "is not a Stepwell database"),
        ("pragma application_id = 0x73746570; pragma user_version = 1", "is not the one it was built with"),
    ];
    for (made_by, refusal) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        Connection::open(&path).unwrap().execute_batch(made_by).unwrap();
        let refused = Store::open(&path, Options::default()).unwrap_err().to_string();
        assert!(refused.contains(refusal), "{made_by}: {refused}");
    }
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, "this is no database at all, whatever else it may be ".repeat(100)).unwrap();
    for path in [garbage, folder.path().join("no such folder").join("stepwell.db")] {
        let refused = Store::open(&path, Options::default()).unwrap_err();
        assert!(matches!(refused, OpenError::Unusable { .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_is_survived() {
    let it = open();
    published(&it.store, "f", "1").await;
    let page_limit = |pages: u32| {
        it.store.write(move |tx| {
            tx.connection().query_row(&format!("pragma max_page_count = {pages}"), [], |row| row.get::<_, u32>(0))
        })
    };
    // The database refuses a limit below its size, and takes the size itself.
    let size = page_limit(1).await.unwrap();
    let large = || {
        let mut one = admitted("f", 1, State::Waiting, None);
        one.snapshot = Some("x".repeat(100_000));
        one
    };
    let refused: Vec<_> =
        futures::future::join_all((0..10).map(|_| it.store.append(large()))).await.into_iter().collect();
    assert!(refused.iter().all(|one| matches!(one, Err(AppendError::Unavailable(_)))), "{refused:?}");
    assert_eq!(it.store.instances(crate::Filter::default(), None, 10).await.unwrap().items, []);
    assert!(it.store.counts().await.unwrap().is_empty());
    // Room again: no restart is needed.
    page_limit(size + 1_000).await.unwrap();
    it.store.append(large()).await.unwrap();
    assert_eq!(it.store.instances(crate::Filter::default(), None, 10).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_backup_is_a_whole_store() {
    let it = open();
    published(&it.store, "f", "1").await;
    it.store.append(admitted("f", 1, State::Completed, None)).await.unwrap();
    let to = it.folder.path().join("backup.db");
    it.store.backup(&to).await.unwrap();
    it.store.append(admitted("f", 1, State::Completed, None)).await.unwrap();
    let backup = Store::open(&to, Options::default()).unwrap();
    assert_eq!(backup.instances(crate::Filter::default(), None, 10).await.unwrap().items.len(), 1);
    drop(backup);
    // It does not write over what is there.
    assert!(it.store.backup(&to).await.is_err());
}

#[tokio::test]
async fn the_feed_tells_commits_in_order_and_again() {
    let it = open();
    let mut feed = it.store.feed();
    published(&it.store, "f", "1").await;
    let appends = (0..50).map(|_| it.store.append(admitted("f", 1, State::Completed, Some("k"))));
    for appended in futures::future::join_all(appends).await {
        appended.unwrap();
    }
    let mut told = Vec::new();
    while told.len() < 51 {
        told.push(feed.recv().await.unwrap());
    }
    assert!(told.windows(2).all(|pair| pair[0].n() < pair[1].n()), "{told:?}");
    assert_eq!(it.store.feed_after(0, 100).await.unwrap(), told);
    assert_eq!(it.store.feed_after(told[19].n(), 5).await.unwrap(), told[20..25]);
    assert_eq!(it.store.feed_last().await.unwrap(), told[50].n());
    assert_eq!(it.store.feed_after(told[50].n(), 5).await.unwrap(), []);
    // A restart goes on counting.
    drop(it.store);
    let store = Store::open(it.folder.path().join("stepwell.db"), Options::default()).unwrap();
    store.append(admitted("f", 1, State::Completed, None)).await.unwrap();
    let after: Vec<FeedItem> = store.feed_after(told[50].n(), 5).await.unwrap();
    assert_eq!(after.len(), 1);
}
