//! A visit with everything that was found out about it before it is recorded.

use std::sync::Arc;

use bot_detection::{BotVerdict, UserAgentVerdict, VisitSignals, judge};
use common::geo::Location;
use user_agent::RequestHeaders;
use user_agent::UserAgent;

use super::source::TrafficSource;
use super::visit::NewVisit;

/// What one user agent tells, kept for the next visit with it.
#[derive(Clone, Debug, Default)]
pub struct UserAgentInfo {
    /// Browser, system, device.
    pub agent: UserAgent,
    /// Whether it is a bot's.
    pub verdict: UserAgentVerdict,
}

/// Where a visitor is.
#[derive(Clone, Debug, PartialEq)]
pub enum LocationStatus {
    /// Known.
    Known(Arc<Location>),
    /// The address has no place, or nobody knows it.
    Unknown,
    /// geo could not be asked; the place is filled in later.
    Owed,
}

/// A visit ready to be recorded.
#[derive(Clone, Debug)]
pub struct EnrichedVisit {
    /// The visit.
    pub visit: NewVisit,
    /// Who made it.
    pub visitor_id: String,
    /// What the user agent told.
    pub findings: Arc<UserAgentInfo>,
    /// Whether a bot made it.
    pub verdict: BotVerdict,
    /// Where the visitor came from.
    pub origin: TrafficSource,
    /// The language asked for first.
    pub language: Option<String>,
    /// Where the visitor is.
    pub place: LocationStatus,
}

impl EnrichedVisit {
    /// Puts together what is known about a visit.
    #[must_use]
    pub fn new(
        visit: NewVisit,
        visitor_id: String,
        findings: Arc<UserAgentInfo>,
        place: LocationStatus,
    ) -> Self {
        let location = match &place {
            LocationStatus::Known(location) => Some(&**location),
            LocationStatus::Unknown | LocationStatus::Owed => None,
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
            verdict: judge(&findings.verdict, &located(circumstances, location)),
            origin: TrafficSource::of(&visit.url, visit.referrer.as_ref(), visit.click),
            language: visit.headers.as_ref().and_then(first_language),
            visitor_id,
            findings,
            place: match place {
                // What is owed is kept with the address, until it is paid.
                LocationStatus::Owed if visit.opted_out => LocationStatus::Unknown,
                place => place,
            },
            visit,
        }
    }

    /// The location, where it is known.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        match &self.place {
            LocationStatus::Known(location) => Some(location),
            LocationStatus::Unknown | LocationStatus::Owed => None,
        }
    }
}

/// With what geo knows about the address.
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

/// The first language of `Accept-Language` (RFC 9110 §12.5.4), which browsers put first.
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
