//! Asks: the services that this one needs.

pub mod dns;
pub mod geo;
pub mod notification;
