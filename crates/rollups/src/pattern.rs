//! Patterns that values are compared with.

/// The longest, in bytes.
const MAX_PATTERN_BYTES: usize = 1_024;

/// A text in which `*` stands for any characters, or none. A backslash takes its meaning from the
/// character after it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WildcardPattern {
    /// What lies between the wildcards: one part is a text without any.
    parts: Vec<String>,
}

/// Longer than is useful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value has at most 1024 bytes")]
pub struct PatternTooLong;

impl WildcardPattern {
    /// Reads a pattern.
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

    /// What no text matches.
    #[must_use]
    pub fn nothing() -> Self {
        Self { parts: vec![] }
    }

    /// Whether it is the empty text, which stands for a value that is missing.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.parts.len() == 1 && self.parts[0].is_empty()
    }

    /// The only text that matches, where it has no wildcards.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.parts[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The bytes of its texts.
    #[must_use]
    pub fn size(&self) -> usize {
        self.parts.iter().map(|part| part.len() + 24).sum()
    }

    /// The same for PostgreSQL's `like`, whose escape is the backslash.
    #[must_use]
    pub fn as_like(&self) -> String {
        let escaped = self.parts.iter().map(|part| {
            let escape = |character| match character {
                '%' | '_' | '\\' => format!("\\{character}"),
                other => other.to_string(),
            };
            part.chars().map(escape).collect::<String>()
        });
        escaped.collect::<Vec<_>>().join("%")
    }

    /// Whether all of `text` is so. Takes time in proportion to `text` and the pattern.
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
        let like = WildcardPattern::parse("/a_b%*\\*\\\\").unwrap().as_like();
        assert_eq!(like, "/a\\_b\\%%*\\\\");
    }
}
