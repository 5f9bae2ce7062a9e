//! Asks: the services that this one needs.

pub mod geo;
pub mod notification;
