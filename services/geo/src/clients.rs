//! The sources of locations: local databases, MaxMind's web service and the embedded database.

mod databases;
mod embedded;
pub mod maxmind;
mod mmdb;
mod record;
pub mod updates;

pub(crate) use databases::DatabaseSet;
pub use databases::{DatabaseWatcher, LocalDatabases, OpenError};
pub(crate) use embedded::EmbeddedDatabase;
pub use maxmind::MaxMindWebService;
pub use mmdb::DatabaseError;

fn count_lookup(provider: &'static str, outcome: &'static str) {
    lookup_counter(provider, outcome).increment(1);
}

fn lookup_counter(provider: &'static str, outcome: &'static str) -> metrics::Counter {
    metrics::counter!("geo_lookups_total", "provider" => provider, "outcome" => outcome)
}
