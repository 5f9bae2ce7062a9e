//! User agents that no browser has: too short, too long, or with versions that never were.

use super::Reason;
use super::marks::Marked;

/// Shorter than any browser's.
const SHORTEST: usize = 12;
/// Longer than any browser's; in-app browsers with their device's description have half of it.
const LONGEST: usize = 900;

/// Every version of Windows NT (<https://learn.microsoft.com/windows/win32/sysinfo/operating-system-version>),
/// with those that early browsers wrote.
const WINDOWS_NT: [&str; 13] = [
    "3.1", "3.5", "3.51", "4.0", "4.1", "5.0", "5.01", "5.1", "5.2", "6.0", "6.1", "6.2", "6.3",
];

/// Chrome's build numbers, which are one for each version: (version, build), from
/// <https://chromiumdash.appspot.com/releases>. What lies between is between.
const CHROME: [(u32, u32); 12] = [
    (20, 1132),
    (30, 1599),
    (35, 1916),
    (40, 2214),
    (45, 2454),
    (52, 2743),
    (60, 3112),
    (70, 3538),
    (80, 3987),
    (90, 4430),
    (100, 4896),
    (110, 5481),
];
/// How far a build may be from what its neighbours let expect.
const TOLERANCE: u32 = 120;
/// Chrome's version is not that high for decades.
const CHROME_LIMIT: u32 = 1_000;

pub(super) fn judge(user_agent: &str, marked: &Marked) -> Option<Reason> {
    if user_agent.len() > LONGEST {
        return Some(Reason::LongUserAgent);
    }
    if marked.reason.is_some() {
        return None;
    }
    let is_short = user_agent.len() < SHORTEST;
    if is_short && (!marked.is_like_browser || is_bare(user_agent)) {
        return Some(Reason::ShortUserAgent);
    }
    let ending = ending(user_agent);
    let is_strange = is_compatible_stranger(user_agent) || ending == Some(Ending::Domain);
    if !marked.is_like_browser || is_strange || is_bare(user_agent) {
        return Some(Reason::UnlikeABrowser);
    }
    let never = never_windows(user_agent) || never_safari(user_agent);
    match chrome(user_agent) {
        Some(Reason::NeverExisted) => Some(Reason::NeverExisted),
        _ if never => Some(Reason::NeverExisted),
        other => other.or(ending.map(|_| Reason::StrangeEnding)),
    }
}

/// `(compatible; Name/1.0)`: since Internet Explorer only bots say so.
fn is_compatible_stranger(user_agent: &str) -> bool {
    const BROWSERS: [&str; 18] = [
        "MSIE",
        "msie",
        "Teleca",
        "OSS/",
        "Konqueror",
        "Opera",
        "IBrowse",
        "Voyager",
        "Trident",
        "U;",
        "ABrowse",
        "OmniWeb",
        "iCab",
        "NetPositive",
        "Windows",
        "AmigaVoyager",
        "Amiga",
        "Nokia",
    ];
    let stranger = |name: &str| !BROWSERS.iter().any(|browser| name.starts_with(browser));
    let mut parts = user_agent.split("compatible;");
    let before = parts.next().unwrap_or_default();
    let mut names = parts.map(str::trim_start);
    if before.starts_with("Mozilla/5.0") || before.contains("like Gecko") {
        return names.any(stranger);
    }
    false
}

/// What programs that use a browser write behind its user agent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Their owner's domain.
    Domain,
    /// Their name, without a version; a few makers of browsers do so, too.
    Word,
}

/// Browsers of the desk end with a product and its version.
fn ending(user_agent: &str) -> Option<Ending> {
    const DESKS: [&str; 3] = ["Windows NT", "Macintosh", "X11"];
    const SHELLS: [&str; 3] = ["App", "Brave", "Safari"];
    const DOMAINS: [&str; 10] = [
        "com", "net", "org", "io", "ai", "dev", "co", "eu", "de", "fr",
    ];
    let system = user_agent.strip_prefix("Mozilla/5.0 (")?;
    let (before, last) = user_agent.rsplit_once(' ')?;
    let is_modern = before.contains(" Chrome/") || before.contains(" Firefox/");
    let follows = before
        .rsplit(' ')
        .next()
        .is_some_and(|word| word.contains('/') && !word.ends_with([')', ']']));
    if !follows || !is_modern || !DESKS.iter().any(|desk| system.starts_with(desk)) {
        return None;
    }
    let name = last.split('/').next().unwrap_or_default();
    let is_word = |c: char| c.is_ascii_alphabetic() || c == '-' || c == '.';
    if !name.chars().all(is_word) {
        return None;
    }
    // `com.example.app` is the name of an app.
    let (first, rest) = name.split_once('.').unwrap_or((name, ""));
    let end = rest.rsplit('.').next().unwrap_or_default();
    if DOMAINS.contains(&end) && !DOMAINS.contains(&first) {
        return Some(Ending::Domain);
    }
    let is_bare = name == last && !SHELLS.iter().any(|shell| last.ends_with(shell));
    is_bare.then_some(Ending::Word)
}

/// Nothing after the first product.
fn is_bare(user_agent: &str) -> bool {
    let rest = user_agent.strip_prefix("Mozilla/");
    rest.is_some_and(|rest| !rest.contains(['(', ' ']))
}

fn never_windows(user_agent: &str) -> bool {
    let Some((_, after)) = user_agent.split_once("Windows NT ") else {
        return false;
    };
    let end = after.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let version = &after[..end.unwrap_or(after.len())];
    !version.is_empty()
        && version != "10.0"
        && version != "6.4"
        && version != "10"
        && !WINDOWS_NT.contains(&version)
}

/// Until version 100 the user agent told the whole version, `52.0.2743.116`.
fn chrome(user_agent: &str) -> Option<Reason> {
    let (before, after) = user_agent.split_once(" Chrome/")?;
    // What Apple lets into its phones calls itself `CriOS`.
    if before.contains("(iPhone; CPU iPhone OS") {
        return Some(Reason::NeverExisted);
    }
    let mut parts = after.split(|c: char| !c.is_ascii_digit());
    let mut next = || parts.next().and_then(|part| part.parse::<u32>().ok());
    let major = next()?;
    if major == 0 || major > CHROME_LIMIT {
        return Some(Reason::NeverExisted);
    }
    let (minor, build) = (next()?, next()?);
    let place = CHROME.iter().position(|(version, _)| *version > major)?;
    if minor != 0 || build == 0 || place == 0 {
        return None;
    }
    let ((v0, b0), (v1, b1)) = (CHROME[place - 1], CHROME[place]);
    let expected = b0 + (b1 - b0) * (major - v0) / (v1 - v0);
    (build.abs_diff(expected) > TOLERANCE).then_some(Reason::UnlikelyVersion)
}

/// Safari on a Mac has told its version since version 3.
fn never_safari(user_agent: &str) -> bool {
    user_agent.contains("(Macintosh; Intel Mac OS X 10")
        && user_agent.contains("(KHTML, like Gecko) Safari/")
}
