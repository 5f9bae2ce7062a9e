//! Patterns of event names, in which `*` matches any number of characters.

use std::fmt;
use std::str::FromStr;

use super::notify_command::MAX_EVENT_CHARS;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPattern(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the event pattern must have 1 to {MAX_EVENT_CHARS} of the characters a-z 0-9 _ . : - and *"
)]
pub struct InvalidEventPattern;

impl EventPattern {
    #[must_use]
    pub fn matches(&self, event: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = event.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            let Some(at) = rest.find(part) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

impl FromStr for EventPattern {
    type Err = InvalidEventPattern;

    fn from_str(text: &str) -> Result<Self, InvalidEventPattern> {
        let known =
            |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'-' | b'*');
        let good = (1..=MAX_EVENT_CHARS).contains(&text.len()) && text.bytes().all(known);
        good.then(|| Self(text.to_owned()))
            .ok_or(InvalidEventPattern)
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let matches = |pattern: &str, event| {
            let pattern: EventPattern = pattern.parse().unwrap();
            pattern.matches(event)
        };
        assert!(matches("visitor.arrived", "visitor.arrived"));
        assert!(!matches("visitor.arrived", "visitor.arrived2"));
        assert!(matches("*", "e") && matches("visitor.*", "visitor.arrived"));
        assert!(!matches("visitor.*", "deploy.visitor.x"));
        assert!(matches("*.failed", "deploy.failed") && matches("a*b*c", "a-b-b-c"));
        assert!(!matches("a*b*c", "a-c") && !matches("ab*ba", "aba"));
        assert!(matches("a**a", "aa"));
        for wrong in ["", "Visitor", "a b", &"a".repeat(101)] {
            assert_eq!(wrong.parse::<EventPattern>(), Err(InvalidEventPattern));
        }
    }
}
