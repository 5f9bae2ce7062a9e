//! Visits with their headers and networks: browsers that are only claimed, and people whose
//! circumstances are unusual.

use std::collections::HashMap;

use bot_detection::{UserAgentRules, VisitSignals, evaluate_visit};
use serde::Deserialize;
use user_agent::RequestHeaders;

use crate::{corpus, told};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the columns of a list"
)]
struct Case {
    is_bot: bool,
    what: String,
    user_agent: String,
    headers: HashMap<String, String>,
    asn: Option<u32>,
    #[serde(default)]
    is_hosting: bool,
    #[serde(default)]
    is_anonymous: bool,
    #[serde(default)]
    is_plain: bool,
    path: Option<String>,
}

#[test]
fn spoofed_browsers_are_caught_and_unusual_people_are_not() {
    let rules = UserAgentRules::new();
    let lines = corpus("circumstances.jsonl");
    let cases = lines
        .iter()
        .map(|line| serde_json::from_str::<Case>(line).unwrap());
    let cases: Vec<_> = cases.collect();
    let missed = cases.iter().filter_map(|case| {
        let pairs = case.headers.iter();
        let headers: RequestHeaders = pairs.map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let circumstances = VisitSignals {
            user_agent: &case.user_agent,
            headers: Some(&headers),
            is_secure: !case.is_plain,
            path: case.path.as_deref().unwrap_or("/"),
            asn: case.asn,
            is_hosting: case.is_hosting,
            is_anonymous: case.is_anonymous,
            referrer: None,
        };
        let verdict = evaluate_visit(&rules.evaluate(&case.user_agent), &circumstances);
        let codes: Vec<_> = verdict.reasons.iter().map(|r| r.code()).collect();
        (verdict.is_bot != case.is_bot).then(|| format!("{}: {codes:?}", case.what))
    });
    let missed: Vec<_> = missed.collect();
    told("spoofed browsers and unusual people", cases.len(), &missed);
    assert_eq!(missed, Vec::<String>::new());
}
