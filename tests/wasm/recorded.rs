//! A recorded component gives the same answer whenever its visit runs; a log has its limits.

use serde_json::{Value, json};
use stepwell_core::catalog::EffectClass;
use stepwell_core::machine::{Op, Outcome};

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_and_chance_follow_from_the_visit() {
    let rig = Rig::new("recorder").await;
    assert_eq!(rig.plugin.effect, EffectClass::Recorded);
    let told = async |key: &str, attempt: u32| -> Value {
        let mut call = rig.call(Op::Run, json!({}), json!(null));
        (call.key, call.attempt) = (key.to_owned(), attempt);
        match rig.answer(&call).await.outcome {
            Outcome::Done { output, .. } => (*output).clone(),
            other => panic!("{other:?}"),
        }
    };
    let first = told("key-1", 1).await;
    assert_eq!(first, told("key-1", 2).await, "another attempt of the visit");
    assert_eq!(first["now_ms"], 1_700_000_000_000_u64, "when the visit began");
    let drawn = [&first["drawn"][0], &first["drawn"][1], &first["insecure"]];
    assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2], "{first}");
    assert_ne!(first["drawn"], told("key-2", 1).await["drawn"], "another visit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_cut_and_never_fails() {
    let rig = Rig::new("recorder").await;
    let answer = rig.answer(&rig.call(Op::Run, json!({}), json!(null))).await;
    assert!(matches!(answer.outcome, Outcome::Done { .. }), "{:?}", answer.outcome);
    assert_eq!(answer.logs.len(), 64);
    let last = &answer.logs[63];
    assert!(last.level == "warn" && last.message.starts_with("63 é") && last.message.len() == 1023, "{last:?}");
}
