//! `./dev bench classify`: CPU time to classify a visit with a known and an unknown user agent, and
//! for the most expensive visits that a search among adversarial ones finds.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark is run by hand, prints its results and may panic"
)]

mod adversarial;
#[path = "../ingest/visits.rs"]
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod visits;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bench::CpuTime;
use chrono::Utc;
use serde_json::{Value, json};
use visitor_analytics::domain::enriched_visit::LocationStatus;
use visitor_analytics::domain::privacy::PrivacyPolicy;
use visitor_analytics::domain::visit::NewVisit;
use visitor_analytics::domain::visit_enricher::VisitEnricher;

/// The allocator of the service; glibc's returns memory to the system and requests it again in each
/// round.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VISITS: usize = 20_000;
const ROUNDS: usize = 20;

fn main() {
    let classifier = VisitEnricher::new();
    let real = corpus_visits();
    let warm = cpu_micros(&classifier, &real, false);
    let cold = cpu_micros(&classifier, &real, true);
    println!("real browsers and crawlers, user agent known    {warm:>6.2} µs of CPU a visit");
    println!("real browsers and crawlers, user agent not known{cold:>6.2} µs of CPU a visit");
    let (worst, micros) =
        adversarial::search(|text| min_micros(&classifier, &visit_with_agent(text, true), true));
    println!("the worst user agent found, not known           {micros:>6.2} µs");
    println!(
        "    {} bytes: {}",
        worst.len(),
        &worst[..worst.floor_char_boundary(120)]
    );
    for (name, sent) in adversarial::visits() {
        let visit = accept(sent);
        let cold = min_micros(&classifier, &visit, true);
        let warm = min_micros(&classifier, &visit, false);
        println!("{name:<48}{cold:>6.2} µs, {warm:>6.2} µs when known");
    }
}

/// The user agents of the corpus with the headers of a browser.
fn corpus_visits() -> Vec<NewVisit> {
    let mut visits = vec![];
    for name in [
        "people-scored.txt",
        "people-seen.txt",
        "bots-scored.txt",
        "bots-seen.txt",
    ] {
        let path = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let agents = text
            .lines()
            .map(|line| line.split_once('\t').map_or(line, |(_, a)| a));
        visits.extend(agents.map(|agent| visit_with_agent(agent, false)));
    }
    visits
}

fn visit_with_agent(user_agent: &str, is_plain: bool) -> NewVisit {
    let mut sent = json!({
        "url": "https://shop.example/products/42?utm_source=news&utm_medium=email&gclid=x",
        "ip": "81.2.69.142", "user_agent": user_agent, "referrer": "https://www.google.com/",
    });
    if !is_plain {
        sent["headers"] = json!({
            "accept": "text/html,application/xhtml+xml", "accept-language": "en-GB,en;q=0.5",
            "accept-encoding": "gzip, deflate, br", "sec-fetch-mode": "navigate",
            "sec-fetch-site": "none", "sec-fetch-dest": "document",
            "sec-ch-ua": "\"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\"",
            "sec-ch-ua-mobile": "?0", "sec-ch-ua-platform": "\"Windows\"",
        });
    }
    accept(sent)
}

fn accept(sent: Value) -> NewVisit {
    let sent = serde_json::from_value(sent).unwrap();
    NewVisit::accept(sent, &PrivacyPolicy::default(), Utc::now()).unwrap()
}

/// Average CPU time per visit in microseconds.
fn cpu_micros(classifier: &VisitEnricher, visits: &[NewVisit], forget: bool) -> f64 {
    let few = &visits[..visits.len().min(VISITS)];
    // Fewer user agents than the cache holds.
    let few = if forget { few } else { &few[..2_000] };
    let spent = |rounds: usize, work: &dyn Fn(NewVisit)| {
        let before = CpuTime::of_process(std::process::id()).total();
        for _ in 0..rounds {
            for visit in few {
                work(visit.clone());
            }
            if forget {
                classifier.clear_cache();
            }
        }
        CpuTime::of_process(std::process::id())
            .total()
            .saturating_sub(before)
    };
    let classify = |visit| {
        let done = classifier.enrich(visit, String::new(), LocationStatus::Unknown);
        drop(black_box(done));
    };
    spent(1, &classify);
    let rounds = if forget { ROUNDS } else { ROUNDS * 20 };
    let all = spent(rounds, &classify);
    let copies = spent(rounds, &|visit| {
        drop(black_box(visit));
    });
    all.saturating_sub(copies).as_secs_f64() * 1e6 / (rounds * few.len()) as f64
}

/// The minimum time of several attempts for one visit, in microseconds.
fn min_micros(classifier: &VisitEnricher, visit: &NewVisit, forget: bool) -> f64 {
    let mut least = Duration::MAX;
    for _ in 0..9 {
        if forget {
            classifier.clear_cache();
        }
        let copy = visit.clone();
        let start = Instant::now();
        let done = black_box(classifier.enrich(copy, String::new(), LocationStatus::Unknown));
        least = least.min(start.elapsed());
        drop(done);
    }
    least.as_secs_f64() * 1e6
}
