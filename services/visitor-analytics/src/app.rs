//! Use cases, and the handles of background workers that requests use.
//!
//! Requests, commands and workers share them. A handle is created with the queue that its worker
//! in `workers` takes.

pub mod admission;
pub mod crawler_verification;
pub mod ignore_rules;
pub mod import;
pub mod ingest;
pub mod live;
pub mod reclassify;
pub mod recorder;
pub mod reports;
pub mod retention;
pub mod session_monitor;
pub mod verify;
