//! Drafts, versions, triggers, counts, plugins, connections and settings.

use std::sync::Arc;

use serde_json::{Value, json};
use stepwell_core::machine::State;

use super::{act, admitted, of_target, open, published, version_of};
use crate::{
    AuditFilter, Change, DraftSaved, Dropped, Expect, FeedItem, GrantKept, GrantedKind, NewPlugin, PathOwner,
    PluginKept, PluginStatus, Published, SaveDraft, Sealed, Store,
};

async fn save(store: &Store, expect: Expect, hash: Option<&str>) -> DraftSaved {
    let save = SaveDraft {
        flow: "f".to_owned(),
        document: Arc::new(json!({ "kind": "graph", "title": { "en": "Orders" }, "content": hash })),
        hash: hash.map(str::to_owned),
        expect,
        act: act(7),
    };
    store.save_draft(save).await.unwrap()
}

#[tokio::test]
async fn a_draft_is_saved_over_what_was_seen_only() {
    let it = open();
    for (expect, revision) in [
        (Expect::Revision(1), Err(None)), // Nothing is there yet.
        (Expect::None, Ok(1)),
        (Expect::None, Err(Some(1))),
        (Expect::Revision(1), Ok(2)),
        (Expect::Revision(1), Err(Some(2))),
        (Expect::Revision(3), Err(Some(2))),
        (Expect::Revision(2), Ok(3)),
    ] {
        let shown = match save(&it.store, expect, None).await {
            DraftSaved::Saved(draft) => Ok(draft.revision),
            DraftSaved::Conflict(current) => Err(current.map(|draft| draft.revision)),
        };
        assert_eq!(shown, revision, "{expect:?}");
    }
    let flow = it.store.flow("f").await.unwrap().unwrap();
    assert_eq!((flow.summary.latest_version, flow.summary.has_draft, flow.summary.draft_differs), (None, true, true));
    assert_eq!(flow.summary.title, json!({ "en": "Orders" }));
    assert!(it.store.delete_draft(act(8), "f").await.unwrap());
    assert!(!it.store.delete_draft(act(8), "f").await.unwrap());
    assert_eq!(it.store.flow("f").await.unwrap(), None);
    let actions: Vec<String> = it
        .store
        .audit_page(AuditFilter::default(), None, 10)
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|row| row.action)
        .collect();
    assert_eq!(actions, ["draft.delete", "draft.save", "draft.save", "draft.save"]);
}

#[tokio::test]
async fn a_content_is_published_once() {
    let it = open();
    assert!(matches!(save(&it.store, Expect::None, Some("1")).await, DraftSaved::Saved(_)));
    let of = |hash: &str, revision: Option<u64>, file: Option<&str>| {
        let mut publish = version_of("f", hash);
        publish.revision = revision;
        publish.file = file.map(str::to_owned);
        publish
    };
    for (publish, expected) in [
        (of("1", Some(1), None), Published::New(1)),
        (of("1", Some(1), None), Published::Same(1)),
        (of("2", None, Some("a")), Published::New(2)),
        (of("3", None, Some("a")), Published::FileSeen), // Its content was published once; a person may have moved on.
        (of("2", None, Some("b")), Published::Same(2)),
        (of("3", None, Some("b")), Published::FileSeen),
        (of("3", None, None), Published::New(3)),
    ] {
        let shown = format!("{publish:?}");
        assert_eq!(it.store.publish(publish).await.unwrap(), expected, "{shown}");
    }
    let moved = it.store.publish(of("4", Some(2), None)).await.unwrap();
    assert!(matches!(&moved, Published::DraftMoved(Some(draft)) if draft.revision == 1), "{moved:?}");
    assert!(it.store.file_seen("f", "a").await.unwrap() && !it.store.file_seen("g", "a").await.unwrap());
    let flow = it.store.flow("f").await.unwrap().unwrap();
    assert_eq!(flow.versions.iter().map(|one| one.version).collect::<Vec<_>>(), [3, 2, 1]);
    // The draft is still as version 1, and 3 is the newest.
    assert!(flow.summary.draft_differs);
    for (asked, found) in [(None, Some("3")), (Some(1), Some("1")), (Some(4), None)] {
        let version = it.store.version("f", asked).await.unwrap();
        assert_eq!(version.as_ref().map(|version| &*version.hash), found);
    }
    assert_eq!(it.store.definition("f", 2).await.unwrap().unwrap().document["content"], "2");
}

