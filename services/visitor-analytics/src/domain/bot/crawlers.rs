//! The list of known crawlers.

use serde::Deserialize;

use super::{Category, Reason};
use crate::domain::expressions::{Expressions, Pattern};

/// The list, ready to be searched.
pub struct Crawlers {
    patterns: Expressions,
    categories: Vec<Category>,
}

/// A crawler that was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crawler {
    /// What it calls itself.
    pub name: String,
    /// What it is for.
    pub category: Category,
}

#[derive(Deserialize)]
struct Line {
    pattern: String,
    tags: Vec<String>,
}

const LONGEST_NAME: usize = 40;
/// How many bytes are gone through at most; no crawler of the corpus needs more than a quarter.
const EFFORT: usize = 4_000;

/// Those that fetch a page because a person has just asked for it, by how their names begin
/// (<https://platform.openai.com/docs/bots>, <https://docs.perplexity.ai/guides/bots>,
/// <https://support.anthropic.com/en/articles/8896518>, <https://docs.mistral.ai/robots>).
const ASSISTANTS: [&str; 10] = [
    "ChatGPT-User",
    "Claude-User",
    "Perplexity-User",
    "MistralAI-User",
    "DuckAssistBot",
    "Google-NotebookLM",
    "Gemini-Deep-Research",
    "meta-externalfetcher",
    "Meta-ExternalFetcher",
    "YouBot",
];

impl Crawlers {
    /// Prepares the vendored list (see `data/README.md`).
    #[must_use]
    pub fn new() -> Self {
        Self::of(include_str!("../../../data/crawlers.jsonl").lines())
    }

    /// Prepares a list of this form, such as a part of the vendored one.
    #[must_use]
    pub fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut patterns = vec![];
        let mut categories = vec![];
        for line in lines {
            let line: Line = serde_json::from_str(line)
                .expect("the vendored list is well-formed; a test reads it");
            patterns.push(Pattern {
                text: line.pattern,
                is_caseless: false,
            });
            let tag = line.tags.first().map_or("", String::as_str);
            categories.push(Category::tagged(tag));
        }
        Self {
            patterns: Expressions::new(patterns),
            categories,
        }
    }

    /// The crawler that `user_agent` belongs to; the longest name says most.
    #[must_use]
    pub fn find(&self, user_agent: &str) -> Option<Crawler> {
        let places = self.patterns.candidates(user_agent);
        let most = EFFORT / user_agent.len().max(1);
        let found = places.into_iter().take(most).filter_map(|place| {
            let span = self.patterns.find(place, user_agent)?;
            let name = user_agent.get(span.range())?;
            Some((name.trim_matches(|c: char| !c.is_alphanumeric()), place))
        });
        let (name, place) = found.max_by_key(|(name, _)| name.len())?;
        let end = name.floor_char_boundary(LONGEST_NAME);
        let is_assistant = ASSISTANTS.iter().any(|one| name.starts_with(one));
        Some(Crawler {
            name: name[..end].to_owned(),
            category: if is_assistant {
                Category::AiAssistant
            } else {
                self.categories[place]
            },
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
        match self.category {
            Category::HttpLibrary => Reason::HttpTool,
            Category::HeadlessBrowser => Reason::HeadlessBrowser,
            _ => Reason::KnownCrawler,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        let crawlers = Crawlers::new();
        for place in 0..crawlers.categories.len() {
            crawlers.patterns.find(place, "");
        }
    }
}
