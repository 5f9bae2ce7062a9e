//! Background tasks.

pub mod follower;
pub mod updater;
pub mod watcher;
