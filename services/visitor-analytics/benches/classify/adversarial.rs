//! Adversarial visits that are expensive to classify.

use bench::SeededRandom;
use serde_json::{Value, json};

/// Fragments of user agents that start many patterns without completing them.
const FRAGMENTS: [&str; 32] = [
    "Mozilla/5.0 ",
    "(compatible; ",
    "compatible;",
    "bot",
    "crawl",
    "spider",
    "http://",
    "www.",
    "@a.b",
    "Chrome/1",
    " Chrome/52.0.8062.1449",
    "Android ",
    "Linux; ",
    "Build/",
    "Windows NT ",
    "iPhone",
    "Version/",
    "Mobile ",
    "Safari/",
    "(KHTML, like Gecko)",
    "((((",
    "))))",
    "; ",
    ";;;;",
    "....",
    "1234567890",
    "AAAA",
    "éééé",
    "Opera Mini/",
    "SAMSUNG-",
    "Nokia",
    "MIDP-2.0",
];
const MAX_USER_AGENT_BYTES: usize = 1_024;
const SEARCH_STEPS: usize = 6_000;
const SEARCH_SEEDS: [u64; 4] = [42, 99, 4_711, 65_537];

/// Searches several times for the user agent with the highest `cost`.
pub fn search(cost: impl Fn(&str) -> f64) -> (String, f64) {
    let found = SEARCH_SEEDS.map(|seed| hill_climb(SeededRandom(seed), &cost));
    let worst = found.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    worst.unwrap()
}

/// Hill climbing: mutates the user agent and keeps mutations that cost more.
fn hill_climb(mut random: SeededRandom, cost: impl Fn(&str) -> f64) -> (String, f64) {
    let mut worst = (String::new(), 0.0);
    for _ in 0..SEARCH_STEPS {
        let text = mutate(&worst.0, &mut random);
        let took = cost(&text);
        if took > worst.1 {
            worst = (text, took);
        }
    }
    // Measured again, since the maximum may be an outlier.
    let again = cost(&worst.0);
    (worst.0, again)
}

fn mutate(text: &str, random: &mut SeededRandom) -> String {
    let mut pick = |limit: usize| usize::try_from(random.below(limit as u64)).unwrap();
    let at = text.floor_char_boundary(pick(text.len() + 1));
    let to = text.ceil_char_boundary((at + pick(60)).min(text.len()));
    let piece = FRAGMENTS[pick(FRAGMENTS.len())].repeat(1 + pick(20));
    let mut changed = format!("{}{piece}{}", &text[..at], &text[to..]);
    changed.truncate(changed.floor_char_boundary(MAX_USER_AGENT_BYTES));
    changed
}

/// Long and unusual visits, each with a name.
pub fn visits() -> Vec<(&'static str, Value)> {
    let visit = |more: Value| {
        let mut visit =
            json!({"url": "https://a.example/", "ip": "81.2.69.142", "user_agent": "x"});
        for (name, value) in more.as_object().unwrap() {
            visit[name] = value.clone();
        }
        visit
    };
    let long = |piece: &str, length: usize| piece.repeat(length / piece.len());
    let query = |piece: &str| format!("https://a.example/?{}", long(piece, 4_000));
    vec![
        (
            "an address of 4,000 bytes of parameters",
            visit(json!({"url": query("utm_source=x&")})),
        ),
        (
            "an address of 2,000 parameters without names",
            visit(json!({"url": query("&")})),
        ),
        (
            "a path of 4,000 bytes",
            visit(json!({"url": format!("https://a.example/{}", long("/.git-wp", 4_000))})),
        ),
        (
            "a referrer of 120 labels",
            visit(json!({"referrer": format!("https://{}b.example/", long("a.", 240))})),
        ),
        (
            "a referrer's path of 4,000 bytes",
            visit(json!({"referrer": format!("https://google.com/{}", long("a/", 4_000))})),
        ),
        (
            "client hints of 1,000 bytes each",
            visit(json!({"user_agent": "Mozilla/5.0 Chrome/1", "headers": {
            "sec-ch-ua": long("\"Chromium\";v=", 1_000), "sec-ch-ua-full-version-list": long("\"Brave", 1_000),
            "sec-ch-ua-model": long("a", 1_000), "sec-ch-ua-platform-version": long("1.", 1_000),
            "accept": "x", "accept-language": long("a,", 1_000)}})),
        ),
    ]
}
