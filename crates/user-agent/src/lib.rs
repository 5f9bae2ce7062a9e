//! What a user agent says about browser, system and device.
//!
//! The names come from the expressions of uap-core. Client hints, where a browser sends them,
//! replace what the user agent hides. [`regex_set`] searches hundreds of expressions in one pass;
//! bot detection uses it too. The crate does no I/O.
//!
//! ```
//! use user_agent::{DeviceType, UserAgentParser};
//!
//! let parser = UserAgentParser::new();
//! let agent = parser.parse(
//!     "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 \
//!      (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
//!     None,
//! );
//! assert_eq!(agent.os.as_deref(), Some("iOS"));
//! assert_eq!(agent.browser_version.as_deref(), Some("17.4"));
//! assert_eq!(agent.device_type, DeviceType::Smartphone);
//! ```
#![forbid(unsafe_code)]

mod device_matcher;
mod device_type;
mod headers;
mod hints;
pub mod regex_set;
mod regexes;
mod user_agent;

pub use device_type::DeviceType;
pub use headers::RequestHeaders;
pub use hints::ClientHints;
pub use regexes::{CandidateRegexes, RegexKind, RegexMatch, UserAgentRegexes};
pub use user_agent::UserAgent;

use device_matcher::{DeviceMatcher, device_comment};

/// The rest of a longer user agent is ignored. Browsers send fewer bytes.
const MAX_USER_AGENT_BYTES: usize = 400;

#[derive(Default)]
pub struct UserAgentParser {
    regexes: UserAgentRegexes,
    device_matcher: DeviceMatcher,
}

impl UserAgentParser {
    /// Reads the vendored regexes. Each regex is compiled when it is used for the first time.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses a user agent. Client hints take precedence over the user agent.
    #[must_use]
    pub fn parse(&self, user_agent: &str, hints: Option<&ClientHints>) -> UserAgent {
        let user_agent = truncate_user_agent(user_agent);
        let found = self.regexes.candidates(user_agent);
        // The lists also name bots, by words that may stand in the name of a device (`M bot 51`).
        let device = &user_agent[device_comment(user_agent)];
        let is_browser = |name: &str| {
            let name_words = name.to_ascii_lowercase();
            let names_bot = ["bot", "spider", "crawl"]
                .iter()
                .any(|word| name_words.contains(word));
            !(names_bot && device.contains("Android") && device.contains(name))
        };
        let browser = found.find_where(RegexKind::Browsers, is_browser);
        let (browser, browser_version) = name_and_version(browser);
        let agent = UserAgent {
            browser,
            browser_version,
            ..UserAgent::default()
        };
        self.fill_os_and_device(agent, &found, user_agent, hints)
    }

    /// Parses the user agent of a bot. The browser is the bot's `name`, not the one it claims.
    #[must_use]
    pub fn parse_bot(
        &self,
        name: Option<&str>,
        user_agent: &str,
        hints: Option<&ClientHints>,
    ) -> UserAgent {
        let user_agent = truncate_user_agent(user_agent);
        let agent = UserAgent {
            browser: name.map(str::to_owned),
            ..UserAgent::default()
        };
        let found = self.regexes.candidates(user_agent);
        self.fill_os_and_device(agent, &found, user_agent, hints)
    }

    /// Fills in all fields except the browser.
    fn fill_os_and_device(
        &self,
        mut agent: UserAgent,
        found: &CandidateRegexes,
        user_agent: &str,
        hints: Option<&ClientHints>,
    ) -> UserAgent {
        (agent.os, agent.os_version) = name_and_version(found.find(RegexKind::OperatingSystems));
        (agent.brand, agent.model) = brand_and_model(found);
        if let Some(hints) = hints {
            hints.apply_to(&mut agent);
            if let Some(model) = hints.model() {
                let brand =
                    brand_and_model(&self.regexes.candidates(&user_agent_with_model(model))).0;
                agent.brand = brand.or(agent.brand);
                agent.model = Some(model.to_owned());
            }
        }
        agent.device_type = self.device_matcher.device_type(user_agent, &agent, hints);
        agent
    }
}

fn truncate_user_agent(user_agent: &str) -> &str {
    &user_agent[..user_agent.floor_char_boundary(MAX_USER_AGENT_BYTES)]
}

/// Returns the name and the version as `major` or `major.minor`.
fn name_and_version(found: Option<RegexMatch>) -> (Option<String>, Option<String>) {
    let found = found.filter(|(name, _)| !name.is_empty() && name != "Other");
    let Some((name, [major, minor, ..])) = found else {
        return (None, None);
    };
    let version = major.map(|major| match minor {
        Some(minor) => format!("{major}.{minor}"),
        None => major,
    });
    (Some(name), version)
}

/// Returns brand and model. Chrome reports every phone's model as `K`, which is dropped, as are
/// words that are no names.
fn brand_and_model(found: &CandidateRegexes) -> (Option<String>, Option<String>) {
    let Some((_, [brand, model, ..])) = found.find(RegexKind::Devices) else {
        return (None, None);
    };
    let telling = |text: String| {
        let name = text.trim();
        let tells = !matches!(
            name,
            "" | "K" | "Spider" | "Desktop" | "Browser" | "Smartphone" | "Tablet"
        ) && !name.starts_with("Generic");
        tells.then(|| name.to_owned())
    };
    (brand.and_then(telling), model.and_then(telling))
}

/// Puts a model into the user agent of Chrome on Android, where the regexes expect it.
fn user_agent_with_model(model: &str) -> String {
    format!(
        "Mozilla/5.0 (Linux; Android 14; {model}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"
    )
}

#[cfg(test)]
mod tests;
