//! Databases in MaxMind's format (<https://maxmind.github.io/MaxMind-DB/>).

mod error;
mod file;
mod layout;

use std::net::IpAddr;
use std::path::Path;

use chrono::{DateTime, Utc};
use common::geo::{Location, LocationSource};
use ipnetwork::IpNetwork;
use maxminddb::Reader;

pub use self::error::DatabaseError;
use self::layout::RecordLayout;
use super::record::{
    EnglishNames, FlatRecord, LocalizedNames, NetworkRecord, PlaceRecord, deny_anonymity_flags,
};
use crate::domain::Language;

/// A database in memory, verified.
pub(super) struct MmdbDatabase {
    reader: Reader<Vec<u8>>,
    layout: RecordLayout,
    source: LocationSource,
    built_at: DateTime<Utc>,
    /// An absent anonymity flag means false in this database.
    absent_flag_is_false: bool,
}

impl MmdbDatabase {
    /// Reads and verifies a file. The file is not memory-mapped: overwriting a mapped file in place
    /// would crash the process.
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let reader = file::read_file(path)?;
        reader.verify()?;
        let metadata = reader.metadata();
        let kind = metadata.database_type.clone();
        let Some(layout) = RecordLayout::detect(&reader) else {
            return Err(DatabaseError::UnsupportedType(kind));
        };
        let built_at = i64::try_from(metadata.build_epoch).ok();
        let built_at = built_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let built_at = built_at.unwrap_or_default();
        Ok(Self {
            layout,
            absent_flag_is_false: kind.contains("Anonymous"),
            source: LocationSource {
                provider: "mmdb".into(),
                database: kind,
                build_date: Some(built_at.date_naive().to_string()),
            },
            built_at,
            reader,
        })
    }

    /// Fills the empty fields of `to` and returns the network of the record. An unreadable record
    /// counts as missing.
    pub(super) fn fill(
        &self,
        ip: IpAddr,
        language: Language,
        to: &mut Location,
    ) -> Option<IpNetwork> {
        let network = self.fill_from_record(ip, language, to);
        if network.is_some() {
            to.sources.push(self.source.clone());
        }
        if self.absent_flag_is_false {
            deny_anonymity_flags(to);
        }
        network
    }

    fn fill_from_record(
        &self,
        ip: IpAddr,
        language: Language,
        to: &mut Location,
    ) -> Option<IpNetwork> {
        let found = self.reader.lookup(ip).ok()?;
        match self.layout {
            RecordLayout::Places if language == Language::English => {
                let record = found
                    .decode::<PlaceRecord<&str, EnglishNames<&str>>>()
                    .ok()??;
                record.fill(to, language);
            }
            RecordLayout::Places => {
                let record = found
                    .decode::<PlaceRecord<&str, LocalizedNames<&str>>>()
                    .ok()??;
                record.fill(to, language);
            }
            RecordLayout::Network => found.decode::<NetworkRecord<&str>>().ok()??.fill(to),
            RecordLayout::Flat => found.decode::<FlatRecord>().ok()??.fill(to),
        }
        found.network().ok()
    }

    /// The type in the metadata, such as `GeoLite2-City`.
    pub(super) fn name(&self) -> &str {
        &self.source.database
    }

    pub(super) fn built_at(&self) -> DateTime<Utc> {
        self.built_at
    }
}
