//! The whole system as a user starts it: one binary, its private PostgreSQL, real ports. Only
//! Twilio is a stub.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod erasure;
mod faults;
mod kills;
mod lifecycle;
mod output;
mod readme;
mod replay;
mod running;
mod twilio;
