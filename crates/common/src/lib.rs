//! Types that services exchange over HTTP (one module per owning service), tokens (JWT), the clock
//! and the special-purpose addresses.
//!
//! This crate does not depend on axum or sqlx. It contains only types that at least two services
//! use.
#![forbid(unsafe_code)]

pub mod clock;
pub mod embedded_ipv4;
pub mod geo;
pub mod jwt;
pub mod lone_surrogates;
pub mod notification;
pub mod readable_url;
pub mod special_purpose;
pub mod visitor_analytics;
