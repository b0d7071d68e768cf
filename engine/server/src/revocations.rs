//! Revoked builds are kept from being called here, and flows that need one from being started.
//!
//! Every engine looks when the feed tells of one, and once a second beside (`pauses`), so a revocation or its end
//! holds everywhere within that.
//!
//! Not here: where calls are stopped (`sandbox`), the API's view (`http::revocations`).

use std::collections::BTreeMap;

use stepwell_core::flow::Flow;
use stepwell_runtime::journal::Unavailable;
use stepwell_sandbox::Sandbox;
use stepwell_store::{Revocation, Store};

/// Puts the store's revocations in force in the sandbox.
pub(crate) async fn enforce(sandbox: &Sandbox, store: &Store) -> Result<Vec<Revocation>, Unavailable> {
    let revoked = store.revocations().await?;
    let by_digest = revoked.iter().filter_map(|one| Some((one.digest.parse().ok()?, one.reason.clone())));
    let by_digest: BTreeMap<_, _> = by_digest.collect();
    if *sandbox.revoked() != by_digest {
        sandbox.set_revoked(by_digest);
    }
    Ok(revoked)
}

/// What of it a flow needs, for itself or for the flows that it calls: node type, digest and reason.
pub(crate) fn needed(sandbox: &Sandbox, flow: &Flow) -> Option<(String, String, String)> {
    let revoked = sandbox.revoked();
    if revoked.is_empty() {
        return None;
    }
    flow.callees().find_map(|callee| {
        let reason = revoked.get(&callee.digest.parse().ok()?)?;
        Some((callee.uses.to_string(), callee.digest.to_string(), reason.clone()))
    })
}
