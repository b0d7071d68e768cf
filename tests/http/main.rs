//! The HTTP contract, asked of the real binary: statuses, codes, pointers, and what is kept.
//!
//! No plugin is needed here: flows are made of the engine's own constructs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod bindings;
mod bounds;
mod drafts;
mod events;
mod flows;
mod instances;
mod life;
mod listeners;
mod openapi;
mod refusals;
mod roles;
mod schedules;
mod secrets;
mod sessions;
mod starts;
mod tables;
mod tasks;
mod uploads;
mod users;
mod webhooks;
