//! Visits from an export, which keep their verdict, location and origin.

use std::sync::Arc;

use bot_detection::{BotCategory, BotRule, BotVerdict};
use chrono::{DateTime, Utc};
use common::geo::Location;
use common::visitor_analytics::Visit;
use user_agent::UserAgent;

use crate::domain::engagement::Engagement;
use crate::domain::enriched_visit::{EnrichedVisit, LocationStatus, UserAgentInfo};
use crate::domain::export::ExportedVisit;
use crate::domain::privacy::PrivacyPolicy;
use crate::domain::source::AcquisitionChannel;
use crate::domain::visit::{NewVisit, SubmittedVisit, ValidationError};
use crate::domain::visit_enricher::VisitEnricher;

/// The address of visits that were stored without one.
const UNSPECIFIED_IP: &str = "::";

/// An exported visit to record again.
#[derive(Clone, Debug)]
pub struct ReimportedVisit {
    visit: NewVisit,
    exported: ExportedVisit,
}

impl ReimportedVisit {
    /// Validates an exported visit at `now`.
    pub fn accept(
        was: ExportedVisit,
        policy: &PrivacyPolicy,
        now: DateTime<Utc>,
    ) -> Result<Self, ValidationError> {
        let from = was.visit.clone();
        let submitted = SubmittedVisit {
            id: Some(from.id),
            site: Some(from.site),
            timestamp: Some(from.timestamp),
            url: from.url,
            ip: from
                .ip
                .map_or_else(|| UNSPECIFIED_IP.into(), |ip| ip.to_string()),
            user_agent: Some(was.user_agent.clone()).filter(|agent| !agent.is_empty()),
            referrer: from.referrer,
            title: from.title,
            method: Some(from.method),
            status_code: from.status_code,
            response_time_ms: from.response_time_ms,
            visitor_id: Some(from.visitor_id),
            user_id: from.user_id,
            properties: Some(from.properties),
            ..SubmittedVisit::default()
        };
        let mut visit = NewVisit::accept(submitted, policy, now)?;
        visit.stored_ip = visit.stored_ip.filter(|_| from.ip.is_some());
        Ok(Self {
            visit,
            exported: was,
        })
    }

    #[must_use]
    pub fn visit(&self) -> &NewVisit {
        &self.visit
    }

    /// The engagement, if the export contains any.
    #[must_use]
    pub fn engagement(&self) -> Option<Engagement> {
        let visit = &self.exported.visit;
        let is_known = visit.engagement_seconds.is_some() || visit.scroll_depth.is_some();
        is_known.then(|| Engagement {
            seconds: visit.engagement_seconds.unwrap_or_default(),
            scroll_depth: visit.scroll_depth.unwrap_or_default(),
        })
    }

    /// The visit with its exported enrichment.
    #[must_use]
    pub fn into_enriched(self, classifier: &VisitEnricher) -> EnrichedVisit {
        let was = self.exported.visit;
        let findings = classifier.user_agent_info(&self.visit.user_agent, None);
        let findings = merge_user_agent(&findings, &was);
        let place = exported_location(&was);
        let verdict = exported_verdict(&was);
        let mut visit = EnrichedVisit::new(self.visit, was.visitor_id, findings, place);
        visit.verdict = verdict;
        visit.language = was.language;
        if let Some(channel) = was
            .channel
            .as_deref()
            .and_then(AcquisitionChannel::from_name)
        {
            visit.traffic_source.channel = channel;
            visit.traffic_source.source = was.source;
            visit.traffic_source.medium = was.medium;
        }
        visit
    }
}

/// The parsed user agent with the exported values, which may come from client hints.
fn merge_user_agent(findings: &Arc<UserAgentInfo>, was: &Visit) -> Arc<UserAgentInfo> {
    let own = &findings.agent;
    let agent = UserAgent {
        browser: was.browser.clone(),
        browser_version: was.browser_version.clone(),
        os: was.os.clone(),
        os_version: was.os_version.clone(),
        brand: was.brand.clone(),
        model: was.model.clone(),
        is_hinted: false,
        ..*own
    };
    if agent
        == (UserAgent {
            is_hinted: false,
            ..own.clone()
        })
    {
        return findings.clone();
    }
    Arc::new(UserAgentInfo {
        agent: UserAgent {
            is_hinted: true,
            ..agent
        },
        verdict: findings.verdict.clone(),
    })
}

fn exported_location(was: &Visit) -> LocationStatus {
    let location = Location {
        country_code: was.country_code.clone(),
        country: was.country.clone(),
        region_code: was.region_code.clone(),
        region: was.region.clone(),
        city: was.city.clone(),
        latitude: was.latitude,
        longitude: was.longitude,
        time_zone: was.time_zone.clone(),
        asn: was.asn,
        as_organization: was.as_organization.clone(),
        ..Location::default()
    };
    if location == Location::default() {
        return LocationStatus::Unknown;
    }
    LocationStatus::Known(Arc::new(location))
}

fn exported_verdict(was: &Visit) -> BotVerdict {
    let reasons = was.bot_reasons.iter();
    BotVerdict {
        is_bot: was.is_bot,
        score: was.bot_score.min(100),
        reasons: reasons
            .filter_map(|code| BotRule::from_code(code))
            .collect(),
        name: was.bot_name.clone(),
        category: was.bot_category.as_deref().and_then(BotCategory::from_name),
    }
}
