//! What a user agent says about browser, system and device.
//!
//! The names come from the expressions of uap-core. Client hints, where a browser sends them,
//! replace what the user agent hides. [`expressions`] searches hundreds of expressions in one pass;
//! bot detection uses it too. The crate does no I/O.
//!
//! ```
//! use user_agent::{DeviceType, UserAgentParser};
//!
//! let parser = UserAgentParser::new();
//! let agent = parser.read(
//!     "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 \
//!      (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
//!     None,
//! );
//! assert_eq!(agent.os.as_deref(), Some("iOS"));
//! assert_eq!(agent.browser_version.as_deref(), Some("17.4"));
//! assert_eq!(agent.device_type, DeviceType::Smartphone);
//! ```
#![forbid(unsafe_code)]

mod device;
pub mod expressions;
mod headers;
mod hints;
mod lists;

pub use device::DeviceType;
pub use headers::RequestHeaders;
pub use hints::ClientHints;
pub use lists::{CandidateRegexes, RegexKind, RegexMatch, UserAgentRegexes};

/// A user agent, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAgent {
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
    /// Who makes the device, such as `Samsung`.
    pub brand: Option<String>,
    /// Which one it is, such as `SM-G991B`.
    pub model: Option<String>,
    /// Whether client hints told something that the user agent does not.
    pub is_hinted: bool,
}

/// As much of a user agent is looked at; browsers' are shorter.
const MAX_USER_AGENT_BYTES: usize = 400;

/// Reads user agents.
#[derive(Default)]
pub struct UserAgentParser {
    lists: UserAgentRegexes,
    devices: device::DeviceMatcher,
}

impl UserAgentParser {
    /// Prepares the lists.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one user agent; what client hints say takes its place.
    #[must_use]
    pub fn read(&self, user_agent: &str, hints: Option<&ClientHints>) -> UserAgent {
        let user_agent = head(user_agent);
        let found = self.lists.candidates(user_agent);
        let (browser, browser_version) = named(found.find(RegexKind::Browsers));
        let agent = UserAgent {
            browser,
            browser_version,
            ..UserAgent::default()
        };
        self.complete(agent, &found, user_agent, hints)
    }

    /// Reads a bot's user agent: its name stands for the browser that it claims to be.
    #[must_use]
    pub fn read_bot(
        &self,
        name: Option<&str>,
        user_agent: &str,
        hints: Option<&ClientHints>,
    ) -> UserAgent {
        let user_agent = head(user_agent);
        let agent = UserAgent {
            browser: name.map(str::to_owned),
            ..UserAgent::default()
        };
        let found = self.lists.candidates(user_agent);
        self.complete(agent, &found, user_agent, hints)
    }

    /// Adds everything but the browser.
    fn complete(
        &self,
        mut agent: UserAgent,
        found: &CandidateRegexes,
        user_agent: &str,
        hints: Option<&ClientHints>,
    ) -> UserAgent {
        (agent.os, agent.os_version) = named(found.find(RegexKind::Systems));
        (agent.brand, agent.model) = device(found);
        if let Some(hints) = hints {
            hints.correct(&mut agent);
            if let Some(model) = hints.model() {
                let brand = device(&self.lists.candidates(&as_user_agent(model))).0;
                agent.brand = brand.or(agent.brand);
                agent.model = Some(model.to_owned());
            }
        }
        agent.device_type = self.devices.of(user_agent, &agent, hints);
        agent
    }
}

fn head(user_agent: &str) -> &str {
    &user_agent[..user_agent.floor_char_boundary(MAX_USER_AGENT_BYTES)]
}

/// A name, and as much of its version as is of interest: `17.4`.
fn named(found: Option<RegexMatch>) -> (Option<String>, Option<String>) {
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

/// Brand and model. Chrome hides the model of a phone behind the letter `K`.
fn device(found: &CandidateRegexes) -> (Option<String>, Option<String>) {
    let Some((_, [brand, model, ..])) = found.find(RegexKind::Devices) else {
        return (None, None);
    };
    let telling = |text: String| {
        let name = text.trim();
        let tells =
            !matches!(name, "" | "K" | "Spider" | "Desktop") && !name.starts_with("Generic");
        tells.then(|| name.to_owned())
    };
    (brand.and_then(telling), model.and_then(telling))
}

/// A user agent in which the expressions look for a model.
fn as_user_agent(model: &str) -> String {
    format!(
        "Mozilla/5.0 (Linux; Android 14; {model}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"
    )
}

#[cfg(test)]
mod tests;
