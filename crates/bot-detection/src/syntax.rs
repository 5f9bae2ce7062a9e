//! Rules about the syntax of user agents: too short or too long for a browser, malformed, or with
//! versions that were never released.

mod suffix;
mod versions;

use super::BotRule;
use super::keywords::KeywordVerdict;
use suffix::{UserAgentSuffix, find_suffix};
use versions::{check_chrome_version, has_impossible_windows_version, lacks_safari_version};

/// Browsers' user agents are longer.
const MIN_USER_AGENT_BYTES: usize = 12;
/// The user agents of in-app browsers, which describe the device, are half as long.
const MAX_BROWSER_USER_AGENT_BYTES: usize = 900;

pub(super) fn evaluate(user_agent: &str, marked: &KeywordVerdict) -> Option<BotRule> {
    if user_agent.len() > MAX_BROWSER_USER_AGENT_BYTES {
        return Some(BotRule::LongUserAgent);
    }
    if marked.reason.is_some() {
        return None;
    }
    let is_short = user_agent.len() < MIN_USER_AGENT_BYTES;
    if is_short && (!marked.looks_like_browser || has_single_product(user_agent)) {
        return Some(BotRule::ShortUserAgent);
    }
    let ending = find_suffix(user_agent);
    let is_strange = has_unknown_compatible_name(user_agent)
        || ending == Some(UserAgentSuffix::Domain)
        || has_inserted_name(user_agent);
    if !marked.looks_like_browser || is_strange || has_single_product(user_agent) {
        return Some(BotRule::MalformedUserAgent);
    }
    let never = has_impossible_windows_version(user_agent) || lacks_safari_version(user_agent);
    match check_chrome_version(user_agent) {
        Some(BotRule::ImpossibleVersion) => Some(BotRule::ImpossibleVersion),
        _ if never => Some(BotRule::ImpossibleVersion),
        other => other.or(ending.map(|_| BotRule::UnknownSuffix)),
    }
}

/// Whether the user agent has the form `(compatible; Name/1.0)` with the name of no old browser.
/// Only bots have used it since Internet Explorer.
fn has_unknown_compatible_name(user_agent: &str) -> bool {
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

/// Whether nothing follows the first product, `Mozilla/5.0`.
fn has_single_product(user_agent: &str) -> bool {
    let rest = user_agent.strip_prefix("Mozilla/");
    rest.is_some_and(|rest| !rest.contains(['(', ' ']))
}

/// Whether a program has put its name where browsers put only products with versions, or the
/// system.
fn has_inserted_name(user_agent: &str) -> bool {
    // Extensions that put their names behind the system.
    const TOOLBARS: [&str; 8] = [
        "Ghostery",
        "photobucket",
        "GTB",
        ".NET",
        "BTRS",
        "AskTb",
        "Zune",
        "Creative",
    ];
    let after = |mark| user_agent.split_once(mark).map(|(_, after)| after);
    let is_before_version = || {
        let mut words = after("like Gecko) ")?.split(' ');
        let is_name = !words.next()?.contains('/');
        Some(is_name && words.next()?.starts_with("Version/"))
    };
    // In Firefox, `rv:` is the last part of the system.
    let is_behind_firefox = || {
        let (system, rest) = after("; rv:")?.split_once(')')?;
        let mut names = system.split(';').skip(1).map(str::trim);
        let is_stranger = names.any(|name| !TOOLBARS.iter().any(|known| name.starts_with(known)));
        Some(is_stranger && rest.contains(" Firefox/"))
    };
    // In Chrome on a Mac, the version of macOS is the last part of the system.
    let is_beside_mac = || {
        let (system, rest) = after("(Macintosh; Intel Mac OS X ")?.split_once(')')?;
        Some(system.contains(';') && rest.contains("537.36 (KHTML, like Gecko) Chrome/"))
    };
    [is_before_version(), is_behind_firefox(), is_beside_mac()].contains(&Some(true))
}

#[cfg(test)]
mod tests;
