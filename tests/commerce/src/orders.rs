//! What an order takes beside stock: a coupon, points, and its place among the shop's orders.
//!
//! Coupons that begin with `USED` were redeemed before, customers that begin with `POOR` have no points, and orders that
//! begin with `UNSAVED` are not taken.

use serde::Deserialize;
use serde_json::json;

use crate::door::{Answer, Refusal, Scene, name, refuse};
use crate::effect::{self, Kind};
use crate::facts::COUPON_CENTS;

#[derive(Deserialize)]
struct Redemption {
    coupon: String,
}

#[derive(Deserialize)]
struct Use {
    customer: String,
    points: u32,
}

#[derive(Deserialize)]
struct Order {
    order: String,
    amount_cents: i64,
}

pub(crate) fn redeem(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let Redemption { coupon } = scene.body()?;
    name("coupon", &coupon)?;
    if coupon.starts_with("USED") {
        return refuse(409, "COUPON_USED", format!("{coupon} was redeemed before"));
    }
    let id = effect::put(scene, Kind::Coupon, &json!({ "coupon": coupon }))?;
    let redemption = Kind::Coupon.name_of(id);
    Ok(Answer::new(201, json!({ "redemption": redemption, "coupon": coupon, "amount_cents": COUPON_CENTS })))
}

pub(crate) fn use_points(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let Use { customer, points } = scene.body()?;
    name("customer", &customer)?;
    if customer.starts_with("POOR") {
        return refuse(409, "NOT_ENOUGH_POINTS", format!("{customer} has not {points} points"));
    }
    let id = effect::put(scene, Kind::Points, &json!({ "customer": customer, "points": points }))?;
    Ok(Answer::new(201, json!({ "use": Kind::Points.name_of(id), "customer": customer, "points": points })))
}

pub(crate) fn save(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let Order { order, amount_cents } = scene.body()?;
    name("order", &order)?;
    if order.starts_with("UNSAVED") {
        return refuse(409, "ORDER_REFUSED", format!("{order} is not taken"));
    }
    let id = effect::put(scene, Kind::Order, &json!({ "order": order, "amount_cents": amount_cents }))?;
    Ok(Answer::new(201, json!({ "saved": Kind::Order.name_of(id), "order": order, "amount_cents": amount_cents })))
}
