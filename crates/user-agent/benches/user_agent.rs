//! `./dev bench user-agent`: this crate beside the crate ua-parser, with the same expressions and the
//! same user agents: speed, memory, and how often both find the same.
//!
//! Each parser is measured in a process of its own, which this program starts.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark is started by hand, prints, and may end"
)]

use std::borrow::Cow;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use bench::{CpuTime, SeededRandom};
use ua_parser::Extractor;
use user_agent::{RegexKind, RegexMatch, UserAgentRegexes};

/// The allocator of the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXPRESSIONS: &str = include_str!("../data/uap-core.json");
const ROUNDS: usize = 10;
const MIXTURES: usize = 2_000;
/// `UserAgentParser` reads no more of a user agent.
const MAX_USER_AGENT_BYTES: usize = 400;

/// Browser, system and device. A missing value is empty, as in the cases of uap-core.
type Found = [Vec<String>; 3];
type Parser = Box<dyn Fn(&str) -> Found>;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("ours") => measure(ours),
        Some("ua-parser") => measure(theirs),
        // Cargo passes `--bench`.
        _ => compare(),
    }
}

fn compare() {
    for name in ["ours", "ua-parser"] {
        println!("{name}");
        let program = std::env::current_exe().unwrap();
        assert!(Command::new(program).arg(name).status().unwrap().success());
    }
    let (ours, theirs) = (ours(), theirs());
    let (mut agents, mut same) = (real(), 0);
    agents.sort_unstable();
    agents.dedup();
    for agent in &agents {
        let (one, other) = (ours(agent), theirs(agent));
        if one == other {
            same += 1;
        } else {
            println!("{agent}\n  ours      {one:?}\n  ua-parser {other:?}");
        }
    }
    println!("the same for {same} of {} user agents", agents.len());
    for (list, name, parts) in [(0, "ua", 5), (1, "os", 5), (2, "device", 3)] {
        let text = corpus(&format!("uap-{name}.tsv"));
        let cases = text.lines().map(|line| line.split_once('\t').unwrap());
        let cases: Vec<_> = cases.collect();
        let right = |parser: &Parser| {
            let holds = |(agent, expected): &&(&str, &str)| {
                let found = &parser(agent)[list];
                expected.split('\t').eq(found.iter().take(parts))
            };
            cases.iter().filter(holds).count()
        };
        let (one, other, all) = (right(&ours), right(&theirs), cases.len());
        println!("cases of uap-core, {name}: ours {one}, ua-parser {other} of {all}");
    }
}

fn measure(prepare: fn() -> Parser) {
    let before = resident();
    let (parser, spent) = cpu(prepare);
    let ready = resident();
    println!("  ready after                   {:>8.1} ms", millis(spent));
    let agents = real();
    let once = || {
        for agent in &agents {
            drop(black_box(parser(agent)));
        }
    };
    let ((), first) = cpu(once);
    let ((), more) = cpu(|| (0..ROUNDS).for_each(|_| once()));
    let micros =
        |spent: Duration, rounds: usize| spent.as_secs_f64() * 1e6 / (rounds * agents.len()) as f64;
    println!(
        "  a user agent, first time      {:>8.2} µs of CPU",
        micros(first, 1)
    );
    println!(
        "  a user agent                  {:>8.2} µs of CPU",
        micros(more, ROUNDS)
    );
    let slowest = |agents: &[String]| {
        let least = agents.iter().map(|agent| fastest(&parser, agent));
        least.max().unwrap_or_default().as_secs_f64() * 1e6
    };
    println!(
        "  the slowest of them           {:>8.2} µs",
        slowest(&agents)
    );
    println!(
        "  the slowest mixture of them   {:>8.2} µs",
        slowest(&mixtures(&agents))
    );
    println!("  memory when ready             {:>8.1} MB", ready - before);
    println!(
        "  memory afterwards             {:>8.1} MB",
        resident() - before
    );
}

fn fastest(parser: &Parser, agent: &str) -> Duration {
    let time = |_| {
        let start = Instant::now();
        drop(black_box(parser(agent)));
        start.elapsed()
    };
    (0..9).map(time).min().unwrap_or_default()
}

fn ours() -> Parser {
    let lists = UserAgentRegexes::new();
    Box::new(move |agent| {
        let found = lists.candidates(agent);
        let read = |kind| {
            let (name, others) = found.find(kind).unwrap_or_else(missing);
            let others = others.into_iter().map(Option::unwrap_or_default);
            std::iter::once(name).chain(others).collect::<Vec<_>>()
        };
        let device = read(RegexKind::Devices).into_iter().take(3).collect();
        [
            read(RegexKind::Browsers),
            read(RegexKind::OperatingSystems),
            device,
        ]
    })
}

fn missing() -> RegexMatch {
    ("Other".to_owned(), Default::default())
}

fn theirs() -> Parser {
    let regexes: ua_parser::Regexes<'static> = serde_json::from_str(EXPRESSIONS).unwrap();
    let extractor = Extractor::try_from(regexes).unwrap();
    Box::new(move |agent| {
        let (browser, system, device) = extractor.extract(agent);
        let browser = browser.map(|it| {
            let numbers = [it.major, it.minor, it.patch, it.patch_minor];
            line(it.family, numbers.map(|number| number.map(Cow::from)))
        });
        let system = system.map(|it| line(it.os, [it.major, it.minor, it.patch, it.patch_minor]));
        let device = device.map(|it| line(it.device, [it.brand, it.model]));
        let other = |parts| line("Other".into(), vec![None; parts]);
        [
            browser.unwrap_or_else(|| other(4)),
            system.unwrap_or_else(|| other(4)),
            device.unwrap_or_else(|| other(2)),
        ]
    })
}

fn line<'a>(
    name: Cow<'a, str>,
    others: impl IntoIterator<Item = Option<Cow<'a, str>>>,
) -> Vec<String> {
    let others = others.into_iter().map(Option::unwrap_or_default);
    std::iter::once(name)
        .chain(others)
        .map(Cow::into_owned)
        .collect()
}

fn corpus(name: &str) -> String {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../services/visitor-analytics/corpus"
    );
    std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

/// User agents of people and bots.
fn real() -> Vec<String> {
    let mut agents = vec![];
    for who in ["people", "bots"] {
        for part in ["seen", "scored", "own"] {
            let text = corpus(&format!("{who}-{part}.txt"));
            let agent = |line: &str| line.rsplit('\t').next().unwrap_or_default().to_owned();
            agents.extend(text.lines().map(agent));
        }
    }
    agents
}

/// Pieces of several user agents in one, which many expressions may match.
fn mixtures(agents: &[String]) -> Vec<String> {
    let mut random = SeededRandom(7);
    let pieces: Vec<&str> = agents.iter().flat_map(|agent| agent.split(' ')).collect();
    let mut mixture = || {
        let mut text = String::new();
        while text.len() < MAX_USER_AGENT_BYTES {
            let place = random.below(pieces.len() as u64);
            text += pieces[usize::try_from(place).unwrap()];
            text.push(' ');
        }
        text.truncate(text.floor_char_boundary(MAX_USER_AGENT_BYTES));
        text
    };
    (0..MIXTURES).map(|_| mixture()).collect()
}

fn cpu<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let total = || CpuTime::of_process(std::process::id()).total();
    let before = total();
    let done = work();
    (done, total().saturating_sub(before))
}

fn millis(spent: Duration) -> f64 {
    spent.as_secs_f64() * 1e3
}

/// Resident memory of this process in MB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    kilobytes.unwrap().parse::<f64>().unwrap() / 1024.0
}
