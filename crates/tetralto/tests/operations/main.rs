//! What whoever operates the services relies on, the same for each: schemas, rights, metrics, and
//! what they cost at rest.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod dumps;
mod metrics;
mod rest;
mod roles;
mod running;
mod versions;
