//! Filters as they are written: a dimension's name and a value.

use super::dimension::Dimension;
use super::pattern::WildcardPattern;
use super::question::{Attribute, AttributeFilter};

/// Values in all filters of a question, or of a segment.
const MAX_FILTER_VALUES: usize = 100;

/// Why a filter is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "their texts say what they are")]
pub enum FilterError {
    #[error("there is no such parameter or dimension")]
    Unknown,
    #[error("say which property: property:plan=pro")]
    WhichProperty,
    #[error("at most {MAX_FILTER_VALUES} values in all filters")]
    TooMany,
    #[error("a value has at most 1024 bytes, and no NUL")]
    Value,
    #[error("the same value is asked for and ruled out")]
    Contradiction,
}

/// Adds a value to the filters: one that is asked for, or after a `!` one that is ruled out.
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
