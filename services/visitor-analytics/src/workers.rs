//! Background loops.

pub mod announcer;
pub mod housekeeping;
pub mod locations;
pub mod recorder;
