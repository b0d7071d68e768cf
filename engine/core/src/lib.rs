//! Decides what flows mean and what their instances do next. Pure: the same inputs give the same
//! outputs on the server, in the simulator and in the browser.
//!
//! Invariants:
//! - Nothing here is async, reads a clock, draws randomness or does I/O; time arrives in events.
//! - Nothing here panics on data from outside: flows, events and values are refused as values.
//!
//! Not here: who performs effects (`runtime`), where events are kept (`store`), how a node's code
//! is run (`sandbox`).

pub mod bind;
pub mod bpmn;
pub mod catalog;
pub mod compat;
pub mod decide;
pub mod expr;
pub mod flow;
pub mod machine;
pub mod planted;
pub mod problem;
pub mod record;
pub mod schema;
pub mod table;
pub mod value;
