//! Creates the providers of each channel from the settings.

use std::sync::Arc;

use anyhow::Context as _;
use chassis::http_client;
use common::clock::Clock;
use secrecy::ExposeSecret as _;

use crate::app::guarded_provider::GuardedProvider;
use crate::clients::Provider;
use crate::clients::discord::DiscordProvider;
use crate::clients::email::EmailProvider;
use crate::clients::fcm::FcmProvider;
use crate::clients::ntfy::NtfyProvider;
use crate::clients::public_http_client::PublicHttpClient;
use crate::clients::slack::SlackProvider;
use crate::clients::telegram::TelegramProvider;
use crate::clients::twilio::TwilioProvider;
use crate::clients::vonage::VonageProvider;
use crate::clients::web_push::WebPushProvider;
use crate::clients::web_push::vapid::VapidSigner;
use crate::clients::webhook::WebhookProvider;
use crate::config::{Config, SERVICE_NAME, SmsProvider};
use crate::domain::channel_address::DeliveryChannel;
use crate::domain::secret_box::SecretBox;

/// The providers of each channel in the order they are tried; empty if messages are printed to the
/// log.
pub struct ChannelProviders(pub Vec<(DeliveryChannel, Vec<GuardedProvider>)>);

/// The signer for Web Push; `None` without `VAPID_PRIVATE_KEY`.
pub fn vapid_signer(config: &Config) -> anyhow::Result<Option<Arc<VapidSigner>>> {
    let Some(key) = &config.channels.vapid_private_key else {
        return Ok(None);
    };
    let public = config.channels.public_url.as_ref().map(ToString::to_string);
    let subject = config.channels.vapid_subject.clone().or(public);
    let subject = subject.context("VAPID_PRIVATE_KEY requires VAPID_SUBJECT or PUBLIC_URL")?;
    let vapid = VapidSigner::new(key.expose_secret(), subject);
    let vapid = vapid.context("VAPID_PRIVATE_KEY must be a key of 32 bytes in base64url")?;
    Ok(Some(Arc::new(vapid)))
}

/// The encryption of webhook secrets. Without a key, secrets are stored in plain text.
pub fn secret_box(config: &Config) -> anyhow::Result<Arc<SecretBox>> {
    let key = config.channels.webhook_secrets_key.as_ref();
    let vault = key.map(|key| SecretBox::new(key.expose_secret()));
    let vault = vault.transpose();
    let vault = vault.context("WEBHOOK_SECRETS_KEY must be a key of 32 bytes in base64")?;
    Ok(Arc::new(vault.unwrap_or_default()))
}

impl ChannelProviders {
    pub fn new(
        config: &Config,
        clock: &Clock,
        vapid: Option<&Arc<VapidSigner>>,
        vault: &Arc<SecretBox>,
    ) -> anyhow::Result<Self> {
        let guarded = PublicHttpClient::new(config.channels.webhook_private_networks.clone())?;
        let each = DeliveryChannel::ALL.into_iter().map(|channel| {
            let providers: Vec<Arc<dyn Provider>> = match channel {
                DeliveryChannel::Log => vec![],
                DeliveryChannel::Sms => sms_providers(config, clock)?,
                DeliveryChannel::Email => email_providers(config)?,
                DeliveryChannel::Telegram => telegram_providers(config)?,
                DeliveryChannel::Fcm => fcm_providers(config, clock)?,
                DeliveryChannel::Push => push_providers(&guarded, vapid, clock),
                DeliveryChannel::Webhook => vec![Arc::new(WebhookProvider {
                    http: guarded.clone(),
                    clock: clock.clone(),
                    secret_box: vault.clone(),
                })],
                DeliveryChannel::Slack => vec![Arc::new(SlackProvider {
                    http: guarded.clone(),
                })],
                DeliveryChannel::Discord => vec![Arc::new(DiscordProvider {
                    http: guarded.clone(),
                })],
                DeliveryChannel::Ntfy => vec![Arc::new(NtfyProvider {
                    http: http_client::build(SERVICE_NAME)?,
                    base_url: config.channels.ntfy_url.clone(),
                    token: config.channels.ntfy_token.clone(),
                })],
            };
            Ok((
                channel,
                providers.into_iter().map(GuardedProvider::from).collect(),
            ))
        });
        each.collect::<anyhow::Result<_>>().map(Self)
    }

