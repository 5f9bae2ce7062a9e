//! The list of known crawlers.

use regex_filtered::{Builder, Regexes};
use serde::Deserialize;

use super::Reason;

/// Finds crawlers in one pass over the user agent, however many patterns there are.
pub struct Crawlers {
    patterns: Regexes,
    kinds: Vec<Reason>,
}

/// A crawler that was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crawler {
    /// What it calls itself.
    pub name: String,
    kind: Reason,
}

#[derive(Deserialize)]
struct Line {
    pattern: String,
    tags: Vec<String>,
}

const LONGEST_NAME: usize = 40;

impl Crawlers {
    /// Compiles the vendored list (see `data/README.md`).
    #[must_use]
    pub fn new() -> Self {
        let mut builder = Builder::new();
        let mut kinds = vec![];
        for line in include_str!("../../../data/crawlers.jsonl").lines() {
            let line: Line = serde_json::from_str(line)
                .expect("the vendored list is well-formed; a test reads it");
            builder = builder
                .push(&line.pattern)
                .expect("the vendored patterns compile; a test compiles them");
            kinds.push(kind(&line.tags));
        }
        let patterns = builder.build();
        Self {
            patterns: patterns.expect("the vendored patterns make a filter; a test makes it"),
            kinds,
        }
    }

    /// The crawler that `user_agent` belongs to; the longest name says most.
    #[must_use]
    pub fn find(&self, user_agent: &str) -> Option<Crawler> {
        let found = self
            .patterns
            .matching(user_agent)
            .filter_map(|(index, pattern)| {
                let name = pattern.find(user_agent)?.as_str();
                Some((name.trim_matches(|c: char| !c.is_alphanumeric()), index))
            });
        let (name, index) = found.max_by_key(|(name, _)| name.len())?;
        let end = name.floor_char_boundary(LONGEST_NAME);
        Some(Crawler {
            name: name[..end].to_owned(),
            kind: self.kinds[index],
        })
    }
}

impl Default for Crawlers {
    fn default() -> Self {
        Self::new()
    }
}

impl Crawler {
    pub(super) fn reason(&self) -> Reason {
        self.kind
    }
}

fn kind(tags: &[String]) -> Reason {
    let tagged = |name: &str| tags.iter().any(|tag| tag == name);
    if tagged("http-library") {
        Reason::HttpTool
    } else if tagged("browser-automation") {
        Reason::HeadlessBrowser
    } else {
        Reason::KnownCrawler
    }
}
