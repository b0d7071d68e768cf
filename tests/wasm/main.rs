//! Components that mean harm, against the real sandbox: what each tries, what stops it, what the
//! operator sees. The guests are in `guests/`; a few are written as text here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::needless_pass_by_value,
    reason = "tests fail by panicking"
)]

mod beside;
mod cache;
mod compile;
mod flood;
mod grants;

mod hostile;
mod http;
mod hurt;
mod load;
mod recorded;
mod records;
mod rig;
