//! Whether a visitor is a bot: small rules, each with a weight; together a score with reasons.
//!
//! [`UserAgentRules`] evaluates the user agent; [`evaluate_visit`] the whole visit: user agent,
//! headers, path, referrer and network. [`behaviour`] evaluates the visits of a session.
//! [`reevaluate_visit`] applies new rules to a stored visit; [`RULESET_VERSION`] is stored with each
//! verdict. The crate does no I/O.
//!
//! ```
//! use bot_detection::{BotRule, UserAgentRules, VisitSignals, evaluate_visit};
//!
//! let agent = UserAgentRules::new().evaluate("curl/8.5.0");
//! let verdict = evaluate_visit(&agent, &VisitSignals::default());
//! assert!(verdict.is_bot);
//! assert_eq!(verdict.reasons, [BotRule::HttpTool]);
//! ```
#![forbid(unsafe_code)]

pub mod behaviour;
mod category;
mod crawlers;
mod headers;
mod hosts;
mod keywords;
mod network;
mod path;
mod ranges;
mod rule;
mod signals;
mod spam;
mod syntax;

pub use category::BotCategory;
pub use crawlers::{CrawlerList, CrawlerMatch};
pub use headers::is_prefetch;
pub use hosts::{crawler_domains, is_in_domains};
pub use ranges::{CrawlerRanges, RangesError};
pub use rule::{BotRule, RuleEvidence};
pub use signals::VisitSignals;
pub use spam::is_referrer_spam;

/// The version of the rules, stored with each verdict. Increase it with every change of a rule or
/// list.
pub const RULESET_VERSION: u16 = 5;

/// A visit with at least this score is a bot's.
pub const BOT_SCORE_THRESHOLD: u8 = 50;

/// The rest of a longer user agent is not searched. Browsers send fewer bytes.
const MAX_USER_AGENT_BYTES: usize = 400;

/// The rules about user agents.
#[derive(Default)]
pub struct UserAgentRules {
    crawlers: CrawlerList,
    keywords: keywords::KeywordMatcher,
}

/// The result of the rules about user agents. All visits with the same user agent share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAgentVerdict {
    /// The rules that fired.
    pub reasons: Vec<BotRule>,
    /// The name that the user agent contains, such as `Googlebot`.
    pub name: Option<String>,
    pub category: Option<BotCategory>,
}

/// The result of all rules about a visit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BotVerdict {
    /// Whether the score reaches [`BOT_SCORE_THRESHOLD`].
    pub is_bot: bool,
    /// 0 to 100.
    pub score: u8,
    /// The rules that fired.
    pub reasons: Vec<BotRule>,
    /// `None` for a person and for a crawler that failed verification.
    pub name: Option<String>,
    /// `None` for a person.
    pub category: Option<BotCategory>,
}

impl UserAgentRules {
    /// Builds the rules with the vendored list of crawlers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds the rules with another list of crawlers.
    #[must_use]
    pub fn with_crawlers(crawlers: CrawlerList) -> Self {
        Self {
            crawlers,
            ..Self::default()
        }
    }

    /// Applies the rules to a user agent.
    #[must_use]
    pub fn evaluate(&self, user_agent: &str) -> UserAgentVerdict {
        // Some programs send a copied user agent in quotation marks.
        let user_agent = user_agent.trim_matches(|c: char| c.is_whitespace() || "'\"=".contains(c));
        if user_agent.is_empty() || user_agent == "-" {
            return UserAgentVerdict {
                reasons: vec![BotRule::EmptyUserAgent],
                ..UserAgentVerdict::default()
            };
        }
        let head = &user_agent[..user_agent.floor_char_boundary(MAX_USER_AGENT_BYTES)];
        let crawler = self.crawlers.find(head);
        let marked = self.keywords.find(head);
        let mut reasons = Vec::from_iter(crawler.as_ref().map(CrawlerMatch::rule));
        reasons.extend(marked.reason.filter(|reason| !reasons.contains(reason)));
        reasons.extend(syntax::evaluate(user_agent, &marked));
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
    /// Whether the user agent alone makes a visit a bot's.
    #[must_use]
    pub fn is_bot(&self) -> bool {
        BotVerdict::from_rules(self.reasons.clone(), None, None).is_bot
    }
}

impl BotVerdict {
    /// Computes a verdict from the rules that fired. The score is the sum of their weights, limited
    /// to 0 to 100.
    #[must_use]
    pub fn from_rules(
        mut reasons: Vec<BotRule>,
        name: Option<String>,
        category: Option<BotCategory>,
    ) -> Self {
        reasons.sort_unstable();
        reasons.dedup();
        let score: i32 = reasons.iter().map(|r| i32::from(r.weight())).sum();
        let score = u8::try_from(score.clamp(0, 100)).unwrap_or(100);
        let is_bot = score >= BOT_SCORE_THRESHOLD;
        // The crawler failed verification, so its name is false and its category unknown.
        let pretends = reasons.contains(&BotRule::SpoofedCrawler);
        let category = category.map(|known| if pretends { BotCategory::Other } else { known });
        Self {
            is_bot,
            score,
            reasons,
            name: name.filter(|_| is_bot && !pretends),
            category: category.filter(|_| is_bot),
        }
    }

    /// Whether crawler verification has confirmed or refuted the name in the user agent.
    #[must_use]
    pub fn has_crawler_verification(&self) -> bool {
        let proofs = [BotRule::VerifiedCrawler, BotRule::SpoofedCrawler];
        proofs.iter().any(|proof| self.reasons.contains(proof))
    }

    /// Returns the verdict with further rules. A rule counts once.
    #[must_use]
    pub fn with_rules(&self, more: impl IntoIterator<Item = BotRule>) -> Self {
        let mut reasons = self.reasons.clone();
        reasons.extend(more);
        Self::from_rules(reasons, self.name.clone(), self.category)
    }
}

/// Applies all rules to a visit, except those about sessions and crawler verification.
#[must_use]
pub fn evaluate_visit(agent: &UserAgentVerdict, signals: &VisitSignals) -> BotVerdict {
    let mut reasons = agent.reasons.clone();
    reasons.extend(headers::evaluate(signals));
    reasons.extend(network::evaluate(signals));
    reasons.extend(path::evaluate(signals.path));
    let spam = signals.referrer.is_some_and(is_referrer_spam);
    reasons.extend(spam.then_some(BotRule::SpamReferrer));
    let category = agent.category.or_else(|| {
        let probes = reasons.contains(&BotRule::ProbePath);
        probes.then_some(BotCategory::SecurityScanner)
    });
    BotVerdict::from_rules(reasons, agent.name.clone(), category)
}

/// Applies the current rules to a stored visit. Headers, address and session behaviour are not
/// stored, so the rules about them are not evaluated again: those in `before` are kept.
#[must_use]
pub fn reevaluate_visit(
    agent: &UserAgentVerdict,
    signals: &VisitSignals,
    before: &[BotRule],
) -> BotVerdict {
    let is_kept = |reason: &BotRule| {
        let evidence = reason.evidence();
        matches!(
            evidence,
            RuleEvidence::Headers | RuleEvidence::Address | RuleEvidence::Behaviour
        )
    };
    evaluate_visit(agent, signals).with_rules(before.iter().copied().filter(is_kept))
}

#[cfg(test)]
mod tests;
