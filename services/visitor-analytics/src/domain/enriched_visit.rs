//! Visits with the data that are derived from them before they are recorded.

use std::sync::Arc;

use bot_detection::{BotVerdict, UserAgentVerdict, VisitSignals, evaluate_visit};
use common::geo::Location;
use user_agent::RequestHeaders;
use user_agent::UserAgent;

use super::source::TrafficSource;
use super::visit::NewVisit;

/// The data derived from a user agent and its client hints. Cached for further visits.
#[derive(Clone, Debug, Default)]
pub struct UserAgentInfo {
    pub agent: UserAgent,
    pub verdict: UserAgentVerdict,
}

/// The result of the location lookup.
#[derive(Clone, Debug, PartialEq)]
pub enum LocationStatus {
    Known(Arc<Location>),
    /// geo has no location for the address.
    Unknown,
    /// geo was unavailable. The backfill stores the location later.
    Pending,
}

/// A visit ready to be recorded.
#[derive(Clone, Debug)]
pub struct EnrichedVisit {
    pub visit: NewVisit,
    pub visitor_id: String,
    pub user_agent_info: Arc<UserAgentInfo>,
    pub verdict: BotVerdict,
    pub traffic_source: TrafficSource,
    /// The first language tag in `Accept-Language`.
    pub language: Option<String>,
    pub location_status: LocationStatus,
}

impl EnrichedVisit {
    /// Applies the bot rules to a visit and determines its source and language.
    #[must_use]
    pub fn new(
        visit: NewVisit,
        visitor_id: String,
        user_agent_info: Arc<UserAgentInfo>,
        place: LocationStatus,
    ) -> Self {
        let location = match &place {
            LocationStatus::Known(location) => Some(&**location),
            LocationStatus::Unknown | LocationStatus::Pending => None,
        };
        let circumstances = VisitSignals {
            user_agent: &visit.user_agent,
            headers: visit.headers.as_ref(),
            is_secure: visit.url.scheme() == "https",
            path: visit.url.path(),
            referrer: visit.referrer.as_ref(),
            ..VisitSignals::default()
        };
        Self {
            verdict: evaluate_visit(&user_agent_info.verdict, &located(circumstances, location)),
            traffic_source: TrafficSource::detect(
                &visit.url,
                visit.referrer.as_ref(),
                visit.ad_network,
            ),
            language: visit.headers.as_ref().and_then(first_language),
            visitor_id,
            user_agent_info,
            location_status: match place {
                // The backfill would need the address, which is not stored after an opt-out.
                LocationStatus::Pending if visit.opted_out => LocationStatus::Unknown,
                place => place,
            },
            visit,
        }
    }

    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        match &self.location_status {
            LocationStatus::Known(location) => Some(location),
            LocationStatus::Unknown | LocationStatus::Pending => None,
        }
    }
}

/// Adds the network data from geo's answer.
fn located<'a>(signals: VisitSignals<'a>, location: Option<&Location>) -> VisitSignals<'a> {
    let Some(location) = location else {
        return signals;
    };
    let is_hosting = location.is_hosting_provider == Some(true)
        || location.user_type.as_deref() == Some("hosting");
    VisitSignals {
        asn: location.asn,
        is_hosting,
        is_anonymous: location.is_anonymous == Some(true),
        ..signals
    }
}

/// Returns the first language tag of `Accept-Language` (RFC 9110 §12.5.4). Browsers send the
/// preferred language first.
fn first_language(headers: &RequestHeaders) -> Option<String> {
    let tag = headers
        .get("accept-language")?
        .split([',', ';'])
        .next()?
        .trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let sound = (2..=35).contains(&tag.len()) && tag.chars().all(plain);
    sound.then(|| tag.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_counts() {
        let language = |text| first_language(&RequestHeaders::from([("accept-language", text)]));
        assert_eq!(language("de-CH,de;q=0.9").as_deref(), Some("de-CH"));
        assert_eq!(language("en;q=0.5").as_deref(), Some("en"));
        assert_eq!(language("*"), None);
        assert_eq!(language(""), None);
    }
}
