//! Settings. clap reads flags and environment variables; an invalid value prevents the start.

use std::net::Ipv6Addr;
use std::sync::Arc;

use clap::Parser;
use clap::error::{ContextKind, ContextValue};
use common::clock::Clock;
use common::jwt::{KeyError, Keyring, TokenVerifier};
use secrecy::SecretString;
use url::Url;

/// Settings of every service.
#[derive(Clone, Debug, clap::Args)]
pub struct ServiceArgs {
    /// Port to listen on, on all IPv6 and IPv4 addresses.
    #[arg(long, env = "PORT", default_value_t = 8000)]
    pub port: u16,
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// Keys that sign and verify tokens.
#[derive(Clone, Debug, clap::Args)]
pub struct KeyArgs {
    /// Shared secrets for tokens (HS256), separated by commas, at least 32 characters each. The
    /// first signs; all verify.
    #[arg(long, env = "JWT_SECRETS", hide_env_values = true, value_delimiter = ',', value_parser = secret)]
    pub jwt_secrets: Vec<SecretString>,
    /// URL of an issuer's key set (JWKS) with Ed25519 public keys, fetched every 5 minutes.
    #[arg(long, env = "JWKS_URL", value_parser = http_url)]
    pub jwks_url: Option<Url>,
    /// Ed25519 private key (PKCS#8 PEM) that signs tokens instead of a shared secret.
    #[arg(long, env = "JWT_PRIVATE_KEY", hide_env_values = true, value_parser = secret)]
    pub jwt_private_key: Option<SecretString>,
    /// Key id (`kid`) of the private key; the key set publishes the public key under this id.
    #[arg(long, env = "JWT_KEY_ID", default_value = "tetralto")]
    pub jwt_key_id: String,
}

impl KeyArgs {
    /// Builds the keyring. Fails if there is no key or an invalid one.
    pub fn keyring(&self) -> Result<Arc<Keyring>, KeyError> {
        let private = self
            .jwt_private_key
            .as_ref()
            .map(|pem| (self.jwt_key_id.as_str(), pem));
        Keyring::new(&self.jwt_secrets, private, self.jwks_url.is_some()).map(Arc::new)
    }

    /// Builds a verifier that accepts tokens for the service `audience`.
    pub fn verifier(
        &self,
        audience: &'static str,
        clock: &Clock,
    ) -> Result<TokenVerifier, KeyError> {
        Ok(TokenVerifier::new(self.keyring()?, audience, clock.clone()))
    }
}

impl ServiceArgs {
    /// The address to listen on: all interfaces, IPv6 and IPv4.
    #[must_use]
    pub fn listen_address(&self) -> (Ipv6Addr, u16) {
        (Ipv6Addr::UNSPECIFIED, self.port)
    }
}

/// A clap `value_parser` for secrets. Surrounding whitespace is removed, because files and
/// dashboards often add a line break.
#[must_use]
pub fn secret(value: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(value.trim().into())
}

/// A clap `value_parser` for HTTP URLs, with or without a path.
pub fn http_url(text: &str) -> Result<Url, String> {
    let text = text.trim();
    let example = "use a URL such as https://service.example:8000";
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        // `geo:8000` parses as a URL with the scheme `geo`.
        _ if is_authority(text) => return Err(format!("add the scheme: http://{text}")),
        Ok(url) if url.has_host() => {
            return Err(format!(
                "the scheme {} is not supported; {example}",
                url.scheme()
            ));
        }
        Ok(_) => return Err(format!("this is not an HTTP URL; {example}")),
        Err(error) => return Err(format!("{error}; {example}")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "a URL with credentials is not supported; {example}"
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "the URL must not have a query or a fragment; {example}"
        ));
    }
    Ok(url)
}

/// A clap `value_parser` for the URL of another service, without a path.
pub fn service_url(text: &str) -> Result<Url, String> {
    let url = http_url(text)?;
    if url.path() == "/" {
        return Ok(url);
    }
    let origin = url.origin().ascii_serialization();
    Err(format!("use the URL without the path: {origin}"))
}

