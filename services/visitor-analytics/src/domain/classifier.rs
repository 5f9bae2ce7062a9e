//! Derives data from visits: bot verdict, browser, device, source. CPU-bound; the results for user
//! agents are cached.

use std::sync::Arc;

use bot_detection::{CrawlerRanges, UserAgentRules};
use quick_cache::sync::Cache;
use user_agent::{ClientHints, UserAgentParser};

use super::classified::{EnrichedVisit, LocationStatus, UserAgentInfo};
use super::visit::NewVisit;

/// The capacity of the cache. An entry takes at most about 3 kB.
const MAX_CACHED_USER_AGENTS: usize = 4_096;

/// Enriches visits.
pub struct VisitEnricher {
    reader: UserAgentParser,
    judge: UserAgentRules,
    ranges: CrawlerRanges,
    agents: Cache<(String, Option<ClientHints>), Arc<UserAgentInfo>>,
}

impl VisitEnricher {
    /// Reads the vendored lists, which takes some time.
    #[must_use]
    pub fn new() -> Self {
        Self::knowing(CrawlerRanges::default())
    }

    /// Reads the vendored lists and verifies crawlers by `ranges`.
    #[must_use]
    pub fn knowing(ranges: CrawlerRanges) -> Self {
        Self {
            reader: UserAgentParser::new(),
            judge: UserAgentRules::new(),
            ranges,
            agents: Cache::new(MAX_CACHED_USER_AGENTS),
        }
    }

    /// Enriches a visit. Crawler verification applies only to visits that are a bot's anyway.
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

    /// Returns the data derived from a user agent and its client hints, from the cache if possible.
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

    /// Clears the cache.
    pub fn forget(&self) {
        self.agents.clear();
    }
}

impl Default for VisitEnricher {
    fn default() -> Self {
        Self::new()
    }
}
