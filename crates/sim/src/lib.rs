//! Whole replicas in virtual time: seeded, bit-reproducible, with faults and named invariants.
//!
//! A [`plan::Plan`] says what one seed is; [`world::World`] runs it; [`invariants`] says what must hold;
//! [`runs`] runs many, shrinks what fails and counts.

pub mod bug;
mod client;
pub mod dice;
mod ensembles;
mod host;
pub mod invariants;
mod judge;
mod lying;
mod membership;
mod model;
mod network;
pub mod plan;
mod restore;
pub mod runs;
mod store;
pub mod story;
pub mod trace;
pub mod verdict;
pub mod world;
