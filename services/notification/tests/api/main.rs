//! Tests of the HTTP API with a real port and a real PostgreSQL. Providers are fakes.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod callbacks;
mod channels;
mod delivery;
mod erasure;
mod fake_provider;
mod faults;
mod group_commit;
mod health;
mod idempotency;
mod leaks;
mod limits;
mod lists;
mod lookup;
mod lookup_conflicts;
mod mail_server;
mod notifications;
mod notify;
mod rate_limits;
mod recipients;
mod rules;
mod rules_failing;
mod rules_windows;
mod settings;
mod smtp;
mod stored_data;
mod support;
mod twilio;
mod unknown_outcomes;
mod visitor_rule;
mod written_addresses;
