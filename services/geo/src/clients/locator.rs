//! The chain of providers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use common::geo::Location;
use tokio::time::Instant;

use super::Databases;
use super::embedded::Embedded;
use super::maxmind::{Answer, Lookup, MaxMind};
use crate::domain::{LocateError, Reserved, parse};

/// A single question waits this long for the web service.
const PATIENCE: Duration = Duration::from_secs(1);

/// A batch as a whole waits this long: who sends many addresses gives the whole call 250 ms.
const BATCH_PATIENCE: Duration = Duration::from_millis(200);

/// Every source of locations, the best first: local databases, MaxMind's web service where none
/// of them knows the city, and the embedded database where nobody knows the country.
pub struct Locator {
    databases: Databases,
    web: Option<Arc<MaxMind>>,
    embedded: Embedded,
}

/// What the local databases know, and what the web service was asked for the rest.
struct Begun {
    ip: IpAddr,
    location: Location,
    lookup: Option<Lookup>,
}

impl Locator {
    /// The chain of these providers; without an account at MaxMind its web service is left out.
    #[must_use]
    pub fn new(databases: Databases, web: Option<Arc<MaxMind>>) -> Self {
        let embedded = Embedded::new();
        Self {
            databases,
            web,
            embedded,
        }
    }

    /// Where an address is. A provider that fails or is late is as one that does not know.
    pub async fn locate(&self, text: &str) -> Result<Location, LocateError> {
        let deadline = Instant::now() + PATIENCE;
        self.finish(self.begin(text)?, deadline).await
    }

    /// Where many addresses are, in the order asked. What the web service does not say soon is
    /// answered without it, while its answers are still awaited for the next time.
    pub async fn locate_many(&self, texts: &[String]) -> Vec<Result<Location, LocateError>> {
        let deadline = Instant::now() + BATCH_PATIENCE;
        let begun: Vec<_> = texts.iter().map(|text| self.begin(text)).collect();
        let mut found = Vec::with_capacity(begun.len());
        for begun in begun {
            found.push(match begun {
                Ok(begun) => self.finish(begun, deadline).await,
                Err(error) => Err(error),
            });
        }
        found
    }

    fn begin(&self, text: &str) -> Result<Begun, LocateError> {
        let ip = parse(text)?;
        let mut location = Location::of(ip);
        self.databases.fill(ip, &mut location);
        let is_coarse = location.city.is_none() && location.latitude.is_none();
        let web = self.web.as_ref().filter(|_| is_coarse);
        let lookup = web.and_then(|web| web.begin(ip));
        Ok(Begun {
            ip,
            location,
            lookup,
        })
    }

    async fn finish(&self, begun: Begun, deadline: Instant) -> Result<Location, LocateError> {
        let Begun {
            ip,
            mut location,
            lookup,
        } = begun;
        let answer = match &lookup {
            Some(lookup) => lookup.answer(deadline).await,
            None => None,
        };
        match answer {
            Some(Answer::Found(record)) => {
                record.fill(&mut location);
                location.sources.push(MaxMind::source());
            }
            Some(Answer::Reserved) if location.sources.is_empty() => {
                return Err(LocateError::Reserved(Reserved::Elsewhere));
            }
            Some(Answer::Reserved | Answer::NotFound) | None => {}
        }
        if location.country_code.is_none() {
            self.embedded.fill(ip, &mut location);
        }
        if location.sources.is_empty() {
            return Err(LocateError::NotFound);
        }
        Ok(location)
    }

    /// The databases that are asked, for people.
    #[must_use]
    pub fn description(&self) -> String {
        let names = self.databases.descriptions();
        let all: Vec<_> = names.chain([Embedded::description()]).collect();
        all.join(", ")
    }
}
