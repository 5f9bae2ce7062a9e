//! Goals: pages and events that sessions should reach.

use rollups::pattern::WildcardPattern;
use serde::Deserialize;
use utoipa::ToSchema;

const MAX_EVENT_TYPE_BYTES: usize = 128;

/// A goal to create. Exactly one of `page` and `event_type` is required.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubmittedGoal, example = json!({
    "site": "example.com", "name": "Order", "page": "/thanks*", "event_type": null, "value": 40.0
}))]
pub struct SubmittedGoal {
    /// Domain of the site.
    pub site: String,
    /// Name, unique within the site, 1 to 100 characters without control characters.
    pub name: String,
    /// Path of the page to reach, 1 to 1024 bytes. `*` is a wildcard.
    pub page: Option<String>,
    /// Type of the event to reach, 1 to 128 bytes.
    pub event_type: Option<String>,
    /// Monetary or other value of a conversion, between 0 and 10^12.
    pub value: Option<f64>,
}

/// What a session must reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoalTarget {
    /// A visit of a page that matches this pattern.
    Page(String),
    /// An event of this type by the session's visitor, until 30 minutes after the session.
    Event(String),
}

impl GoalTarget {
    /// Validates a goal. `Err` contains the invalid field and the reason.
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
            (Some(_), None) => Err((
                "page",
                "`page` must be a path of 1 to 1024 bytes, optionally with wildcards",
            )),
            (None, Some(_)) => Err(("event_type", "`event_type` must have 1 to 128 bytes")),
            _ => Err(("page", "exactly one of `page` and `event_type` is required")),
        }
    }
}

/// Whether a goal's value is valid.
#[must_use]
pub fn is_valid_value(value: f64) -> bool {
    (0.0..=1e12).contains(&value)
}