    pub fn of(&self, channel: DeliveryChannel) -> &[GuardedProvider] {
        let own = self.0.iter().find(|(own, _)| *own == channel);
        own.map_or(&[], |(_, providers)| providers)
    }
}

fn sms_providers(config: &Config, clock: &Clock) -> anyhow::Result<Vec<Arc<dyn Provider>>> {
    let mut providers: Vec<Arc<dyn Provider>> = vec![];
    for provider in config.sms.providers() {
        match provider {
            SmsProvider::Log => {}
            SmsProvider::Twilio => {
                if let Some(mut settings) = config.sms.twilio_settings()? {
                    settings.callback_url = config.callback_url("twilio");
                    let http = http_client::build(SERVICE_NAME)?;
                    providers.push(Arc::new(TwilioProvider::new(http, settings)));
                }
            }
            SmsProvider::Vonage => {
                if let Some(mut settings) = config.sms.vonage_settings()? {
                    settings.callback_url = config.callback_url("vonage");
                    let http = http_client::build(SERVICE_NAME)?;
                    providers.push(Arc::new(VonageProvider::new(http, settings, clock.clone())));
                }
            }
        }
    }
    Ok(providers)
}

fn email_providers(config: &Config) -> anyhow::Result<Vec<Arc<dyn Provider>>> {
    let settings = &config.channels;
    let Some((url, from)) = settings.smtp_url.as_ref().zip(settings.email_from.as_ref()) else {
        return Ok(vec![]);
    };
    let authorities = settings.smtp_ca_file.as_ref().map(std::fs::read);
    let authorities = authorities
        .transpose()
        .context("SMTP_CA_FILE cannot be read")?;
    let helo = settings.smtp_helo.as_deref();
    let email = EmailProvider::new(url.expose_secret(), from, helo, authorities.as_deref())?;
    Ok(vec![Arc::new(email)])
}

fn telegram_providers(config: &Config) -> anyhow::Result<Vec<Arc<dyn Provider>>> {
    let Some(token) = config.channels.telegram_bot_token.clone() else {
        return Ok(vec![]);
    };
    Ok(vec![Arc::new(TelegramProvider {
        http: http_client::build(SERVICE_NAME)?,
        base_url: config.channels.telegram_base_url.clone(),
        token,
    })])
}

fn fcm_providers(config: &Config, clock: &Clock) -> anyhow::Result<Vec<Arc<dyn Provider>>> {
    let Some(credentials) = &config.channels.fcm_credentials else {
        return Ok(vec![]);
    };
    // The error of serde is discarded, because it may contain a part of the credentials.
    let credentials = serde_json::from_str(credentials.expose_secret()).map_err(|_| {
        anyhow::anyhow!("FCM_CREDENTIALS must be a Firebase service account as JSON")
    })?;
    let base = config.channels.fcm_base_url.clone();
    let fcm = FcmProvider::new(
        http_client::build(SERVICE_NAME)?,
        base,
        credentials,
        clock.clone(),
    );
    let fcm = fcm.context("the private key in FCM_CREDENTIALS is invalid")?;
    Ok(vec![Arc::new(fcm)])
}

fn push_providers(
    guarded: &PublicHttpClient,
    vapid: Option<&Arc<VapidSigner>>,
    clock: &Clock,
) -> Vec<Arc<dyn Provider>> {
    let Some(vapid) = vapid else {
        return vec![];
    };
    vec![Arc::new(WebPushProvider {
        http: guarded.clone(),
        vapid_signer: vapid.clone(),
        clock: clock.clone(),
    })]
}
