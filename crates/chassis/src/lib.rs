//! The runtime that all services share: settings, telemetry, problems, authentication, health,
//! metrics, HTTP server and clients, database pool, start and shutdown. It contains no domain code.
#![forbid(unsafe_code)]

pub mod answer;
pub mod app;
pub mod auth;
pub mod body;
mod connections;
pub mod database;
pub mod extract;
pub mod gather;
pub mod health;
pub mod http_client;
pub mod jwks;
pub mod metrics;
mod openapi;
pub mod page;
pub mod panics;
pub mod peer;
pub mod places;
pub mod problem;
pub mod process;
pub mod request;
pub mod settings;
pub mod stream;
pub mod telemetry;

pub use app::App;
pub use connections::ConnectionLimits;
pub use problem::Problem;
