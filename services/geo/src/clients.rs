//! Asks: the databases and services that know where addresses are.

mod databases;
mod embedded;
mod locator;
pub mod maxmind;
mod mmdb;
mod record;

pub use databases::{Databases, OpenError};
pub use locator::Locator;
pub use maxmind::MaxMind;

/// Counts a provider's answer for `/metrics`.
fn count(provider: &'static str, outcome: &'static str) {
    metrics::counter!("geo_lookups_total", "provider" => provider, "outcome" => outcome)
        .increment(1);
}
