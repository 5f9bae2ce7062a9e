//! What runs in the background.

pub mod follower;
pub mod updater;
pub mod watcher;
