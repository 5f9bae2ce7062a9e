//! Whether a visitor is a bot: small rules, each with a weight; together a score with reasons.

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

pub use category::Category;
pub use crawlers::{Crawler, Crawlers};
pub use headers::is_prefetch;
pub use hosts::{hosts, is_within};
pub use ranges::{Ranges, Unusable};
pub use reason::{Evidence, Reason};

use common::geo::Location;

use url::Url;

use super::source::is_spam;
use super::visit::Headers;

/// The version of these rules; a change of a rule or a list makes it grow.
pub const RULESET: u16 = 4;

/// From this score on a visitor is a bot.
pub const THRESHOLD: u8 = 50;

/// As much of a user agent is looked at; browsers' are shorter.
const LONGEST: usize = 400;

/// Recognises bots by their user agents.
#[derive(Default)]
pub struct AgentJudge {
    crawlers: Crawlers,
    marks: marks::Marks,
}

/// What the user agent alone tells; the same for every visit with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentVerdict {
    /// The rules that fired.
    pub reasons: Vec<Reason>,
    /// Which bot it is, where it says so.
    pub name: Option<String>,
    /// What kind of bot it is.
    pub category: Option<Category>,
}

/// The judgement on a visit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it counts as a bot's.
    pub is_bot: bool,
    /// 0 to 100.
    pub score: u8,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Which bot.
    pub name: Option<String>,
    /// What kind of bot.
    pub category: Option<Category>,
}

/// What a visit is judged by, beside its user agent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'a> {
    /// The user agent itself, which the headers may contradict.
    pub user_agent: &'a str,
    /// The request's headers, where the client sent them.
    pub headers: Option<&'a Headers>,
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

impl<'a> Circumstances<'a> {
    /// With what geo knows about the address.
    #[must_use]
    pub fn at(self, location: Option<&'a Location>) -> Self {
        let Some(location) = location else {
            return self;
        };
        let is_hosting = location.is_hosting_provider == Some(true)
            || location.user_type.as_deref() == Some("hosting");
        Self {
            asn: location.asn,
            is_hosting,
            is_anonymous: location.is_anonymous == Some(true),
            ..self
        }
    }
}

impl AgentJudge {
    /// Compiles the lists.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with another list of crawlers.
    #[must_use]
    pub fn knowing(crawlers: Crawlers) -> Self {
        Self {
            crawlers,
            ..Self::default()
        }
    }

    /// Judges a user agent.
    #[must_use]
    pub fn judge(&self, user_agent: &str) -> AgentVerdict {
        // Some programs wrap what they copy into quotation marks.
        let user_agent = user_agent.trim_matches(|c: char| c.is_whitespace() || "'\"=".contains(c));
        if user_agent.is_empty() || user_agent == "-" {
            return AgentVerdict {
                reasons: vec![Reason::EmptyUserAgent],
                ..AgentVerdict::default()
            };
        }
        let head = &user_agent[..user_agent.floor_char_boundary(LONGEST)];
        let crawler = self.crawlers.find(head);
        let marked = self.marks.find(head);
        let mut reasons = Vec::from_iter(crawler.as_ref().map(Crawler::reason));
        reasons.extend(marked.reason.filter(|reason| !reasons.contains(reason)));
        reasons.extend(shape::judge(user_agent, &marked));
        let found = crawler.map(|crawler| (Some(crawler.name), Some(crawler.category)));
        let (name, category) = found.unwrap_or((marked.name, marked.category));
        AgentVerdict {
            reasons,
            name,
            category,
        }
    }
}

impl AgentVerdict {
    /// Whether the user agent alone gives a bot away.
    #[must_use]
    pub fn is_bot(&self) -> bool {
        Verdict::of(self.reasons.clone(), None, None).is_bot
    }
}

impl Verdict {
    /// The sum of these reasons' weights, between 0 and 100.
    #[must_use]
    pub fn of(mut reasons: Vec<Reason>, name: Option<String>, category: Option<Category>) -> Self {
        reasons.sort_unstable();
        reasons.dedup();
        let score: i32 = reasons.iter().map(|r| i32::from(r.weight())).sum();
        let score = u8::try_from(score.clamp(0, 100)).unwrap_or(100);
        let is_bot = score >= THRESHOLD;
        // It is not what it calls itself, and what it is nobody knows.
        let pretends = reasons.contains(&Reason::CrawlerPretender);
        let category = category.map(|known| if pretends { Category::Other } else { known });
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
        let proofs = [Reason::VerifiedCrawler, Reason::CrawlerPretender];
        proofs.iter().any(|proof| self.reasons.contains(proof))
    }

    /// The same with more reasons, each once.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = Reason>) -> Self {
        let mut reasons = self.reasons.clone();
        reasons.extend(more);
        Self::of(reasons, self.name.clone(), self.category)
    }
}

/// Judges a visit: what its user agent told, and everything else that is known.
#[must_use]
pub fn judge(agent: &AgentVerdict, circumstances: &Circumstances) -> Verdict {
    let mut reasons = agent.reasons.clone();
    reasons.extend(headers::judge(circumstances));
    reasons.extend(network::judge(circumstances));
    reasons.extend(path::judge(circumstances.path));
    let spam = circumstances.referrer.is_some_and(is_spam);
    reasons.extend(spam.then_some(Reason::SpamReferrer));
    let category = agent.category.or_else(|| {
        let probes = reasons.contains(&Reason::ProbePath);
        probes.then_some(Category::SecurityScanner)
    });
    Verdict::of(reasons, agent.name.clone(), category)
}

/// Judges a visit again by what is stored of it: what its headers, its address and its session gave
/// away is not there to be looked at again, and is kept.
#[must_use]
pub fn judge_again(
    agent: &AgentVerdict,
    circumstances: &Circumstances,
    before: &[Reason],
) -> Verdict {
    let is_kept = |reason: &Reason| {
        let evidence = reason.evidence();
        matches!(
            evidence,
            Evidence::Headers | Evidence::Address | Evidence::Behaviour
        )
    };
    judge(agent, circumstances).with(before.iter().copied().filter(is_kept))
}

#[cfg(test)]
mod tests;