/// Whether the text is `host` or `host:port`.
fn is_authority(text: &str) -> bool {
    let with_scheme = Url::parse(&format!("http://{text}"));
    let is_plain = text.split_once(':').is_none_or(|(host, port)| {
        let port = port.trim_end_matches('/');
        !host.contains('/') && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    is_plain && with_scheme.is_ok_and(|url| url.path() == "/" && url.query().is_none())
}

/// Parses the arguments and environment of the process, or exits with a message that names the
/// invalid setting. An empty variable counts as unset, because Compose files set unused variables
/// to the empty string.
#[must_use]
pub fn parse<T: Parser>() -> T {
    try_parse(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

/// Like [`parse`], for the given arguments. The first is the name of the program.
pub fn try_parse<T: Parser>(
    args: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>,
) -> Result<T, clap::Error> {
    let matches = ignore_empty_variables(T::command()).try_get_matches_from(args);
    let parsed = matches.and_then(|mut matches| T::from_arg_matches_mut(&mut matches));
    parsed.map_err(hide_credentials)
}

/// clap prints the invalid value. Hides a value that may contain credentials.
fn hide_credentials(mut error: clap::Error) -> clap::Error {
    let value = error.get(ContextKind::InvalidValue);
    if matches!(value, Some(ContextValue::String(value)) if value.contains('@')) {
        let hidden = ContextValue::String("(not shown)".into());
        error.insert(ContextKind::InvalidValue, hidden);
    }
    error
}

#[expect(
    clippy::disallowed_methods,
    reason = "every config.rs uses this function"
)]
fn ignore_empty_variables(command: clap::Command) -> clap::Command {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Settings {
        #[arg(long, value_parser = service_url)]
        peer: Url,
        #[arg(long, value_delimiter = ',', value_parser = secret)]
        secrets: Vec<SecretString>,
    }

    fn refused(url: &str) -> String {
        let args = ["test".to_owned(), format!("--peer={url}")];
        try_parse::<Settings>(args).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_address_of_a_service_is_refused_with_advice() {
        for (url, advice) in [
            ("geo:8000", "http://geo:8000"),
            ("geo", "http://geo"),
            ("127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("ftp://geo:8000", "the scheme ftp is not supported"),
            ("http://geo:8000/v1", "without the path: http://geo:8000"),
            ("http://geo:8000/?a=1", "a query or a fragment"),
            ("http://geo:80000", "invalid port number"),
            ("mailto:geo", "not an HTTP URL"),
            ("http://", "empty host"),
            ("//geo:8000", "such as https://"),
        ] {
            let said = refused(url);
            assert!(
                said.contains(advice) && said.contains("--peer"),
                "{url}: {said}"
            );
        }
        let said = refused("http://user:hunter2@geo:8000");
        assert!(
            said.contains("credentials") && !said.contains("hunter2"),
            "{said}"
        );
    }

    #[test]
    fn what_is_an_address_is_understood() {
        for (text, url) in [
            (" http://geo:8000 ", "http://geo:8000/"),
            ("http://[::1]:8000/", "http://[::1]:8000/"),
            ("https://geo.example", "https://geo.example/"),
        ] {
            assert_eq!(service_url(text).unwrap().as_str(), url, "{text}");
        }
        let url = http_url("https://proxy.example/twilio").unwrap();
        assert_eq!(url.path(), "/twilio");
    }

    #[test]
    fn blanks_around_secrets_are_no_part_of_them() {
        use secrecy::ExposeSecret as _;
        let args = ["test", "--peer=http://a", "--secrets= a\u{a0}b ,\tc\r\n"];
        let settings: Settings = try_parse(args).unwrap();
        let secrets: Vec<_> = settings
            .secrets
            .iter()
            .map(SecretString::expose_secret)
            .collect();
        assert_eq!(secrets, ["a\u{a0}b", "c"]);
    }
}
