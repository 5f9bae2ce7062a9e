//! The settings, from flags and environment variables. No other module reads the environment.

mod channel_limits;
mod channels;
mod daily_limits;
mod error;

use std::time::Duration;

use chassis::database::DatabaseArgs;
use chassis::settings::{ServiceArgs, http_url, secret};
use clap::{Parser, Subcommand, ValueEnum};
use secrecy::SecretString;
use url::Url;

use crate::clients::callback_keys::CallbackKeys;
use crate::clients::twilio::{TwilioSender, TwilioSettings};
use crate::clients::vonage::VonageSettings;
use crate::domain::phone::PhoneNumber;
use crate::domain::recipient::DefaultRecipient;

pub use self::channel_limits::ChannelLimitArgs;
pub use self::channels::ChannelArgs;
pub use self::daily_limits::DailyLimitArgs;
pub use error::ConfigError;

/// The name of the service, the audience of its tokens, and its schema in the database.
pub const SERVICE_NAME: &str = "notification";

// Flattened groups have no doc comment: clap would print it as the description of the program.
/// Notification service: selects recipients by rules, and delivers the messages.
#[derive(Clone, Debug, Parser)]
#[command(name = "notification", version)]
pub struct Config {
    #[command(flatten)]
    pub service: ServiceArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub sms: SmsArgs,
    #[command(flatten)]
    pub channels: ChannelArgs,
    #[command(flatten)]
    pub limits: DailyLimitArgs,
    #[command(flatten)]
    pub flow: ChannelLimitArgs,
    /// Days to keep notifications with their deliveries and attempts (2 to 36500).
    #[arg(long, env = "NOTIFICATION_RETENTION_DAYS", default_value = "90", value_parser = clap::value_parser!(u32).range(2..=36_500))]
    pub notification_retention_days: u32,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Clone, Copy, Debug, Default, Subcommand)]
pub enum Command {
    /// Serve requests and send due deliveries (default).
    #[default]
    Serve,
    /// Migrate the database schema to this version, then exit.
    Migrate,
}

/// Settings for text messages.
#[derive(Clone, Debug, clap::Args)]
pub struct SmsArgs {
    /// Providers for text messages, separated by commas, in the order they are tried. `log` prints
    /// messages to the log and excludes the others. Default: twilio if `SMS_API_KEY` is set, else
    /// log.
    #[arg(long, env = "SMS_PROVIDER", value_delimiter = ',')]
    pub sms_provider: Vec<SmsProvider>,
    /// Twilio auth token, or the secret of the API key in `TWILIO_API_KEY_SID`.
    #[arg(long, env = "SMS_API_KEY", hide_env_values = true, value_parser = secret)]
    pub sms_api_key: Option<SecretString>,
    /// Sender of text messages: a phone number such as +15550100067, or for Twilio the SID of a
    /// messaging service (MG…).
    #[arg(long, env = "SMS_FROM", hide_env_values = true)]
    pub sms_from: Option<String>,
    /// Timeout for requests to the SMS provider in seconds (1 to 20).
    #[arg(long, env = "SMS_TIMEOUT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=20))]
    pub sms_timeout: u64,
    /// SID of the Twilio account (AC…).
    #[arg(long, env = "TWILIO_ACCOUNT_SID", value_parser = sid_parser("AC"), requires = "sms_api_key")]
    pub twilio_account_sid: Option<String>,
    /// SID of a Twilio API key (SK…), if `SMS_API_KEY` is its secret and not the auth token.
    #[arg(long, env = "TWILIO_API_KEY_SID", value_parser = sid_parser("SK"), requires = "sms_api_key")]
    pub twilio_api_key_sid: Option<String>,
    /// Twilio auth token to verify the signatures of callbacks. Required for callbacks if
    /// `SMS_API_KEY` is the secret of an API key.
    #[arg(long, env = "TWILIO_AUTH_TOKEN", hide_env_values = true, value_parser = secret)]
    pub twilio_auth_token: Option<SecretString>,
    /// Base URL of the Twilio API.
    #[arg(
        long,
        env = "TWILIO_BASE_URL",
        default_value = "https://api.twilio.com",
        value_parser = http_url
    )]
    pub twilio_base_url: Url,
    /// Vonage API key.
    #[arg(
        long,
        env = "VONAGE_API_KEY",
        hide_env_values = true,
        requires = "vonage_api_secret"
    )]
    pub vonage_api_key: Option<String>,
    /// Vonage API secret.
    #[arg(long, env = "VONAGE_API_SECRET", hide_env_values = true, value_parser = secret, requires = "vonage_api_key")]
    pub vonage_api_secret: Option<SecretString>,
    /// Vonage signature secret to verify callbacks (signature method: SHA-256 HMAC).
    #[arg(long, env = "VONAGE_SIGNATURE_SECRET", hide_env_values = true, value_parser = secret)]
    pub vonage_signature_secret: Option<SecretString>,
    /// Base URL of the Vonage SMS API.
    #[arg(
        long,
        env = "VONAGE_BASE_URL",
        default_value = "https://rest.nexmo.com",
        value_parser = http_url
    )]
    pub vonage_base_url: Url,
    /// Base URL of the Vonage Reports API, which is queried for messages whose outcome is unknown.
    #[arg(
        long,
        env = "VONAGE_REPORTS_URL",
        default_value = "https://api.nexmo.com",
        value_parser = http_url
    )]
    pub vonage_reports_url: Url,
    /// Phone number that receives notifications without a recipient, such as +15550100067. If it is
    /// not set, they are printed to the log.
    #[arg(long, env = "NOTIFICATION_PHONE_NUMBER", hide_env_values = true)]
    pub notification_phone_number: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SmsProvider {
    /// Print messages to the log.
    Log,
    Twilio,
    Vonage,
}

