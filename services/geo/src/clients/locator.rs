//! The chain of providers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chassis::health::CheckResult;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use common::geo::Location;
use tokio::time::Instant;

use super::databases::{DatabaseSet, LocalDatabases};
use super::embedded::EmbeddedDatabase;
use super::maxmind::{MaxMindWebService, WebLookup, WebLookupResult};
use crate::domain::areas::GeoPoint;
use crate::domain::{Language, LocateError, SpecialPurpose, countries, enrich, parse, spelled};

/// A single question waits this long for the web service.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

/// A batch as a whole waits this long: who sends many addresses gives the whole call 250 ms.
const BATCH_LOOKUP_TIMEOUT: Duration = Duration::from_millis(200);

/// Every source of locations, the best first: local databases, MaxMind's web service where none
/// of them knows the city, and the embedded database where nobody knows the country.
pub struct Locator {
    databases: Arc<LocalDatabases>,
    web: Option<Arc<MaxMindWebService>>,
    embedded: EmbeddedDatabase,
    business: Option<GeoPoint>,
    clock: Clock,
}

/// What the local databases know, and what the web service was asked for the rest.
struct PartialLookup {
    ip: IpAddr,
    /// Large, and handed on several times.
    location: Box<Location>,
    lookup: Option<WebLookup>,
}

impl Locator {
    /// The chain of these providers; without an account at MaxMind its web service is left out.
    /// Where a `business` has its place, answers tell how far away it is.
    #[must_use]
    pub fn new(
        databases: Arc<LocalDatabases>,
        web: Option<Arc<MaxMindWebService>>,
        business: Option<GeoPoint>,
        clock: Clock,
    ) -> Self {
        let embedded = EmbeddedDatabase::new();
        Self {
            databases,
            web,
            embedded,
            business,
            clock,
        }
    }

    /// Where an address is, with names in a language as far as there are any. A provider that
    /// fails or is late is as one that does not know.
    pub async fn locate(&self, text: &str, language: Language) -> Result<Location, LocateError> {
        let deadline = Instant::now() + LOOKUP_TIMEOUT;
        let begun = self.begin(text, language, &self.databases.now())?;
        Ok(*self.finish(begun, language, deadline).await?)
    }

    /// Where many addresses are, in the order asked, all from the same databases. What the web
    /// service does not say soon is answered without it, while its answers are still awaited for
    /// the next time.
    pub async fn locate_many(
        &self,
        texts: &[String],
        language: Language,
    ) -> Vec<Result<Box<Location>, LocateError>> {
        let deadline = Instant::now() + BATCH_LOOKUP_TIMEOUT;
        let loaded = self.databases.now();
        let texts = texts.iter();
        let all: Vec<_> = texts
            .map(|text| self.begin(text, language, &loaded))
            .collect();
        let mut found = Vec::with_capacity(all.len());
        for begun in all {
            found.push(match begun {
                Ok(begun) => self.finish(begun, language, deadline).await,
                Err(error) => Err(error),
            });
        }
        found
    }

    fn begin(
        &self,
        text: &str,
        language: Language,
        loaded: &DatabaseSet,
    ) -> Result<PartialLookup, LocateError> {
        let ip = parse(text)?;
        let mut location = Box::new(Location {
            ip: spelled(text, ip),
            ..Location::default()
        });
        loaded.fill(ip, language, &mut location);
        let is_coarse = location.city.is_none() && location.latitude.is_none();
        let web = self.web.as_ref().filter(|_| is_coarse);
        let lookup = web.and_then(|web| web.begin(ip));
        Ok(PartialLookup {
            ip,
            location,
            lookup,
        })
    }

    async fn finish(
        &self,
        begun: PartialLookup,
        language: Language,
        deadline: Instant,
    ) -> Result<Box<Location>, LocateError> {
        let PartialLookup {
            ip,
            mut location,
            lookup,
        } = begun;
        let answer = match &lookup {
            Some(lookup) => lookup.answer(deadline).await,
            None => None,
        };
        match answer {
            Some(WebLookupResult::Found(record)) => {
                record.fill(&mut location, language);
                narrow(&mut location.network, record.network());
                location.sources.push(MaxMindWebService::source());
            }
            Some(WebLookupResult::Reserved) if location.sources.is_empty() => {
                return Err(LocateError::Reserved(SpecialPurpose::Elsewhere));
            }
            Some(WebLookupResult::Reserved | WebLookupResult::NotFound) | None => {}
        }
        if location.country_code.is_none() {
            self.embedded.fill(ip, &mut location);
        }
        if location.sources.is_empty() {
            return Err(LocateError::NotFound);
        }
        complete(&mut location);
        enrich(&mut location, self.business, self.clock.now());
        Ok(location)
    }

    /// How the databases are, for `/health`.
    #[must_use]
    pub fn finding(&self, now: DateTime<Utc>) -> CheckResult {
        self.databases
            .now()
            .finding(now, EmbeddedDatabase::description())
    }
}

/// Fills what follows from the country alone; flat databases say no more than its code.
fn complete(location: &mut Location) {
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

/// An answer holds for the narrowest network (CIDR) among its sources.
fn narrow(known: &mut Option<String>, network: Option<&str>) {
    let prefix = |text: &str| text.rsplit_once('/')?.1.parse::<u8>().ok();
    if known.as_deref().and_then(prefix) < network.and_then(prefix) {
        *known = network.map(Into::into);
    }
}
