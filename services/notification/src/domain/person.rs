//! The person that a notification is about, and the erasure of a person's data.

use aws_lc_rs::digest::{Context, SHA256};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The limit of visitor-analytics; longer ids are ignored.
pub const MAX_ID_BYTES: usize = 128;

/// The person that a notification is about, according to its data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    pub visitor_id: Option<String>,
    /// The site's own id of the user.
    pub user_id: Option<String>,
    pub site: Option<String>,
    /// When the visit was recorded.
    pub recorded_at: Option<DateTime<Utc>>,
}

/// A request to erase a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    pub visitor_ids: Vec<String>,
    /// The site's own id of the user. If set, notifications about the same visitors under another
    /// user id are kept.
    pub user_id: Option<String>,
    /// Restricts the erasure to a site.
    pub site: Option<String>,
    /// Data that are recorded later are kept.
    pub erased_at: DateTime<Utc>,
}

impl Person {
    /// Reads the person from the data of `visitor.arrived`, or from fields of the same names.
    #[must_use]
    pub fn from_data(data: &Map<String, Value>) -> Self {
        let text = |path: &[&str]| {
            let (first, rest) = path.split_first()?;
            let found = rest
                .iter()
                .try_fold(data.get(*first)?, |value, name| value.get(name))?;
            found.as_str()
        };
        let first = |paths: &[&[&str]]| {
            let found = paths.iter().find_map(|path| text(path));
            let found = found.filter(|text| !text.is_empty() && text.len() <= MAX_ID_BYTES);
            found.map(str::to_owned)
        };
        let recorded_at = text(&["visit", "received_at"]);
        let person = Self {
            visitor_id: first(&[
                &["visitor", "id"],
                &["visit", "visitor_id"],
                &["visitor_id"],
            ]),
            user_id: first(&[&["visit", "user_id"], &["user_id"]]),
            site: first(&[&["visit", "site"], &["site"]]),
            recorded_at: recorded_at.and_then(|moment| moment.parse().ok()),
        };
        if person.visitor_id.is_none() && person.user_id.is_none() {
            return Self::default();
        }
        person
    }

    /// Returns the keys of all erasures that match this person.
    #[must_use]
    pub fn erasure_keys(&self) -> Vec<Uuid> {
        let mut keys = vec![];
        let sites = [None, self.site.as_deref()];
        let sites = if self.site.is_some() {
            &sites[..]
        } else {
            &sites[..1]
        };
        for site in sites {
            if let Some(id) = &self.visitor_id {
                keys.push(erasure_key("visitor", *site, id));
                if self.user_id.is_none() {
                    keys.push(erasure_key("visitor without a user", *site, id));
                }
            }
            if let Some(id) = &self.user_id {
                keys.push(erasure_key("user", *site, id));
            }
        }
        keys
    }
}

impl Erasure {
    /// Returns the keys of the persons that match this erasure.
    #[must_use]
    pub fn erasure_keys(&self) -> Vec<Uuid> {
        let site = self.site.as_deref();
        let kind = match &self.user_id {
            Some(_) => "visitor without a user",
            None => "visitor",
        };
        let visitors = self
            .visitor_ids
            .iter()
            .map(|id| erasure_key(kind, site, id));
        let user = self.user_id.iter().map(|id| erasure_key("user", site, id));
        visitors.chain(user).collect()
    }
}

/// Returns the first half of the SHA-256 over the parts. The separator is a byte that cannot occur
/// in UTF-8.
fn erasure_key(kind: &str, site: Option<&str>, id: &str) -> Uuid {
    let mut hash = Context::new(&SHA256);
    for part in [kind, site.unwrap_or_default(), id] {
        hash.update(part.as_bytes());
        hash.update(&[254]);
    }
    let hash = hash.finish();
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_ref()[..16]);
    Uuid::from_bytes(half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn person(data: Value) -> Person {
        let Value::Object(data) = data else {
            panic!("no object");
        };
        Person::from_data(&data)
    }

    fn meets(erasure: &Erasure, person: &Person) -> bool {
        let keys = erasure.erasure_keys();
        person.erasure_keys().iter().any(|key| keys.contains(key))
    }

    #[test]
    fn an_erasure_meets_the_person_and_nobody_else() {
        let visit = |user: Value| {
            json!({"visitor": {"id": "v"}, "visit": {"site": "a.example", "user_id": user,
                "received_at": "2026-11-20T12:00:00Z"}})
        };
        let (nobody, ann, bob) = (
            person(visit(Value::Null)),
            person(visit(json!("ann"))),
            person(visit(json!("bob"))),
        );
        assert!(ann.recorded_at.is_some());
        let erasure = |user: Option<&str>, site: Option<&str>| Erasure {
            visitor_ids: vec!["v".into()],
            user_id: user.map(str::to_owned),
            site: site.map(str::to_owned),
            erased_at: DateTime::UNIX_EPOCH,
        };
        let met = |erasure: &Erasure| [&nobody, &ann, &bob].map(|person| meets(erasure, person));
        assert_eq!(met(&erasure(None, None)), [true, true, true]);
        assert_eq!(met(&erasure(Some("ann"), None)), [true, true, false]);
        assert_eq!(met(&erasure(None, Some("a.example"))), [true, true, true]);
        assert_eq!(met(&erasure(None, Some("b.example"))), [false; 3]);
        assert_eq!(
            person(json!({"user_id": "x".repeat(129)})),
            Person::default()
        );
        assert_eq!(
            person(json!({"visitor": 7, "site": "a"})),
            Person::default()
        );
    }
}
