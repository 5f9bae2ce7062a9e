//! Operational properties of all services: schemas, privileges, metrics and idle load.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod dumps;
mod idle;
mod metrics;
mod roles;
mod running;
mod traces;
mod versions;
