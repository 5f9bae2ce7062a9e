//! Operational properties of all services: schemas, privileges, metrics and idle load.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod metrics;
mod rest;
mod roles;
mod running;
mod versions;