#[tokio::test]
async fn a_path_belongs_to_one_flow() {
    let it = open();
    let with = |flow: &str, hash: &str, paths: &[&str]| {
        let mut publish = version_of(flow, hash);
        publish.triggers = paths.iter().map(|path| ((*path).to_owned(), json!({ "wait": "10s" }))).collect();
        publish
    };
    let taken = Published::PathTaken { path: "orders".to_owned(), owner: PathOwner::Flow("f".to_owned()) };
    for (publish, expected) in [
        (with("f", "1", &["f", "orders"]), Published::New(1)),
        (with("g", "1", &["orders"]), taken.clone()),
        (with("f", "2", &["f"]), Published::New(2)), // Lets go of it.
        (with("g", "1", &["orders"]), Published::New(1)),
    ] {
        assert_eq!(it.store.publish(publish).await.unwrap(), expected);
    }
    let paths: Vec<_> = it.store.triggers().await.unwrap().into_iter().map(|one| (one.path, one.flow)).collect();
    assert_eq!(paths, [("f".to_owned(), "f".to_owned()), ("orders".to_owned(), "g".to_owned())]);
    assert_eq!(it.store.trigger("orders").await.unwrap().unwrap().spec, json!({ "wait": "10s" }));
    assert_eq!(it.store.trigger("nowhere").await.unwrap(), None);
}

