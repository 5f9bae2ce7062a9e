//! Patterns in which `*` matches any number of characters: filters of reports, pages of goals,
//! ignore rules, and events of notification rules.
//!
//! ```
//! use wildcard::WildcardPattern;
//!
//! let pattern = WildcardPattern::parse("/blog/*").unwrap();
//! assert!(pattern.matches("/blog/2026/11") && !pattern.matches("/blog"));
//! assert_eq!(pattern.to_like(), "/blog/%");
//! ```
#![forbid(unsafe_code)]

mod page_path;

pub use page_path::normalize_path;

const MAX_PATTERN_BYTES: usize = 1_024;

/// A pattern in which `*` matches any number of characters. A backslash escapes the next character.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WildcardPattern {
    /// The texts between the wildcards. A single part is a pattern without wildcards; no part
    /// matches nothing.
    parts: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value must have at most 1024 bytes")]
pub struct PatternTooLong;

impl WildcardPattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternTooLong> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternTooLong);
        }
        let mut parts = vec![String::new()];
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match (character, parts.last_mut()) {
                ('*', _) => parts.push(String::new()),
                ('\\', Some(part)) => part.push(characters.next().unwrap_or('\\')),
                (other, Some(part)) => part.push(other),
                (_, None) => {}
            }
        }
        Ok(Self { parts })
    }

    /// Parses a pattern for [normalized](normalize_path) paths of pages. The pattern may be written
    /// with or without percent-encoding: `/danke/schön` and `/danke/sch%c3%b6n` are the same.
    pub fn parse_path(text: &str) -> Result<Self, PatternTooLong> {
        let Self { parts } = Self::parse(text)?;
        let parts = parts.iter().map(|part| normalize_path(part).into_owned());
        Ok(Self {
            parts: parts.collect(),
        })
    }

    /// Returns a pattern that matches no text.
    #[must_use]
    pub fn match_nothing() -> Self {
        Self { parts: vec![] }
    }

    /// Whether the pattern is empty. An empty pattern stands for a missing value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.len() == 1 && self.parts[0].is_empty()
    }

    /// Returns the only text that matches, if the pattern has no wildcards.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        match &self.parts[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The approximate size in memory, in bytes.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        self.parts.iter().map(|part| part.len() + 24).sum()
    }

    /// Converts the pattern to the syntax of PostgreSQL's `like`, which also escapes by backslash.
    #[must_use]
    pub fn to_like(&self) -> String {
        let escaped = self.parts.iter().map(|part| {
            let escape = |character| match character {
                '%' | '_' | '\\' => format!("\\{character}"),
                other => other.to_string(),
            };
            part.chars().map(escape).collect::<String>()
        });
        escaped.collect::<Vec<_>>().join("%")
    }

    /// Whether the whole `text` matches. Takes time proportional to the lengths of text and
    /// pattern.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &self.parts[..] else {
            return self.parts.first().is_some_and(|only| only == text);
        };
        let Some(mut rest) = text.strip_prefix(&first[..]) else {
            return false;
        };
        for part in middle {
            match rest.find(&part[..]) {
                Some(found) => rest = &rest[found + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(&last[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_be_written_with_or_without_encoding() {
        let matches = |pattern: &str| {
            let pattern = WildcardPattern::parse_path(pattern).unwrap();
            pattern.matches("/danke/sch%C3%B6n*/a%7Cb")
        };
        for pattern in [
            "/danke/schön\\*/a|b",
            "/danke/sch%c3%b6n\\*/a%7cb",
            "/d%61nke/*",
            "*ö*",
        ] {
            assert!(matches(pattern), "{pattern}");
        }
        assert!(!matches("/danke/schon*"));
    }

    #[test]
    fn a_wildcard_stands_for_anything() {
        let matches =
            |pattern: &str, text: &str| WildcardPattern::parse(pattern).unwrap().matches(text);
        for (pattern, text) in [
            ("/blog/*", "/blog/"),
            ("/blog/*", "/blog/a/b"),
            ("*", ""),
            ("*", "x"),
            ("*.html", "/a.html"),
            ("/*/edit", "/7/edit"),
            ("a*b*c", "a-b-b-c"),
            ("a\\*", "a*"),
            ("\\\\*", "\\x"),
            ("100%", "100%"),
            ("a**b", "ab"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("/blog/*", "/blog"),
            ("a*b*c", "a-c-b"),
            ("ab*ba", "aba"),
            ("a\\*", "ax"),
            ("a", "A"),
            ("", "x"),
            ("_", "x"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        assert!(WildcardPattern::parse(&"x".repeat(1_025)).is_err());
        let like = WildcardPattern::parse("/a_b%*\\*\\\\").unwrap().to_like();
        assert_eq!(like, "/a\\_b\\%%*\\\\");
    }
}
