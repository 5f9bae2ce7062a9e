//! Segments: filters with a name.

use std::collections::BTreeMap;

use rollups::filters::{self, FilterError};
use rollups::question::AttributeFilter;
use serde::Deserialize;
use utoipa::ToSchema;

/// The longest name, in characters.
const MAX_SEGMENT_NAME_CHARS: usize = 100;

/// Values by dimension, as they are written in a question.
pub type Written = BTreeMap<String, Vec<String>>;

/// A new segment.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubmittedSegment, example = json!({
    "name": "British phones", "filters": {"country": ["GB"], "device_type": ["smartphone"]}
}))]
pub struct SubmittedSegment {
    /// What it is called; no other one is.
    pub name: String,
    /// By dimension the values, with `!`, `*` and `\` as in a question. All have to pass.
    pub filters: BTreeMap<String, Vec<String>>,
}

/// What may be changed of a segment; what is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubmittedSegmentChange, example = json!({"filters": {"country": ["GB", "IE"]}}))]
pub struct SegmentPatch {
    /// What it is called from now on.
    pub name: Option<String>,
    /// All of its filters.
    pub filters: Option<BTreeMap<String, Vec<String>>>,
}

/// Why a segment or goal is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// Its name.
    #[error("a name has 1 to {MAX_SEGMENT_NAME_CHARS} characters, and no control characters")]
    Name,
    /// Nothing is filtered.
    #[error("a segment has at least one filter, and each at least one value")]
    Empty,
    /// One of its filters, by its name.
    #[error("{0}: {1}")]
    Filter(String, FilterError),
}

impl SegmentError {
    /// The field of the body.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Empty | Self::Filter(..) => "filters",
        }
    }
}

/// Accepts a name, without white space around it.
pub fn name(text: &str) -> Result<String, SegmentError> {
    let text = text.trim();
    let is_good = (1..=MAX_SEGMENT_NAME_CHARS).contains(&text.chars().count())
        && !text.chars().any(char::is_control);
    is_good.then(|| text.to_owned()).ok_or(SegmentError::Name)
}

/// Accepts filters as they are written.
pub fn read(written: &Written) -> Result<Vec<AttributeFilter>, SegmentError> {
    if written.is_empty() || written.values().any(Vec::is_empty) {
        return Err(SegmentError::Empty);
    }
    let mut read = vec![];
    for (name, values) in written {
        for value in values {
            let added = filters::add(&mut read, name, value);
            added.map_err(|error| SegmentError::Filter(name.clone(), error))?;
        }
    }
    Ok(read)
}
