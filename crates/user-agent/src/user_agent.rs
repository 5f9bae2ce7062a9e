//! The result of parsing a user agent.

use crate::device_type::DeviceType;

/// A parsed user agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAgent {
    /// The family, such as `Firefox`. For a bot, the name of the bot.
    pub browser: Option<String>,
    /// At most two components, such as `17.4`.
    pub browser_version: Option<String>,
    pub os: Option<String>,
    /// At most two components, such as `17.4`.
    pub os_version: Option<String>,
    pub device_type: DeviceType,
    /// The manufacturer, such as `Samsung`.
    pub brand: Option<String>,
    /// The model, such as `SM-G991B`.
    pub model: Option<String>,
    /// Whether client hints added or changed a value.
    pub is_hinted: bool,
}
