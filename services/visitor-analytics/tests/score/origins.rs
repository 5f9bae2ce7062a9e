//! Sources and channels of landing pages.

use serde::Deserialize;
use url::Url;
use visitor_analytics::domain::source::{AdNetwork, TrafficSource};

use crate::{corpus, told};

#[derive(Deserialize)]
struct Case {
    url: Url,
    referrer: Option<Url>,
    source: String,
    channel: String,
}

#[test]
fn sources_and_channels_are_right() {
    let lines = corpus("origins.jsonl");
    let cases = lines
        .iter()
        .map(|line| serde_json::from_str::<Case>(line).unwrap());
    let cases: Vec<_> = cases.collect();
    let missed = cases.iter().filter_map(|case| {
        let origin = TrafficSource::detect(
            &case.url,
            case.referrer.as_ref(),
            AdNetwork::from_url(&case.url),
        );
        let found = (origin.source.as_str(), origin.channel.as_str());
        (found != (&case.source, &case.channel)).then(|| {
            format!(
                "{} from {:?}: {found:?}",
                case.url,
                case.referrer.as_ref().map(Url::as_str)
            )
        })
    });
    let missed: Vec<_> = missed.collect();
    let share = told("landing pages, looked at", cases.len(), &missed);
    assert!(share >= 95.0, "{share}");
}
