//! Carriers and parcels. A parcel gets one state further each time somebody looks.

use rusqlite::{OptionalExtension, params};
use serde::Deserialize;
use serde_json::json;

use crate::door::{Answer, Refusal, Scene, name, refuse};
use crate::effect::{self, Kind};

const CARRIERS: [&str; 3] = ["northline", "citybike", "harbour-van"];
/// What a parcel goes through, one state per look; it stays in the last.
const STATES: [&str; 4] = ["CREATED", "PICKED_UP", "IN_TRANSIT", "DELIVERED"];

#[derive(Deserialize)]
struct Shipment {
    order: String,
}

#[derive(Deserialize)]
struct Assignment {
    order: String,
    community: Option<String>,
}

pub(crate) fn ship(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let Shipment { order } = scene.body()?;
    name("order", &order)?;
    let id = effect::put(scene, Kind::Shipment, &json!({ "order": order }))?;
    Ok(Answer::new(201, json!({ "parcel": Kind::Shipment.name_of(id), "order": order })))
}

pub(crate) fn assign(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let Assignment { order, community } = scene.body()?;
    name("order", &order)?;
    // The same place has the same carrier every time.
    let place = community.as_deref().unwrap_or(&order);
    let carrier = CARRIERS[place.bytes().map(usize::from).sum::<usize>() % CARRIERS.len()];
    let detail = json!({ "order": order, "community": community, "carrier": carrier });
    let id = effect::put(scene, Kind::Assignment, &detail)?;
    Ok(Answer::new(201, json!({ "carrier": carrier, "assignment": Kind::Assignment.name_of(id), "order": order })))
}

pub(crate) fn track(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let parcel = scene.param("parcel");
    let id = Kind::Shipment.id_of(parcel);
    let cancelled = scene
        .db
        .prepare_cached("select undone_ms is not null from effect where kind = ?1 and id = ?2")?
        .query_row(params![Kind::Shipment.as_str(), id], |row| row.get::<_, bool>(0))
        .optional()?;
    let state = match cancelled {
        None => return refuse(404, "NO_PARCEL", format!("no parcel {parcel}")),
        Some(true) => "CANCELLED",
        Some(false) => {
            let polls = scene
                .db
                .prepare_cached(
                    "insert into parcel (effect, polls) values (?1, 1) \
                     on conflict do update set polls = polls + 1 returning polls",
                )?
                .query_row([id], |row| row.get::<_, u32>(0))?;
            STATES[(polls as usize - 1).min(STATES.len() - 1)]
        }
    };
    Ok(Answer::new(200, json!({ "parcel": parcel, "state": state, "delivered": state == "DELIVERED" })))
}
