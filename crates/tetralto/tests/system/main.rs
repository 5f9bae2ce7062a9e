//! The whole system, started as a person starts it: one binary, its own PostgreSQL, real ports.
//! Only Twilio is played.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod erasure;
mod faults;
mod kills;
mod lifecycle;
mod output;
mod readme;
mod replay;
mod running;
mod twilio;
