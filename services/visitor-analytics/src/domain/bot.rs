//! Whether a visitor is a bot: small rules, each with a weight; together a score with reasons.

mod crawlers;
mod headers;
mod tools;

pub use crawlers::{Crawler, Crawlers};

use super::visit::Headers;

/// The version of these rules; a change of a rule or a list makes it grow.
pub const RULESET: u16 = 1;

/// From this score on a visitor is a bot.
const THRESHOLD: u8 = 50;

/// A rule that fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The user agent is on the list of crawlers.
    KnownCrawler,
    /// The user agent is that of a program or library, not of a browser.
    HttpTool,
    /// The browser says of itself that a program drives it.
    HeadlessBrowser,
    /// The user agent calls itself a bot, crawler, spider or the like.
    BotWord,
    /// The user agent says whom to complain to, as bots do.
    ContactAddress,
    /// The user agent does not begin as any browser's does.
    UnlikeABrowser,
    /// There is no user agent.
    EmptyUserAgent,
    /// No browser's user agent is so short.
    ShortUserAgent,
    /// Every browser sends `Accept-Language`.
    NoAcceptLanguage,
    /// Every browser sends `Accept`.
    NoAccept,
    /// The browser fetches the page in case somebody wants it later.
    Prefetch,
}

impl Reason {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::KnownCrawler => "known_crawler",
            Self::HttpTool => "http_tool",
            Self::HeadlessBrowser => "headless_browser",
            Self::BotWord => "bot_word",
            Self::ContactAddress => "contact_address",
            Self::UnlikeABrowser => "unlike_a_browser",
            Self::EmptyUserAgent => "empty_user_agent",
            Self::ShortUserAgent => "short_user_agent",
            Self::NoAcceptLanguage => "no_accept_language",
            Self::NoAccept => "no_accept",
            Self::Prefetch => "prefetch",
        }
    }

    /// What it adds to the score.
    #[must_use]
    pub const fn weight(self) -> u8 {
        match self {
            Self::KnownCrawler | Self::HttpTool | Self::EmptyUserAgent => 100,
            Self::HeadlessBrowser | Self::BotWord | Self::ContactAddress | Self::Prefetch => 90,
            Self::ShortUserAgent | Self::UnlikeABrowser => 60,
            Self::NoAcceptLanguage => 50,
            Self::NoAccept => 30,
        }
    }
}

/// What the user agent alone tells; the same for every visit with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentVerdict {
    /// The rules that fired.
    pub reasons: Vec<Reason>,
    /// Which bot it is, where it says so.
    pub name: Option<String>,
}

/// The judgement on a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it counts as a bot's.
    pub is_bot: bool,
    /// 0 to 100.
    pub score: u8,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Which bot.
    pub name: Option<String>,
}

/// Judges a user agent.
#[must_use]
pub fn judge_agent(crawlers: &Crawlers, user_agent: &str) -> AgentVerdict {
    let user_agent = user_agent.trim();
    if user_agent.is_empty() || user_agent == "-" {
        return AgentVerdict {
            reasons: vec![Reason::EmptyUserAgent],
            name: None,
        };
    }
    let crawler = crawlers.find(user_agent);
    let mut reasons = Vec::from_iter(crawler.as_ref().map(Crawler::reason));
    reasons.extend(tools::judge(user_agent));
    reasons.dedup();
    AgentVerdict {
        reasons,
        name: crawler.map(|crawler| crawler.name),
    }
}

/// Judges a visit: what its user agent told, and its headers where the client sent them.
#[must_use]
pub fn judge(agent: &AgentVerdict, headers: Option<&Headers>) -> Verdict {
    let mut reasons = agent.reasons.clone();
    reasons.extend(headers.into_iter().flat_map(headers::judge));
    let score = reasons.iter().map(|r| u32::from(r.weight())).sum::<u32>();
    let score = u8::try_from(score.min(100)).unwrap_or(100);
    Verdict {
        is_bot: score >= THRESHOLD,
        score,
        reasons,
        name: agent.name.clone(),
    }
}

#[cfg(test)]
mod tests;
