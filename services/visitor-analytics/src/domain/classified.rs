//! A visit with everything that was found out about it before it is recorded.

use std::sync::Arc;

use common::geo::Location;

use super::agent::Agent;
use super::bot::{AgentVerdict, Circumstances, Verdict, judge};
use super::source::Origin;
use super::visit::{Headers, NewVisit};

/// What one user agent tells, kept for the next visit with it.
#[derive(Clone, Debug, Default)]
pub struct AgentFindings {
    /// Browser, system, device.
    pub agent: Agent,
    /// Whether it is a bot's.
    pub verdict: AgentVerdict,
}

/// Where a visitor is.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// Known.
    Known(Arc<Location>),
    /// The address has no place, or nobody knows it.
    Unknown,
    /// geo could not be asked; the place is filled in later.
    Owed,
}

/// A visit ready to be recorded.
#[derive(Clone, Debug)]
pub struct Classified {
    /// The visit.
    pub visit: NewVisit,
    /// Who made it.
    pub visitor_id: String,
    /// What the user agent told.
    pub findings: Arc<AgentFindings>,
    /// Whether a bot made it.
    pub verdict: Verdict,
    /// Where the visitor came from.
    pub origin: Origin,
    /// The language asked for first.
    pub language: Option<String>,
    /// Where the visitor is.
    pub place: Place,
}

impl Classified {
    /// Puts together what is known about a visit.
    #[must_use]
    pub fn new(
        visit: NewVisit,
        visitor_id: String,
        findings: Arc<AgentFindings>,
        place: Place,
    ) -> Self {
        let location = match &place {
            Place::Known(location) => Some(&**location),
            Place::Unknown | Place::Owed => None,
        };
        let circumstances = Circumstances {
            user_agent: &visit.user_agent,
            headers: visit.headers.as_ref(),
            is_secure: visit.url.scheme() == "https",
            path: visit.url.path(),
            referrer: visit.referrer.as_ref(),
            ..Circumstances::default()
        };
        Self {
            verdict: judge(&findings.verdict, &circumstances.at(location)),
            origin: Origin::of(&visit.url, visit.referrer.as_ref(), visit.click),
            language: visit.headers.as_ref().and_then(first_language),
            visitor_id,
            findings,
            place: match place {
                // What is owed is kept with the address, until it is paid.
                Place::Owed if visit.opted_out => Place::Unknown,
                place => place,
            },
            visit,
        }
    }

    /// The location, where it is known.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        match &self.place {
            Place::Known(location) => Some(location),
            Place::Unknown | Place::Owed => None,
        }
    }
}

/// The first language of `Accept-Language` (RFC 9110 §12.5.4), which browsers put first.
fn first_language(headers: &Headers) -> Option<String> {
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
        let language = |text| first_language(&Headers::from([("accept-language", text)]));
        assert_eq!(language("de-CH,de;q=0.9").as_deref(), Some("de-CH"));
        assert_eq!(language("en;q=0.5").as_deref(), Some("en"));
        assert_eq!(language("*"), None);
        assert_eq!(language(""), None);
    }
}
