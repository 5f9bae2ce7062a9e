//! Locates addresses with a chain of providers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chassis::health::CheckResult;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use common::geo::Location;
use common::special_purpose::SpecialPurpose;
use tokio::time::Instant;

use crate::clients::maxmind::{WebLookup, WebLookupResult};
use crate::clients::{DatabaseSet, EmbeddedDatabase, LocalDatabases, MaxMindWebService};
use crate::domain::areas::GeoPoint;
use crate::domain::{Language, LocateError, canonical_text, countries, enrich, parse_address};

/// The timeout of the web service for a single address.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

/// The timeout of the web service for a batch: visitor-analytics allows 250 ms for the whole
/// request.
const BATCH_LOOKUP_TIMEOUT: Duration = Duration::from_millis(200);

/// All sources of locations: local databases; MaxMind's web service if no database has a city or
/// coordinates; the embedded database if no other source has a country.
pub struct Locator {
    databases: Arc<LocalDatabases>,
    web_service: Option<Arc<MaxMindWebService>>,
    embedded: EmbeddedDatabase,
    business_location: Option<GeoPoint>,
    clock: Clock,
}

/// The result of the local databases, and a pending lookup of the web service.
struct PartialLookup {
    ip: IpAddr,
    /// Boxed, because it is large and moved several times.
    location: Box<Location>,
    web_lookup: Option<WebLookup>,
}

impl Locator {
    /// Locations include the distance to `business_location`, if it is given.
    #[must_use]
    pub fn new(
        databases: Arc<LocalDatabases>,
        web_service: Option<Arc<MaxMindWebService>>,
        business_location: Option<GeoPoint>,
        clock: Clock,
    ) -> Self {
        let embedded = EmbeddedDatabase::new();
        Self {
            databases,
            web_service,
            embedded,
            business_location,
            clock,
        }
    }

    /// Locates an address, with names in `language` or else in English. A provider that fails or
    /// times out is skipped.
    #[tracing::instrument(level = "debug", name = "locate_address", skip_all)]
    pub async fn locate(&self, text: &str, language: Language) -> Result<Location, LocateError> {
        let deadline = Instant::now() + LOOKUP_TIMEOUT;
        let begun = self.start_lookup(text, language, &self.databases.snapshot())?;
        Ok(*self.complete_lookup(begun, language, deadline).await?)
    }

    /// Locates many addresses with the same set of databases; the results have the order of
    /// `texts`. Lookups of the web service that time out continue in the background and fill its
    /// cache.
    #[tracing::instrument(level = "debug", name = "locate_addresses", skip_all, fields(addresses = texts.len()))]
    pub async fn locate_many(
        &self,
        texts: &[String],
        language: Language,
    ) -> Vec<Result<Box<Location>, LocateError>> {
        let deadline = Instant::now() + BATCH_LOOKUP_TIMEOUT;
        let loaded = self.databases.snapshot();
        let texts = texts.iter();
        let all: Vec<_> = texts
            .map(|text| self.start_lookup(text, language, &loaded))
            .collect();
        let mut found = Vec::with_capacity(all.len());
        for begun in all {
            found.push(match begun {
                Ok(begun) => self.complete_lookup(begun, language, deadline).await,
                Err(error) => Err(error),
            });
        }
        found
    }

    fn start_lookup(
        &self,
        text: &str,
        language: Language,
        loaded: &DatabaseSet,
    ) -> Result<PartialLookup, LocateError> {
        let ip = parse_address(text)?;
        let mut location = Box::new(Location {
            ip: canonical_text(text, ip),
            ..Location::default()
        });
        loaded.fill(ip, language, &mut location);
        let is_coarse = location.city.is_none() && location.latitude.is_none();
        let web = self.web_service.as_ref().filter(|_| is_coarse);
        let lookup = web.and_then(|web| web.start(ip));
        Ok(PartialLookup {
            ip,
            location,
            web_lookup: lookup,
        })
    }

    async fn complete_lookup(
        &self,
        begun: PartialLookup,
        language: Language,
        deadline: Instant,
    ) -> Result<Box<Location>, LocateError> {
        let PartialLookup {
            ip,
            mut location,
            web_lookup: lookup,
        } = begun;
        let answer = match &lookup {
            Some(lookup) => lookup.wait(deadline).await,
            None => None,
        };
        match answer {
            Some(WebLookupResult::Found(record)) => {
                record.fill(&mut location, language);
                narrow_network(&mut location.network, record.network());
                location.sources.push(MaxMindWebService::source());
            }
            Some(WebLookupResult::Reserved) if location.sources.is_empty() => {
                return Err(LocateError::Reserved(SpecialPurpose::Other));
            }
            Some(WebLookupResult::Reserved | WebLookupResult::NotFound) | None => {}
        }
        if location.country_code.is_none() {
            self.embedded.fill(ip, &mut location);
        }
        if location.sources.is_empty() {
            return Err(LocateError::NotFound);
        }
        fill_from_country(&mut location);
        enrich(&mut location, self.business_location, self.clock.now());
        Ok(location)
    }

    /// The check of the databases for `/health`.
    #[must_use]
    pub fn health(&self, now: DateTime<Utc>) -> CheckResult {
        self.databases
            .snapshot()
            .health(now, EmbeddedDatabase::description())
    }
}

/// Fills the fields that depend on the country only. Flat databases have only its code.
fn fill_from_country(location: &mut Location) {
    let is_complete = location.country.is_some()
        && location.continent_code.is_some()
        && location.is_in_european_union.is_some();
    let code = location.country_code.as_deref().filter(|_| !is_complete);
    let Some(country) = code.and_then(countries::find) else {
        return;
    };
    let name = || country.name.to_owned();
    location.country.get_or_insert_with(name);
    let continent = || country.continent_code.to_owned();
    location.continent_code.get_or_insert_with(continent);
    location
        .is_in_european_union
        .get_or_insert(country.is_in_european_union);
}

/// A location is valid for the narrowest network (CIDR) of its sources.
fn narrow_network(known: &mut Option<String>, network: Option<&str>) {
    let prefix = |text: &str| text.rsplit_once('/')?.1.parse::<u8>().ok();
    if known.as_deref().and_then(prefix) < network.and_then(prefix) {
        *known = network.map(Into::into);
    }
}
