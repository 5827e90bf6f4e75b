//! The planner by its behaviours.

#![allow(clippy::unwrap_used)]

mod fencing;
mod lifecycle;
mod ownership;
mod pods;
mod restarts;
mod rig;
mod scale;
mod status;
