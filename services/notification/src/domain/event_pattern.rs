//! Patterns of event names, in which `*` matches any number of characters.

use std::fmt;
use std::str::FromStr;

use wildcard::WildcardPattern;

use super::notify_command::MAX_EVENT_CHARS;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPattern {
    text: String,
    pattern: WildcardPattern,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the event pattern must have 1 to {MAX_EVENT_CHARS} of the characters a-z 0-9 _ . : - and *"
)]
pub struct InvalidEventPattern;

impl EventPattern {
    #[must_use]
    pub fn matches(&self, event: &str) -> bool {
        self.pattern.matches(event)
    }
}

impl FromStr for EventPattern {
    type Err = InvalidEventPattern;

    fn from_str(text: &str) -> Result<Self, InvalidEventPattern> {
        let known =
            |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'-' | b'*');
        let good = (1..=MAX_EVENT_CHARS).contains(&text.len()) && text.bytes().all(known);
        if !good {
            return Err(InvalidEventPattern);
        }
        Ok(Self {
            text: text.to_owned(),
            pattern: WildcardPattern::parse(text).map_err(|_| InvalidEventPattern)?,
        })
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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
