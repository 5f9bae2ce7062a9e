//! Goals: what a session may come to.

use rollups::pattern::WildcardPattern;
use serde::Deserialize;
use utoipa::ToSchema;

/// The longest kind of event, in bytes.
const MAX_EVENT_TYPE_BYTES: usize = 128;

/// A new goal: either `page` or `event_type` is there.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubmittedGoal, example = json!({
    "site": "example.com", "name": "Order", "page": "/thanks*", "event_type": null, "value": 40.0
}))]
pub struct SubmittedGoal {
    /// The site's domain.
    pub site: String,
    /// What it is called; no other goal of the site is.
    pub name: String,
    /// A page, with wildcards.
    pub page: Option<String>,
    /// A kind of event.
    pub event_type: Option<String>,
    /// What reaching it once is worth.
    pub value: Option<f64>,
}

/// What has to happen in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoalTarget {
    /// A visit of such a page.
    Page(String),
    /// Such an event of its visitor, until half an hour after it.
    Event(String),
}

impl GoalTarget {
    /// Accepts what was submitted; `Err` names the wrong field, and says why.
    pub fn accept(
        page: Option<String>,
        event_type: Option<String>,
    ) -> Result<Self, (&'static str, &'static str)> {
        let is_text = |text: &str| !text.is_empty() && !text.contains('\0');
        match (page, event_type) {
            (Some(page), None) if is_text(&page) && WildcardPattern::parse(&page).is_ok() => {
                Ok(Self::Page(page))
            }
            (None, Some(kind)) if is_text(&kind) && kind.len() <= MAX_EVENT_TYPE_BYTES => {
                Ok(Self::Event(kind))
            }
            (Some(_), None) => Err(("page", "a path of 1 to 1024 bytes, perhaps with wildcards")),
            (None, Some(_)) => Err(("event_type", "1 to 128 bytes")),
            _ => Err(("page", "either a page or a kind of event")),
        }
    }
}

/// A goal's value, if it is one.
#[must_use]
pub fn is_value(value: f64) -> bool {
    (0.0..=1e12).contains(&value)
}
