//! Settings: clap reads flags and the environment; a bad value stops the start and is named.

use std::net::Ipv6Addr;
use std::sync::Arc;

use clap::Parser;
use common::clock::Clock;
use common::jwt::{KeyError, Keyring, Verifier};
use secrecy::SecretString;
use url::Url;

/// Settings that every service has.
#[derive(Clone, Debug, clap::Args)]
pub struct ServiceArgs {
    /// The port to listen on, on every address, IPv6 and IPv4.
    #[arg(long, env = "PORT", default_value_t = 8000)]
    pub port: u16,
    #[command(flatten)]
    /// Which keys are trusted.
    pub keys: KeyArgs,
}

/// The keys that sign and verify tokens.
#[derive(Clone, Debug, clap::Args)]
pub struct KeyArgs {
    /// Shared secrets for tokens (HS256), 32 characters or more each, parted by commas: the first
    /// signs, all verify.
    #[arg(long, env = "JWT_SECRETS", hide_env_values = true, value_delimiter = ',', value_parser = secret)]
    pub jwt_secrets: Vec<SecretString>,
    /// Where the public keys (Ed25519) of an issuer are published; fetched again every 5 minutes.
    #[arg(long, env = "JWKS_URL")]
    pub jwks_url: Option<Url>,
    /// An Ed25519 private key (PKCS#8 PEM) to sign with instead of a shared secret.
    #[arg(long, env = "JWT_PRIVATE_KEY", hide_env_values = true, value_parser = secret)]
    pub jwt_private_key: Option<SecretString>,
    /// The key id under which the key set publishes the private key's other half.
    #[arg(long, env = "JWT_KEY_ID", default_value = "tetralto")]
    pub jwt_key_id: String,
}

impl KeyArgs {
    /// The ring of these keys; an error where there are none or a bad one.
    pub fn ring(&self) -> Result<Arc<Keyring>, KeyError> {
        let private = self
            .jwt_private_key
            .as_ref()
            .map(|pem| (self.jwt_key_id.as_str(), pem));
        Keyring::new(&self.jwt_secrets, private, self.jwks_url.is_some()).map(Arc::new)
    }

    /// A verifier for the service called `audience`.
    pub fn verifier(&self, audience: &'static str, clock: &Clock) -> Result<Verifier, KeyError> {
        Ok(Verifier::new(self.ring()?, audience, clock.clone()))
    }
}

impl ServiceArgs {
    /// The address to listen on: every interface, both families.
    #[must_use]
    pub fn address(&self) -> (Ipv6Addr, u16) {
        (Ipv6Addr::UNSPECIFIED, self.port)
    }
}

/// For `value_parser`: a secret, which is never shown.
#[must_use]
pub fn secret(value: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(value.into())
}

/// Reads the process's arguments and environment, or ends it with a message that names what is
/// wrong. A variable that is set but empty counts as not set, as compose files leave them.
#[must_use]
pub fn parse<T: Parser>() -> T {
    try_parse(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

/// The same for given arguments; the first is the program's name.
pub fn try_parse<T: Parser>(
    args: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>,
) -> Result<T, clap::Error> {
    let mut matches = without_empty_variables(T::command()).try_get_matches_from(args)?;
    T::from_arg_matches_mut(&mut matches)
}

#[expect(clippy::disallowed_methods, reason = "this serves every config.rs")]
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let empty: Vec<_> = command
        .get_arguments()
        .filter(|arg| {
            let value = arg.get_env().and_then(std::env::var_os);
            value.is_some_and(|value| value.is_empty())
        })
        .map(|arg| arg.get_id().clone())
        .collect();
    empty.into_iter().fold(command, |command, id| {
        command.mut_arg(id, |arg| arg.env(None::<&str>))
    })
}
