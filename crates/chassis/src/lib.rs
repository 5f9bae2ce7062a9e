//! The runtime that all services share: settings, telemetry, problems, authentication, health,
//! metrics, HTTP server and clients, database pool, start and shutdown. It contains no domain code.
#![forbid(unsafe_code)]

pub mod app;
pub mod auth;
pub mod batch;
pub mod body;
pub mod circuit_breaker;
pub mod database;
pub mod extract;
pub mod health;
pub mod http_client;
mod json_body;
pub mod json_response;
pub mod jwks;
pub mod metrics;
mod openapi;
pub mod page;
pub mod panics;
pub mod problem;
pub mod process;
pub mod request;
mod request_observer;
pub mod request_slots;
mod server;
pub mod service_client;
pub mod settings;
pub mod stream;
pub mod telemetry;

pub use app::App;
pub use problem::Problem;
pub use server::ConnectionLimits;