#[tokio::test]
async fn counts_follow_the_instances() {
    let it = open();
    assert_eq!((published(&it.store, "f", "1").await, published(&it.store, "f", "2").await), (1, 2));
    published(&it.store, "g", "1").await;
    for (version, state, instances) in [(1, State::Completed, 3), (1, State::Waiting, 2), (2, State::Waiting, 1)] {
        for _ in 0..instances {
            it.store.append(admitted("f", version, state, None)).await.unwrap();
        }
    }
    let flow = it.store.flow("f").await.unwrap().unwrap();
    assert_eq!((flow.summary.counts.get(State::Completed), flow.summary.counts.get(State::Waiting)), (3, 3));
    assert_eq!(flow.versions[0].counts.get(State::Waiting), 1);
    // One ends: it leaves one count and joins another.
    let mut one = admitted("f", 2, State::Running, None);
    one.park = false;
    let id = one.instance.clone();
    it.store.append(one).await.unwrap();
    let mut last = admitted("f", 2, State::Failed, None);
    (last.instance, last.expected_seq, last.entries, last.admission) = (id, 1, vec![super::started(2)], None);
    it.store.append(last).await.unwrap();
    let counts = it.store.counts().await.unwrap();
    let of_two: Vec<_> = counts[&("f".to_owned(), 2)].iter().filter(|(_, instances)| *instances > 0).collect();
    assert_eq!(of_two, [(State::Waiting, 1), (State::Failed, 1)]);
    let flows = it.store.flows(None, 10).await.unwrap();
    assert_eq!(flows.iter().map(|flow| &*flow.key).collect::<Vec<_>>(), ["f", "g"]);
    assert_eq!(flows[0].counts.get(State::Waiting), 3);
    assert_eq!(it.store.flows(Some("f".to_owned()), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn plugins_are_kept_by_digest() {
    let it = open();
    let mut feed = it.store.feed();
    let build = |digest: &str, at_ms: u64| NewPlugin {
        digest: digest.to_owned(),
        name: "commerce".to_owned(),
        version: "0.1.0".to_owned(),
        status: PluginStatus::Live,
        effect: "external".to_owned(),
        manifest: json!({ "nodeTypes": [] }),
        wasm: digest.as_bytes().repeat(10),
        act: act(at_ms),
    };
    for (plugin, expected) in
        [(build("aa", 5), PluginKept::New), (build("aa", 6), PluginKept::Same), (build("bb", 7), PluginKept::New)]
    {
        assert_eq!(it.store.put_plugin(plugin).await.unwrap(), expected);
    }
    let shown = async || {
        let all = it.store.plugins().await.unwrap().into_iter();
        all.map(|one| (one.digest, one.status, one.bytes, one.loaded_ms)).collect::<Vec<_>>()
    };
    let [aa, bb] = ["aa".to_owned(), "bb".to_owned()];
    let (live, superseded) = (PluginStatus::Live, PluginStatus::Superseded);
    // One stands for its name and version, whatever the engine that loads it knows of others.
    assert_eq!(shown().await, [(aa.clone(), superseded, 20, 5), (bb.clone(), live, 20, 7)]);
    assert_eq!(it.store.plugin_wasm("bb").await.unwrap(), Some(b"bb".repeat(10)));
    assert_eq!(it.store.plugin_wasm("cc").await.unwrap(), None);
    for digest in ["aa", "bb"] {
        let FeedItem::Notice(notice) = feed.recv().await.unwrap() else { panic!("an instance") };
        assert!(matches!(&notice.change, Change::Plugin { digest: told, .. } if told == digest), "{notice:?}");
    }
    // Going back to an older one makes it the newest.
    assert_eq!(it.store.put_plugin(build("aa", 9)).await.unwrap(), PluginKept::Same);
    assert_eq!(shown().await, [(bb, superseded, 20, 7), (aa, live, 20, 9)]);
}

#[tokio::test]
async fn connections_are_granted_and_settings_are_kept() {
    let it = open();
    let of_shop = || vec![(GrantedKind::Connection, "shop".to_owned(), json!({}))];
    let whole = || vec![(GrantedKind::Records, "order".to_owned(), json!({})), of_shop().remove(0)];
    let put =
        async |at_ms, things, whole| it.store.put_grant(act(at_ms), "commerce", "*", things, whole).await.unwrap();
    assert_eq!(put(1, of_shop(), false).await, GrantKept::NoConnection("shop".to_owned()));
    let sealed = |text: &str| Sealed { key_id: "k1".to_owned(), text: text.to_owned() };
    let with = |text| vec![("shop.T".to_owned(), sealed(text))];
    it.store.put_connection(act(1), "shop", &json!({ "host": "a" }), with("secret-1")).await.unwrap();
    it.store.put_connection(act(2), "shop", &json!({ "host": "b", "secrets": ["shop.T"] }), Vec::new()).await.unwrap();
    assert_eq!(it.store.delete_secret(act(2), "shop.T").await.unwrap(), Dropped::Used(vec!["shop".to_owned()]));
    assert_eq!(put(3, of_shop(), false).await, GrantKept::Kept);
    assert_eq!(put(4, of_shop(), true).await, GrantKept::Same);
    assert_eq!(put(5, whole(), true).await, GrantKept::Kept);
    let granted = it.store.grants().await.unwrap();
    let shown: Vec<_> = granted.iter().map(|one| (&*one.name, one.granted_ms)).collect();
    assert_eq!(
        (it.store.connections().await.unwrap()[0].spec["host"].as_str(), &*shown),
        (Some("b"), &[("shop", 3), ("order", 5)][..])
    );
    assert_eq!(it.store.delete_connection(act(5), "shop").await.unwrap(), Dropped::Used(vec!["commerce".to_owned()]));
    // A whole grant takes back what it does not name.
    assert_eq!(put(6, Vec::new(), true).await, GrantKept::Kept);
    assert!(!it.store.delete_grant(act(6), "commerce", "*", Some((GrantedKind::Connection, "shop"))).await.unwrap());
    assert_eq!(it.store.delete_connection(act(7), "shop").await.unwrap(), Dropped::Gone);
    let before = it.store.secrets().await.unwrap().remove(0);
    assert_eq!(it.store.put_secret(act(8), "shop.T", sealed("secret-2")).await.unwrap(), 2);
    // What was sealed anew is what was there when it was opened.
    assert!(!it.store.reseal(act(9), &before, sealed("secret-3")).await.unwrap());
    let now = it.store.secrets().await.unwrap().remove(0);
    assert!(
        it.store.reseal(act(9), &now, Sealed { key_id: "k2".to_owned(), text: "secret-4".to_owned() }).await.unwrap()
    );
    let now = it.store.secrets().await.unwrap().remove(0);
    assert_eq!((&*now.sealed.key_id, &*now.sealed.text, now.version, now.changed_ms), ("k2", "secret-4", 2, 8));
    assert_eq!(it.store.delete_secret(act(10), "shop.T").await.unwrap(), Dropped::Gone);
    assert_eq!(it.store.delete_secret(act(10), "shop.T").await.unwrap(), Dropped::NotThere);
    let audit = it.store.audit_page(AuditFilter::default(), None, 20).await.unwrap().items;
    let actions: Vec<_> = audit.iter().rev().map(|row| &*row.action).collect();
    let expected = "secret.put connection.put connection.put grant.put grant.put grant.put connection.delete secret.put \
                    secret.reseal secret.delete";
    assert_eq!(actions.join(" "), expected);
    assert!(audit.iter().all(|row| !row.detail.to_string().contains("secret-")));
    let of_one = it.store.audit_page(of_target("shop"), None, 1).await.unwrap();
    assert_eq!((of_one.items.len(), of_one.next.is_some()), (1, true));
    for (value, fresh, kept) in [(1, true, 1), (2, true, 1), (3, false, 3)] {
        assert_eq!(it.store.put_setting("x", &json!(value), fresh).await.unwrap(), json!(kept));
    }
    assert_eq!(it.store.setting("x").await.unwrap(), Some(json!(3)));
    assert_eq!(it.store.setting("y").await.unwrap(), None::<Value>);
}

#[tokio::test]
async fn a_label_is_given_once_and_another_is_another_version() {
    let it = open();
    let labelled = async |label: Option<&str>| {
        let mut publish = version_of("f", "1");
        publish.label = label.map(str::to_owned);
        it.store.publish(publish).await.unwrap()
    };
    for (label, published) in [
        (None, Published::New(1)),
        (Some("1.0.0"), Published::Same(1)),
        (Some("1.0.0"), Published::Same(1)),
        (None, Published::Same(1)),
        (Some("1.0.1"), Published::New(2)),
        (Some("1.0.1"), Published::Same(2)),
    ] {
        assert_eq!(labelled(label).await, published, "{label:?}");
    }
    let versions = it.store.flow("f").await.unwrap().unwrap().versions;
    let labels: Vec<_> = versions.iter().map(|one| one.label.as_deref()).collect();
    assert_eq!(labels, [Some("1.0.1"), Some("1.0.0")]);
    let audit = it.store.audit_page(of_target("f"), None, 10).await.unwrap().items;
    let actions: Vec<_> = audit.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(actions, ["flow.publish", "flow.label", "flow.publish"]);
}
