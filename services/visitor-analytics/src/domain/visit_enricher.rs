//! Derives data from visits: bot verdict, browser, device, source. CPU-bound; the results for user
//! agents are cached.

use std::sync::Arc;

use bot_detection::{CrawlerRanges, UserAgentRules};
use quick_cache::sync::Cache;
use user_agent::{ClientHints, UserAgentParser};

use super::enriched_visit::{EnrichedVisit, LocationStatus, UserAgentInfo};
use super::visit::NewVisit;

/// The capacity of the cache. An entry takes at most about 3 kB.
const MAX_CACHED_USER_AGENTS: usize = 4_096;

/// Enriches visits.
pub struct VisitEnricher {
    parser: UserAgentParser,
    rules: UserAgentRules,
    crawler_ranges: CrawlerRanges,
    cache: Cache<(String, Option<ClientHints>), Arc<UserAgentInfo>>,
}

impl VisitEnricher {
    /// Reads the vendored lists, which takes some time.
    #[must_use]
    pub fn new() -> Self {
        Self::with_crawler_ranges(CrawlerRanges::default())
    }

    /// Reads the vendored lists and verifies crawlers by `crawler_ranges`.
    #[must_use]
    pub fn with_crawler_ranges(crawler_ranges: CrawlerRanges) -> Self {
        Self {
            parser: UserAgentParser::new(),
            rules: UserAgentRules::new(),
            crawler_ranges,
            cache: Cache::new(MAX_CACHED_USER_AGENTS),
        }
    }

    /// Enriches a visit. Crawler verification applies only to visits that are a bot's anyway.
    #[must_use]
    pub fn enrich(
        &self,
        visit: NewVisit,
        visitor_id: String,
        place: LocationStatus,
    ) -> EnrichedVisit {
        let hints = visit.headers.as_ref().and_then(ClientHints::from_headers);
        let findings = self.user_agent_info(&visit.user_agent, hints);
        let name = findings.verdict.name.as_deref();
        let proof = name.and_then(|name| self.crawler_ranges.verify(name, visit.ip));
        let mut classified = EnrichedVisit::new(visit, visitor_id, findings, place);
        if let Some(proof) = proof.filter(|_| classified.verdict.is_bot) {
            classified.verdict = classified.verdict.with_rules([proof]);
        }
        classified
    }

    /// Returns the data derived from a user agent and its client hints, from the cache if possible.
    #[must_use]
    pub fn user_agent_info(
        &self,
        user_agent: &str,
        hints: Option<ClientHints>,
    ) -> Arc<UserAgentInfo> {
        let key = (user_agent.to_owned(), hints);
        if let Some(known) = self.cache.get(&key) {
            return known;
        }
        let verdict = self.rules.evaluate(user_agent);
        let hints = key.1.as_ref();
        let agent = if verdict.is_bot() {
            let name = verdict.name.as_deref();
            self.parser.parse_bot(name, user_agent, hints)
        } else {
            self.parser.parse(user_agent, hints)
        };
        let findings = Arc::new(UserAgentInfo { agent, verdict });
        self.cache.insert(key, findings.clone());
        findings
    }

    /// Clears the cache.
    pub fn clear_cache(&self) {
        self.cache.clear();
    }
}

impl Default for VisitEnricher {
    fn default() -> Self {
        Self::new()
    }
}
