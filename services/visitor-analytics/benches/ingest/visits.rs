//! Visits as a busy site sends them: 2,000 user agents, 500 paths, random addresses.

use bench::Random;
use serde_json::{Value, json};

pub fn generate(count: usize) -> Vec<Value> {
    let mut random = Random(0x7e7a);
    (0..count).map(|_| visit(&mut random)).collect()
}

/// Without an id, so that each sending is a new visit.
fn visit(random: &mut Random) -> Value {
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
        "ip": format!("{}.{}.{}.{}", 11 + random.below(80), random.below(256),
            random.below(256), 1 + random.below(254)),
        "user_agent": user_agent(random),
        "referrer": referrer, "method": "GET", "status_code": 200,
        "response_time_ms": random.below(200), "http_version": "2",
        "headers": {
            "accept": "text/html,application/xhtml+xml", "accept-language": "en-GB,en;q=0.5",
            "accept-encoding": "gzip, deflate, br", "sec-fetch-mode": "navigate",
            "sec-fetch-site": "none", "sec-fetch-dest": "document"
        }
    })
}

fn user_agent(random: &mut Random) -> String {
    let version = 100 + random.below(100);
    let build = random.below(5);
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

/// A request body a visit.
pub fn single(visits: &[Value]) -> Vec<Vec<u8>> {
    visits
        .iter()
        .map(|visit| visit.to_string().into_bytes())
        .collect()
}

/// A request body for so many visits each.
pub fn lists(visits: &[Value], size: usize) -> Vec<Vec<u8>> {
    let lists = visits.chunks(size);
    lists
        .map(|list| Value::from(list.to_vec()).to_string().into_bytes())
        .collect()
}
