//! What the request's headers give away, where the client sent them along.
//!
//! An old protocol version says nothing: a proxy may speak for the visitor.

use user_agent::RequestHeaders;

use super::{BotRule, VisitSignals};

/// From this version on Chromium sends `Sec-Fetch-*` (80) and `Sec-CH-UA` (89) over HTTPS.
const MIN_CHROMIUM_FETCH_METADATA: u32 = 80;
const MIN_CHROMIUM_CLIENT_HINTS: u32 = 90;
/// Before this one it knew neither.
const FIRST_CHROMIUM_FETCH_METADATA: u32 = 76;

pub(super) fn judge(circumstances: &VisitSignals) -> Vec<BotRule> {
    let Some(headers) = circumstances.headers else {
        return vec![];
    };
    let chromium = chromium(circumstances.user_agent);
    let is_since = |version| circumstances.is_secure && chromium.is_some_and(|v| v >= version);
    let lacks = |name| headers.get(name).is_none();
    let mode = headers.get("sec-fetch-mode");
    let rules = [
        (BotRule::Prefetch, is_prefetch(headers)),
        (BotRule::NoAcceptLanguage, lacks("accept-language")),
        (BotRule::NoAccept, lacks("accept")),
        (
            BotRule::AcceptsAnything,
            headers.get("accept") == Some("*/*") && mode.is_none_or(|mode| mode == "navigate"),
        ),
        (
            BotRule::NoFetchMetadata,
            is_since(MIN_CHROMIUM_FETCH_METADATA) && mode.is_none() && lacks("sec-fetch-site"),
        ),
        (
            BotRule::NoClientHints,
            is_since(MIN_CHROMIUM_CLIENT_HINTS) && lacks("sec-ch-ua"),
        ),
        (
            BotRule::ContradictingHeaders,
            contradicts(circumstances.user_agent, chromium, headers),
        ),
    ];
    let fired = rules.into_iter().filter(|(_, fires)| *fires);
    fired.map(|(reason, _)| reason).collect()
}

/// Whether a browser asks for a page in case somebody wants it later: `Sec-Purpose` (WHATWG Fetch),
/// and what browsers sent before it.
#[must_use]
pub fn is_prefetch(headers: &RequestHeaders) -> bool {
    let says = |name: &str, word: &str| {
        let value = headers.get(name);
        value.is_some_and(|value| value.to_ascii_lowercase().contains(word))
    };
    says("sec-purpose", "prefetch")
        || says("purpose", "prefetch")
        || says("x-purpose", "preview")
        || says("x-moz", "prefetch")
}

/// The version of Chromium that a user agent claims.
fn chromium(user_agent: &str) -> Option<u32> {
    let (_, after) = user_agent.split_once(" Chrome/")?;
    let end = after.find(|c: char| !c.is_ascii_digit());
    after[..end.unwrap_or(after.len())].parse().ok()
}

/// Client hints (<https://wicg.github.io/ua-client-hints/>) come from Chromium and say what its
/// user agent says; fetch metadata (<https://w3c.github.io/webappsec-fetch-metadata/>) know few
/// combinations.
fn contradicts(user_agent: &str, chromium: Option<u32>, headers: &RequestHeaders) -> bool {
    let hint = |name| {
        headers
            .get(name)
            .map(|value: &str| value.trim().trim_matches('"'))
    };
    if let Some(brands) = headers.get("sec-ch-ua").filter(|brands| !brands.is_empty()) {
        // WebKit and Gecko send none; WebViews and other shells leave Chrome's name out.
        let is_other = ["Firefox/", "CriOS/", "FxiOS/"]
            .iter()
            .any(|name| user_agent.contains(name));
        if is_other || brands.contains("HeadlessChrome") {
            return true;
        }
        let told = version_of(brands, "Chromium");
        if let (Some(told), Some(claimed)) = (told, chromium)
            && told != claimed
        {
            return true;
        }
    }
    let early = chromium.is_some_and(|version| version < FIRST_CHROMIUM_FETCH_METADATA);
    if early && (headers.get("sec-fetch-mode").is_some() || headers.get("sec-ch-ua").is_some()) {
        return true;
    }
    let platform = hint("sec-ch-ua-platform").unwrap_or_default();
    let other_system = match platform {
        "Windows" => user_agent.contains("Macintosh") || user_agent.contains("iPhone"),
        "macOS" | "Android" => user_agent.contains("Windows NT") || user_agent.contains("iPhone"),
        "Linux" => user_agent.contains("Windows NT") || user_agent.contains("Macintosh"),
        _ => false,
    };
    let mobile = hint("sec-ch-ua-mobile") == Some("?1");
    let on_desk = user_agent.contains("Windows NT") && !user_agent.contains("Mobile");
    let dest = headers.get("sec-fetch-dest");
    let lost = headers.get("sec-fetch-mode") == Some("navigate")
        && dest.is_some_and(|dest| matches!(dest, "empty" | "image" | "script" | "style" | "font"));
    other_system || (mobile && on_desk) || lost
}

/// `"Chromium";v="142", …` → 142.
fn version_of(brands: &str, brand: &str) -> Option<u32> {
    let (_, after) = brands.split_once(brand)?;
    let (_, after) = after.split_once("v=\"")?;
    let end = after.find(|c: char| !c.is_ascii_digit())?;
    after[..end].parse().ok()
}
