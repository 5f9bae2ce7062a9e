//! The verdict on a place.

use serde::Serialize;
use utoipa::ToSchema;

/// Whether a place is in an area, or in any of several areas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub enum Verdict {
    #[default]
    #[serde(rename = "outside")]
    Outside,
    #[serde(rename = "uncertain")]
    Uncertain,
    #[serde(rename = "inside")]
    Inside,
}

impl From<bool> for Verdict {
    fn from(yes: bool) -> Self {
        if yes { Self::Inside } else { Self::Outside }
    }
}

/// The maximum of the verdicts. Stops at the first `Inside`.
pub(super) fn max_verdict(answers: impl Iterator<Item = Verdict>) -> Verdict {
    let mut best = Verdict::Outside;
    for answer in answers {
        best = best.max(answer);
        if best == Verdict::Inside {
            break;
        }
    }
    best
}
