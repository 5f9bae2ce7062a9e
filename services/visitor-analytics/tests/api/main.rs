//! Tests of the HTTP API with a real port and a real PostgreSQL. geo and notification are fakes.
#![forbid(unsafe_code)]
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod bad_input;
mod crawlers;
mod erasure;
mod events;
mod examples;
mod export;
mod extreme_times;
mod faults;
mod filters;
mod goals;
mod hangups;
mod imports;
mod judging_again;
mod lease;
mod limits;
mod live;
mod migrating;
mod name_server;
mod neighbours;
mod paths;
mod plainly;
mod privacy;
mod reading;
mod realtime;
mod recording;
mod reports;
mod retention;
mod rollups;
mod segments;
mod session_list;
mod sessions;
mod settings;
mod site_identity;
mod site_limit;
mod site_scope;
mod sites;
mod support;
mod verdicts;
