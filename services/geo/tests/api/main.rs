//! The real router on a real port.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod bad_input;
mod geolocate;
mod maxmind;
mod maxmind_faults;
mod maxmind_log;
mod maxmind_settings;
mod support;
