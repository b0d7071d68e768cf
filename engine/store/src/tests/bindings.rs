//! Bindings, routes, and who needs what.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use stepwell_core::machine::State;
use stepwell_runtime::journal::{Append, AppendError};

use super::{act, admitted, new_id, open, published, started, version_of};
use crate::{
    AuditFilter, Expect, Need, NewPlugin, PluginStatus, Published, Removed, RulesSaved, SaveRules, Store, Within,
};

fn save(name: &str, expect: Expect, spec: Value) -> SaveRules {
    SaveRules { name: name.to_owned(), spec: Arc::new(spec), expect, act: act(3) }
}

/// `saved 1`, `conflict 1`, or codes and places.
fn shown(saved: RulesSaved) -> String {
    match saved {
        RulesSaved::Saved(rules, _) => format!("saved {}", rules.revision),
        RulesSaved::Conflict(current) => format!("conflict {}", current.map_or(0, |rules| rules.revision)),
        RulesSaved::Refused(problems) => {
            problems.iter().map(|one| format!("{} {}", one.code, one.pointer)).collect::<Vec<_>>().join(", ")
        }
    }
}

#[tokio::test]
async fn rules_are_kept_over_what_was_seen_and_only_when_sound() {
    let it = open();
    for hash in ["1", "2"] {
        published(&it.store, "f", hash).await;
    }
    for (expect, spec, expected) in [
        (Expect::Revision(1), json!({ "default": 1 }), "conflict 0"),
        (Expect::None, json!({ "default": 3 }), "VERSION_UNKNOWN /default"),
        (Expect::None, json!({ "default": 1 }), "saved 1"),
        (Expect::None, json!({ "default": 2 }), "conflict 1"),
        (Expect::Revision(1), json!({ "default": 2 }), "saved 2"),
        (Expect::Revision(1), json!({}), "conflict 2"),
    ] {
        let said = format!("{expect:?} {spec}");
        assert_eq!(shown(it.store.put_binding(save("f", expect, spec)).await.unwrap()), expected, "{said}");
    }
    assert_eq!(*it.store.binding("f").await.unwrap().unwrap().spec, json!({ "default": 2 }));
    let to = |flow: &str| json!({ "rules": [{ "name": "all", "flow": flow }] });
    for (path, expect, spec, expected) in [
        ("orders", Expect::None, to("g"), "FLOW_UNKNOWN /rules/0/flow"),
        ("orders", Expect::None, to("f"), "saved 1"),
        ("orders", Expect::Revision(1), to("f"), "saved 2"),
        ("f", Expect::None, to("f"), "TRIGGER_PATH_TAKEN "), // A flow's own path.
    ] {
        assert_eq!(shown(it.store.put_route(save(path, expect, spec)).await.unwrap()), expected, "{path}");
    }
    // A flow cannot take the path of a route, neither by name nor as its key.
    let mut rival = version_of("g", "1");
    rival.triggers = vec![("orders".to_owned(), json!({}))];
    for publish in [rival, version_of("orders", "1")] {
        let refused = it.store.publish(publish).await.unwrap();
        assert!(matches!(&refused, Published::PathTaken { path, .. } if path == "orders"), "{refused:?}");
    }
    let doors = it.store.doors().await.unwrap();
    assert_eq!((doors.flows.len(), doors.flows["f"].0.len(), doors.bindings.len(), doors.routes.len()), (1, 2, 1, 1));
    assert!(it.store.delete_route(act(4), "orders").await.unwrap());
    assert!(!it.store.delete_route(act(4), "orders").await.unwrap());
    assert!(it.store.delete_binding(act(4), "f").await.unwrap());
    let audit = it.store.audit_page(AuditFilter::default(), None, 6).await.unwrap().items;
    let actions: Vec<_> = audit.iter().map(|row| &*row.action).collect();
    assert_eq!(actions, ["binding.delete", "route.delete", "route.put", "route.put", "binding.put", "binding.put"]);
}