impl Config {
    /// Describes the stand-ins that are in use, and the settings that replace them.
    #[must_use]
    pub fn stand_ins(&self) -> Vec<String> {
        let texts = match (
            self.sms.providers()[..] == [SmsProvider::Log],
            &self.sms.sms_api_key,
        ) {
            (false, _) => None,
            (true, None) => Some("text messages: printed to the log (SMS_API_KEY is not set)"),
            (true, Some(_)) => Some("text messages: printed to the log (SMS_PROVIDER is log)"),
        };
        let emails = self.channels.smtp_url.is_none();
        let emails = emails.then_some("emails: printed to the log (SMTP_URL is not set)");
        let phone = self.sms.notification_phone_number.is_none();
        let phone =
            phone.then_some("default recipient: the log (NOTIFICATION_PHONE_NUMBER is not set)");
        texts
            .into_iter()
            .chain(emails)
            .chain(phone)
            .map(Into::into)
            .collect()
    }
}

impl Config {
    #[must_use]
    pub fn callback_keys(&self) -> CallbackKeys {
        let own = self.sms.sms_api_key.clone();
        let own = own.filter(|_| self.sms.twilio_api_key_sid.is_none());
        CallbackKeys {
            public_url: self.channels.public_url.clone(),
            twilio_auth_token: self.sms.twilio_auth_token.clone().or(own),
            vonage_signature_secret: self.sms.vonage_signature_secret.clone(),
        }
    }

    /// The URL to which a provider reports the status of messages; `None` without `PUBLIC_URL`.
    #[must_use]
    pub fn callback_url(&self, provider: &str) -> Option<Url> {
        let public = self.channels.public_url.as_ref()?;
        let base = public.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/callbacks/{provider}")).ok()
    }
}

impl SmsArgs {
    /// The providers for text messages in the order they are tried; never empty.
    #[must_use]
    pub fn providers(&self) -> Vec<SmsProvider> {
        match (&self.sms_provider[..], &self.sms_api_key) {
            ([], Some(_)) => vec![SmsProvider::Twilio],
            ([], None) => vec![SmsProvider::Log],
            (named, _) if named.contains(&SmsProvider::Log) => vec![SmsProvider::Log],
            (named, _) => named.to_vec(),
        }
    }

    /// Vonage's settings; `None` if Vonage is not a provider.
    pub fn vonage_settings(&self) -> Result<Option<VonageSettings>, ConfigError> {
        if !self.providers().contains(&SmsProvider::Vonage) {
            return Ok(None);
        }
        let missing = ConfigError::MissingForVonage;
        Ok(Some(VonageSettings {
            base_url: self.vonage_base_url.clone(),
            reports_url: self.vonage_reports_url.clone(),
            api_key: self
                .vonage_api_key
                .clone()
                .ok_or(missing("VONAGE_API_KEY"))?,
            api_secret: self
                .vonage_api_secret
                .clone()
                .ok_or(missing("VONAGE_API_SECRET"))?,
            from: self.sms_from.clone().ok_or(missing("SMS_FROM"))?,
            callback_url: None,
            timeout: Duration::from_secs(self.sms_timeout),
        }))
    }

