//! Clients of the other services and of DNS.

pub mod dns;
pub mod geo;
pub mod notification;
