//! What a user agent says about browser, system and device.

mod device;
mod hints;

pub use device::DeviceType;
pub use hints::Hints;

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
    /// Who makes the device, such as `Samsung`.
    pub brand: Option<String>,
    /// Which one it is, such as `SM-G991B`.
    pub model: Option<String>,
    /// Whether client hints told something that the user agent does not.
    pub is_hinted: bool,
}

/// As much of a user agent is looked at; browsers' are shorter.
const LONGEST: usize = 512;

/// Reads user agents with the expressions of uap-core (see `data/README.md`).
pub struct AgentReader {
    expressions: Extractor<'static>,
    devices: device::Devices,
}

impl AgentReader {
    /// Compiles the expressions; takes about 27 MB.
    #[must_use]
    pub fn new() -> Self {
        let list: Regexes<'static> = serde_json::from_str(include_str!("../../data/uap-core.json"))
            .expect("the vendored list is complete; a test reads it");
        let expressions = Extractor::try_from(list);
        Self {
            expressions: expressions
                .expect("the vendored expressions compile; a test compiles them"),
            devices: device::Devices::default(),
        }
    }

    /// Reads one user agent; what client hints say takes its place.
    #[must_use]
    pub fn read(&self, user_agent: &str, hints: Option<&Hints>) -> Agent {
        let user_agent = &user_agent[..user_agent.floor_char_boundary(LONGEST)];
        let browser = self.expressions.ua.extract(user_agent);
        let os = self.expressions.os.extract(user_agent);
        let known = |family: &str| family != "Other" && !family.is_empty();
        let browser = browser.filter(|found| known(&found.family));
        let os = os.filter(|found| known(&found.os));
        let mut agent = Agent {
            browser_version: browser
                .as_ref()
                .and_then(|found| version(&[found.major, found.minor])),
            browser: browser.map(|found| found.family.into_owned()),
            os_version: os
                .as_ref()
                .and_then(|found| version(&[found.major.as_deref(), found.minor.as_deref()])),
            os: os.map(|found| found.os.into_owned()),
            ..Agent::default()
        };
        (agent.brand, agent.model) = self.device(user_agent);
        if let Some(hints) = hints {
            hints.correct(&mut agent);
            if let Some(model) = hints.model() {
                agent.brand = self.device(&as_user_agent(model)).0.or(agent.brand);
                agent.model = Some(model.to_owned());
            }
        }
        agent.device_type = self.devices.of(user_agent, &agent, hints);
        agent
    }

    /// Brand and model. Chrome hides the model of a phone behind the letter `K`.
    fn device(&self, user_agent: &str) -> (Option<String>, Option<String>) {
        let Some(found) = self.expressions.dev.extract(user_agent) else {
            return (None, None);
        };
        let text = |text: std::borrow::Cow<str>| {
            let name = text.trim();
            let tells =
                !matches!(name, "" | "K" | "Spider" | "Desktop") && !name.starts_with("Generic");
            tells.then(|| name.to_owned())
        };
        (found.brand.and_then(text), found.model.and_then(text))
    }
}

impl Default for AgentReader {
    fn default() -> Self {
        Self::new()
    }
}

/// A user agent in which the expressions look for a model.
fn as_user_agent(model: &str) -> String {
    format!(
        "Mozilla/5.0 (Linux; Android 14; {model}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"
    )
}

/// `["17", "4"]` → `17.4`; a missing part ends it.
fn version(parts: &[Option<&str>]) -> Option<String> {
    let given: Vec<&str> = parts.iter().map_while(|part| *part).collect();
    (!given.is_empty()).then(|| given.join("."))
}

#[cfg(test)]
mod tests;
