//! Tests of the HTTP API with a real port and a real PostgreSQL. geo and notification are fakes.
#![forbid(unsafe_code)]
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod bad_input;
mod crawlers;
mod disconnects;
mod erasure;
mod events;
mod examples;
mod export;
mod extreme_times;
mod fake_services;
mod faults;
mod filters;
mod goals;
mod import_formats;
mod imports;
mod journeys;
mod lease;
mod limits;
mod live;
mod naive_reports;
mod name_server;
mod page_addresses;
mod privacy;
mod realtime;
mod reclassification;
mod recording;
mod report_parameters;
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
mod unique_visitors;
mod upgrades;
mod verdicts;
mod visit_list;
mod workload;
