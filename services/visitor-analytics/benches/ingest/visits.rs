//! Generates the visits of a busy site: 2,000 user agents, 500 paths, random addresses.

use bench::SeededRandom;
use serde_json::{Value, json};

/// The kind of visitors.
#[derive(Clone, Copy)]
pub enum VisitorMix {
    /// One visitor in five is a bot. Each visitor views three pages, interleaved with other
    /// visitors.
    Mixed,
    /// Every visit is the first of a person and causes a session and an announcement.
    NewVisitors,
}

/// Concurrent visitors.
const CONCURRENT_VISITORS: usize = 1_000;

/// Generates `count` visits as JSON; each seed gives other visits. They have no ids, so that
/// sending one again records a new visit.
pub fn generate(crowd: VisitorMix, count: usize, seed: u64) -> Vec<String> {
    let mut random = SeededRandom(0x7e7a + seed);
    let mut visitors = vec![(String::new(), String::new()); CONCURRENT_VISITORS];
    let visits = (0..count).map(|index| {
        let visitor = &mut visitors[index % CONCURRENT_VISITORS];
        if matches!(crowd, VisitorMix::NewVisitors)
            || (index / CONCURRENT_VISITORS).is_multiple_of(3)
        {
            let is_bot = matches!(crowd, VisitorMix::Mixed) && random.below(5) == 0;
            *visitor = (
                random_address(&mut random),
                random_user_agent(&mut random, is_bot),
            );
        }
        random_visit(&mut random, &visitor.0, &visitor.1).to_string()
    });
    visits.collect()
}

fn random_visit(random: &mut SeededRandom, ip: &str, user_agent: &str) -> Value {
    let campaign = if random.below(5) == 0 {
        "?utm_source=news&utm_medium=email"
    } else {
        ""
    };
    let referrer = match random.below(3) {
        0 => json!("https://www.google.com/"),
        1 => json!("https://news.example/story"),
        _ => Value::Null,
    };
    json!({
        "url": format!("https://shop.example/products/{}{campaign}", random.below(500)),
        "ip": ip, "user_agent": user_agent, "referrer": referrer, "method": "GET",
        "status_code": 200, "response_time_ms": random.below(200), "http_version": "2",
        "headers": {
            "accept": "text/html,application/xhtml+xml", "accept-language": "en-GB,en;q=0.5",
            "accept-encoding": "gzip, deflate, br", "sec-fetch-mode": "navigate",
            "sec-fetch-site": "none", "sec-fetch-dest": "document"
        }
    })
}

fn random_address(random: &mut SeededRandom) -> String {
    format!(
        "{}.{}.{}.{}",
        11 + random.below(80),
        random.below(256),
        random.below(256),
        1 + random.below(254)
    )
}

fn random_user_agent(random: &mut SeededRandom, is_bot: bool) -> String {
    let version = 100 + random.below(100);
    let build = random.below(5);
    if is_bot {
        return format!(
            "Mozilla/5.0 (compatible; ExampleBot/{version}.{build}; +https://bot.example/)"
        );
    }
    match random.below(4) {
        0 => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{version}.{build}) Gecko/20100101 Firefox/{version}.{build}"
        ),
        1 => format!(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.{build}.0 Safari/537.36"
        ),
        2 => format!(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{build} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.{build} Mobile/15E{version} Safari/604.1"
        ),
        _ => format!(
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.{build}.0 Mobile Safari/537.36"
        ),
    }
}

/// Groups visits into lists of `size`.
pub fn group_into_lists(visits: &[String], size: usize) -> Vec<String> {
    let lists = visits.chunks(size);
    lists.map(|list| format!("[{}]", list.join(","))).collect()
}
