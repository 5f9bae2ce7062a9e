//! User agents that no browser has: too short, too long, put together in another way, or with
//! versions that never were.

mod ending;
mod versions;

use super::BotRule;
use super::marks::KeywordVerdict;
use ending::{UserAgentSuffix, ending};
use versions::{chrome, never_safari, never_windows};

/// Shorter than any browser's.
const MIN_USER_AGENT_BYTES: usize = 12;
/// Longer than any browser's; in-app browsers with their device's description have half of it.
const MAX_BROWSER_USER_AGENT_BYTES: usize = 900;

pub(super) fn judge(user_agent: &str, marked: &KeywordVerdict) -> Option<BotRule> {
    if user_agent.len() > MAX_BROWSER_USER_AGENT_BYTES {
        return Some(BotRule::LongUserAgent);
    }
    if marked.reason.is_some() {
        return None;
    }
    let is_short = user_agent.len() < MIN_USER_AGENT_BYTES;
    if is_short && (!marked.is_like_browser || is_bare(user_agent)) {
        return Some(BotRule::ShortUserAgent);
    }
    let ending = ending(user_agent);
    let is_strange = is_compatible_stranger(user_agent)
        || ending == Some(UserAgentSuffix::Domain)
        || is_named_within(user_agent);
    if !marked.is_like_browser || is_strange || is_bare(user_agent) {
        return Some(BotRule::UnlikeABrowser);
    }
    let never = never_windows(user_agent) || never_safari(user_agent);
    match chrome(user_agent) {
        Some(BotRule::NeverExisted) => Some(BotRule::NeverExisted),
        _ if never => Some(BotRule::NeverExisted),
        other => other.or(ending.map(|_| BotRule::StrangeEnding)),
    }
}

/// `(compatible; Name/1.0)`: since Internet Explorer only bots say so.
fn is_compatible_stranger(user_agent: &str) -> bool {
    const COMPATIBLE_BROWSERS: [&str; 18] = [
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
    let stranger = |name: &str| {
        !COMPATIBLE_BROWSERS
            .iter()
            .any(|browser| name.starts_with(browser))
    };
    let mut parts = user_agent.split("compatible;");
    let before = parts.next().unwrap_or_default();
    let mut names = parts.map(str::trim_start);
    if before.starts_with("Mozilla/5.0") || before.contains("like Gecko") {
        return names.any(stranger);
    }
    false
}

/// Nothing after the first product.
fn is_bare(user_agent: &str) -> bool {
    let rest = user_agent.strip_prefix("Mozilla/");
    rest.is_some_and(|rest| !rest.contains(['(', ' ']))
}

/// Programs write their names where browsers write only products with their versions, or what
/// system they run on.
fn is_named_within(user_agent: &str) -> bool {
    let after = |mark| user_agent.split_once(mark).map(|(_, after)| after);
    let is_before_version = || {
        let mut words = after("like Gecko) ")?.split(' ');
        let is_name = !words.next()?.contains('/');
        Some(is_name && words.next()?.starts_with("Version/"))
    };
    // The version of Firefox ends what is said of the system.
    let is_behind_firefox = || {
        let (system, rest) = after("; rv:")?.split_once(')')?;
        Some(system.contains(';') && rest.contains(" Firefox/"))
    };
    // Chrome says of a Mac nothing but its version.
    let is_beside_mac = || {
        let (system, rest) = after("(Macintosh; Intel Mac OS X ")?.split_once(')')?;
        Some(system.contains(';') && rest.contains("537.36 (KHTML, like Gecko) Chrome/"))
    };
    [is_before_version(), is_behind_firefox(), is_beside_mac()].contains(&Some(true))
}

#[cfg(test)]
mod tests;
