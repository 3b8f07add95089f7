//! Real processes on real directories: killed, stopped, damaged, crowded and full.
//!
//! `OXHERD_TEST_KILLS` is how often the server is killed under load.

mod damage;
mod full;
mod kill;
mod repair;
mod server;
mod snapshots;
mod start;
mod sync;
