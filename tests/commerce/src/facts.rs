//! What a shop knows: products, promotions, shops, coupons, and its customers. Nothing here changes.
//!
//! Everything exists, but what begins with `GONE`. Names say the rest: a product that begins with `VIRTUAL` is not
//! shipped, a customer with `BLOCKED` is blocked, with `RISKY` is a risk, with `HOMELESS` has no address, with `GOLD` is
//! a gold member.

use serde_json::{Value, json};

use crate::door::{Answer, Refusal, Scene, name, refuse};

const PRICE_CENTS: i64 = 12_900;
const SALE_CENTS: i64 = 9_900;
pub(crate) const COUPON_CENTS: i64 = 500;

fn fact(scene: &Scene<'_>, kind: &str, tell: impl FnOnce(&str) -> Value) -> Result<Answer, Refusal> {
    let id = scene.param("id");
    name(kind, id)?;
    if id.starts_with("GONE") {
        return refuse(404, &format!("NO_{}", kind.to_uppercase()), format!("no {kind} {id}"));
    }
    Ok(Answer::new(200, tell(id)))
}

pub(crate) fn product(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    fact(scene, "product", |id| {
        let kind = if id.starts_with("VIRTUAL") { "virtual" } else { "goods" };
        json!({ "sku": id, "kind": kind, "price_cents": PRICE_CENTS, "sale_cents": SALE_CENTS, "shop": "S-1" })
    })
}

pub(crate) fn promotion(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    fact(scene, "promotion", |id| json!({ "sku": id, "promotion": "SPRING", "percent": 10 }))
}

pub(crate) fn shop(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    fact(
        scene,
        "shop",
        |id| json!({ "shop": id, "shop_type": if id.starts_with("SELF") { "self" } else { "marketplace" } }),
    )
}

pub(crate) fn coupon(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    fact(scene, "coupon", |id| json!({ "coupon": id, "amount_cents": COUPON_CENTS }))
}

pub(crate) fn address(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    if scene.param("id").starts_with("HOMELESS") {
        return refuse(404, "NO_ADDRESS", format!("{} has no address", scene.param("id")));
    }
    fact(scene, "customer", |id| json!({ "customer": id, "region": "north", "line": "1 Main Street" }))
}

pub(crate) fn account(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    fact(scene, "customer", |id| json!({ "customer": id, "level": 3, "blocked": id.starts_with("BLOCKED") }))
}

pub(crate) fn membership(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    fact(
        scene,
        "customer",
        |id| json!({ "customer": id, "tier": if id.starts_with("GOLD") { "gold" } else { "silver" } }),
    )
}

pub(crate) fn risk(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    fact(
        scene,
        "customer",
        |id| json!({ "customer": id, "risk": if id.starts_with("RISKY") { "high" } else { "low" } }),
    )
}
