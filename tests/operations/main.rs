//! What operators live through: full and read-only disks, a database that goes away, the order to end under load, an
//! older engine on a newer database.
//!
//! Limits are set on the process (`ulimit -f`), and writes refused within it (`read_only.c`), so no test needs to be root. What is of a file runs on a file,
//! whatever database the suite is told; what is of a server runs where there is one, and says so where there is none.
//!
//! Not here: clocks that jump at every moment (`tests/sim`), kills (`tests/crash`), many engines (`tests/engines`).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking, and say what they did not try")]

mod backup;
mod clock;
mod disk;
mod end;
mod forget;
mod old;
mod parked;
mod replayed;
mod server;
mod upgrade;
mod versions;
