//! Rules about the request headers. They apply only if the client sent the headers with the visit.
//!
//! An old protocol version is no evidence, because a proxy may have caused it.

use user_agent::RequestHeaders;

use crate::rule::BotRule;
use crate::signals::VisitSignals;

/// Chromium sends `Sec-Fetch-*` over HTTPS since this version.
const MIN_CHROMIUM_FETCH_METADATA: u32 = 80;
/// Chromium sends `Sec-CH-UA` over HTTPS since version 89; the rule applies one version later.
const MIN_CHROMIUM_CLIENT_HINTS: u32 = 90;
/// Chromium before this version sends neither.
const FIRST_CHROMIUM_FETCH_METADATA: u32 = 76;

pub(super) fn evaluate(signals: &VisitSignals) -> Vec<BotRule> {
    let Some(headers) = signals.headers else {
        return vec![];
    };
    let chromium = chromium_version(signals.user_agent);
    let is_since = |version| signals.is_secure && chromium.is_some_and(|v| v >= version);
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
            has_contradiction(signals.user_agent, chromium, headers),
        ),
    ];
    let fired = rules.into_iter().filter(|(_, fires)| *fires);
    fired.map(|(reason, _)| reason).collect()
}

/// Whether the browser fetches the page before the visitor opens it: `Sec-Purpose` (WHATWG Fetch)
/// or one of its predecessors.
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

/// Returns the major version of Chromium in the user agent.
fn chromium_version(user_agent: &str) -> Option<u32> {
    let (_, after) = user_agent.split_once(" Chrome/")?;
    let end = after.find(|c: char| !c.is_ascii_digit());
    after[..end.unwrap_or(after.len())].parse().ok()
}

/// Whether the headers contradict the user agent or each other. Only Chromium sends client hints
/// (<https://wicg.github.io/ua-client-hints/>), and they agree with its user agent. Only few
/// combinations of fetch metadata (<https://w3c.github.io/webappsec-fetch-metadata/>) are possible.
fn has_contradiction(user_agent: &str, chromium: Option<u32>, headers: &RequestHeaders) -> bool {
    let hint = |name| {
        headers
            .get(name)
            .map(|value: &str| value.trim().trim_matches('"'))
    };
    if let Some(brands) = headers.get("sec-ch-ua").filter(|brands| !brands.is_empty()) {
        // WebKit and Gecko send no client hints. The brands of WebViews and other browsers based on
        // Chromium do not contain `Google Chrome`.
        let is_other = ["Firefox/", "CriOS/", "FxiOS/"]
            .iter()
            .any(|name| user_agent.contains(name));
        if is_other || brands.contains("HeadlessChrome") {
            return true;
        }
        let told = brand_version(brands, "Chromium");
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

/// Returns the major version of a brand: 142 for `"Chromium";v="142", …`.
fn brand_version(brands: &str, brand: &str) -> Option<u32> {
    let (_, after) = brands.split_once(brand)?;
    let (_, after) = after.split_once("v=\"")?;
    let end = after.find(|c: char| !c.is_ascii_digit())?;
    after[..end].parse().ok()
}
