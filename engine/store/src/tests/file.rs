//! What holds of a file: one owner, what a full disk does, backup, by which way lists find their rows.

use rusqlite::Connection;
use stepwell_core::machine::State;
use stepwell_runtime::journal::AppendError;

use super::{admitted, published};
use crate::{Cursor, Filter, OpenError, Options, Store};

struct Fixture {
    store: Store,
    folder: tempfile::TempDir,
}

fn open() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("stepwell.db"), Options::default()).unwrap();
    Fixture { store, folder }
}

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
        it.store.write(move |tx| tx.db.only(&format!("pragma max_page_count = {pages}"), &[], |row| row.get::<u32>(0)))
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
    assert_eq!(it.store.instances(Filter::default(), None, 10).await.unwrap().items, []);
    assert!(it.store.counts().await.unwrap().is_empty());
    // Room again: no restart is needed.
    page_limit(size + 1_000).await.unwrap();
    it.store.append(large()).await.unwrap();
    assert_eq!(it.store.instances(Filter::default(), None, 10).await.unwrap().items.len(), 1);
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
    assert_eq!(backup.instances(Filter::default(), None, 10).await.unwrap().items.len(), 1);
    drop(backup);
    // It does not write over what is there.
    assert!(it.store.backup(&to).await.is_err());
}

/// What the planner does for a list: the way to the rows, and whether it sorts on that way.
#[tokio::test]
async fn no_list_reads_more_than_it_must() {
    let it = open();
    let of = |flow: Option<&str>, version: Option<u32>, state: Option<State>| Filter {
        flow: flow.map(str::to_owned),
        version,
        state,
        ..Filter::default()
    };
    let key = |key: &str| Filter { business_key: Some(key.to_owned()), ..Filter::default() };
    let text = |text: &str| Filter { text: Some(text.to_owned()), ..Filter::default() };
    for (filter, way, sorts) in [
        (Filter::default(), "SEARCH instance USING INTEGER PRIMARY KEY", false), // From the cursor, backwards.
        (of(Some("f"), Some(1), None), "USING COVERING INDEX instance_by_flow", false),
        (of(Some("f"), None, Some(State::Completed)), "USING INDEX instance_by_flow", false),
        (of(Some("f"), Some(1), Some(State::Incident)), "USING COVERING INDEX instance_by_state", false),
        (of(None, None, Some(State::Waiting)), "USING COVERING INDEX instance_by_state", false),
        (key("A-1"), "USING COVERING INDEX instance_by_business_key", false),
        (text("A"), "USING COVERING INDEX instance_by_business_key", true),
        (text(&super::new_id()), "USING COVERING INDEX sqlite_autoindex_instance_1 (id=?", false),
    ] {
        let plan = plan(&it.store, filter.clone()).await;
        assert!(plan[1].contains(way), "{filter:?}: {plan:?}");
        let sorted = plan.iter().any(|step| step.contains("TEMP B-TREE"));
        assert_eq!(sorted, sorts, "{filter:?}: {plan:?}");
    }
}

async fn plan(store: &Store, filter: Filter) -> Vec<String> {
    let explained = store.read(move |db| {
        let (sql, values) = crate::instances::listing(&filter, None, Some(Cursor(1_000)), 50);
        db.query(&format!("explain query plan {sql}"), &values, |row| row.get::<String>(3))
    });
    explained.await.unwrap()
}

#[tokio::test]
async fn a_list_of_live_instances_reads_no_ended_ones() {
    let it = open();
    for flow in [None, Some("f")] {
        let filter = Filter { live: true, flow: flow.map(str::to_owned), ..Filter::default() };
        let plan = plan(&it.store, filter).await;
        let by_state = "USING COVERING INDEX instance_by_state (state=?";
        assert_eq!(plan.iter().filter(|step| step.contains(by_state)).count(), 5, "{plan:?}");
        let others = plan.iter().filter(|step| step.contains("instance") && !step.contains(by_state));
        assert!(!others.into_iter().any(|step| step.contains("SCAN instance")), "{plan:?}");
    }
}
