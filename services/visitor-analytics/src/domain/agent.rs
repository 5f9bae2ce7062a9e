//! What a user agent says about browser, system and device.

use ua_parser::{Extractor, Regexes};

/// A user agent, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    /// Browser, such as `Firefox`.
    pub browser: Option<String>,
    /// Its version, as far as given.
    pub browser_version: Option<String>,
    /// Operating system.
    pub os: Option<String>,
    /// Its version, as far as given.
    pub os_version: Option<String>,
    /// What is in the visitor's hands.
    pub device_type: DeviceType,
}

/// Kinds of device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceType {
    /// A computer on or under a desk, or on a lap.
    Desktop,
    /// A phone.
    Smartphone,
    /// A tablet.
    Tablet,
    /// A television, or a box beside one.
    Tv,
    /// A games console.
    Console,
    /// A watch.
    Wearable,
    /// Nothing that a person holds.
    Bot,
    /// Something else.
    #[default]
    Other,
}

impl DeviceType {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Smartphone => "smartphone",
            Self::Tablet => "tablet",
            Self::Tv => "tv",
            Self::Console => "console",
            Self::Wearable => "wearable",
            Self::Bot => "bot",
            Self::Other => "other",
        }
    }
}

/// Reads user agents with the expressions of uap-core (see `data/README.md`).
pub struct AgentReader(Extractor<'static>);

impl AgentReader {
    /// Compiles the expressions; takes about 27 MB.
    #[must_use]
    pub fn new() -> Self {
        let list: Regexes<'static> = serde_json::from_str(include_str!("../../data/uap-core.json"))
            .expect("the vendored list is complete; a test reads it");
        let extractor = Extractor::try_from(list);
        Self(extractor.expect("the vendored expressions compile; a test compiles them"))
    }

    /// Reads one user agent.
    #[must_use]
    pub fn read(&self, user_agent: &str) -> Agent {
        let browser = self.0.ua.extract(user_agent);
        let os = self.0.os.extract(user_agent);
        let known = |family: &str| family != "Other" && !family.is_empty();
        let browser = browser.filter(|found| known(&found.family));
        let os = os.filter(|found| known(&found.os));
        let os_name = os.as_ref().map(|found| found.os.clone().into_owned());
        Agent {
            device_type: device_type(user_agent, os_name.as_deref()),
            browser_version: browser
                .as_ref()
                .and_then(|found| version(&[found.major, found.minor])),
            browser: browser.map(|found| found.family.into_owned()),
            os_version: os
                .as_ref()
                .and_then(|found| version(&[found.major.as_deref(), found.minor.as_deref()])),
            os: os_name,
        }
    }
}

impl Default for AgentReader {
    fn default() -> Self {
        Self::new()
    }
}

/// `["17", "4"]` → `17.4`; a missing part ends it.
fn version(parts: &[Option<&str>]) -> Option<String> {
    let given: Vec<&str> = parts.iter().map_while(|part| *part).collect();
    (!given.is_empty()).then(|| given.join("."))
}

fn device_type(user_agent: &str, os: Option<&str>) -> DeviceType {
    let has = |mark: &str| user_agent.contains(mark);
    let any = |marks: &[&str]| marks.iter().any(|mark| has(mark));
    if any(&[
        "SmartTV",
        "SMART-TV",
        "Smart TV",
        "GoogleTV",
        "Google TV",
        "AppleTV",
        "Apple TV",
        "HbbTV",
        "Web0S",
        "NetCast",
        "BRAVIA",
        "AFTM",
        "AFTT",
        "AFTS",
        "CrKey",
        "Roku",
    ]) {
        return DeviceType::Tv;
    }
    if any(&["PlayStation", "PLAYSTATION", "Xbox", "Nintendo"]) {
        return DeviceType::Console;
    }
    if any(&["Apple Watch", "watchOS", "SM-R8", "Wear OS"]) {
        return DeviceType::Wearable;
    }
    if any(&["iPad", "Tablet", "PlayBook", "Kindle", "Silk/"]) {
        return DeviceType::Tablet;
    }
    match os {
        Some("Android") if !has("Mobile") => DeviceType::Tablet,
        Some(
            "iOS" | "Android" | "Windows Phone" | "BlackBerry OS" | "KaiOS" | "Firefox OS"
            | "Symbian OS",
        ) => DeviceType::Smartphone,
        _ if any(&["iPhone", "Mobile", "Opera Mini"]) => DeviceType::Smartphone,
        Some(
            "Windows" | "Mac OS X" | "Linux" | "Ubuntu" | "Fedora" | "Debian" | "Chrome OS"
            | "FreeBSD" | "OpenBSD" | "NetBSD",
        ) => DeviceType::Desktop,
        _ if any(&["X11", "Windows NT", "Macintosh"]) => DeviceType::Desktop,
        _ => DeviceType::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_browsers_are_read() {
        let reader = AgentReader::new();
        let cases = [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
                "Firefox 144.0 Windows 10 desktop",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
                "Mobile Safari 17.4 iOS 17.4 smartphone",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
                "Mobile Safari 16.6 iOS 16.6 tablet",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
                "Chrome Mobile 141.0 Android 10 smartphone",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
                "Chrome 141.0 Linux - desktop",
            ),
            ("", "- - - - other"),
        ];
        for (user_agent, expected) in cases {
            let agent = reader.read(user_agent);
            let part = |text: Option<String>| text.unwrap_or_else(|| "-".into());
            let found = [
                part(agent.browser),
                part(agent.browser_version),
                part(agent.os),
                part(agent.os_version),
                agent.device_type.as_str().into(),
            ];
            assert_eq!(found.join(" "), expected);
        }
    }
}
