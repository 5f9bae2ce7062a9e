//! Background loops.

pub mod service_areas;
pub mod updater;
pub mod watcher;
