//! The list of known crawlers.

use regex_filtered::{Builder, Regexes};
use serde::Deserialize;

use super::{Category, Reason};

/// Finds crawlers in one pass over the user agent, however many patterns there are.
pub struct Crawlers {
    patterns: Regexes,
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
    /// Compiles the vendored list (see `data/README.md`).
    #[must_use]
    pub fn new() -> Self {
        Self::of(include_str!("../../../data/crawlers.jsonl").lines())
    }

    /// Compiles a list of this form, such as a part of the vendored one.
    #[must_use]
    pub fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut builder = Builder::new();
        let mut categories = vec![];
        for line in lines {
            let line: Line = serde_json::from_str(line)
                .expect("the vendored list is well-formed; a test reads it");
            builder = builder
                .push(&line.pattern)
                .expect("the vendored patterns compile; a test compiles them");
            let tag = line.tags.first().map_or("", String::as_str);
            categories.push(Category::tagged(tag));
        }
        let patterns = builder.build();
        Self {
            patterns: patterns.expect("the vendored patterns make a filter; a test makes it"),
            categories,
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
        let is_assistant = ASSISTANTS.iter().any(|one| name.starts_with(one));
        Some(Crawler {
            name: name[..end].to_owned(),
            category: if is_assistant {
                Category::AiAssistant
            } else {
                self.categories[index]
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
