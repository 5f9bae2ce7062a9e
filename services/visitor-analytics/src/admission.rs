//! Whether visits and events that are well-formed may be recorded: their site has to be known, or
//! one that they may bring along, and no other site may have their id.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};

use crate::domain::visit::NewVisit;
use crate::store::{Store, StoreError};

/// Why something that is well-formed is not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// Another site has a visit or an event with this id.
    #[error("this id is taken")]
    IdTaken,
    /// The site does not exist, and a token that is limited to sites adds none.
    #[error("there is no such site, and a token that is limited to sites adds none: POST /sites")]
    SiteUnknown,
    /// As many sites as may be have come with visits lately.
    #[error(
        "too many new sites have come with visits within 24 hours (MAX_NEW_SITES_PER_DAY); \
         POST /sites adds this one"
    )]
    SiteLimit,
}

/// Which new sites may come along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewSitePolicy {
    /// As many as the setting allows.
    Limited,
    /// None: the token is limited to sites.
    Refused,
}

/// Decides what is recorded.
#[derive(Clone, Debug)]
pub struct AdmissionControl {
    store: Store,
    max_new_sites_per_day: u32,
}

impl AdmissionControl {
    /// New sites are added up to a number within 24 hours.
    #[must_use]
    pub fn new(store: Store, max_new_sites_per_day: u32) -> Self {
        Self {
            store,
            max_new_sites_per_day,
        }
    }

    /// For each visit why it is refused, if it is; nothing at all where none is. Costs a look into
    /// memory for visits of known sites whose ids carry their time.
    pub async fn refusals<'a>(
        &self,
        visits: impl Iterator<Item = &'a NewVisit> + Clone,
        new_sites: NewSitePolicy,
        now: DateTime<Utc>,
    ) -> Result<Vec<Option<AdmissionError>>, StoreError> {
        let domains = visits.clone().map(|visit| visit.site.as_str());
        let unknown = self.unknown_sites(domains, now, new_sites).await?;
        let suspects = visits.clone().filter(|visit| visit.needs_id_check);
        let suspects: Vec<&NewVisit> = suspects.collect();
        let taken = self.store.ids_of_other_sites(&suspects).await?;
        if unknown.is_empty() && taken.is_empty() {
            return Ok(vec![]);
        }
        let refusal = |visit: &NewVisit| {
            if taken.contains(&(visit.id, visit.timestamp, visit.site.as_str())) {
                return Some(AdmissionError::IdTaken);
            }
            unknown.contains(&visit.site).then(|| refusal(new_sites))
        };
        Ok(visits.map(refusal).collect())
    }

    /// Those of these domains that are no site's, after adding as many sites as may be.
    pub async fn unknown_sites<'a>(
        &self,
        domains: impl Iterator<Item = &'a str>,
        now: DateTime<Utc>,
        new_sites: NewSitePolicy,
    ) -> Result<HashSet<String>, StoreError> {
        let unknown = domains.filter(|domain| !self.store.knows_site(domain));
        let unknown: BTreeSet<&str> = unknown.collect();
        if unknown.is_empty() {
            return Ok(HashSet::new());
        }
        let most = match new_sites {
            NewSitePolicy::Limited => self.max_new_sites_per_day,
            NewSitePolicy::Refused => 0,
        };
        let unknown = self.store.add_visited_sites(&unknown, most, now).await?;
        if !unknown.is_empty() && new_sites == NewSitePolicy::Limited && most > 0 {
            metrics::counter!("visits_sites_refused_total").increment(unknown.len() as u64);
            self.store.note_site_limit(now).await?;
        }
        Ok(unknown)
    }
}

/// Why a site that is unknown is refused.
#[must_use]
pub fn refusal(new_sites: NewSitePolicy) -> AdmissionError {
    match new_sites {
        NewSitePolicy::Limited => AdmissionError::SiteLimit,
        NewSitePolicy::Refused => AdmissionError::SiteUnknown,
    }
}
