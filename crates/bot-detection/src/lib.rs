//! Whether a visitor is a bot: small rules, each with a weight; together a score with reasons.
//!
//! [`UserAgentRules`] judges the user agent, [`judge`] the whole visit: user agent, headers, path,
//! referrer and network. [`behaviour`] judges the visits of a session. [`judge_again`] applies new
//! rules to a stored visit; [`RULESET_VERSION`] says which rules a verdict comes from. The crate
//! does no I/O.
//!
//! ```
//! use bot_detection::{BotRule, UserAgentRules, VisitSignals, judge};
//!
//! let agent = UserAgentRules::new().judge("curl/8.5.0");
//! let verdict = judge(&agent, &VisitSignals::default());
//! assert!(verdict.is_bot);
//! assert_eq!(verdict.reasons, [BotRule::HttpTool]);
//! ```
#![forbid(unsafe_code)]

pub mod behaviour;
mod category;
mod crawlers;
mod headers;
mod hosts;
mod marks;
mod network;
mod path;
mod ranges;
mod reason;
mod shape;
mod spam;

pub use category::BotCategory;
pub use crawlers::{CrawlerList, CrawlerMatch};
pub use headers::is_prefetch;
pub use hosts::{hosts, is_within};
pub use ranges::{CrawlerRanges, RangesError};
pub use reason::{BotRule, RuleEvidence};
pub use spam::is_spam;

use url::Url;
use user_agent::RequestHeaders;

/// The version of these rules; a change of a rule or a list makes it grow.
pub const RULESET_VERSION: u16 = 4;

/// From this score on a visitor is a bot.
pub const BOT_SCORE_THRESHOLD: u8 = 50;

/// As much of a user agent is looked at; browsers' are shorter.
const MAX_USER_AGENT_BYTES: usize = 400;

/// Recognises bots by their user agents.
#[derive(Default)]
pub struct UserAgentRules {
    crawlers: CrawlerList,
    marks: marks::KeywordMatcher,
}

/// What the user agent alone tells; the same for every visit with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAgentVerdict {
    /// The rules that fired.
    pub reasons: Vec<BotRule>,
    /// Which bot it is, where it says so.
    pub name: Option<String>,
    /// What kind of bot it is.
    pub category: Option<BotCategory>,
}

/// The judgement on a visit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BotVerdict {
    /// Whether it counts as a bot's.
    pub is_bot: bool,
    /// 0 to 100.
    pub score: u8,
    /// Why.
    pub reasons: Vec<BotRule>,
    /// Which bot.
    pub name: Option<String>,
    /// What kind of bot.
    pub category: Option<BotCategory>,
}

/// What a visit is judged by, beside its user agent.
#[derive(Clone, Copy, Debug, Default)]
pub struct VisitSignals<'a> {
    /// The user agent itself, which the headers may contradict.
    pub user_agent: &'a str,
    /// The request's headers, where the client sent them.
    pub headers: Option<&'a RequestHeaders>,
    /// Whether the page was asked for over HTTPS: some headers are sent only there.
    pub is_secure: bool,
    /// The page's path.
    pub path: &'a str,
    /// The page that led there.
    pub referrer: Option<&'a Url>,
    /// The number of the network, where known.
    pub asn: Option<u32>,
    /// Whether the network is a hosting provider's, where known.
    pub is_hosting: bool,
    /// Whether the address hides its user, where known.
    pub is_anonymous: bool,
}

impl UserAgentRules {
    /// Compiles the lists.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with another list of crawlers.
    #[must_use]
    pub fn knowing(crawlers: CrawlerList) -> Self {
        Self {
            crawlers,
            ..Self::default()
        }
    }

