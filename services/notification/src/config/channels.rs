//! What channels other than text messages need.

use std::path::PathBuf;

use chassis::settings::{http_url, secret};
use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

/// What channels other than text messages need.
#[derive(Clone, Debug, clap::Args)]
pub struct ChannelArgs {
    /// The mail server: `smtps://user:password@host` for TLS, `smtp://…:587?tls=required` for
    /// STARTTLS; without it emails are printed to the log.
    #[arg(long, env = "SMTP_URL", hide_env_values = true, value_parser = secret, requires = "email_from")]
    pub smtp_url: Option<SecretString>,
    /// A file with certificates in PEM of those who may sign the mail server's, besides those that
    /// the system trusts.
    #[arg(long, env = "SMTP_CA_FILE", requires = "smtp_url")]
    pub smtp_ca_file: Option<PathBuf>,
    /// Who writes emails, such as Shop <shop@example.com>.
    #[arg(long, env = "EMAIL_FROM", hide_env_values = true)]
    pub email_from: Option<String>,
    /// Where this service is reached from the internet, for what providers say back.
    #[arg(long, env = "PUBLIC_URL", value_parser = http_url)]
    pub public_url: Option<Url>,
    /// The private key of Web Push: 32 bytes in base64url; without it messages for browsers are
    /// printed to the log.
    #[arg(long, env = "VAPID_PRIVATE_KEY", hide_env_values = true, value_parser = secret)]
    pub vapid_private_key: Option<SecretString>,
    /// Whom push services write to: a mailto: or https: address; without it `PUBLIC_URL`.
    #[arg(long, env = "VAPID_SUBJECT", requires = "vapid_private_key")]
    pub vapid_subject: Option<String>,
    /// The token of Telegram's bot; without it its messages are printed to the log.
    #[arg(long, env = "TELEGRAM_BOT_TOKEN", hide_env_values = true, value_parser = secret)]
    pub telegram_bot_token: Option<SecretString>,
    /// Where Telegram's API is.
    #[arg(
        long,
        env = "TELEGRAM_BASE_URL",
        default_value = "https://api.telegram.org",
        value_parser = http_url
    )]
    pub telegram_base_url: Url,
    /// The server of ntfy.
    #[arg(long, env = "NTFY_URL", default_value = "https://ntfy.sh", value_parser = http_url)]
    pub ntfy_url: Url,
    /// An access token for ntfy's server.
    #[arg(long, env = "NTFY_TOKEN", hide_env_values = true, value_parser = secret)]
    pub ntfy_token: Option<SecretString>,
    /// A service account of Firebase, as its JSON; without it messages for apps are printed to the
    /// log.
    #[arg(long, env = "FCM_CREDENTIALS", hide_env_values = true, value_parser = secret)]
    pub fcm_credentials: Option<SecretString>,
    /// Where Firebase Cloud Messaging is.
    #[arg(
        long,
        env = "FCM_BASE_URL",
        default_value = "https://fcm.googleapis.com",
        value_parser = http_url
    )]
    pub fcm_base_url: Url,
    /// What the secrets of webhooks are sealed with in the database: 32 bytes in base64; without it
    /// they are kept as they are.
    #[arg(long, env = "WEBHOOK_SECRETS_KEY", hide_env_values = true, value_parser = secret)]
    pub webhook_secrets_key: Option<SecretString>,
    /// Private networks that webhooks may be in, such as 10.1.0.0/16, with commas; none unless
    /// told.
    #[arg(long, env = "WEBHOOK_PRIVATE_NETWORKS", value_delimiter = ',')]
    pub webhook_private_networks: Vec<IpNet>,
}
