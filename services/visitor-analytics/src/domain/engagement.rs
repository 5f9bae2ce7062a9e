//! Engagement: how long a page was visible and how far it was scrolled.

use serde::Deserialize;
use utoipa::ToSchema;

use super::visit::ValidationError;

/// Longer reports are cut to this. The page was forgotten in a tab.
const MAX_ENGAGEMENT_SECONDS: u32 = 86_400;

/// A report of the page script about a visit. Each report contains the totals since the page was
/// opened.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = SubmittedEngagement,
    example = json!({"engagement_seconds": 34, "scroll_depth": 80}))]
pub struct SubmittedEngagement {
    /// The number of seconds for which the page was visible. Values over 86,400 are cut to that.
    pub engagement_seconds: u32,
    /// The furthest scroll position as a percentage of the page, 0 to 100.
    pub scroll_depth: u8,
}

/// The engagement of a visit. The stored values only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engagement {
    /// 0 to 86,400.
    pub seconds: u32,
    /// Percent, 0 to 100.
    pub scroll_depth: u8,
}

impl Engagement {
    /// Whether the page was visible for at least a second, which is evidence for a person.
    #[must_use]
    pub const fn confirms_person(self) -> bool {
        self.seconds > 0
    }

    /// Validates a report.
    pub fn accept(from: SubmittedEngagement) -> Result<Self, ValidationError> {
        if from.scroll_depth > 100 {
            return Err(ValidationError::ScrollDepth);
        }
        Ok(Self {
            seconds: from.engagement_seconds.min(MAX_ENGAGEMENT_SECONDS),
            scroll_depth: from.scroll_depth,
        })
    }
}
