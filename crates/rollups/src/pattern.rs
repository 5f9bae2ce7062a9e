//! Patterns of filters, goals and ignore rules.

pub use wildcard::{PatternTooLong, WildcardPattern, normalize_path};
