//! What a call may do to records, and how far, on records that stand in memory: who lists, who writes too much, who was
//! not granted, and what the commit is made to depend on.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use stepwell_core::catalog::EffectClass;
use stepwell_core::machine::Op;
use stepwell_core::record;
use stepwell_runtime::Nodes as _;
use stepwell_runtime::journal::Unavailable;
use stepwell_runtime::nodes::About;
use stepwell_runtime::records::Desk;
use stepwell_sandbox::{Committed, Grants, Reading, Sandbox, Wanted};

use crate::rig::{Rig, guest, limits, shown};

/// 12 orders; `o-03` is being paid. The order `lost` is where the database does not answer.
fn reading() -> Reading {
    let document = json!({
        "stepwell": 1, "kind": "record", "key": "order",
        "statuses": [{ "name": "CREATED", "code": 10 }, { "name": "PAYING", "code": 20 }],
        "schema": { "properties": { "n": { "type": "integer" } } },
    });
    let order = Arc::new(record::check(&document).record.unwrap());
    let all: BTreeMap<String, Committed> = (0..12_u64)
        .map(|n| {
            let (status, status_code) = if n == 3 { ("PAYING", 20) } else { ("CREATED", 10) };
            let id = format!("o-{n:02}");
            let body = json!({ "n": n }).to_string();
            (id.clone(), Committed { id, status: status.to_owned(), status_code, revision: n + 1, body })
        })
        .collect();
    let one = all.clone();
    Reading {
        record_type: Box::new(move |kind| {
            let found = (kind == "order").then(|| order.clone());
            Box::pin(async move { Ok(found) })
        }),
        record: Box::new(move |_, id| {
            let found = if id == "lost" { Err(Unavailable("gone".to_owned())) } else { Ok(one.get(id).cloned()) };
            Box::pin(async move { found })
        }),
        records: Box::new(move |_, wanted| {
            let Wanted { status, min, after, limit, .. } = wanted;
            let fits = |one: &&Committed| {
                one.id > after
                    && status.as_ref().is_none_or(|status| *status == one.status)
                    && min.is_none_or(|min| one.status_code >= min)
            };
            let mut found: Vec<Committed> = all.values().filter(fits).cloned().collect();
            let more = found.len() > limit as usize;
            found.truncate(limit as usize);
            Box::pin(async move { Ok((found, more)) })
        }),
    }
}

async fn rig(name: &str) -> Rig {
    let sandbox = Arc::new(Sandbox::new(None, limits()).unwrap().reading(reading()));
    let grants = json!({ "grants": [{ "plugin": name, "records": ["order", "nothing"] }] });
    sandbox.set_grants(&serde_json::from_value::<Grants>(grants).unwrap()).unwrap();
    let plugin = sandbox.load(guest(name)).await.unwrap();
    Rig { sandbox, plugin, timeout_ms: 3000 }
}

