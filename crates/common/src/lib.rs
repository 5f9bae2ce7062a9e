//! What travels between the services: wire types, one file per owning service, and JWT.
//!
//! Nothing here knows axum or sqlx; a type enters only when a second service really uses it.
#![forbid(unsafe_code)]

pub mod clock;
pub mod geo;
pub mod jwt;
pub mod notification;
pub mod visitor_analytics;
