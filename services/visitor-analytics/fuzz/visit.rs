//! Feeds texts to all that is found out about a visit: user agent, headers with client hints, page
//! and referrer; or, where a text begins with a brace, to what reads a visit. Nothing crashes or
//! hangs, and what is kept is bounded.
#![no_main]

#[allow(
    dead_code,
    unused_imports,
    unfulfilled_lint_expectations,
    reason = "the service uses the rest, and has lints of its own"
)]
mod domain;

use std::collections::HashMap;
use std::sync::LazyLock;

use bot_detection::{BotVerdict, CrawlerRanges};
use chrono::DateTime;
use libfuzzer_sys::{Corpus, fuzz_target};

use domain::enriched_visit::LocationStatus;
use domain::privacy::PrivacyPolicy;
use domain::visit::{NewVisit, SubmittedVisit};
use domain::visit_enricher::VisitEnricher;

static ENRICHER: LazyLock<VisitEnricher> = LazyLock::new(|| {
    let mut ranges = CrawlerRanges::default();
    let published = r#"{"prefixes": [{"ipv4Prefix": "66.249.64.0/27"}]}"#;
    ranges
        .add("Googlebot", published)
        .expect("it is of the form");
    VisitEnricher::with_crawler_ranges(ranges)
});

/// The headers that are looked at.
const HEADERS: [&str; 14] = [
    "accept",
    "accept-language",
    "purpose",
    "sec-ch-ua",
    "sec-ch-ua-form-factors",
    "sec-ch-ua-full-version-list",
    "sec-ch-ua-mobile",
    "sec-ch-ua-model",
    "sec-ch-ua-platform",
    "sec-ch-ua-platform-version",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-purpose",
    "x-moz",
];

/// More is not kept of any text: what `SubmittedVisit` allows of a URL, which is what becomes longest.
const MAX_STORED_BYTES: usize = 4_096;

fuzz_target!(|text: &str| -> Corpus {
    let submitted = if text.starts_with('{') {
        serde_json::from_str(text).ok()
    } else {
        Some(visit_from_lines(text))
    };
    let now = DateTime::from_timestamp(1_795_176_000, 0).expect("it is a moment");
    let accept = |submitted| NewVisit::accept(submitted, &PrivacyPolicy::default(), now).ok();
    let Some(visit) = submitted.and_then(accept) else {
        return Corpus::Reject;
    };
    ENRICHER.clear_cache();
    check(visit);
    Corpus::Keep
});

/// A line each: the user agent, the page behind its host, the referrer, and headers.
fn visit_from_lines(text: &str) -> SubmittedVisit {
    let mut lines = text.lines().map(str::to_owned);
    let mut next = || lines.next().unwrap_or_default();
    SubmittedVisit {
        user_agent: Some(next()),
        url: format!("https://a.example/{}", next()),
        referrer: Some(next()),
        ip: "81.2.69.142".into(),
        headers: Some(HashMap::from(HEADERS.map(|name| (name.to_owned(), next())))),
        ..SubmittedVisit::default()
    }
}

fn check(visit: NewVisit) {
    let enriched = ENRICHER.enrich(visit, "v".into(), LocationStatus::Unknown);
    let verdict = &enriched.verdict;
    assert!(verdict.score <= 100 && verdict.is_bot == (verdict.score >= 50));
    assert!(verdict.name.as_ref().is_none_or(|name| name.len() <= 40));
    let again = BotVerdict::from_rules(
        verdict.reasons.clone(),
        verdict.name.clone(),
        verdict.category,
    );
    assert_eq!(*verdict, again);
    let agent = &enriched.user_agent_info.agent;
    for kept in [&agent.brand, &agent.model, &agent.browser, &agent.os] {
        assert!(kept.as_ref().is_none_or(|text| text.len() <= MAX_STORED_BYTES));
    }
    assert!(enriched.traffic_source.source.len() <= MAX_STORED_BYTES && enriched.traffic_source.medium.len() <= MAX_STORED_BYTES);
}
