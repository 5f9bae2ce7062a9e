//! The real router on a real port.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod bad_input;
mod geolocate;
mod layouts;
mod maxmind;
mod maxmind_faults;
mod maxmind_log;
mod maxmind_settings;
mod records;
mod reload;
mod service_areas;
mod service_areas_check;
mod service_areas_faults;
mod settings;
mod soundness;
mod support;
mod updates;
mod updates_kept;
mod updates_killed;
