//! Tests of the HTTP API with a real port and a real PostgreSQL. Providers are fakes.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod callbacks;
mod channels;
mod delivery;
mod doubt;
mod erasure;
mod faults;
mod flow;
mod gather;
mod health;
mod idempotency;
mod kept;
mod leaks;
mod limits;
mod lists;
mod mail_server;
mod notifications;
mod notify;
mod played;
mod recipients;
mod rules;
mod rules_failing;
mod rules_windows;
mod settings;
mod smtp;
mod support;
mod twilio;
mod unknown;
mod visitors;
