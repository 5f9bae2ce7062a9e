//! Use cases that requests and background tasks share, and the state that requests hold.

mod area_cache;
mod database_updater;
mod locator;
mod service_areas;

pub use area_cache::AreaCache;
pub use database_updater::{DatabaseBackups, DatabaseUpdater};
pub use locator::Locator;
pub use service_areas::{ServiceAreaError, ServiceAreas};
