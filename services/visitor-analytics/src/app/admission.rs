//! Decides whether valid visits and events are recorded: their site must exist or be created, and
//! their id must not belong to another site.

use std::collections::{BTreeSet, HashSet};

use chassis::database::StoreError;
use chrono::{DateTime, Utc};

use crate::domain::visit::NewVisit;
use crate::store::Store;

/// Why a valid visit or event is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// A visit or an event of another site has this id.
    #[error("this id belongs to a visit or event of another site")]
    IdTaken,
    /// The site does not exist, and the token, which is limited to sites, cannot create it.
    #[error(
        "this site does not exist, and a token that is limited to sites cannot create it; \
         add it with POST /sites"
    )]
    UnknownSite,
    /// The limit on new sites within 24 hours is reached.
    #[error(
        "visits and events have created the maximum number of sites within 24 hours \
         (MAX_NEW_SITES_PER_DAY); add this site with POST /sites"
    )]
    SiteLimitReached,
}

/// Whether visits and events may create sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewSitePolicy {
    /// Up to `MAX_NEW_SITES_PER_DAY` sites within 24 hours.
    Limited,
    /// No: the token is limited to sites.
    Refused,
}

#[derive(Clone, Debug)]
pub struct AdmissionControl {
    store: Store,
    max_new_sites_per_day: u32,
}

impl AdmissionControl {
    #[must_use]
    pub fn new(store: Store, max_new_sites_per_day: u32) -> Self {
        Self {
            store,
            max_new_sites_per_day,
        }
    }

    /// Returns for each visit why it is refused, or `None`; an empty list if all are admitted.
    /// Visits of known sites whose ids contain their timestamp are checked in memory only.
    pub async fn check_visits<'a>(
        &self,
        visits: impl Iterator<Item = &'a NewVisit> + Clone,
        new_sites: NewSitePolicy,
        now: DateTime<Utc>,
    ) -> Result<Vec<Option<AdmissionError>>, StoreError> {
        let domains = visits.clone().map(|visit| visit.site.as_str());
        let unknown = self.ensure_sites(domains, now, new_sites).await?;
        let suspects = visits.clone().filter(|visit| visit.needs_id_check);
        let suspects: Vec<&NewVisit> = suspects.collect();
        let taken = self.store.visits.foreign_ids(&suspects).await?;
        if unknown.is_empty() && taken.is_empty() {
            return Ok(vec![]);
        }
        let refusal = |visit: &NewVisit| {
            if taken.contains(&(visit.id, visit.timestamp, visit.site.as_str())) {
                return Some(AdmissionError::IdTaken);
            }
            unknown
                .contains(&visit.site)
                .then(|| unknown_site_error(new_sites))
        };
        Ok(visits.map(refusal).collect())
    }

    /// Creates the sites of `domains` that may be created, and returns the domains that remain
    /// unknown.
    pub async fn ensure_sites<'a>(
        &self,
        domains: impl Iterator<Item = &'a str>,
        now: DateTime<Utc>,
        new_sites: NewSitePolicy,
    ) -> Result<HashSet<String>, StoreError> {
        let unknown = domains.filter(|domain| !self.store.sites.is_cached(domain));
        let unknown: BTreeSet<&str> = unknown.collect();
        if unknown.is_empty() {
            return Ok(HashSet::new());
        }
        let most = match new_sites {
            NewSitePolicy::Limited => self.max_new_sites_per_day,
            NewSitePolicy::Refused => 0,
        };
        let unknown = self.store.sites.add_discovered(&unknown, most, now).await?;
        if !unknown.is_empty() && new_sites == NewSitePolicy::Limited && most > 0 {
            metrics::counter!("visits_site_limit_refusals_total").increment(unknown.len() as u64);
            self.store.sites.record_limit(now).await?;
        }
        Ok(unknown)
    }
}

/// The error for a visit or event of an unknown site.
#[must_use]
pub fn unknown_site_error(new_sites: NewSitePolicy) -> AdmissionError {
    match new_sites {
        NewSitePolicy::Limited => AdmissionError::SiteLimitReached,
        NewSitePolicy::Refused => AdmissionError::UnknownSite,
    }
}