    /// Twilio's settings; `None` if Twilio is not a provider.
    pub fn twilio_settings(&self) -> Result<Option<TwilioSettings>, ConfigError> {
        if !self.providers().contains(&SmsProvider::Twilio) {
            return Ok(None);
        }
        let secret = self.sms_api_key.clone();
        let account = self.twilio_account_sid.clone();
        let from = self.sms_from.as_deref();
        Ok(Some(TwilioSettings {
            base_url: self.twilio_base_url.clone(),
            account_sid: account.ok_or(ConfigError::MissingForTwilio("TWILIO_ACCOUNT_SID"))?,
            api_key: self.twilio_api_key_sid.clone(),
            secret: secret.ok_or(ConfigError::MissingForTwilio("SMS_API_KEY"))?,
            callback_url: None,
            sender: parse_sender(from.ok_or(ConfigError::MissingForTwilio("SMS_FROM"))?)?,
            timeout: Duration::from_secs(self.sms_timeout),
        }))
    }

    /// The recipient of notifications without a recipient.
    pub fn default_recipient(&self) -> Result<DefaultRecipient, ConfigError> {
        let number = self.notification_phone_number.as_deref();
        let phone = number.map(str::parse::<PhoneNumber>).transpose();
        let phone = phone.map_err(ConfigError::InvalidPhoneNumber)?;
        Ok(DefaultRecipient { phone })
    }
}

fn parse_sender(text: &str) -> Result<TwilioSender, ConfigError> {
    if is_sid("MG", text) {
        return Ok(TwilioSender::Service(text.to_owned()));
    }
    let number = text.parse().map(TwilioSender::Number);
    number.map_err(|_| ConfigError::InvalidSender)
}

/// Returns a `value_parser` for a Twilio SID that begins with `prefix`.
fn sid_parser(
    prefix: &'static str,
) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync {
    move |text| {
        let text = text.trim();
        let good = is_sid(prefix, text).then(|| text.to_owned());
        good.ok_or_else(|| format!("expected {prefix} and 32 hexadecimal digits"))
    }
}

fn is_sid(prefix: &str, text: &str) -> bool {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::phone::InvalidPhoneNumber;

    fn sms(more: &[&str]) -> SmsArgs {
        let mut args = vec!["notification", "--database-url", "postgres://localhost/x"];
        args.extend(more);
        Config::try_parse_from(args).unwrap().sms
    }

    #[test]
    fn twilio_is_chosen_by_its_key_and_complete_or_refused() {
        let account = &format!("--twilio-account-sid=AC{}", "0".repeat(32));
        assert_eq!(sms(&[]).providers(), [SmsProvider::Log]);
        let missing = |more: &[&str]| sms(more).twilio_settings().map(|_| ()).unwrap_err();
        let key = "--sms-api-key=k";
        assert_eq!(
            missing(&[key]),
            ConfigError::MissingForTwilio("TWILIO_ACCOUNT_SID")
        );
        assert_eq!(
            missing(&[key, account]),
            ConfigError::MissingForTwilio("SMS_FROM")
        );
        assert_eq!(
            missing(&[key, account, "--sms-from=Shop"]),
            ConfigError::InvalidSender
        );
        let complete = sms(&[key, account, "--sms-from=+15550100001"]);
        assert!(complete.twilio_settings().unwrap().is_some());
        let log = sms(&[key, "--sms-provider=log"]);
        assert!(log.twilio_settings().unwrap().is_none());
    }

    #[test]
    fn the_phone_is_a_phone() {
        let phone = |number| sms(&["--notification-phone-number", number]).default_recipient();
        assert!(phone("+15550100067").is_ok());
        let written = phone("+1 (555) 010-0067").unwrap().phone;
        assert_eq!(written.unwrap().as_str(), "+15550100067");
        assert_eq!(
            phone("555-0100").map(|_| ()).unwrap_err(),
            ConfigError::InvalidPhoneNumber(InvalidPhoneNumber::NoCountryCode)
        );
    }
}
