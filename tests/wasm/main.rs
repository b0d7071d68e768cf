//! Components that mean harm, against the real sandbox: what each tries, what stops it, what the
//! operator sees. The guests are in `guests/`; a few are written as text here.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod cache;
mod hostile;
mod http;
mod load;
mod recorded;
mod rig;
