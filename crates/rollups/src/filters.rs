//! Parses filters of the form `dimension=value`.

use super::dimension::Dimension;
use super::pattern::WildcardPattern;
use super::query::{Attribute, AttributeFilter};

/// Maximum number of values in all filters of a report or segment.
const MAX_FILTER_VALUES: usize = 100;

/// Why a filter is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("unknown parameter or dimension")]
    UnknownDimension,
    #[error("the filter must name the property, such as property:plan=pro")]
    PropertyNameMissing,
    #[error("all filters together must have at most {MAX_FILTER_VALUES} values")]
    TooManyValues,
    #[error("a value must have at most 1024 bytes and no NUL character")]
    InvalidValue,
    #[error("the same value is included and excluded")]
    Contradiction,
}

/// Adds a value to the filters. A value that begins with `!` is excluded.
pub fn add_filter(
    filters: &mut Vec<AttributeFilter>,
    name: &str,
    value: &str,
) -> Result<(), FilterError> {
    let (subject, property) = Attribute::parse(name).ok_or(FilterError::UnknownDimension)?;
    if subject == Attribute::Dimension(Dimension::Property) && property.is_none() {
        return Err(FilterError::PropertyNameMissing);
    }
    let known: usize = filters
        .iter()
        .map(|f| f.included.len() + f.excluded.len())
        .sum();
    if known >= MAX_FILTER_VALUES {
        return Err(FilterError::TooManyValues);
    }
    let (is_not, text) = value
        .strip_prefix('!')
        .map_or((false, value), |text| (true, text));
    if text.contains('\0') {
        return Err(FilterError::InvalidValue);
    }
    let pattern = if subject.is_page() {
        WildcardPattern::parse_path(text)
    } else {
        WildcardPattern::parse(text)
    };
    let pattern = pattern.map_err(|_| FilterError::InvalidValue)?;
    let is_same = |filter: &AttributeFilter| {
        filter.attribute == subject && filter.property.as_deref() == property
    };
    let place = filters.iter().position(is_same);
    let place = place.unwrap_or_else(|| {
        filters.push(AttributeFilter {
            attribute: subject,
            property: property.map(str::to_owned),
            included: vec![],
            excluded: vec![],
        });
        filters.len() - 1
    });
    let filter = &mut filters[place];
    let (same, other) = if is_not {
        (&mut filter.excluded, &filter.included)
    } else {
        (&mut filter.included, &filter.excluded)
    };
    if other.contains(&pattern) {
        return Err(FilterError::Contradiction);
    }
    same.push(pattern);
    Ok(())
}
