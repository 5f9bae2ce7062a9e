//! Databases in MaxMind's format (<https://maxmind.github.io/MaxMind-DB/>).

mod layout;
mod source;

use std::net::IpAddr;
use std::path::Path;

use chrono::{DateTime, Utc};
use common::geo::{Location, LocationSource};
use ipnetwork::IpNetwork;
use maxminddb::{MaxMindDbError, Reader};

use self::layout::RecordLayout;
use super::record::{
    EnglishNames, FlatRecord, LocalizedNames, NetworkRecord, PlaceRecord, deny_marks,
};
use crate::domain::Language;

/// One database, read into memory and verified.
pub(super) struct MmdbDatabase {
    reader: Reader<Vec<u8>>,
    layout: RecordLayout,
    source: LocationSource,
    /// When it was built.
    built_at: DateTime<Utc>,
    /// It says "no" about anonymity by leaving out.
    denies: bool,
}

/// A file is no sound database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is no database, or is damaged.
    #[error("not a sound .mmdb database: {0}")]
    Unsound(#[from] MaxMindDbError),
    /// It holds something else than places and networks.
    #[error("a {0} database says nothing about places or networks")]
    Foreign(String),
}

impl MmdbDatabase {
    /// Reads and verifies a file. It is not mapped: a mapped file that is replaced in place ends
    /// the process.
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let reader = source::read(path)?;
        reader.verify()?;
        let metadata = reader.metadata();
        let kind = metadata.database_type.clone();
        let Some(layout) = RecordLayout::of(&reader) else {
            return Err(DatabaseError::Foreign(kind));
        };
        let built_at = i64::try_from(metadata.build_epoch).ok();
        let built_at = built_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let built_at = built_at.unwrap_or_default();
        Ok(Self {
            layout,
            denies: kind.contains("Anonymous"),
            source: LocationSource {
                provider: "mmdb".into(),
                database: kind,
                build_date: Some(built_at.date_naive().to_string()),
            },
            built_at,
            reader,
        })
    }

    /// Fills what `to` leaves open, and tells the network that it knows something about. A record
    /// that cannot be read is as one that is missing.
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
        if self.denies {
            deny_marks(to);
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

    /// Its own name for what it is, such as `GeoLite2-City`.
    pub(super) fn name(&self) -> &str {
        &self.source.database
    }

    /// When it was built.
    pub(super) fn built_at(&self) -> DateTime<Utc> {
        self.built_at
    }
}
