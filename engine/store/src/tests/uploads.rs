//! Builds that are taken back, and what is kept of components that were brought.

use std::sync::Arc;

use serde_json::json;

use super::{act, open, version_of};
use crate::{
    Act, AuditFilter, Change, FeedItem, NewPlugin, PluginKept, PluginStatus, Publish, Published, Removed, Store,
    Upload, UploadState,
};

fn build(digest: &str) -> NewPlugin {
    NewPlugin {
        digest: digest.to_owned(),
        name: "p".to_owned(),
        version: "1.0.0".to_owned(),
        status: PluginStatus::Live,
        effect: "pure".to_owned(),
        manifest: json!({}),
        wasm: digest.as_bytes().to_vec(),
        act: act(1),
    }
}

fn pinned(hash: &str, digest: &str) -> Publish {
    let catalog = json!({ "nodeTypes": { "p/a@1": { "uses": "p/a@1", "digest": digest } } });
    Publish { catalog: Arc::new(catalog), ..version_of("f", hash) }
}

#[tokio::test]
async fn a_revoked_build_is_not_pinned_and_not_taken_in_until_it_is_taken_back() {
    let it = open();
    let store = &it.store;
    assert!(!store.revoke(act(1), "d1", "why").await.unwrap(), "there is no such build");
    assert_eq!(store.put_plugin(build("d1")).await.unwrap(), PluginKept::New);
    assert_eq!(store.publish(pinned("1", "d1")).await.unwrap(), Published::New(1));
    for (reason, at_ms) in [("why", 2), ("because", 3)] {
        assert!(store.revoke(act(at_ms), "d1", reason).await.unwrap());
        let kept = store.revocations().await.unwrap().remove(0);
        // Another reason does not change since when.
        assert_eq!((&*kept.reason, kept.revoked_ms, &*kept.revoked_by, &*kept.name), (reason, 2, "ada", "p"));
    }
    assert_eq!(store.publish(pinned("2", "d1")).await.unwrap(), Published::PluginRevoked("d1".to_owned()));
    assert_eq!(store.put_plugin(build("d1")).await.unwrap(), PluginKept::Revoked);
    let (users, _) = store.plugin_used("d1").await.unwrap().unwrap();
    assert_eq!(users.len(), 1, "who uses it is told all the same");
    assert!(matches!(store.remove_plugin(act(4), "d1").await.unwrap(), Removed::Needed(_)));
    assert!(store.take_revocation_back(act(5), "d1").await.unwrap());
    assert!(!store.take_revocation_back(act(5), "d1").await.unwrap());
    assert_eq!(store.publish(pinned("2", "d1")).await.unwrap(), Published::New(2));
    let actions = store
        .audit_page(AuditFilter { target: Some("p@1.0.0".to_owned()), ..AuditFilter::default() }, None, 10)
        .await
        .unwrap()
        .items;
    let actions: Vec<_> = actions.into_iter().map(|row| row.action).collect();
    assert_eq!(actions, ["plugin.unrevoke", "plugin.revoke", "plugin.revoke", "plugin.load"]);
}

#[tokio::test]
async fn a_revocation_outlives_its_build() {
    let it = open();
    it.store.put_plugin(build("d1")).await.unwrap();
    it.store.revoke(act(2), "d1", "why").await.unwrap();
    // Nothing new would be pinned to it, and nothing is.
    let garbage = it.store.garbage(10, [].into()).await.unwrap();
    assert_eq!(garbage.plugins.len(), 1);
    assert_eq!(it.store.remove_plugin(act(3), "d1").await.unwrap(), Removed::Gone);
    assert_eq!(it.store.put_plugin(build("d1")).await.unwrap(), PluginKept::Revoked);
    assert!(it.store.revoke(act(4), "d1", "another reason").await.unwrap());
    assert!(it.store.take_revocation_back(act(5), "d1").await.unwrap());
    assert_eq!(it.store.put_plugin(build("d1")).await.unwrap(), PluginKept::New);
}

async fn brought(store: &Store, n: u64, state: UploadState, at: &str) {
    let act = Act { by: "ada".to_owned(), at_ms: n };
    let upload = Upload { id: format!("u{n:03}"), act, state, body: json!({ "n": n }) };
    store.put_upload(upload, at, n + 1).await.unwrap();
}

#[tokio::test]
async fn the_last_hundred_uploads_are_kept_and_each_step_is_told() {
    let it = open();
    let before = it.store.feed_heads().await.unwrap();
    brought(&it.store, 1, UploadState::Running, "size").await;
    brought(&it.store, 1, UploadState::Refused, "imports").await;
    let found = it.store.upload("u001").await.unwrap().unwrap();
    assert_eq!((found.state, found.act.at_ms, found.body), (UploadState::Refused, 1, json!({ "n": 1 })));
    let told = it.store.feed_after(before, 10).await.unwrap();
    let told: Vec<_> = told
        .into_iter()
        .map(|item| match item {
            FeedItem::Notice(notice) => notice.change,
            other @ FeedItem::Instance(_) => panic!("{other:?}"),
        })
        .collect();
    let step =
        |state: &str, stage: &str| Change::Upload { id: "u001".into(), state: state.into(), stage: stage.into() };
    assert_eq!(told, [step("running", "size"), step("refused", "imports")]);
    for n in 2..=130 {
        brought(&it.store, n, UploadState::Live, "live").await;
    }
    let kept = it.store.uploads().await.unwrap();
    assert_eq!((kept.len(), &*kept[0].id, &*kept[99].id), (100, "u130", "u031"));
    assert_eq!(it.store.upload("u030").await.unwrap(), None);
}
