//! Turns resources into workers and assignments, and reports into status.

pub mod plan;
