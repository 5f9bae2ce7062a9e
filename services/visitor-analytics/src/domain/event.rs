//! Events: things that visitors do besides viewing pages, as clients send them and as they are
//! recorded.

use common::embedded_ipv4::canonical_address;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::privacy::PrivacyPolicy;
use super::visit::{self, ValidationError, validate_external_id};

const MAX_EVENT_TYPE_BYTES: usize = 128;

/// An event to record. Required are `event_type`, `site`, and a visitor (`visitor_id`, or `ip` and
/// `user_agent`) or a `user_id`.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(as = SubmittedEvent, example = json!({
    "id": "019a0000-0000-7000-8000-000000000002", "event_type": "signup", "site": "example.com",
    "timestamp": "2026-11-20T12:00:00Z", "user_id": "42", "visitor_id": "v-1",
    "metadata": {"plan": "pro"}
}))]
pub struct SubmittedEvent {
    /// Id of the event, preferably a `UUIDv7`. An event with the id of a recorded one is a
    /// duplicate, so that requests can be retried.
    pub id: Option<Uuid>,
    /// Type of the event, such as `signup`: 1 to 128 bytes without control characters.
    pub event_type: String,
    /// Domain of the site.
    pub site: String,
    /// The site's id of the signed-in user.
    pub user_id: Option<String>,
    /// The visitor's id. Default: derived from `ip` and `user_agent` as for a visit.
    pub visitor_id: Option<String>,
    /// The visitor's IP address, which is not stored.
    pub ip: Option<String>,
    /// The visitor's user agent, which is not stored.
    pub user_agent: Option<String>,
    /// Time of the event. Default: the time in `id` if it is a `UUIDv7`, otherwise the time of
    /// arrival.
    pub timestamp: Option<DateTime<Utc>>,
    /// Arbitrary properties of the event.
    pub metadata: Option<Map<String, Value>>,
}

/// The visitor who caused an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventActor {
    /// The visitor id.
    VisitorId(String),
    /// The IP address and user agent from which the visitor id is derived.
    AddressAndAgent(IpAddr, String),
}

/// A validated event.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The client's id, or a new one.
    pub id: Uuid,
    pub timestamp: DateTime<Utc>,
    /// The domain of the site in lower case.
    pub site: String,
    pub event_type: String,
    pub actor: EventActor,
    pub user_id: Option<String>,
    pub metadata: Map<String, Value>,
}

impl NewEvent {
    /// Validates an event at `now`.
    pub fn accept(
        from: SubmittedEvent,
        policy: &PrivacyPolicy,
        now: DateTime<Utc>,
    ) -> Result<Self, ValidationError> {
        let (id, timestamp) =
            visit::resolve_id_and_timestamp(from.id, from.timestamp, policy.retention, now)?;
        let own =
            |id: Option<String>, field| id.map(|id| validate_external_id(id, field)).transpose();
        let user_id = own(from.user_id, "user_id")?;
        let who = match (
            own(from.visitor_id, "visitor_id")?,
            from.ip,
            from.user_agent,
        ) {
            (Some(visitor), _, _) => EventActor::VisitorId(visitor),
            (None, Some(ip), Some(user_agent)) => {
                let ip: IpAddr = ip.trim().parse().map_err(|_| ValidationError::Ip)?;
                EventActor::AddressAndAgent(canonical_address(ip), visit::sanitize_text(user_agent))
            }
            // Without a visitor, the user id identifies the visitor.
            (None, _, _) => {
                EventActor::VisitorId(user_id.clone().ok_or(ValidationError::VisitorRequired)?)
            }
        };
        Ok(Self {
            id,
            timestamp,
            site: visit::normalize_domain(&from.site)?,
            event_type: validate_event_type(from.event_type)?,
            actor: who,
            user_id,
            metadata: visit::validate_properties(from.metadata.unwrap_or_default())
                .map_err(|_| ValidationError::Metadata)?,
        })
    }
}

/// Validates an event type.
pub fn validate_event_type(name: String) -> Result<String, ValidationError> {
    let is_bad =
        name.is_empty() || name.len() > MAX_EVENT_TYPE_BYTES || name.contains(char::is_control);
    if is_bad {
        Err(ValidationError::EventType)
    } else {
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(change: impl FnOnce(&mut SubmittedEvent)) -> Result<NewEvent, ValidationError> {
        let mut event = SubmittedEvent {
            event_type: "signup".into(),
            site: "Example.com".into(),
            visitor_id: Some("v".into()),
            ..SubmittedEvent::default()
        };
        change(&mut event);
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        NewEvent::accept(event, &PrivacyPolicy::default(), now)
    }

    #[test]
    fn an_event_needs_somebody_who_did_it() {
        assert_eq!(accept(|_| ()).unwrap().site, "example.com");
        let seen = accept(|event| {
            event.visitor_id = None;
            event.ip = Some("::ffff:81.2.69.142".into());
            event.user_agent = Some("curl".into());
        });
        let ip = "81.2.69.142".parse().unwrap();
        assert_eq!(
            seen.unwrap().actor,
            EventActor::AddressAndAgent(ip, "curl".into())
        );
        let user = accept(|event| {
            event.visitor_id = None;
            event.user_id = Some("42".into());
        });
        assert_eq!(user.unwrap().actor, EventActor::VisitorId("42".into()));
        let nobody = accept(|event| event.visitor_id = None);
        assert_eq!(nobody.unwrap_err().field(), "visitor_id");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let field = |change: fn(&mut SubmittedEvent)| accept(change).unwrap_err().field();
        assert_eq!(
            field(|event| event.event_type = String::new()),
            "event_type"
        );
        assert_eq!(
            field(|event| event.event_type = "x".repeat(129)),
            "event_type"
        );
        assert_eq!(field(|event| event.site = "?".into()), "site");
        assert_eq!(
            field(|event| event.id = Some(Uuid::from_u128(1))),
            "timestamp"
        );
        let long = |event: &mut SubmittedEvent| {
            let text = Value::String("x".repeat(8_192));
            event.metadata = Some(Map::from_iter([("text".to_owned(), text)]));
        };
        assert_eq!(field(long), "metadata");
    }
}
