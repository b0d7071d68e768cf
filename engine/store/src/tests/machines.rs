//! Actions that were plugged into machines: their revisions, and the builds that are needed for them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{act, open, published};
use crate::{NewPlugin, Plug, PlugKept, PluginStatus, Removed, Within};

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

fn plug(after: u32, action: &str, document: Option<Value>, digest: Option<&str>) -> Plug {
    let pinned = digest.map(|digest| json!({ "p/a@1": { "uses": "p/a@1", "digest": digest } }));
    let catalog = json!({ "nodeTypes": pinned.unwrap_or_else(|| json!({})) });
    Plug { flow: "f".to_owned(), version: 1, after, action: action.to_owned(), document, catalog }
}

#[tokio::test]
async fn revisions_follow_one_another() {
    let it = open();
    let some = || Some(json!({ "name": "a" }));
    assert_eq!(it.store.plug(act(2), plug(0, "a", some(), None)).await.unwrap(), PlugKept::Unknown);
    assert_eq!(published(&it.store, "f", "h1").await, 1);
    for (change, kept) in [
        (plug(1, "a", some(), None), PlugKept::Moved),
        (plug(0, "a", some(), None), PlugKept::Kept(1)),
        (plug(0, "b", some(), None), PlugKept::Moved),
        (plug(1, "b", some(), Some("nobody")), PlugKept::PluginGone("nobody".to_owned())),
        (plug(1, "a", None, None), PlugKept::Kept(2)),
    ] {
        let shown = format!("{change:?}");
        assert_eq!(it.store.plug(act(3), change).await.unwrap(), kept, "{shown}");
    }
    let changes = it.store.plugged("f", 1).await.unwrap();
    let shown: Vec<_> = changes.iter().map(|one| (one.change.revision, one.change.document.is_some())).collect();
    assert_eq!(shown, [(1, true), (2, false)]);
    assert_eq!(it.store.revision("f", 1).await.unwrap(), 2);
    assert_eq!(it.store.version("f", None).await.unwrap().unwrap().definition.plugged.len(), 2);
}

#[tokio::test]
async fn what_a_plugged_action_is_pinned_to_is_needed() {
    let it = open();
    it.store.put_plugin(build("aa")).await.unwrap();
    published(&it.store, "f", "h1").await;
    let change = plug(0, "a", Some(json!({ "name": "a" })), Some("aa"));
    assert_eq!(it.store.plug(act(2), change).await.unwrap(), PlugKept::Kept(1));
    assert!(matches!(it.store.remove_plugin(act(3), "aa").await.unwrap(), Removed::Needed(_)));
    let pinned = it.store.pinned(Within::Everything, Some("aa")).await.unwrap();
    let shown: Vec<_> = pinned.iter().map(|one| (one.flow.as_str(), one.version, &one.digests)).collect();
    assert_eq!(shown, [("f", 1, &BTreeSet::from(["aa".to_owned()]))]);
    assert_eq!(it.store.garbage(10, BTreeSet::new()).await.unwrap().plugins, []);
    // A revoked build is not pinned any more.
    it.store.revoke(act(4), "aa", "bad").await.unwrap();
    let change = plug(1, "b", Some(json!({ "name": "b" })), Some("aa"));
    assert_eq!(it.store.plug(act(5), change).await.unwrap(), PlugKept::PluginRevoked("aa".to_owned()));
}
