//! Background tasks.

pub mod area_cache;
pub mod updater;
pub mod watcher;
