//! The only reader of the environment.

mod channels;
mod flow;
mod limits;

use std::time::Duration;

use chassis::database::DatabaseArgs;
use chassis::settings::{ServiceArgs, http_url, secret};
use clap::{Parser, Subcommand, ValueEnum};
use secrecy::SecretString;
use url::Url;

use crate::clients::twilio::{TwilioSender, TwilioSettings as Twilio};
use crate::clients::vonage::VonageSettings as Vonage;
use crate::domain::decision::DefaultRecipient;
use crate::domain::phone::PhoneNumber;

pub use self::channels::ChannelArgs;
pub use self::flow::ChannelLimitArgs;
pub use self::limits::DailyLimitArgs;

/// Says it: the right message, once, on time.
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
    /// Days after which notifications are deleted, with their deliveries and attempts.
    #[arg(long, env = "NOTIFICATION_RETENTION_DAYS", default_value = "90", value_parser = clap::value_parser!(u32).range(2..=36_500))]
    pub notification_retention_days: u32,
    /// What to do; without it, serve.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the process does.
#[derive(Clone, Copy, Debug, Default, Subcommand)]
pub enum Command {
    /// Answer requests and send what is due.
    #[default]
    Serve,
    /// Bring the database's schema to the newest version.
    Migrate,
}

/// How text messages go out.
#[derive(Clone, Debug, clap::Args)]
pub struct SmsArgs {
    /// Who sends text messages: log, which only prints them, or twilio, vonage or both, with a
    /// comma, in the order they are asked; without it twilio where its key is set, else log.
    #[arg(long, env = "SMS_PROVIDER", value_delimiter = ',')]
    pub sms_provider: Vec<SmsProvider>,
    /// Twilio's auth token, or the secret of an API key of the account.
    #[arg(long, env = "SMS_API_KEY", hide_env_values = true, value_parser = secret)]
    pub sms_api_key: Option<SecretString>,
    /// The sender: a number such as +15550100067, or a messaging service (MG…).
    #[arg(long, env = "SMS_FROM", hide_env_values = true)]
    pub sms_from: Option<String>,
    /// How many seconds the provider may take to answer.
    #[arg(long, env = "SMS_TIMEOUT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=20))]
    pub sms_timeout: u64,
    /// The Twilio account (AC…).
    #[arg(long, env = "TWILIO_ACCOUNT_SID", value_parser = sid("AC"), requires = "sms_api_key")]
    pub twilio_account_sid: Option<String>,
    /// The API key (SK…) whose secret is given instead of the auth token.
    #[arg(long, env = "TWILIO_API_KEY_SID", value_parser = sid("SK"), requires = "sms_api_key")]
    pub twilio_api_key_sid: Option<String>,
    /// The account's auth token, which Twilio signs its callbacks with; needed where `SMS_API_KEY`
    /// is an API key's secret.
    #[arg(long, env = "TWILIO_AUTH_TOKEN", hide_env_values = true, value_parser = secret)]
    pub twilio_auth_token: Option<SecretString>,
    /// Where Twilio's API is.
    #[arg(
        long,
        env = "TWILIO_BASE_URL",
        default_value = "https://api.twilio.com",
        value_parser = http_url
    )]
    pub twilio_base_url: Url,
    /// Vonage's API key.
    #[arg(
        long,
        env = "VONAGE_API_KEY",
        hide_env_values = true,
        requires = "vonage_api_secret"
    )]
    pub vonage_api_key: Option<String>,
    /// Vonage's API secret.
    #[arg(long, env = "VONAGE_API_SECRET", hide_env_values = true, value_parser = secret, requires = "vonage_api_key")]
    pub vonage_api_secret: Option<SecretString>,
    /// What Vonage signs its callbacks with, by sha256hmac.
    #[arg(long, env = "VONAGE_SIGNATURE_SECRET", hide_env_values = true, value_parser = secret)]
    pub vonage_signature_secret: Option<SecretString>,
    /// Where Vonage's API is.
    #[arg(
        long,
        env = "VONAGE_BASE_URL",
        default_value = "https://rest.nexmo.com",
        value_parser = http_url
    )]
    pub vonage_base_url: Url,
    /// Where Vonage's Reports API is, which is asked what became of a message in doubt.
    #[arg(
        long,
        env = "VONAGE_REPORTS_URL",
        default_value = "https://api.nexmo.com",
        value_parser = http_url
    )]
    pub vonage_reports_url: Url,
    /// The phone that is texted where a request names no recipient, such as +15550100067; without
    /// it the message is printed to the log.
    #[arg(long, env = "NOTIFICATION_PHONE_NUMBER", hide_env_values = true)]
    pub notification_phone_number: Option<String>,
}

