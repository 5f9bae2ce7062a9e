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
const WORDS: [&str; 13] = [
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
    "favicon",
    "preview",
];

/// Bots say whom to complain to; browsers have no such address in them.
const CONTACTS: [&str; 3] = ["http://", "https://", "www."];

/// How browsers begin their user agents: nearly all as the first browser did, the rest are those
/// of text terminals and of phones from before.
const BROWSERS: [&str; 17] = [
    "mozilla/",
    "opera/",
    "lynx/",
    "links ",
    "elinks",
    "w3m/",
    "dillo/",
    "netsurf/",
    "nokia",
    "samsung",
    "sonyericsson",
    "blackberry",
    "lg-",
    "mot-",
    "docomo/",
    "kddi-",
    "ucweb/",
];

/// What browsers of phones from before carry somewhere.
const FEATURE_PHONES: [&str; 4] = ["midp-", "wap ", "up.browser", "opera mini"];

/// Real browsers in whose user agents such a word stands.
const INNOCENT: [&str; 3] = ["cubot", "duckduckgo/", "bsalsa.com"];

pub(super) fn judge(user_agent: &str) -> Option<Reason> {
    let text = user_agent.to_ascii_lowercase();
    let any = |marks: &[&str]| marks.iter().any(|mark| text.contains(mark));
    if TOOLS.iter().any(|tool| text.starts_with(tool)) {
        Some(Reason::HttpTool)
    } else if any(&HEADLESS) {
        Some(Reason::HeadlessBrowser)
    } else if any(&WORDS) && !any(&INNOCENT) {
        Some(Reason::BotWord)
    } else if (any(&CONTACTS) || has_mail_address(&text)) && !any(&INNOCENT) {
        Some(Reason::ContactAddress)
    } else if text.len() < SHORTEST {
        Some(Reason::ShortUserAgent)
    } else if !BROWSERS.iter().any(|mark| text.starts_with(mark)) && !any(&FEATURE_PHONES) {
        Some(Reason::UnlikeABrowser)
    } else {
        None
    }
}

/// `help@example.com`, but not a browser's `android@150.0.0.0`.
fn has_mail_address(text: &str) -> bool {
    let parts = |c: char| c.is_whitespace() || ";,()<>[]".contains(c);
    text.split(parts).any(|word| {
        let domain = word.split_once('@').map_or("", |(_, domain)| domain);
        domain.starts_with(|c: char| c.is_ascii_alphabetic()) && domain.contains('.')
    })
}