/// What a call answers, and what its commit would depend on: `order/o-01@2`, with `!` where it writes.
async fn asked(rig: &Rig, kind: &str, deeds: Value) -> (String, String) {
    let desk = Arc::new(Desk::default());
    let about = About {
        instance: "01939f00-0000-7000-8000-000000000000".into(),
        flow: "flow".into(),
        version: 1,
        business_key: None,
        traceparent: None,
        records: Some(desk.clone()),
    };
    let call = rig.call(Op::Run, json!({}), json!({ "type": kind, "deeds": deeds }));
    let said = shown(&rig.sandbox.call(&about, &call).await.outcome);
    let touched = desk
        .touched()
        .into_iter()
        .map(|one| format!("{}/{}@{}{}", one.kind, one.id, one.seen, if one.write.is_some() { "!" } else { "" }));
    (said, touched.collect::<Vec<_>>().join(" "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_see_staged_and_committed_records_as_one() {
    let rig = rig("clerk").await;
    assert_eq!(rig.plugin.effect, EffectClass::Transactional);
    let claim = |id: &str, more: Value| {
        let mut deed = json!({ "do": "claim", "id": id, "status": "PAYING" });
        deed.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        deed
    };
    let list = |more: Value| {
        let mut deed = json!({ "do": "list", "limit": 3 });
        deed.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        deed
    };
    for (deeds, told, touched) in [
        // A list is not checked again.
        (json!([list(json!({ "min": 20 }))]), r#"[{"ids":["o-03 PAYING"],"next":null}]"#, ""),
        (
            json!([claim("o-01", json!({ "from": "CREATED" })), list(json!({ "status": "PAYING" }))]),
            r#"[3,{"ids":["o-01 PAYING","o-03 PAYING"],"next":null}]"#,
            "order/o-01@2!",
        ),
        // What was written between two ids of a part stands between them; what no longer fits is left out.
        (
            json!([
                claim("o-00a", json!({ "body": {} })),
                claim("o-02", json!({ "revision": 3 })),
                list(json!({ "status": "CREATED" })),
                list(json!({ "after": "o-00" })),
            ]),
            r#"[1,4,{"ids":["o-00 CREATED","o-01 CREATED"],"next":"o-02"},{"ids":["o-00a PAYING","o-01 CREATED","o-02 PAYING"],"next":"o-02"}]"#,
            "order/o-00a@0! order/o-02@3!",
        ),
        // A lost race is none's error, and the commit depends on what it lost to.
        (
            json!([claim("o-03", json!({ "max": 19 })), claim("o-04", json!({ "body": {} }))]),
            "[null,null]",
            "order/o-03@4 order/o-04@5",
        ),
        (
            json!([{ "do": "get", "id": "new" }, { "do": "put", "id": "new", "status": "CREATED", "body": { "n": 1 } }]),
            "[null,1]",
            "order/new@0!",
        ),
    ] {
        let expected = (format!("done out {told}"), touched.to_owned());
        assert_eq!(asked(&rig, "order", deeds.clone()).await, expected, "{deeds}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_is_told_and_changes_nothing() {
    let rig = rig("clerk").await;
    let put = |status: &str, body: Value| json!([{ "do": "put", "id": "o-01", "status": status, "body": body }]);
    let many = |times: u32, deed: Value| json!([{ "do": "repeat", "times": times, "deeds": [deed] }]);
    let get = json!({ "do": "get", "id": "o-01" });
    let write = json!({ "do": "put", "id": "o-01", "status": "CREATED", "body": {} });
    let large = json!({ "do": "put", "id": "o-01", "status": "CREATED", "body": { "s": "x".repeat(250 * 1024) } });
    for (kind, deeds, told) in [
        ("nothing", json!([get]), "there is no record type nothing"),
        ("order", put("GONE", json!({})), "order has no status GONE"),
        ("order", put("CREATED", json!({ "n": "x" })), "body/n: "),
        ("order", put("CREATED", json!("x".repeat(257 * 1024))), "at most 262144"),
        ("order", json!([{ "do": "get", "id": "" }]), "an id has 1 to 500 bytes"),
        ("order", json!([{ "do": "list", "limit": 0 }]), "a limit of 0"),
        ("order", json!([{ "do": "list", "limit": 5, "status": "GONE" }]), "order has no status GONE"),
        ("order", json!([{ "do": "claim", "id": "x", "status": "CREATED" }]), "`absent` needs a body"),
        ("order", many(1001, get.clone()), "more than 1000 reads"),
        (
            "order",
            many(1001, json!({ "do": "put", "id": "o-01", "status": "GONE", "body": {} })),
            "more than 1000 reads",
        ),
        ("order", many(201, write.clone()), "more than 200 writes"),
        ("order", many(40, large), "bytes written in one call"),
        ("order", many(100, json!({ "do": "list", "limit": 12 })), "more than 1000 reads"),
    ] {
        let (said, _) = asked(&rig, kind, deeds).await;
        assert!(said.starts_with("done out") && said.contains("error") && said.contains(told), "{told}: {said}");
    }
    // A write there is no room for reads nothing: the commit does not come to depend on it.
    let over = json!([{ "do": "repeat", "times": 200, "deeds": [write] },
                      { "do": "put", "id": "o-02", "status": "CREATED", "body": {} }]);
    let (said, touched) = asked(&rig, "order", over).await;
    assert!(said.contains("more than 200 writes"), "{said}");
    assert_eq!(touched, "order/o-01@2!");
    // These decide the outcome, whatever the guest makes of it.
    let (said, touched) = asked(&rig, "secret", json!([get])).await;
    assert!(
        said.starts_with("permanent NOT_GRANTED: records of type secret are not granted to the plugin `"),
        "{said}"
    );
    assert!(said.contains("/records/secret?namespace=default`"), "it says what an administrator does: {said}");
    assert_eq!(touched, "");
    let (said, _) = asked(&rig, "order", json!([{ "do": "get", "id": "lost" }])).await;
    assert_eq!(said, "transient: the store is out of reach: gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_component_reads_what_is_committed() {
    let rig = rig("reader").await;
    assert_eq!(rig.plugin.effect, EffectClass::External);
    assert_eq!(rig.run(json!({}), json!({ "id": "o-03" })).await, r#"done out {"status":"PAYING"}"#);
    assert_eq!(rig.run(json!({}), json!({ "id": "none" })).await, r#"done out {"status":null}"#);
}
