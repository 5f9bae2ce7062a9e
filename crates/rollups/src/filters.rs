//! Parses filters of the form `dimension=value`.

use super::dimension::Dimension;
use super::pattern::WildcardPattern;
use super::question::{Attribute, AttributeFilter};

/// Maximum number of values in all filters of a report or segment.
const MAX_FILTER_VALUES: usize = 100;

/// Why a filter is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("unknown parameter or dimension")]
    Unknown,
    #[error("the filter must name the property, such as property:plan=pro")]
    WhichProperty,
    #[error("all filters together must have at most {MAX_FILTER_VALUES} values")]
    TooMany,
    #[error("a value must have at most 1024 bytes and no NUL character")]
    Value,
    #[error("the same value is included and excluded")]
    Contradiction,
}

/// Adds a value to the filters. A value that begins with `!` is excluded.
pub fn add(filters: &mut Vec<AttributeFilter>, name: &str, value: &str) -> Result<(), FilterError> {
    let (subject, property) = Attribute::with_property(name).ok_or(FilterError::Unknown)?;
    if subject == Attribute::Of(Dimension::Property) && property.is_none() {
        return Err(FilterError::WhichProperty);
    }
    let known: usize = filters.iter().map(|f| f.any.len() + f.none.len()).sum();
    if known >= MAX_FILTER_VALUES {
        return Err(FilterError::TooMany);
    }
    let (is_not, text) = value
        .strip_prefix('!')
        .map_or((false, value), |text| (true, text));
    if text.contains('\0') {
        return Err(FilterError::Value);
    }
    let pattern = WildcardPattern::parse(text).map_err(|_| FilterError::Value)?;
    let is_same = |filter: &AttributeFilter| {
        filter.subject == subject && filter.property.as_deref() == property
    };
    let place = filters.iter().position(is_same);
    let place = place.unwrap_or_else(|| {
        filters.push(AttributeFilter {
            subject,
            property: property.map(str::to_owned),
            any: vec![],
            none: vec![],
        });
        filters.len() - 1
    });
    let filter = &mut filters[place];
    let (same, other) = if is_not {
        (&mut filter.none, &filter.any)
    } else {
        (&mut filter.any, &filter.none)
    };
    if other.contains(&pattern) {
        return Err(FilterError::Contradiction);
    }
    same.push(pattern);
    Ok(())
}
