//! Kinds of bots.

/// What a bot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their names in the API say what they are")]
pub enum BotCategory {
    SearchEngine,
    AiCrawler,
    /// Fetches a page for the person who has asked it something.
    AiAssistant,
    Monitor,
    FeedReader,
    LinkPreview,
    SeoTool,
    Advertising,
    SecurityScanner,
    Archiver,
    Academic,
    HttpLibrary,
    HeadlessBrowser,
    /// It says that it is a bot, and no more.
    Other,
}

impl BotCategory {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::SearchEngine,
        Self::AiCrawler,
        Self::AiAssistant,
        Self::Monitor,
        Self::FeedReader,
        Self::LinkPreview,
        Self::SeoTool,
        Self::Advertising,
        Self::SecurityScanner,
        Self::Archiver,
        Self::Academic,
        Self::HttpLibrary,
        Self::HeadlessBrowser,
        Self::Other,
    ];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SearchEngine => "search_engine",
            Self::AiCrawler => "ai_crawler",
            Self::AiAssistant => "ai_assistant",
            Self::Monitor => "monitor",
            Self::FeedReader => "feed_reader",
            Self::LinkPreview => "link_preview",
            Self::SeoTool => "seo_tool",
            Self::Advertising => "advertising",
            Self::SecurityScanner => "security_scanner",
            Self::Archiver => "archiver",
            Self::Academic => "academic",
            Self::HttpLibrary => "http_library",
            Self::HeadlessBrowser => "headless_browser",
            Self::Other => "other",
        }
    }

    /// The category with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// The category that the list of crawlers means by a tag.
    pub(super) fn tagged(tag: &str) -> Self {
        match tag {
            "search-engine" => Self::SearchEngine,
            "ai-crawler" => Self::AiCrawler,
            "monitoring" => Self::Monitor,
            "feed-reader" => Self::FeedReader,
            "social-preview" => Self::LinkPreview,
            "seo" => Self::SeoTool,
            "advertising" => Self::Advertising,
            "scanner" => Self::SecurityScanner,
            "archiver" => Self::Archiver,
            "academic" => Self::Academic,
            "http-library" => Self::HttpLibrary,
            "browser-automation" => Self::HeadlessBrowser,
            _ => Self::Other,
        }
    }
}
