//! Client hints (<https://wicg.github.io/ua-client-hints/>). Chromium's user agent is frozen to
//! `Windows NT 10.0`, `Android 10; K` and `10_15_7`; the hints hold the real values.

use crate::headers::RequestHeaders;
use crate::user_agent::UserAgent;

/// A longer `Sec-CH-UA-Model` is ignored.
const MAX_MODEL_BYTES: usize = 64;

/// The client hints of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientHints {
    /// `Sec-CH-UA-Platform`.
    platform: String,
    /// `Sec-CH-UA-Platform-Version`.
    platform_version: String,
    /// `Sec-CH-UA-Model`.
    model: String,
    /// `Sec-CH-UA-Form-Factors`.
    form_factors: String,
    /// `Sec-CH-UA-Full-Version-List` if the request has it, else `Sec-CH-UA`.
    brands: String,
    /// `Sec-CH-UA-Mobile`.
    is_mobile: Option<bool>,
}

/// Brands in the hints and the browser names that the reports use.
const BRAND_NAMES: [(&str, &str); 8] = [
    ("Brave", "Brave"),
    ("Microsoft Edge", "Edge"),
    ("Opera GX", "Opera GX"),
    ("Opera", "Opera"),
    ("Vivaldi", "Vivaldi"),
    ("YaBrowser", "Yandex Browser"),
    ("DuckDuckGo", "DuckDuckGo"),
    ("Samsung Internet", "Samsung Internet"),
];

impl ClientHints {
    /// Reads the hints from the headers. Returns `None` without a list of brands.
    #[must_use]
    pub fn from_headers(headers: &RequestHeaders) -> Option<Self> {
        let text = |name| {
            let value = headers.get(name).unwrap_or_default().trim();
            value.trim_matches('"').trim().to_owned()
        };
        let brands = headers.get("sec-ch-ua-full-version-list");
        let hints = Self {
            platform: text("sec-ch-ua-platform"),
            platform_version: text("sec-ch-ua-platform-version"),
            model: text("sec-ch-ua-model"),
            form_factors: text("sec-ch-ua-form-factors"),
            brands: brands.or(headers.get("sec-ch-ua"))?.to_owned(),
            is_mobile: match headers.get("sec-ch-ua-mobile").map(str::trim) {
                Some("?1") => Some(true),
                Some("?0") => Some(false),
                _ => None,
            },
        };
        Some(hints)
    }

    /// Returns the model, unless it is missing, hidden (`K`) or malformed.
    pub(super) fn model(&self) -> Option<&str> {
        let sound = !self.model.is_empty() && self.model.len() <= MAX_MODEL_BYTES;
        let plain = !self
            .model
            .contains(|c: char| c.is_control() || "()\\;".contains(c));
        (sound && plain && self.model != "K").then_some(self.model.as_str())
    }

    pub(super) fn has_form_factor(&self, form: &str) -> bool {
        self.form_factors.contains(form)
    }

    pub(super) fn is_mobile(&self) -> Option<bool> {
        self.is_mobile
    }

    /// Replaces the values of the user agent by those of the hints.
    pub(super) fn apply_to(&self, agent: &mut UserAgent) {
        let before = agent.clone();
        if let Some((os, version)) = self.os_and_version() {
            if agent.os.as_deref() != Some(os) {
                agent.os_version = None;
            }
            agent.os = Some(os.to_owned());
            agent.os_version = version.or(agent.os_version.take());
        }
        let told = BRAND_NAMES
            .iter()
            .find(|(brand, _)| self.brand_version(brand).is_some());
        if let Some((brand, browser)) = told
            && before
                .browser
                .as_deref()
                .is_some_and(|name| name.starts_with("Chrome"))
        {
            agent.browser = Some((*browser).to_owned());
            agent.browser_version = self.brand_version(brand).map(major_minor);
        }
        agent.is_hinted = *agent != before || self.model().is_some();
    }

    /// Returns the operating system and its version.
    fn os_and_version(&self) -> Option<(&'static str, Option<String>)> {
        let mut parts = self.platform_version.split('.').map(str::parse::<u32>);
        let major = parts.next().and_then(Result::ok);
        let minor = parts.next().and_then(Result::ok);
        let version = major.map(|major| match minor {
            Some(minor) if minor > 0 => format!("{major}.{minor}"),
            _ => major.to_string(),
        });
        match self.platform.as_str() {
            "Windows" => Some(("Windows", windows_version(major, minor))),
            "macOS" => Some(("Mac OS X", version)),
            "Android" => Some(("Android", version)),
            "iOS" => Some(("iOS", version)),
            "Chrome OS" | "Chromium OS" => Some(("Chrome OS", version)),
            _ => None,
        }
    }

    /// Returns the version of a brand: `142.0.1.2` for `"Brave";v="142.0.1.2"`.
    fn brand_version(&self, brand: &str) -> Option<&str> {
        let mut entries = self.brands.split(',');
        entries.find_map(|entry| {
            let rest = entry.trim().strip_prefix('"')?.strip_prefix(brand)?;
            let rest = rest.strip_prefix("\";v=\"")?;
            rest.split('"').next()
        })
    }
}

/// Shortens `142.0.1.2` to `142.0`.
fn major_minor(version: &str) -> String {
    let parts: Vec<&str> = version.split('.').take(2).collect();
    parts.join(".")
}

/// Maps the version of the Windows API contract to the Windows version
/// (<https://learn.microsoft.com/microsoft-edge/web-platform/how-to-detect-win11>).
fn windows_version(major: Option<u32>, minor: Option<u32>) -> Option<String> {
    let name = match (major?, minor) {
        (0, Some(1)) => "7",
        (0, Some(2)) => "8",
        (0, Some(3)) => "8.1",
        (0, _) => return None,
        (1..=12, _) => "10",
        _ => "11",
    };
    Some(name.to_owned())
}
