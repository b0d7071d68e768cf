//! Pickup lockers: every community has one more, except those whose name begins with `FULL`.

use serde::Deserialize;
use serde_json::json;

use crate::door::{Answer, Refusal, Scene, name, refuse};
use crate::effect::{self, Kind};

#[derive(Deserialize)]
struct Lock {
    community: String,
}

pub(crate) fn lock(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let Lock { community } = scene.body()?;
    name("community", &community)?;
    if community.starts_with("FULL") {
        return refuse(409, "NO_LOCKER", format!("{community}: every locker is taken"));
    }
    let id = effect::put(scene, Kind::Locker, &json!({ "community": community }))?;
    Ok(Answer::new(201, json!({ "locker": Kind::Locker.name_of(id), "community": community })))
}