    /// Judges a user agent.
    #[must_use]
    pub fn judge(&self, user_agent: &str) -> UserAgentVerdict {
        // Some programs wrap what they copy into quotation marks.
        let user_agent = user_agent.trim_matches(|c: char| c.is_whitespace() || "'\"=".contains(c));
        if user_agent.is_empty() || user_agent == "-" {
            return UserAgentVerdict {
                reasons: vec![BotRule::EmptyUserAgent],
                ..UserAgentVerdict::default()
            };
        }
        let head = &user_agent[..user_agent.floor_char_boundary(MAX_USER_AGENT_BYTES)];
        let crawler = self.crawlers.find(head);
        let marked = self.marks.find(head);
        let mut reasons = Vec::from_iter(crawler.as_ref().map(CrawlerMatch::reason));
        reasons.extend(marked.reason.filter(|reason| !reasons.contains(reason)));
        reasons.extend(shape::judge(user_agent, &marked));
        let found = crawler.map(|crawler| (Some(crawler.name), Some(crawler.category)));
        let (name, category) = found.unwrap_or((marked.name, marked.category));
        UserAgentVerdict {
            reasons,
            name,
            category,
        }
    }
}

impl UserAgentVerdict {
    /// Whether the user agent alone gives a bot away.
    #[must_use]
    pub fn is_bot(&self) -> bool {
        BotVerdict::of(self.reasons.clone(), None, None).is_bot
    }
}

impl BotVerdict {
    /// The sum of these reasons' weights, between 0 and 100.
    #[must_use]
    pub fn of(
        mut reasons: Vec<BotRule>,
        name: Option<String>,
        category: Option<BotCategory>,
    ) -> Self {
        reasons.sort_unstable();
        reasons.dedup();
        let score: i32 = reasons.iter().map(|r| i32::from(r.weight())).sum();
        let score = u8::try_from(score.clamp(0, 100)).unwrap_or(100);
        let is_bot = score >= BOT_SCORE_THRESHOLD;
        // It is not what it calls itself, and what it is nobody knows.
        let pretends = reasons.contains(&BotRule::CrawlerPretender);
        let category = category.map(|known| if pretends { BotCategory::Other } else { known });
        Self {
            is_bot,
            score,
            reasons,
            name: name.filter(|_| is_bot && !pretends),
            category: category.filter(|_| is_bot),
        }
    }

    /// Whether it is known to be, or not to be, the crawler that the user agent names.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        let proofs = [BotRule::VerifiedCrawler, BotRule::CrawlerPretender];
        proofs.iter().any(|proof| self.reasons.contains(proof))
    }

    /// The same with more reasons, each once.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = BotRule>) -> Self {
        let mut reasons = self.reasons.clone();
        reasons.extend(more);
        Self::of(reasons, self.name.clone(), self.category)
    }
}

/// Judges a visit: what its user agent told, and everything else that is known.
#[must_use]
pub fn judge(agent: &UserAgentVerdict, circumstances: &VisitSignals) -> BotVerdict {
    let mut reasons = agent.reasons.clone();
    reasons.extend(headers::judge(circumstances));
    reasons.extend(network::judge(circumstances));
    reasons.extend(path::judge(circumstances.path));
    let spam = circumstances.referrer.is_some_and(is_spam);
    reasons.extend(spam.then_some(BotRule::SpamReferrer));
    let category = agent.category.or_else(|| {
        let probes = reasons.contains(&BotRule::ProbePath);
        probes.then_some(BotCategory::SecurityScanner)
    });
    BotVerdict::of(reasons, agent.name.clone(), category)
}

/// Judges a visit again by what is stored of it: what its headers, its address and its session gave
/// away is not there to be looked at again, and is kept.
#[must_use]
pub fn judge_again(
    agent: &UserAgentVerdict,
    circumstances: &VisitSignals,
    before: &[BotRule],
) -> BotVerdict {
    let is_kept = |reason: &BotRule| {
        let evidence = reason.evidence();
        matches!(
            evidence,
            RuleEvidence::Headers | RuleEvidence::Address | RuleEvidence::Behaviour
        )
    };
    judge(agent, circumstances).with(before.iter().copied().filter(is_kept))
}

#[cfg(test)]
mod tests;
