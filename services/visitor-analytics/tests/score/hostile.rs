//! Whatever a visitor sends: nothing breaks, scores stay scores, and what is kept of it is bounded.

use std::collections::HashMap;

use bench::SeededRandom;
use bot_detection::BotVerdict;
use chrono::DateTime;
use visitor_analytics::domain::enriched_visit::LocationStatus;
use visitor_analytics::domain::privacy::PrivacyPolicy;
use visitor_analytics::domain::visit::{NewVisit, SubmittedVisit};
use visitor_analytics::domain::visit_enricher::VisitEnricher;

use crate::corpus;

const VISITS: usize = 3_000;
const PIECES: [&str; 24] = [
    "Mozilla/5.0 (",
    "compatible;",
    "bot",
    "@a.bc",
    "http://",
    " Chrome/",
    "99999999999999999999",
    "Windows NT ",
    "\u{0}",
    "é",
    "🦀",
    "\"",
    "\\",
    "%zz",
    "%40",
    "&&==",
    "utm_source=",
    "gclid=",
    "x.com/i/grok",
    ";v=\"",
    "..",
    "))))((((",
    "\u{202e}",
    "K",
];

/// A text of the corpus, cut and mixed with pieces.
fn text(random: &mut SeededRandom, lines: &[String]) -> String {
    let mut pick = |limit: usize| usize::try_from(random.below(limit as u64)).unwrap();
    let mut text = lines[pick(lines.len())].clone();
    for _ in 0..pick(6) {
        let at = text.floor_char_boundary(pick(text.len() + 1));
        text.insert_str(at, &PIECES[pick(PIECES.len())].repeat(1 + pick(40)));
    }
    text.truncate(text.floor_char_boundary(1_000));
    text
}

#[test]
fn nothing_that_a_visitor_sends_breaks_anything() {
    let classifier = VisitEnricher::new();
    let mut lines = corpus("bots-own.txt");
    lines.extend(corpus("people-own.txt"));
    let mut random = SeededRandom(7);
    let now = DateTime::from_timestamp(1_795_176_000, 0).unwrap();
    let names = [
        "accept",
        "sec-ch-ua",
        "sec-ch-ua-platform",
        "sec-ch-ua-model",
        "sec-ch-ua-platform-version",
    ];
    for _ in 0..VISITS {
        let headers = names.map(|name| (name.to_owned(), text(&mut random, &lines)));
        let submitted = SubmittedVisit {
            url: format!("https://a.example/{}", text(&mut random, &lines)),
            ip: "81.2.69.142".into(),
            user_agent: Some(text(&mut random, &lines)),
            referrer: Some(format!("https://{}", text(&mut random, &lines))),
            headers: Some(HashMap::from(headers)),
            ..SubmittedVisit::default()
        };
        let visit = NewVisit::accept(submitted, &PrivacyPolicy::default(), now).unwrap();
        let done = classifier.enrich(visit, "v".into(), LocationStatus::Unknown);
        let verdict = &done.verdict;
        let again = BotVerdict::from_rules(
            verdict.reasons.clone(),
            verdict.name.clone(),
            verdict.category,
        );
        assert_eq!(*verdict, again);
        assert!(verdict.score <= 100 && verdict.is_bot == (verdict.score >= 50));
        assert!(verdict.name.as_ref().is_none_or(|name| name.len() <= 40));
        let agent = &done.user_agent_info.agent;
        for kept in [&agent.brand, &agent.model, &agent.browser, &agent.os] {
            assert!(kept.as_ref().is_none_or(|text| text.len() <= 1_024));
        }
        assert!(done.traffic_source.source.len() <= 4_096);
    }
}