/// Who sends text messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SmsProvider {
    /// Nobody: they are printed to the log.
    Log,
    /// Twilio.
    Twilio,
    /// Vonage.
    Vonage,
}

/// Settings that do not fit together or cannot be used. Phone numbers are not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Twilio needs this, too.
    #[error("{0} is not set; to send text messages by Twilio it must be")]
    Missing(&'static str),
    /// Vonage needs this, too.
    #[error("{0} is not set; to send text messages by Vonage it must be")]
    MissingForVonage(&'static str),
    /// The sender can be neither.
    #[error("SMS_FROM is neither a number such as +15550100067 nor a messaging service (MG…)")]
    Sender,
    /// The recipient cannot be texted.
    #[error("NOTIFICATION_PHONE_NUMBER is no phone number in E.164, such as +15550100067")]
    Phone,
    /// A limit cannot be read.
    #[error("LIMIT_PER_CHANNEL is no list such as sms=200,email=1000")]
    Limits,
    /// How fast channels send cannot be read.
    #[error("{0} is no list such as {1}")]
    Flow(&'static str, &'static str),
    /// What text messages may cost cannot be read.
    #[error("SMS_COST_CAP needs SMS_SEGMENT_PRICE, and both are numbers above 0")]
    Cost,
}

impl Config {
    /// What is a stand-in for something better, for people.
    #[must_use]
    pub fn stand_ins(&self) -> Vec<String> {
        let texts = match (
            self.sms.providers()[..] == [SmsProvider::Log],
            &self.sms.sms_api_key,
        ) {
            (false, _) => None,
            (true, None) => Some("texts: printed to the log (no SMS_API_KEY)"),
            (true, Some(_)) => Some("texts: printed to the log (SMS_PROVIDER is log)"),
        };
        let emails = self.channels.smtp_url.is_none();
        let emails = emails.then_some("emails: printed to the log (no SMTP_URL)");
        let phone = self.sms.notification_phone_number.is_none();
        let phone = phone.then_some(
            "recipient: the log, where a request names none (no NOTIFICATION_PHONE_NUMBER)",
        );
        texts
            .into_iter()
            .chain(emails)
            .chain(phone)
            .map(Into::into)
            .collect()
    }
}

/// What callbacks are checked with.
#[derive(Clone, Debug, Default)]
pub struct CallbackKeys {
    /// Where this service is reached from the internet.
    pub public_url: Option<Url>,
    /// The auth token of the Twilio account.
    pub twilio: Option<SecretString>,
    /// What Vonage signs with.
    pub vonage: Option<SecretString>,
}

impl Config {
    /// What callbacks are checked with.
    #[must_use]
    pub fn callback_keys(&self) -> CallbackKeys {
        let own = self.sms.sms_api_key.clone();
        let own = own.filter(|_| self.sms.twilio_api_key_sid.is_none());
        CallbackKeys {
            public_url: self.channels.public_url.clone(),
            twilio: self.sms.twilio_auth_token.clone().or(own),
            vonage: self.sms.vonage_signature_secret.clone(),
        }
    }

    /// Where a provider tells what became of messages.
    #[must_use]
    pub fn callback(&self, provider: &str) -> Option<Url> {
        let public = self.channels.public_url.as_ref()?;
        let base = public.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/callbacks/{provider}")).ok()
    }
}

impl SmsArgs {
    /// Who sends text messages, in the order they are asked; never empty.
    #[must_use]
    pub fn providers(&self) -> Vec<SmsProvider> {
        match (&self.sms_provider[..], &self.sms_api_key) {
            ([], Some(_)) => vec![SmsProvider::Twilio],
            ([], None) => vec![SmsProvider::Log],
            (named, _) if named.contains(&SmsProvider::Log) => vec![SmsProvider::Log],
            (named, _) => named.to_vec(),
        }
    }

    /// What Vonage needs, where it sends.
    pub fn vonage(&self) -> Result<Option<Vonage>, ConfigError> {
        if !self.providers().contains(&SmsProvider::Vonage) {
            return Ok(None);
        }
        let missing = ConfigError::MissingForVonage;
        Ok(Some(Vonage {
            base: self.vonage_base_url.clone(),
            reports: self.vonage_reports_url.clone(),
            key: self
                .vonage_api_key
                .clone()
                .ok_or(missing("VONAGE_API_KEY"))?,
            secret: self
                .vonage_api_secret
                .clone()
                .ok_or(missing("VONAGE_API_SECRET"))?,
            from: self.sms_from.clone().ok_or(missing("SMS_FROM"))?,
            callback: None,
            patience: Duration::from_secs(self.sms_timeout),
        }))
    }

    /// What Twilio needs, where it sends.
    pub fn twilio(&self) -> Result<Option<Twilio>, ConfigError> {
        if !self.providers().contains(&SmsProvider::Twilio) {
            return Ok(None);
        }
        let secret = self.sms_api_key.clone();
        let account = self.twilio_account_sid.clone();
        let from = self.sms_from.as_deref();
        Ok(Some(Twilio {
            base: self.twilio_base_url.clone(),
            account: account.ok_or(ConfigError::Missing("TWILIO_ACCOUNT_SID"))?,
            api_key: self.twilio_api_key_sid.clone(),
            secret: secret.ok_or(ConfigError::Missing("SMS_API_KEY"))?,
            callback: None,
            sender: sender(from.ok_or(ConfigError::Missing("SMS_FROM"))?)?,
            patience: Duration::from_secs(self.sms_timeout),
        }))
    }

    /// Whom to tell where a request names nobody.
    pub fn defaults(&self) -> Result<DefaultRecipient, ConfigError> {
        let number = self.notification_phone_number.as_deref();
        let phone = number.map(str::parse::<PhoneNumber>).transpose();
        let phone = phone.map_err(|_| ConfigError::Phone)?;
        Ok(DefaultRecipient { phone })
    }
}

fn sender(text: &str) -> Result<TwilioSender, ConfigError> {
    if is_sid("MG", text) {
        return Ok(TwilioSender::Service(text.to_owned()));
    }
    let number = text.parse().map(TwilioSender::Number);
    number.map_err(|_| ConfigError::Sender)
}

/// For `value_parser`: a Twilio SID that begins with `prefix`.
fn sid(prefix: &'static str) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync {
    move |text| {
        let text = text.trim();
        let good = is_sid(prefix, text).then(|| text.to_owned());
        good.ok_or_else(|| format!("it is {prefix} and 32 hexadecimal digits"))
    }
}

fn is_sid(prefix: &str, text: &str) -> bool {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sms(more: &[&str]) -> SmsArgs {
        let mut args = vec!["notification", "--database-url", "postgres://localhost/x"];
        args.extend(more);
        Config::try_parse_from(args).unwrap().sms
    }

    #[test]
    fn twilio_is_chosen_by_its_key_and_complete_or_refused() {
        let account = &format!("--twilio-account-sid=AC{}", "0".repeat(32));
        assert_eq!(sms(&[]).providers(), [SmsProvider::Log]);
        let missing = |more: &[&str]| sms(more).twilio().map(|_| ()).unwrap_err();
        let key = "--sms-api-key=k";
        assert_eq!(missing(&[key]), ConfigError::Missing("TWILIO_ACCOUNT_SID"));
        assert_eq!(missing(&[key, account]), ConfigError::Missing("SMS_FROM"));
        assert_eq!(
            missing(&[key, account, "--sms-from=Shop"]),
            ConfigError::Sender
        );
        let complete = sms(&[key, account, "--sms-from=+15550100001"]);
        assert!(complete.twilio().unwrap().is_some());
        let log = sms(&[key, "--sms-provider=log"]);
        assert!(log.twilio().unwrap().is_none());
    }

    #[test]
    fn the_phone_is_a_phone() {
        let phone = |number| sms(&["--notification-phone-number", number]).defaults();
        assert!(phone("+15550100067").is_ok());
        assert_eq!(
            phone("555-0100").map(|_| ()).unwrap_err(),
            ConfigError::Phone
        );
    }
}
