//! Databases in MaxMind's format (<https://maxmind.github.io/MaxMind-DB/>).

use std::net::IpAddr;
use std::path::Path;

use chrono::DateTime;
use common::geo::{Location, Source};
use ipnet::IpNet;
use maxminddb::{MaxMindDbError, Reader};
use serde::Deserialize;

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

/// The parts of MaxMind's records that are used; City, Country, Enterprise, ASN, ISP and
/// Anonymous-IP each carry some of them.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, default)]
    continent: Option<Named<'a>>,
    #[serde(borrow, default)]
    country: Option<Named<'a>>,
    #[serde(borrow, default)]
    subdivisions: Vec<Named<'a>>,
    #[serde(borrow, default)]
    city: Option<Named<'a>>,
    #[serde(borrow, default)]
    postal: Option<Postal<'a>>,
    #[serde(borrow, default)]
    location: Option<Point<'a>>,
    #[serde(default)]
    autonomous_system_number: Option<u32>,
    #[serde(default)]
    autonomous_system_organization: Option<&'a str>,
    #[serde(default)]
    is_anonymous: Option<bool>,
    #[serde(default)]
    is_hosting_provider: Option<bool>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(default)]
    code: Option<&'a str>,
    #[serde(default)]
    iso_code: Option<&'a str>,
    #[serde(default)]
    is_in_european_union: Option<bool>,
    #[serde(borrow, default)]
    names: Option<Names<'a>>,
}

#[derive(Deserialize)]
struct Names<'a> {
    #[serde(default)]
    en: Option<&'a str>,
}

#[derive(Deserialize)]
struct Postal<'a> {
    #[serde(default)]
    code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Point<'a> {
    #[serde(default)]
    latitude: Option<f64>,
    #[serde(default)]
    longitude: Option<f64>,
    #[serde(default)]
    accuracy_radius: Option<u16>,
    #[serde(default)]
    time_zone: Option<&'a str>,
}

impl Named<'_> {
    fn name(&self) -> Option<String> {
        self.names.as_ref()?.en.map(str::to_owned)
    }
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
        let record = found.decode::<Record<'_>>().ok()??;
        let network = found.network().ok()?;
        location.network = Some(narrower(location.network.take(), network));
        record.fill(location);
        Some(())
    }

    pub(super) fn description(&self) -> String {
        let built = self.source.build_date.as_deref().unwrap_or("unknown date");
        format!("{} ({built})", self.source.database)
    }
}

/// An answer holds for the narrowest network among its sources.
fn narrower(known: Option<String>, network: ipnetwork::IpNetwork) -> String {
    let prefix = |text: &String| text.parse::<IpNet>().map_or(0, |net| net.prefix_len());
    match known {
        Some(known) if prefix(&known) >= network.prefix() => known,
        _ => network.to_string(),
    }
}

impl Record<'_> {
    fn fill(&self, to: &mut Location) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        if let Some(continent) = &self.continent {
            fill(&mut to.continent_code, || owned(continent.code));
        }
        if let Some(country) = &self.country {
            fill(&mut to.country_code, || owned(country.iso_code));
            fill(&mut to.country, || country.name());
            // MaxMind leaves the mark out where it is false.
            let member = country.is_in_european_union.unwrap_or(false);
            fill(&mut to.is_in_european_union, || Some(member));
        }
        if let Some(region) = self.subdivisions.first() {
            fill(&mut to.region_code, || owned(region.iso_code));
            fill(&mut to.region, || region.name());
        }
        fill(&mut to.city, || self.city.as_ref()?.name());
        fill(&mut to.postal_code, || owned(self.postal.as_ref()?.code));
        if let Some(point) = &self.location {
            fill(&mut to.latitude, || point.latitude);
            fill(&mut to.longitude, || point.longitude);
            fill(&mut to.accuracy_radius_km, || point.accuracy_radius);
            fill(&mut to.time_zone, || owned(point.time_zone));
        }
        fill(&mut to.asn, || self.autonomous_system_number);
        fill(&mut to.as_organization, || {
            owned(self.autonomous_system_organization)
        });
        fill(&mut to.is_anonymous, || self.is_anonymous);
        fill(&mut to.is_hosting_provider, || self.is_hosting_provider);
    }
}

fn fill<T>(field: &mut Option<T>, value: impl FnOnce() -> Option<T>) {
    if field.is_none() {
        *field = value();
    }
}
