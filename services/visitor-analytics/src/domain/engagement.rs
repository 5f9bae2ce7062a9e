//! How long a page was looked at, and how much of it.

use serde::Deserialize;
use utoipa::ToSchema;

use super::visit::ValidationError;

/// A page that is looked at for longer was forgotten in a tab.
const MAX_ENGAGEMENT_SECONDS: u32 = 86_400;

/// What a page tells of itself: so far, since each report holds the ones before it.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = SubmittedEngagement,
    example = json!({"engagement_seconds": 34, "scroll_depth": 80}))]
pub struct SubmittedEngagement {
    /// Seconds for which the page was visible.
    pub engagement_seconds: u32,
    /// How much of it was, in per cent.
    pub scroll_depth: u8,
}

/// What is kept with a visit; it only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engagement {
    /// Seconds, at most a day.
    pub seconds: u32,
    /// Per cent.
    pub depth: u8,
}

impl Engagement {
    /// Whether it confirms that a browser showed the page to somebody, for a second at least.
    #[must_use]
    pub const fn confirms(self) -> bool {
        self.seconds > 0
    }

    /// Accepts a report, or says what is wrong with it.
    pub fn accept(from: SubmittedEngagement) -> Result<Self, ValidationError> {
        if from.scroll_depth > 100 {
            return Err(ValidationError::ScrollDepth);
        }
        Ok(Self {
            seconds: from.engagement_seconds.min(MAX_ENGAGEMENT_SECONDS),
            depth: from.scroll_depth,
        })
    }
}
