//! Settings of the channels other than text messages.

use std::net::IpAddr;
use std::path::PathBuf;

use chassis::settings::{http_url, secret};
use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use crate::domain::email_address::to_ascii_domain;

/// Parses a domain, or an address in brackets (RFC 5321 §4.1.3).
fn hello_name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let literal = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_literal = literal.is_some_and(|literal| {
        let address = literal.strip_prefix("IPv6:").unwrap_or(literal);
        let parsed = address.parse::<IpAddr>();
        parsed.is_ok_and(|parsed| parsed.is_ipv6() == (address.len() < literal.len()))
    });
    let name = if is_literal {
        Some(text.to_owned())
    } else {
        to_ascii_domain(text)
    };
    name.ok_or_else(|| "expected a host name such as mail.example.com".into())
}

#[derive(Clone, Debug, clap::Args)]
pub struct ChannelArgs {
    /// URL of the mail server: `smtps://user:password@host` for TLS, `smtp://…:587?tls=required`
    /// for STARTTLS. If it is not set, emails are printed to the log.
    #[arg(long, env = "SMTP_URL", hide_env_values = true, value_parser = secret, requires = "email_from")]
    pub smtp_url: Option<SecretString>,
    /// File with CA certificates (PEM) to trust for the mail server, in addition to those of the
    /// system.
    #[arg(long, env = "SMTP_CA_FILE", requires = "smtp_url")]
    pub smtp_ca_file: Option<PathBuf>,
    /// Name with which the service introduces itself to the mail server (EHLO), such as
    /// mail.example.com. Default: the domain of `EMAIL_FROM`.
    #[arg(long, env = "SMTP_HELO", value_parser = hello_name, requires = "smtp_url")]
    pub smtp_helo: Option<String>,
    /// Sender of emails, such as `Shop <shop@example.com>`.
    #[arg(long, env = "EMAIL_FROM", hide_env_values = true)]
    pub email_from: Option<String>,
    /// URL of this service on the internet, to which providers send callbacks.
    #[arg(long, env = "PUBLIC_URL", value_parser = http_url)]
    pub public_url: Option<Url>,
    /// Private VAPID key for Web Push: 32 bytes in base64url. If it is not set, messages to
    /// browsers are printed to the log.
    #[arg(long, env = "VAPID_PRIVATE_KEY", hide_env_values = true, value_parser = secret)]
    pub vapid_private_key: Option<SecretString>,
    /// Contact for operators of push services: a mailto: or https: URL. Default: `PUBLIC_URL`.
    #[arg(long, env = "VAPID_SUBJECT", requires = "vapid_private_key")]
    pub vapid_subject: Option<String>,
    /// Token of the Telegram bot. If it is not set, messages to Telegram are printed to the log.
    #[arg(long, env = "TELEGRAM_BOT_TOKEN", hide_env_values = true, value_parser = secret)]
    pub telegram_bot_token: Option<SecretString>,
    /// Base URL of the Telegram Bot API.
    #[arg(
        long,
        env = "TELEGRAM_BASE_URL",
        default_value = "https://api.telegram.org",
        value_parser = http_url
    )]
    pub telegram_base_url: Url,
    /// URL of the ntfy server.
    #[arg(long, env = "NTFY_URL", default_value = "https://ntfy.sh", value_parser = http_url)]
    pub ntfy_url: Url,
    /// Access token for the ntfy server.
    #[arg(long, env = "NTFY_TOKEN", hide_env_values = true, value_parser = secret)]
    pub ntfy_token: Option<SecretString>,
    /// Firebase service account as JSON. If it is not set, messages to mobile apps are printed to
    /// the log.
    #[arg(long, env = "FCM_CREDENTIALS", hide_env_values = true, value_parser = secret)]
    pub fcm_credentials: Option<SecretString>,
    /// Base URL of Firebase Cloud Messaging.
    #[arg(
        long,
        env = "FCM_BASE_URL",
        default_value = "https://fcm.googleapis.com",
        value_parser = http_url
    )]
    pub fcm_base_url: Url,
    /// Key that encrypts the secrets of webhooks in the database: 32 bytes in base64. If it is not
    /// set, they are stored in plain text.
    #[arg(long, env = "WEBHOOK_SECRETS_KEY", hide_env_values = true, value_parser = secret)]
    pub webhook_secrets_key: Option<SecretString>,
    /// Private networks to which webhooks may be sent, such as 10.1.0.0/16, separated by commas.
    /// Default: none.
    #[arg(long, env = "WEBHOOK_PRIVATE_NETWORKS", value_delimiter = ',')]
    pub webhook_private_networks: Vec<IpNet>,
}

#[cfg(test)]
mod tests {
    use super::hello_name;

    #[test]
    fn the_smtp_name_is_a_host_or_an_address_in_brackets() {
        for (text, name) in [
            ("mail.example.com", "mail.example.com"),
            (" Mail.Bücher.example\n", "mail.xn--bcher-kva.example"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
        ] {
            assert_eq!(hello_name(text).as_deref(), Ok(name), "{text}");
        }
        for wrong in [
            "",
            "a b",
            "mail_1",
            "-a",
            "[2001:db8::1]",
            "[mail]",
            "a\r\nQUIT",
        ] {
            assert!(hello_name(wrong).is_err(), "{wrong}");
        }
    }
}
