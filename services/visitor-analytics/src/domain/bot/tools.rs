//! What a user agent gives away beside its name.

use super::Reason;

/// Shorter than any browser's.
const SHORTEST: usize = 12;

/// How programs and libraries begin their user agents.
const TOOLS: [&str; 22] = [
    "curl/",
    "wget",
    "python",
    "aiohttp/",
    "httpx",
    "go-http-client",
    "java/",
    "okhttp",
    "apache-httpclient",
    "libwww-perl",
    "lwp::",
    "ruby",
    "php/",
    "guzzle",
    "axios/",
    "node",
    "undici",
    "got ",
    "postman",
    "insomnia",
    "reqwest",
    "powershell",
];

/// What browsers that are driven by programs say.
const HEADLESS: [&str; 7] = [
    "headless",
    "phantomjs",
    "electron/",
    "puppeteer",
    "playwright",
    "selenium",
    "webdriver",
];

/// What bots call themselves.
const WORDS: [&str; 12] = [
    "bot",
    "crawl",
    "spider",
    "scan",
    "fetch",
    "feed",
    "monitor",
    "archiv",
    "+http",
    "http-client",
    "subscriber",
    "preview",
];

/// Real browsers in whose user agents such a word stands.
const INNOCENT: [&str; 2] = ["cubot", "duckduckgo/"];

pub(super) fn judge(user_agent: &str) -> Option<Reason> {
    let text = user_agent.to_ascii_lowercase();
    let any = |marks: &[&str]| marks.iter().any(|mark| text.contains(mark));
    if TOOLS.iter().any(|tool| text.starts_with(tool)) {
        Some(Reason::HttpTool)
    } else if any(&HEADLESS) {
        Some(Reason::HeadlessBrowser)
    } else if any(&WORDS) && !any(&INNOCENT) {
        Some(Reason::BotWord)
    } else if text.len() < SHORTEST {
        Some(Reason::ShortUserAgent)
    } else {
        None
    }
}