#[tokio::test]
async fn tables_and_templates_are_no_flows_to_start() {
    let it = open();
    for (key, kind) in [("t", "table"), ("b", "template"), ("f", "graph")] {
        for hash in ["1", "2"] {
            let mut publish = version_of(key, hash);
            publish.document = Arc::new(json!({ "kind": kind, "content": hash }));
            publish.catalog = Arc::new(json!({ "nodeTypes": {}, "tables": { "t@1": { "key": "t" } } }));
            assert!(matches!(it.store.publish(publish).await.unwrap(), Published::New(_)), "{key}");
        }
    }
    let mut other = version_of("t", "3");
    other.document = Arc::new(json!({ "kind": "graph" }));
    assert_eq!(it.store.publish(other).await.unwrap(), Published::OtherKind("table".to_owned()));
    let asks = |table: &str| json!({ "resolve": { "table": table, "into": "said" }, "rules": [{ "name": "all", "flow": "f" }] });
    for (path, spec, expected) in [
        ("a", asks("f"), "TABLE_MISSING /resolve/table"),
        ("a", asks("none"), "TABLE_MISSING /resolve/table"),
        ("a", json!({ "rules": [{ "name": "all", "flow": "b" }] }), "FLOW_UNKNOWN /rules/0/flow"),
        ("a", asks("t"), "saved 1"),
    ] {
        assert_eq!(
            shown(it.store.put_route(save(path, Expect::None, spec.clone())).await.unwrap()),
            expected,
            "{spec}"
        );
    }
    let doors = it.store.doors().await.unwrap();
    assert_eq!(doors.flows.keys().collect::<Vec<_>>(), ["f"]);
    let asked: Vec<_> = doors.tables.iter().map(|(key, version, _)| (key.as_str(), *version)).collect();
    assert_eq!(asked, [("t", 2)]);
    let listed: Vec<_> = it.store.flows(None, 10).await.unwrap().into_iter().map(|flow| flow.key).collect();
    assert_eq!(listed, ["b", "f"]);
    let tables = it.store.tables_within(Within::Everything).await.unwrap();
    assert_eq!(tables.iter().map(|one| (one.key.as_str(), one.version)).collect::<Vec<_>>(), [("t", 2)]);
    assert_eq!(it.store.table("t", Some(1)).await.unwrap().map(|one| one.version), Some(1));
    assert_eq!(it.store.table("f", None).await.unwrap(), None);
    let used = it.store.flow_used("t").await.unwrap().unwrap();
    assert_eq!((used.routes, used.called_by.len()), (vec!["a".to_owned()], 6));
    // The newest version of a table is needed as that of a flow is.
    assert_eq!(needed(&it.store.remove_version(act(9), "t", 2).await.unwrap()), ["newest"]);
}

/// Kinds of needs, in order.
fn needed(removed: &Removed) -> Vec<&'static str> {
    let Removed::Needed(needs) = removed else { panic!("{removed:?}") };
    let kind = |need: &Need| match need {
        Need::Newest { .. } => "newest",
        Need::Binding { .. } => "binding",
        Need::Route { .. } => "route",
        Need::Instances { .. } => "instances",
        Need::Version { .. } => "version",
    };
    needs.iter().map(kind).collect()
}

