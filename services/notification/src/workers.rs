//! Background loops.

pub mod dispatcher;
pub mod upkeep;
