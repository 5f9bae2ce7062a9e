//! The list of known crawlers.

use serde::Deserialize;
use user_agent::regex_set::{FilteredRegexSet, RegexPattern};

use super::{BotCategory, BotRule};

/// A list of user agent patterns of crawlers with their categories.
pub struct CrawlerList {
    patterns: FilteredRegexSet,
    categories: Vec<BotCategory>,
}

/// A crawler that a user agent names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrawlerMatch {
    /// The part of the user agent that matches, such as `Googlebot`.
    pub name: String,
    pub category: BotCategory,
}

#[derive(Deserialize)]
struct CrawlerEntry {
    pattern: String,
    tags: Vec<String>,
}

const MAX_CRAWLER_NAME_BYTES: usize = 40;
/// The maximum number of bytes to scan for a match, summed over all patterns. No crawler in the
/// corpus needs more than a quarter of it.
const MAX_SCANNED_BYTES: usize = 4_000;

/// Prefixes of the names of bots that fetch a page on a person's request
/// (<https://platform.openai.com/docs/bots>, <https://docs.perplexity.ai/guides/bots>,
/// <https://support.anthropic.com/en/articles/8896518>, <https://docs.mistral.ai/robots>).
const AI_ASSISTANT_PREFIXES: [&str; 10] = [
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

impl CrawlerList {
    /// Reads the vendored list (see `data/README.md`).
    #[must_use]
    pub fn new() -> Self {
        Self::from_lines(include_str!("../data/crawlers.jsonl").lines())
    }

    /// Reads a list in the format of the vendored one: one JSON object per line.
    #[must_use]
    pub fn from_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut patterns = vec![];
        let mut categories = vec![];
        for line in lines {
            let line: CrawlerEntry =
                serde_json::from_str(line).expect("the vendored list is valid; a test reads it");
            patterns.push(RegexPattern {
                text: line.pattern,
                is_case_insensitive: false,
            });
            let tag = line.tags.first().map_or("", String::as_str);
            categories.push(BotCategory::from_tag(tag));
        }
        Self {
            patterns: FilteredRegexSet::new(patterns),
            categories,
        }
    }

    /// Finds the crawler that `user_agent` names. The longest match is the most specific and wins.
    #[must_use]
    pub fn find(&self, user_agent: &str) -> Option<CrawlerMatch> {
        let places = self.patterns.candidates(user_agent);
        let most = MAX_SCANNED_BYTES / user_agent.len().max(1);
        let found = places.into_iter().take(most).filter_map(|place| {
            let span = self.patterns.find(place, user_agent)?;
            let name = user_agent.get(span.range())?;
            Some((name.trim_matches(|c: char| !c.is_alphanumeric()), place))
        });
        let (name, place) = found.max_by_key(|(name, _)| name.len())?;
        let end = name.floor_char_boundary(MAX_CRAWLER_NAME_BYTES);
        let is_assistant = AI_ASSISTANT_PREFIXES
            .iter()
            .any(|one| name.starts_with(one));
        Some(CrawlerMatch {
            name: name[..end].to_owned(),
            category: if is_assistant {
                BotCategory::AiAssistant
            } else {
                self.categories[place]
            },
        })
    }
}

impl Default for CrawlerList {
    fn default() -> Self {
        Self::new()
    }
}

impl CrawlerMatch {
    pub(super) fn rule(&self) -> BotRule {
        match self.category {
            BotCategory::HttpLibrary => BotRule::HttpTool,
            BotCategory::HeadlessBrowser => BotRule::HeadlessBrowser,
            _ => BotRule::KnownCrawler,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        let crawlers = CrawlerList::new();
        for place in 0..crawlers.categories.len() {
            crawlers.patterns.find(place, "");
        }
    }
}