#[tokio::test]
async fn a_version_goes_when_nobody_needs_it() {
    let it = open();
    for hash in ["1", "2", "3", "4"] {
        published(&it.store, "f", hash).await;
    }
    let remove = async |version| it.store.remove_version(act(9), "f", version).await.unwrap();
    let off = json!({ "rules": [{ "name": "r", "enabled": false, "keys": ["k"], "version": 2 }] });
    it.store.put_binding(save("f", Expect::None, off)).await.unwrap();
    let route = json!({ "rules": [{ "name": "r", "flow": "f", "version": 2 }] });
    it.store.put_route(save("orders", Expect::None, route)).await.unwrap();
    let live = admitted("f", 2, State::Waiting, None);
    let id = live.instance.clone();
    it.store.append(live).await.unwrap();
    assert_eq!(needed(&remove(4).await), ["newest"]);
    assert_eq!(needed(&remove(2).await), ["binding", "route", "instances"], "also what is switched off needs it");
    it.store.delete_binding(act(4), "f").await.unwrap();
    it.store.delete_route(act(4), "orders").await.unwrap();
    assert_eq!(needed(&remove(2).await), ["instances"]);
    let used = it.store.flow_used("f").await.unwrap().unwrap();
    let two = &used.versions[2];
    assert_eq!((two.version, two.live, two.ended, two.needed_by.len()), (2, 1, 0, 1));
    // It ends: the version is kept for its history, and nothing is started on it any more.
    let taken = it.store.take(&id).await.unwrap().unwrap();
    let mut last = admitted("f", 2, State::Completed, None);
    (last.instance, last.expected_seq, last.epoch) = (id, taken.seq, taken.epoch);
    (last.entries, last.admission) = (vec![started(2)], None);
    it.store.append(last).await.unwrap();
    assert_eq!(
        (remove(2).await, remove(3).await, remove(3).await),
        (Removed::Retired, Removed::Gone, Removed::Unknown)
    );
    for version in [2, 3] {
        let refused = it.store.append(admitted("f", version, State::Waiting, None)).await;
        assert!(matches!(refused, Err(AppendError::Retired)), "{version}: {refused:?}");
    }
    let flow = it.store.flow("f").await.unwrap().unwrap();
    let versions: Vec<_> = flow.versions.iter().map(|one| (one.version, one.retired_ms)).collect();
    assert_eq!(versions, [(4, None), (2, Some(9)), (1, None)]);
    assert!(it.store.definition("f", 2).await.unwrap().is_some(), "its drawing is still there");
    let named = it.store.put_binding(save("f", Expect::None, json!({ "default": 2 }))).await.unwrap();
    assert_eq!(shown(named), "VERSION_UNKNOWN /default");
    assert_eq!(published(&it.store, "f", "5").await, 5, "no number is used twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_and_a_removal_never_both_win() {
    let it = open();
    for hash in ["1", "2"] {
        published(&it.store, "f", hash).await;
    }
    for round in 0..40 {
        let oldest = it.store.flow("f").await.unwrap().unwrap().versions[1].version;
        let starting = it.store.append(admitted("f", oldest, State::Waiting, None));
        let (started, removed) = if round % 2 == 0 {
            tokio::join!(starting, it.store.remove_version(act(9), "f", oldest))
        } else {
            let (removed, started) = tokio::join!(it.store.remove_version(act(9), "f", oldest), starting);
            (started, removed)
        };
        match (started, removed.unwrap()) {
            (Ok(_), Removed::Needed(_)) | (Err(AppendError::Retired), Removed::Gone) => {}
            both => panic!("{both:?}"),
        }
        published(&it.store, "f", &format!("{}", round + 3)).await;
    }
}

fn build(digest: &str, name: &str) -> NewPlugin {
    NewPlugin {
        digest: digest.to_owned(),
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        status: PluginStatus::Live,
        effect: "pure".to_owned(),
        manifest: json!({ "nodeTypes": [{ "uses": format!("{name}/x@0") }] }),
        wasm: vec![0; 10],
        act: act(5),
    }
}

async fn pin(store: &Store, hash: &str, digest: &str) -> Published {
    let mut publish = version_of("f", hash);
    publish.catalog = Arc::new(json!({ "nodeTypes": { "p/x@0": { "digest": digest } } }));
    store.publish(publish).await.unwrap()
}

#[tokio::test]
async fn a_plugin_goes_when_no_version_needs_it() {
    let it = open();
    let (old, new) = ("a".repeat(64), "b".repeat(64));
    for digest in [&old, &new] {
        it.store.put_plugin(build(digest, "p")).await.unwrap();
    }
    assert_eq!(pin(&it.store, "1", &old).await, Published::New(1));
    let remove = async |digest: &str| it.store.remove_plugin(act(9), digest).await.unwrap();
    assert_eq!(needed(&remove(&old).await), ["version"]);
    let (versions, drafts) = it.store.plugin_used(&old).await.unwrap().unwrap();
    assert_eq!((versions.len(), versions[0].needed_by.len(), drafts.len()), (1, 1, 0));
    assert_eq!(pin(&it.store, "2", &new).await, Published::New(2));
    // Nothing of it is old enough yet; then both go, one because of the other.
    let garbage = async |before_ms| it.store.garbage(before_ms, BTreeSet::from([new.clone()])).await.unwrap();
    assert_eq!(garbage(1).await, crate::Garbage::default());
    let found = garbage(100).await;
    assert_eq!((found.versions.len(), found.plugins.len()), (1, 1));
    assert_eq!((found.versions[0].version, found.plugins[0].digest.as_str()), (1, old.as_str()));
    assert_eq!(it.store.remove_version(act(9), "f", 1).await.unwrap(), Removed::Gone);
    assert_eq!((remove(&old).await, remove(&old).await), (Removed::Gone, Removed::Unknown));
    assert_eq!(it.store.plugin_wasm(&old).await.unwrap(), None);
    assert_eq!(pin(&it.store, "3", &old).await, Published::PluginGone(old.clone()));
}

#[tokio::test]
async fn starts_are_counted_by_what_chose_their_version() {
    let it = open();
    for hash in ["1", "2"] {
        published(&it.store, "f", hash).await;
    }
    let start = |version, by: Option<&str>, state| {
        let mut append = admitted("f", version, state, None);
        append.instance = new_id();
        append.admission.as_mut().unwrap().bound_by = by.map(Arc::from);
        it.store.append(append)
    };
    for (version, by, state) in [
        (1, Some("split/a"), State::Completed),
        (1, Some("split/a"), State::Failed),
        (2, Some("split/b"), State::Incident),
        (2, Some("fallback"), State::Completed),
        (2, None, State::Completed),
    ] {
        start(version, by, state).await.unwrap();
    }
    let counts = it.store.choice_counts("f").await.unwrap();
    let shown: Vec<String> = counts
        .iter()
        .map(|one| {
            let counted = one.counts.iter().filter(|(_, instances)| *instances > 0);
            let counted: Vec<String> = counted.map(|(state, n)| format!("{} {n}", state.name())).collect();
            format!("{} {}: {}", one.bound_by, one.version, counted.join(", "))
        })
        .collect();
    assert_eq!(shown, ["fallback 2: completed 1", "split/a 1: completed 1, failed 1", "split/b 2: incident 1"]);
}

/// What an instance commits that goes on with another version.
fn moved(of: &Append, seq: u64, version: u32) -> Append {
    let mut next = of.clone();
    (next.admission, next.expected_seq, next.version, next.entries) = (None, seq, version, vec![started(seq + 1)]);
    next.park = false;
    next
}

#[tokio::test]
async fn a_version_that_kept_instances_were_migrated_away_from_stays_for_their_history() {
    let it = open();
    for hash in ["1", "2", "3"] {
        published(&it.store, "f", hash).await;
    }
    let mut one = admitted("f", 1, State::Waiting, None);
    one.park = false;
    it.store.append(one.clone()).await.unwrap();
    it.store.append(moved(&one, 1, 2)).await.unwrap();
    let mut last = moved(&one, 2, 3);
    (last.header.state, last.header.forget_ms, last.snapshot) = (State::Completed, Some(5_000), None);
    it.store.append(last).await.unwrap();
    let remove = async |version| it.store.remove_version(act(9), "f", version).await.unwrap();
    for version in [1, 2] {
        let garbage = it.store.garbage(100, BTreeSet::new()).await.unwrap();
        assert_eq!((garbage.versions[0].version, garbage.versions[0].kept), (version, 1));
        assert_eq!((remove(version).await, remove(version).await), (Removed::Retired, Removed::Retired));
        assert!(it.store.definition("f", version).await.unwrap().is_some_and(|definition| definition.retired));
    }
    assert_eq!(it.store.garbage(100, BTreeSet::new()).await.unwrap().versions, []);
    // With the instance goes the reason.
    it.store.forget(5_000).await.unwrap();
    assert_eq!(it.store.garbage(100, BTreeSet::new()).await.unwrap().versions.len(), 2);
    assert_eq!((remove(1).await, remove(2).await), (Removed::Gone, Removed::Gone));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_and_a_removal_never_both_win() {
    let it = open();
    for hash in ["1", "2", "3"] {
        published(&it.store, "f", hash).await;
    }
    for round in 0..40 {
        let target = it.store.flow("f").await.unwrap().unwrap().versions[1].version;
        let mut one = admitted("f", 1, State::Waiting, None);
        one.park = false;
        it.store.append(one.clone()).await.unwrap();
        let moving = it.store.append(moved(&one, 1, target));
        let (moved, removed) = if round % 2 == 0 {
            tokio::join!(moving, it.store.remove_version(act(9), "f", target))
        } else {
            let (removed, moved) = tokio::join!(it.store.remove_version(act(9), "f", target), moving);
            (moved, removed)
        };
        match (moved, removed.unwrap()) {
            (Ok(_), Removed::Needed(needs)) => assert_eq!(needed(&Removed::Needed(needs)), ["instances"]),
            (Err(AppendError::Retired), Removed::Gone) => {}
            both => panic!("round {round}: {both:?}"),
        }
        published(&it.store, "f", &format!("{}", round + 4)).await;
    }
}
