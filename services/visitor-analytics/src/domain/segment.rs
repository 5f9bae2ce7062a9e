//! Segments: named sets of filters.

use std::collections::BTreeMap;

use rollups::filters::{self, FilterError};
use rollups::query::AttributeFilter;
use serde::Deserialize;
use utoipa::ToSchema;

const MAX_SEGMENT_NAME_CHARS: usize = 100;

/// Filter values by dimension, in the syntax of report parameters.
pub type FilterValues = BTreeMap<String, Vec<String>>;

/// A segment to create.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubmittedSegment, example = json!({
    "name": "British phones", "filters": {"country": ["GB"], "device_type": ["smartphone"]}
}))]
pub struct SubmittedSegment {
    /// Unique name, 1 to 100 characters without control characters.
    pub name: String,
    /// Filter values by dimension. A visit passes if it passes the filters of all dimensions.
    /// Values use the syntax of report parameters: `!` excludes, `*` is a wildcard, `\` escapes. At
    /// most 100 values in total, of up to 1024 bytes each.
    pub filters: BTreeMap<String, Vec<String>>,
}

/// Changes to a segment. Omitted fields stay unchanged.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubmittedSegmentChange, example = json!({"filters": {"country": ["GB", "IE"]}}))]
pub struct SegmentPatch {
    /// New unique name, 1 to 100 characters without control characters.
    pub name: Option<String>,
    /// New filters, which replace all existing ones.
    pub filters: Option<BTreeMap<String, Vec<String>>>,
}

/// Why a segment, or the name of a goal, is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The name is invalid.
    #[error("`name` must have 1 to {MAX_SEGMENT_NAME_CHARS} characters and no control characters")]
    InvalidName,
    /// There are no filters, or a filter has no values.
    #[error("`filters` must contain at least one filter, each with at least one value")]
    NoFilters,
    /// The filter of this dimension is invalid.
    #[error("{0}: {1}")]
    InvalidFilter(String, FilterError),
}

impl SegmentError {
    /// The invalid field of the request.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::InvalidName => "name",
            Self::NoFilters | Self::InvalidFilter(..) => "filters",
        }
    }
}

/// Validates a name and trims it.
pub fn validate_name(text: &str) -> Result<String, SegmentError> {
    let text = text.trim();
    let is_good = (1..=MAX_SEGMENT_NAME_CHARS).contains(&text.chars().count())
        && !text.chars().any(char::is_control);
    is_good
        .then(|| text.to_owned())
        .ok_or(SegmentError::InvalidName)
}

/// Parses filters.
pub fn parse_filters(written: &FilterValues) -> Result<Vec<AttributeFilter>, SegmentError> {
    if written.is_empty() || written.values().any(Vec::is_empty) {
        return Err(SegmentError::NoFilters);
    }
    let mut read = vec![];
    for (name, values) in written {
        for value in values {
            let added = filters::add_filter(&mut read, name, value);
            added.map_err(|error| SegmentError::InvalidFilter(name.clone(), error))?;
        }
    }
    Ok(read)
}
