//! Feeds texts to all that is found out about a visit: user agent, headers with client hints, page
//! and referrer. Nothing crashes or hangs, and what is kept is bounded.
#![no_main]

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::DateTime;
use libfuzzer_sys::{Corpus, fuzz_target};
use visitor_analytics::domain::bot::{Ranges, Verdict};
use visitor_analytics::domain::classified::Place;
use visitor_analytics::domain::classifier::Classifier;
use visitor_analytics::domain::policy::Policy;
use visitor_analytics::domain::visit::{NewVisit, Submitted};

static CLASSIFIER: LazyLock<Classifier> = LazyLock::new(|| {
    let mut ranges = Ranges::default();
    let published = r#"{"prefixes": [{"ipv4Prefix": "66.249.64.0/27"}]}"#;
    ranges.add("Googlebot", published).expect("it is of the form");
    Classifier::knowing(ranges)
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

// A line each: the user agent, the page behind its host, the referrer, and headers.
fuzz_target!(|text: &str| -> Corpus {
    let mut lines = text.lines().map(str::to_owned);
    let mut next = || lines.next().unwrap_or_default();
    let submitted = Submitted {
        user_agent: Some(next()),
        url: format!("https://a.example/{}", next()),
        referrer: Some(next()),
        ip: "81.2.69.142".into(),
        headers: Some(HashMap::from(HEADERS.map(|name| (name.to_owned(), next())))),
        ..Submitted::default()
    };
    let now = DateTime::from_timestamp(1_795_176_000, 0).expect("it is a moment");
    let Ok(visit) = NewVisit::accept(submitted, &Policy::default(), now) else {
        return Corpus::Reject;
    };
    CLASSIFIER.forget();
    check(visit);
    Corpus::Keep
});

fn check(visit: NewVisit) {
    let done = CLASSIFIER.classify(visit, "v".into(), Place::Unknown);
    let verdict = &done.verdict;
    assert!(verdict.score <= 100 && verdict.is_bot == (verdict.score >= 50));
    assert!(verdict.name.as_ref().is_none_or(|name| name.len() <= 40));
    let again = Verdict::of(
        verdict.reasons.clone(),
        verdict.name.clone(),
        verdict.category,
    );
    assert_eq!(*verdict, again);
    let agent = &done.findings.agent;
    for kept in [&agent.brand, &agent.model, &agent.browser, &agent.os] {
        assert!(kept.as_ref().is_none_or(|text| text.len() <= 1_024));
    }
    assert!(done.origin.source.len() <= 1_024 && done.origin.medium.len() <= 1_024);
}
