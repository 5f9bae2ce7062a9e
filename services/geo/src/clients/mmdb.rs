//! Databases in MaxMind's format (<https://maxmind.github.io/MaxMind-DB/>).

use std::net::IpAddr;
use std::path::Path;

use chrono::DateTime;
use common::geo::{Location, Source};
use maxminddb::{MaxMindDbError, Reader};

use super::record::{Record, fill, narrow};

/// One database, read into memory and verified.
pub(super) struct Database {
    reader: Reader<Vec<u8>>,
    source: Source,
}

/// A file is no sound database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be read, is no database, or is damaged.
    #[error("not a sound .mmdb database: {0}")]
    Unsound(#[from] MaxMindDbError),
    /// It holds something else than places and networks.
    #[error("a {0} database says nothing about places or networks")]
    Foreign(String),
}

impl Database {
    /// Reads and verifies a file. It is not mapped: a mapped file that is replaced in place ends
    /// the process.
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let reader = Reader::open_readfile(path)?;
        reader.verify()?;
        let metadata = reader.metadata();
        let kind = metadata.database_type.clone();
        let known = ["City", "Country", "Enterprise", "ASN", "ISP", "Anonymous"];
        if !known.iter().any(|part| kind.contains(part)) {
            return Err(DatabaseError::Foreign(kind));
        }
        let built = i64::try_from(metadata.build_epoch).ok();
        let built = built.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let source = Source {
            provider: "mmdb".into(),
            database: kind,
            build_date: built.map(|built| built.date_naive().to_string()),
        };
        Ok(Self { reader, source })
    }

    /// Fills what `location` leaves open. A record that cannot be read is as one that is missing.
    pub(super) fn fill(&self, ip: IpAddr, location: &mut Location) {
        if self.fill_from_record(ip, location).is_some() {
            location.sources.push(self.source.clone());
        }
        // An Anonymous-IP database says "no" by leaving out.
        if self.source.database.contains("Anonymous") {
            fill(&mut location.is_anonymous, || Some(false));
            fill(&mut location.is_hosting_provider, || Some(false));
        }
    }

    fn fill_from_record(&self, ip: IpAddr, location: &mut Location) -> Option<()> {
        let found = self.reader.lookup(ip).ok()?;
        let record = found.decode::<Record<&str>>().ok()??;
        let network = found.network().ok()?;
        narrow(&mut location.network, network.to_string());
        record.fill(location);
        Some(())
    }

    pub(super) fn description(&self) -> String {
        let built = self.source.build_date.as_deref().unwrap_or("unknown date");
        format!("{} ({built})", self.source.database)
    }
}
