//! Finds out what a visit tells: pure CPU, and a user agent is looked at once.

use std::sync::Arc;

use bot_detection::{CrawlerRanges, UserAgentRules};
use quick_cache::sync::Cache;
use user_agent::{ClientHints, UserAgentParser};

use super::classified::{EnrichedVisit, LocationStatus, UserAgentInfo};
use super::visit::NewVisit;

/// User agents that are remembered, each with its client hints, at most about three kilobytes.
const MAX_CACHED_USER_AGENTS: usize = 4_096;

/// Classifies visits.
pub struct VisitEnricher {
    reader: UserAgentParser,
    judge: UserAgentRules,
    ranges: CrawlerRanges,
    agents: Cache<(String, Option<ClientHints>), Arc<UserAgentInfo>>,
}

impl VisitEnricher {
    /// Prepares the lists, which takes a moment.
    #[must_use]
    pub fn new() -> Self {
        Self::knowing(CrawlerRanges::default())
    }

    /// One that knows where some crawlers come from.
    #[must_use]
    pub fn knowing(ranges: CrawlerRanges) -> Self {
        Self {
            reader: UserAgentParser::new(),
            judge: UserAgentRules::new(),
            ranges,
            agents: Cache::new(MAX_CACHED_USER_AGENTS),
        }
    }

    /// A visit with everything that can be found out about it.
    #[must_use]
    pub fn classify(
        &self,
        visit: NewVisit,
        visitor_id: String,
        place: LocationStatus,
    ) -> EnrichedVisit {
        let hints = visit.headers.as_ref().and_then(ClientHints::of);
        let findings = self.findings(&visit.user_agent, hints);
        let name = findings.verdict.name.as_deref();
        let proof = name.and_then(|name| self.ranges.judge(name, visit.ip));
        let mut classified = EnrichedVisit::new(visit, visitor_id, findings, place);
        if let Some(proof) = proof.filter(|_| classified.verdict.is_bot) {
            classified.verdict = classified.verdict.with([proof]);
        }
        classified
    }

    /// What a user agent and its client hints tell.
    #[must_use]
    pub fn findings(&self, user_agent: &str, hints: Option<ClientHints>) -> Arc<UserAgentInfo> {
        let key = (user_agent.to_owned(), hints);
        if let Some(known) = self.agents.get(&key) {
            return known;
        }
        let verdict = self.judge.judge(user_agent);
        let hints = key.1.as_ref();
        let agent = if verdict.is_bot() {
            let name = verdict.name.as_deref();
            self.reader.read_bot(name, user_agent, hints)
        } else {
            self.reader.read(user_agent, hints)
        };
        let findings = Arc::new(UserAgentInfo { agent, verdict });
        self.agents.insert(key, findings.clone());
        findings
    }

    /// Forgets every user agent.
    pub fn forget(&self) {
        self.agents.clear();
    }
}

impl Default for VisitEnricher {
    fn default() -> Self {
        Self::new()
    }
}
