//! The keys that verify callbacks of providers.

use secrecy::SecretString;
use url::Url;

/// The keys that verify callbacks of providers.
#[derive(Clone, Debug, Default)]
pub struct CallbackKeys {
    /// The URL of this service on the internet, which is part of Twilio's signatures.
    pub public_url: Option<Url>,
    /// The auth token of the Twilio account.
    pub twilio_auth_token: Option<SecretString>,
    /// Vonage's signature secret.
    pub vonage_signature_secret: Option<SecretString>,
}
