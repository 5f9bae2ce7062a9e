//! Categories of bots.

/// The purpose of a bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BotCategory {
    SearchEngine,
    AiCrawler,
    /// Fetches a page to answer a person's question.
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
    /// A bot of unknown purpose.
    Other,
}

impl BotCategory {
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

    /// The name in the API and the database.
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

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// Returns the category for a tag of the list of crawlers.
    pub(super) fn from_tag(tag: &str) -> Self {
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
